//! Providers that refuse because they are full: they are asked last for a while, and overload is not
//! multiplied by sending again.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::{P2c, RoundRobin};
use dubhe_cluster::policy::{Failfast, Failover, builtin};
use dubhe_cluster::router::RouterChain;
use rpc_core::{BoxInvoker, ChannelState, Code, Delivery, Params, Status};
use support::*;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);

/// What a provider at `provider.limits.in_flight` says.
fn full() -> Status {
    let text = "100 calls run already; raise `provider.limits.in_flight`";
    Status::resource_exhausted(text).with_delivery(Delivery::Refused)
}

fn refuses(status: Status) -> Answer {
    Answer::FailAfter(MS, status)
}

/// Fleets of `addresses` under each policy that does not call everyone anyway.
fn each(addresses: &[&str]) -> Vec<(&'static str, Fleet, BoxInvoker)> {
    let point = builtin();
    let build = |name| {
        let policy = point.build(name, Params::new()).unwrap();
        let fleet = Fleet::of(addresses);
        let cluster = fleet.build(policy, Arc::new(P2c::new(Some(1))), RouterChain::default());
        (name, fleet, cluster)
    };
    point.names().filter(|name| *name != "broadcast").map(build).collect()
}

/// So many calls, one after the other in this distance; how many failed.
async fn calls(cluster: &BoxInvoker, count: usize, apart: Duration, idempotent: bool) -> usize {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        sleep(apart).await;
        let call = call_of(idempotent, Duration::from_secs(1));
        calls.spawn(cluster.invoke(call));
    }
    let mut failed = 0;
    while let Some(ended) = calls.join_next().await {
        failed += usize::from(ended.unwrap().map_or(true, |reply| is_fallback(&reply)));
    }
    failed
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_providers_that_are_all_full_are_asked_hardly_once_for_each_call() {
    let addresses = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1", "h:1"];
    for idempotent in [true, false] {
        for (name, fleet, cluster) in each(&addresses) {
            addresses.iter().for_each(|address| fleet.mock(address).answer(refuses(full())));
            let failed = calls(&cluster, 6000, MS / 10, idempotent).await;
            let attempts = fleet.net.total();
            assert_eq!(failed, 6000, "{name}");
            assert!(attempts <= 6600, "{name}: {attempts} attempts for 6000 calls");
            let all_are_asked = fleet.net.counts().values().all(|asked| *asked > 100);
            assert!(all_are_asked || name == "available", "{name}: {:?}", fleet.net.counts());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_that_sends_again_no_call_fails_while_one_of_three_has_room() {
    for idempotent in [true, false] {
        for (name, fleet, cluster) in each(&["a:1", "b:1", "c:1"]) {
            ["a:1", "b:1"].iter().for_each(|full| fleet.mock(full).answer(refuses(self::full())));
            fleet.mock("c:1").answer(Answer::After(5 * MS));
            let failed = calls(&cluster, 3000, MS, idempotent).await;
            let attempts = fleet.net.total();
            match name {
                // One attempt is all they make; whom that meets first is by lot.
                "failfast" | "failsafe" | "failback" => assert!(failed <= 60, "{name}: {failed}"),
                _ => assert_eq!(failed, 0, "{name}"),
            }
            // A fork of a read goes to one that has room, of which there is one.
            assert!(attempts <= 3300, "{name}: {attempts} attempts for 3000 calls");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_full_is_asked_again_after_the_time_that_it_names_and_not_much_later() {
    let named = |wait| full().with_retry_after(wait);
    for (refusal, least) in [(full(), 100 * MS), (named(400 * MS), 400 * MS)] {
        let fleet = Fleet::of(&["a:1", "b:1"]);
        let (policy, in_turn) = (Arc::new(Failover::new(0)), Arc::new(RoundRobin::new()));
        let cluster = fleet.build(policy, in_turn, RouterChain::default());
        fleet.mock("b:1").set_state(ChannelState::Down);
        fleet.mock("a:1").answer(refuses(refusal));
        cluster.invoke(write()).await.unwrap_err();
        let refused = Instant::now();
        fleet.mock("a:1").answer(Answer::After(MS));
        fleet.mock("b:1").set_state(ChannelState::Ready);
        while fleet.mock("a:1").calls() == 1 {
            cluster.invoke(write()).await.unwrap();
        }
        let waited = refused.elapsed();
        assert!(waited >= least && waited <= least * 3 / 2 + 5 * MS, "{waited:?} of {least:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_one_of_many_that_are_all_full_says_what_it_was_and_why_nobody_else_was_asked()
 {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    let cluster = fleet.cluster(Failover::new(2));
    ["a:1", "b:1"].iter().for_each(|full| fleet.mock(full).answer(refuses(self::full())));
    let _ = cluster.invoke(write()).await;
    let status = cluster.invoke(write()).await.unwrap_err();
    assert_eq!(fleet.net.total(), 3, "{status}");
    assert_eq!((status.code(), status.delivery()), (Code::ResourceExhausted, Delivery::Refused));
    assert_eq!(status.hint(), Some("every provider being full"));
}

/// Being full is no reason to ask one whose connection is gone, or that has failed its callers.
#[tokio::test(start_paused = true)]
async fn a_provider_that_is_full_comes_after_one_that_connects_and_before_one_that_is_down() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    let cluster = fleet.cluster(Failfast);
    fleet.mock("b:1").set_state(ChannelState::Down);
    fleet.mock("c:1").set_state(ChannelState::Down);
    fleet.mock("a:1").answer(refuses(full()));
    cluster.invoke(write()).await.unwrap_err();
    cluster.invoke(write()).await.unwrap_err();
    assert_eq!((fleet.mock("a:1").calls(), fleet.net.total()), (2, 2));
    fleet.mock("b:1").set_state(ChannelState::Connecting);
    cluster.invoke(write()).await.unwrap();
    assert_eq!(fleet.mock("b:1").calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_for_another_reason_goes_to_every_provider_as_before() {
    let draining = Status::unavailable("shutting down").with_delivery(Delivery::Refused);
    let not_sent = Status::unavailable("connection refused").with_delivery(Delivery::NotSent);
    for status in [draining, not_sent, Status::service_missing("no such service here")] {
        let addresses = ["a:1", "b:1", "c:1", "d:1", "e:1"];
        let fleet = Fleet::of(&addresses);
        let cluster = fleet.cluster(Failover::new(0));
        addresses[..4]
            .iter()
            .for_each(|address| fleet.mock(address).answer(refuses(status.clone())));
        for _ in 0..10 {
            cluster.invoke(write()).await.unwrap();
        }
    }
}
