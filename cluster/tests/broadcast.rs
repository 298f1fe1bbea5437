//! `broadcast`: everyone hears of it once, enough of them decide, and the asker gets every answer.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::RetryBudget;
use dubhe_cluster::load_balance::P2c;
use dubhe_cluster::policy::{Broadcast, ClusterPolicy, builtin};
use dubhe_cluster::router::RouterChain;
use rpc_core::status::Details;
use rpc_core::{Body, BoxInvoker, ChannelState, Code, Delivery, NodeReplies, NodeResult, Status};
use serde_json::json;
use support::*;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);
const FOUR: [&str; 4] = ["a:1", "b:1", "c:1", "d:1"];

fn policy(params: serde_json::Value) -> Arc<dyn ClusterPolicy> {
    builtin().build("broadcast", params.as_object().unwrap().clone()).unwrap()
}

fn cluster(fleet: &Fleet, params: serde_json::Value) -> BoxInvoker {
    fleet.build(policy(params), Arc::new(P2c::new(Some(1))), RouterChain::default())
}

/// What each provider answered to a call that goes to all.
async fn ask(cluster: &BoxInvoker, mut call: rpc_core::Invocation) -> Vec<NodeResult<()>> {
    let nodes = NodeReplies::default();
    call.extensions.insert(nodes.clone());
    let _ = cluster.invoke(call).await;
    let nodes = nodes.take().expect("the providers were reached").into_iter();
    nodes.map(|node| NodeResult { address: node.address, result: node.result.map(drop) }).collect()
}

