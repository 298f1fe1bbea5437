//! A call that may run twice does not wait for a provider that hangs: halfway a copy goes elsewhere.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use dubhe_cluster::policy::Failover;
use dubhe_cluster::{DirectoryOptions, HealthState};
use rpc_core::{Code, Status};
use support::{Answer, Fleet, call, snapshot, write};
use tokio::time::Instant;

const HALF: Duration = Duration::from_millis(500);

fn hang(fleet: &Fleet, addresses: &[&str]) {
    addresses.iter().for_each(|address| fleet.mock(address).answer(Answer::Hang));
}

/// Calls until one has gone to `a:1` first; returns how long that took, and how it ended.
async fn through_a(fleet: &Fleet) -> (Duration, Result<(), Status>) {
    let cluster = fleet.cluster(Failover::default());
    for _ in 0..50 {
        let (before, began) = (fleet.mock("a:1").calls(), Instant::now());
        let outcome = cluster.invoke(call()).await;
        if fleet.mock("a:1").calls() > before {
            return (began.elapsed(), outcome.map(drop));
        }
    }
    panic!("no call went to a:1");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_answered_by_another_halfway() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    hang(&fleet, &["a:1"]);
    let (took, outcome) = through_a(&fleet).await;
    outcome.unwrap();
    assert!((HALF..HALF + Duration::from_millis(20)).contains(&took), "{took:?}");
    assert_eq!((fleet.in_flight(), fleet.budget.resends()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_one_that_hung_is_judged_as_by_a_timeout() {
    let fleet = Fleet::from(snapshot(&["a:1", "b:1", "c:1"]), DirectoryOptions::default());
    hang(&fleet, &["a:1"]);
    through_a(&fleet).await.1.unwrap();
    let endpoints = fleet.directory.endpoints();
    let hung = endpoints.iter().find(|e| &**e.address() == "a:1").unwrap();
    assert_eq!((hung.health().failures, hung.health().state), (1, HealthState::Healthy));
    // Nothing is known against whoever answered.
    assert!(endpoints.iter().filter(|e| &**e.address() != "a:1").all(|e| e.health().failures == 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_only_slow_keeps_its_own_answer_if_that_comes_first() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    for address in ["a:1", "b:1"] {
        fleet.mock(address).answer(Answer::After(Duration::from_millis(600)));
    }
    let (began, cluster) = (Instant::now(), fleet.cluster(Failover::default()));
    cluster.invoke(call()).await.unwrap();
    assert_eq!(began.elapsed().as_millis(), 600);
}

#[tokio::test(start_paused = true)]
async fn what_must_not_run_twice_gets_no_copy() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    hang(&fleet, &["a:1", "b:1"]);
    let status = fleet.cluster(Failover::default()).invoke(write()).await.unwrap_err();
    assert_eq!((status.code(), fleet.net.total()), (Code::DeadlineExceeded, 1));
}

#[tokio::test(start_paused = true)]
async fn with_retries_off_no_copy_is_sent() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    hang(&fleet, &["a:1", "b:1"]);
    fleet.cluster(Failover::new(0)).invoke(call()).await.unwrap_err();
    assert_eq!(fleet.net.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn copies_draw_on_the_budget() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    hang(&fleet, &["a:1", "b:1"]);
    while fleet.budget.draw(Instant::now()) {}
    let status = fleet.cluster(Failover::default()).invoke(call()).await.unwrap_err();
    assert_eq!((status.code(), fleet.net.total()), (Code::DeadlineExceeded, 1));
}

#[tokio::test(start_paused = true)]
async fn a_single_provider_gets_no_second_copy() {
    let fleet = Fleet::of(&["a:1"]);
    hang(&fleet, &["a:1"]);
    fleet.cluster(Failover::default()).invoke(call()).await.unwrap_err();
    assert_eq!((fleet.net.total(), fleet.budget.resends()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_business_error_of_the_copy_is_the_answer() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    hang(&fleet, &["a:1"]);
    fleet.mock("b:1").answer(Answer::Fail(Status::not_found("no such article")));
    let cluster = fleet.cluster(Failover::default());
    for _ in 0..50 {
        let (before, began) = (fleet.mock("a:1").calls(), Instant::now());
        let status = cluster.invoke(call()).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{status}");
        if fleet.mock("a:1").calls() > before {
            assert_eq!(began.elapsed(), HALF);
            return assert_eq!(fleet.in_flight(), 0);
        }
    }
    panic!("no call went to a:1");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_call_cancels_both() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    hang(&fleet, &["a:1", "b:1"]);
    let cluster = fleet.cluster(Failover::default());
    let late = tokio::time::timeout(HALF + Duration::from_millis(100), cluster.invoke(call()));
    assert!(late.await.is_err());
    assert_eq!((fleet.net.total(), fleet.in_flight()), (2, 0));
}
