//! `forking`: who is asked, whose answer counts, what becomes of the others, what it may cost.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::{self, RoundRobin};
use dubhe_cluster::policy::{ClusterPolicy, Forking, builtin};
use dubhe_cluster::router::RouterChain;
use dubhe_cluster::{HealthState, RetryBudget};
use rpc_core::{BoxInvoker, Code, Delivery, Params, Status};
use serde_json::json;
use support::*;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);

fn forking(forks: usize) -> Arc<dyn ClusterPolicy> {
    let params = json!({ "forks": forks });
    builtin().build("forking", params.as_object().unwrap().clone()).unwrap()
}

/// A cluster that asks its providers in turn, so that tests know who is asked.
fn in_turn(fleet: &Fleet, forks: usize) -> BoxInvoker {
    fleet.build(forking(forks), Arc::new(RoundRobin::default()), RouterChain::default())
}

#[tokio::test(start_paused = true)]
async fn the_first_success_is_the_answer_and_the_losers_are_cancelled() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.mock("a:1").answer(Answer::After(MS * 500));
    fleet.mock("b:1").answer(Answer::After(MS * 20));
    fleet.mock("c:1").answer(Answer::Hang);
    let cluster = in_turn(&fleet, 3);
    let started = Instant::now();
    cluster.invoke(call()).await.unwrap();
    assert_eq!(started.elapsed(), MS * 20);
    assert_eq!((fleet.net.total(), fleet.in_flight()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_never_wins_over_a_later_success() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(Answer::Fail(Status::internal("broken")));
    fleet.mock("b:1").answer(Answer::After(MS * 300));
    let cluster = in_turn(&fleet, 2);
    for _ in 0..10 {
        cluster.invoke(call()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn each_provider_is_asked_once_and_no_more_than_there_are() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    let cluster = in_turn(&fleet, 7);
    cluster.invoke(call()).await.unwrap();
    assert_eq!(fleet.net.counts().into_values().collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn among_many_providers_copies_go_to_different_ones_too() {
    let addresses: Vec<String> = (0..300).map(|n| format!("p{n:03}:1")).collect();
    let fleet = Fleet::of(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    for balancer in load_balance::builtin().names() {
        let balancer = load_balance::builtin().build(balancer, Params::new()).unwrap();
        let cluster = fleet.build(forking(2), balancer, RouterChain::default());
        let before = fleet.net.counts();
        cluster.invoke(call()).await.unwrap();
        let after = fleet.net.counts().into_iter();
        let asked =
            after.map(|(address, count)| count - before.get(&address).copied().unwrap_or(0));
        let asked: Vec<u64> = asked.filter(|count| *count > 0).collect();
        assert_eq!(asked, [1, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_fails_is_followed_by_one_at_a_provider_not_asked_yet() {
    let addresses = ["a:1", "b:1", "c:1", "d:1", "e:1"];
    let fleet = Fleet::of(&addresses);
    for (address, answer) in
        addresses.iter().zip([maybe_sent(), not_sent(), not_sent(), maybe_sent()])
    {
        fleet.mock(address).answer(answer);
    }
    let cluster = fleet.cluster(Forking::default());
    for _ in 0..20 {
        cluster.invoke(call()).await.unwrap();
    }
    assert_eq!(fleet.mock("e:1").calls(), 20);
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_status_tells_of_every_copy() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    fleet.mock("b:1").answer(Answer::Fail(Status::not_found("no such item")));
    fleet.mock("c:1").answer(not_sent());
    let status = in_turn(&fleet, 3).invoke(call()).await.unwrap_err();
    // A handler's answer tells more than how the others were not reached.
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no such item"));
    assert_eq!(status.attempts().len(), 3, "{status}");
    assert_eq!(status.hint(), Some("forks = 3"));
    assert_eq!(status.call(), Some("shop.Inventory/reserve"));
}

#[tokio::test(start_paused = true)]
async fn a_call_none_of_whose_copies_was_sent_says_so_and_any_other_does_not() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(not_sent());
    fleet.mock("b:1").answer(not_sent());
    let status = in_turn(&fleet, 2).invoke(call()).await.unwrap_err();
    assert_eq!(status.delivery(), Delivery::NotSent);
    fleet.mock("a:1").answer(maybe_sent());
    let status = in_turn(&fleet, 2).invoke(call()).await.unwrap_err();
    assert_eq!(status.delivery(), Delivery::MaybeSent);
}

#[tokio::test(start_paused = true)]
async fn copies_beyond_the_first_draw_on_the_budget_and_stop_with_it() {
    let mut fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.budget = RetryBudget::new(20, 0).into();
    let cluster = in_turn(&fleet, 2);
    for _ in 0..100 {
        cluster.invoke(call()).await.unwrap();
    }
    assert_eq!(fleet.net.total(), 120);
    assert_eq!(fleet.budget.resends(), 0, "copies are no re-sends");
}

#[tokio::test(start_paused = true)]
async fn all_copies_end_at_the_deadline() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(Answer::Hang);
    fleet.mock("b:1").answer(Answer::Hang);
    let started = Instant::now();
    let status = in_turn(&fleet, 2).invoke(call()).await.unwrap_err();
    assert_eq!((started.elapsed(), status.code()), (MS * 1_000, Code::DeadlineExceeded));
    assert_eq!(fleet.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_cancels_all_its_copies() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(Answer::Hang);
    fleet.mock("b:1").answer(Answer::Hang);
    let call = tokio::spawn(in_turn(&fleet, 2).invoke(call()));
    settle().await;
    assert_eq!(fleet.in_flight(), 2);
    call.abort();
    settle().await;
    assert_eq!(fleet.in_flight(), 0);
}

/// Calls every 20 ms for so many seconds; the most calls that were under way after one.
async fn call_for(fleet: &Fleet, cluster: &BoxInvoker, seconds: u64) -> u32 {
    let (until, mut most) = (Instant::now() + MS * 1_000 * u32::try_from(seconds).unwrap(), 0);
    while Instant::now() < until {
        cluster.invoke(call()).await.unwrap();
        most = most.max(fleet.in_flight());
        tokio::time::sleep(MS * 20).await;
    }
    most
}

fn state_of(fleet: &Fleet, address: &str) -> HealthState {
    let endpoints = fleet.directory.endpoints();
    endpoints.iter().find(|endpoint| &**endpoint.address() == address).unwrap().health().state
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_ejected_although_it_only_ever_loses() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.mock("a:1").answer(Answer::Hang);
    let cluster = in_turn(&fleet, 2);
    let most = call_for(&fleet, &cluster, 5).await;
    // Ejected, or waiting for the call that finds it hanging still.
    assert_ne!(state_of(&fleet, "a:1"), HealthState::Healthy);
    assert!(fleet.directory.state().ejections > 0);
    assert_eq!(most, 1, "one loser at a time runs on");
    let others = ["b:1", "c:1"].map(|address| state_of(&fleet, address));
    assert_eq!(others, [HealthState::Healthy; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_always_loses_because_it_is_slow_stays() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(Answer::After(MS * 400));
    let cluster = in_turn(&fleet, 2);
    for _ in 0..20 {
        call_for(&fleet, &cluster, 1).await;
        assert_eq!(state_of(&fleet, "a:1"), HealthState::Healthy);
    }
    tokio::time::sleep(MS * 1_000).await;
    assert_eq!(fleet.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_hint_tells_of_forks_where_there_were_or_could_have_been_several() {
    for (addresses, forks, answer, hint) in [
        (&["a:1"][..], 1, maybe_sent(), None),
        (&["a:1"], 2, maybe_sent(), Some("forks = 2")),
        (&["a:1", "b:1"], 1, not_sent(), Some("forks = 1")),
        (&["a:1", "b:1"], 1, Answer::Fail(Status::not_found("no such item")), None),
        (&["a:1", "b:1"], 2, not_sent(), Some("forks = 2")),
    ] {
        let fleet = Fleet::of(addresses);
        addresses.iter().for_each(|address| fleet.mock(address).answer(answer.clone()));
        let status = in_turn(&fleet, forks).invoke(call()).await.unwrap_err();
        assert_eq!(status.hint(), hint, "{addresses:?}, {forks}: {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_fails_when_the_time_is_over_is_followed_by_none() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    let refused = Status::unavailable("connection refused").with_delivery(Delivery::NotSent);
    fleet.mock("a:1").answer(Answer::FailAfter(MS * 1_000, refused));
    let status = in_turn(&fleet, 1).invoke(call()).await.unwrap_err();
    assert_eq!((status.message(), status.attempts().len()), ("connection refused", 1));
    assert_eq!((fleet.net.total(), fleet.budget.resends()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn however_many_there_are_one_call_asks_64_and_is_one_call_to_the_budget() {
    let addresses: Vec<String> = (0..100).map(|host| format!("p{host:02}:1")).collect();
    let mut fleet = Fleet::of(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    fleet.budget = RetryBudget::new(100, 0).into();
    addresses.iter().for_each(|address| fleet.mock(address).answer(not_sent()));
    in_turn(&fleet, 1).invoke(call()).await.unwrap_err();
    assert_eq!((fleet.net.total(), fleet.budget.available(Instant::now())), (64, 1));
    assert!(fleet.net.counts().values().all(|calls| *calls <= 1));
}

#[test]
fn as_many_forks_as_a_call_may_ask_are_taken() {
    for forks in [1, 64] {
        forking(forks);
    }
}

#[test]
fn no_forks_at_all_and_more_than_a_call_may_ask_are_refused() {
    for (forks, text) in [
        (0, "forks: 0 asks no provider: write 1 to 64"),
        (65, "forks: 65 are more than one call may ask: write 1 to 64"),
    ] {
        let params = json!({ "forks": forks }).as_object().unwrap().clone();
        let error = builtin().build("forking", params).unwrap_err().to_string();
        assert_eq!(error, text);
    }
}