#[tokio::test(start_paused = true)]
async fn every_provider_hears_of_it_at_the_same_time_and_once() {
    let fleet = Fleet::of(&FOUR);
    for address in FOUR {
        fleet.mock(address).answer(Answer::After(MS * 100));
    }
    let cluster = fleet.cluster(Broadcast::default());
    let started = Instant::now();
    cluster.invoke(write()).await.unwrap();
    assert_eq!(started.elapsed(), MS * 100);
    assert!(fleet.net.counts().values().all(|count| *count == 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_with_the_time_it_took_and_not_with_that_of_the_slowest() {
    let fleet = Fleet::of(&FOUR);
    fleet.mock("a:1").answer(maybe_sent());
    fleet.mock("b:1").answer(Answer::After(MS * 100));
    let status = fleet.cluster(Broadcast::default()).invoke(call()).await.unwrap_err();
    assert_eq!(status.attempts()[0].elapsed, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn one_failure_fails_the_call_but_stops_nothing() {
    let fleet = Fleet::of(&FOUR);
    fleet.mock("a:1").answer(maybe_sent());
    let status = fleet.cluster(Broadcast::default()).invoke(call()).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Unavailable, Delivery::MaybeSent));
    let text = "3 of 4 providers succeeded, 4 have to; the first failure: connection reset";
    assert_eq!(status.message(), text);
    assert_eq!(status.hint(), Some("quorum = 100"));
    assert_eq!(&*status.attempts()[0].address, "a:1");
    assert_eq!(fleet.net.total(), 4, "and none is called again");
}

#[tokio::test(start_paused = true)]
async fn a_quorum_is_how_many_percent_have_to_succeed_rounded_up() {
    for (quorum, failing, succeeds) in
        [(75, 1, true), (75, 2, false), (76, 1, false), (50, 2, true), (1, 3, true), (1, 4, false)]
    {
        let fleet = Fleet::of(&FOUR);
        for address in &FOUR[..failing] {
            fleet.mock(address).answer(not_sent());
        }
        let outcome = cluster(&fleet, json!({ "quorum": quorum })).invoke(call()).await;
        assert_eq!(outcome.is_ok(), succeeds, "quorum {quorum}, {failing} failing");
        assert_eq!(fleet.net.total(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn if_none_was_reached_the_call_was_not_sent() {
    let fleet = Fleet::of(&FOUR);
    FOUR.iter().for_each(|address| fleet.mock(address).answer(not_sent()));
    let status = fleet.cluster(Broadcast::default()).invoke(call()).await.unwrap_err();
    assert_eq!(status.delivery(), Delivery::NotSent);
}

#[tokio::test(start_paused = true)]
async fn if_one_was_reached_the_call_may_have_run_however_the_others_failed() {
    for reached in [Answer::After(MS), maybe_sent(), Answer::Fail(Status::not_found("no item"))] {
        let fleet = Fleet::of(&FOUR);
        FOUR.iter().for_each(|address| fleet.mock(address).answer(not_sent()));
        fleet.mock("c:1").answer(reached);
        let status = fleet.cluster(Broadcast::default()).invoke(call()).await.unwrap_err();
        assert_eq!(status.delivery(), Delivery::MaybeSent, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_hear_of_it_a_broadcast_is_one_call_to_the_budget() {
    for addresses in [&FOUR[..], &FOUR[..1]] {
        let mut fleet = Fleet::of(addresses);
        fleet.budget = RetryBudget::new(100, 0).into();
        fleet.cluster(Broadcast::default()).invoke(write()).await.unwrap();
        assert_eq!(fleet.budget.available(Instant::now()), 1, "{addresses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_typed_error_of_the_first_failure_is_kept() {
    let fleet = Fleet::of(&FOUR);
    let details = Details { type_name: "shop.SoldOut".into(), body: Body::typed(Nothing) };
    let sold_out = Status::failed_precondition("sold out").with_details(details);
    fleet.mock("b:1").answer(Answer::Fail(sold_out));
    let status = fleet.cluster(Broadcast::default()).invoke(call()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(&*status.details().unwrap().type_name, "shop.SoldOut");
}

#[tokio::test(start_paused = true)]
async fn the_asker_gets_every_answer_in_the_order_of_addresses() {
    let fleet = Fleet::of(&FOUR);
    fleet.mock("a:1").answer(Answer::After(MS * 300));
    fleet.mock("b:1").answer(Answer::Hang);
    fleet.mock("c:1").answer(maybe_sent());
    // Down, and still one of all.
    fleet.mock("d:1").answer(not_sent());
    fleet.mock("d:1").set_state(ChannelState::Down);
    let started = Instant::now();
    let nodes = ask(&fleet.cluster(Broadcast::default()), call()).await;
    assert_eq!(started.elapsed(), MS * 1_000, "the one that hangs costs the deadline");
    let told: Vec<_> = nodes
        .iter()
        .map(|node| (&*node.address, node.result.as_ref().map_err(Status::delivery).err()))
        .collect();
    let unsent = Some(Delivery::NotSent);
    let sent = Some(Delivery::MaybeSent);
    assert_eq!(told, [("a:1", None), ("b:1", sent), ("c:1", sent), ("d:1", unsent)]);
}

#[tokio::test(start_paused = true)]
async fn without_a_provider_nobody_was_asked() {
    let fleet = Fleet::of(&[]);
    let mut call = call();
    let nodes = NodeReplies::default();
    call.extensions.insert(nodes.clone());
    let status = fleet.cluster(Broadcast::default()).invoke(call).await.unwrap_err();
    assert!(status.message().starts_with("no instance of shop.Inventory"), "{status}");
    assert!(nodes.take().is_none());
}

/// A fleet of so many providers, each of which takes this long.
fn many(count: usize, answer: &Answer) -> Fleet {
    let addresses: Vec<String> = (0..count).map(|n| format!("p{n:05}:1")).collect();
    let fleet = Fleet::of(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    addresses.iter().for_each(|address| fleet.mock(address).answer(answer.clone()));
    fleet
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_providers_are_called_a_bounded_number_at_a_time() {
    let fleet = many(10_000, &Answer::After(MS * 10));
    let asking = {
        let cluster = fleet.cluster(Broadcast::default());
        tokio::spawn(async move { ask(&cluster, write()).await })
    };
    settle().await;
    assert_eq!(fleet.in_flight(), 256);
    let started = Instant::now();
    let nodes = asking.await.unwrap();
    assert_eq!(started.elapsed(), MS * 10 * 10_000_u32.div_ceil(256));
    assert!(nodes.len() == 10_000 && nodes.iter().all(|node| node.result.is_ok()));
    assert!(fleet.net.counts().values().all(|count| *count == 1));
}

#[tokio::test(start_paused = true)]
async fn whose_turn_does_not_come_before_the_deadline_is_told_to_be_unsent() {
    let fleet = many(1_000, &Answer::Hang);
    let cluster = fleet.cluster(Broadcast::default());
    let started = Instant::now();
    let nodes = ask(&cluster, call()).await;
    assert_eq!(started.elapsed(), MS * 1_000);
    let unsent = |node: &&NodeResult<()>| {
        node.result.as_ref().is_err_and(|status| status.delivery() == Delivery::NotSent)
    };
    assert_eq!((nodes.len(), nodes.iter().filter(unsent).count()), (1_000, 744));
    assert_eq!((fleet.net.total(), fleet.in_flight()), (256, 0));
    let status = cluster.invoke(call()).await.unwrap_err();
    assert_eq!(status.attempts().len(), 16, "a status stays readable");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_broadcast_cancels_what_it_has_begun() {
    let fleet = many(500, &Answer::Hang);
    let call = tokio::spawn(fleet.cluster(Broadcast::default()).invoke(call()));
    settle().await;
    assert_eq!(fleet.in_flight(), 256);
    call.abort();
    settle().await;
    assert_eq!((fleet.in_flight(), fleet.net.total()), (0, 256));
}

#[test]
fn parameters_that_cannot_work_are_refused() {
    for (params, message) in [
        (json!({ "quorum": 0 }), "quorum: 0 is not a percentage: write 1 to 100"),
        (json!({ "quorum": 101 }), "quorum: 101 is not a percentage: write 1 to 100"),
        (json!({ "concurrency": 0 }), "concurrency: 0 calls no provider: write 1 or more"),
    ] {
        let params = params.as_object().unwrap().clone();
        assert_eq!(builtin().build("broadcast", params).unwrap_err().to_string(), message);
    }
}
