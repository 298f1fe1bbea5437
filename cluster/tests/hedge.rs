//! A call that may run twice does not wait for a provider that hangs: halfway a copy goes elsewhere.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::RoundRobin;
use dubhe_cluster::policy::Failover;
use dubhe_cluster::router::RouterChain;
use dubhe_cluster::{DirectoryOptions, HealthState};
use rpc_core::{BoxInvoker, ChannelState, Code, Delivery, Status};
use support::{Answer, Fleet, call, maybe_sent, not_sent, snapshot, write};
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);
const HALF: Duration = Duration::from_millis(500);
/// Half of the second half.
const NEXT_HALF: Duration = Duration::from_millis(750);

fn hang(fleet: &Fleet, addresses: &[&str]) {
    addresses.iter().for_each(|address| fleet.mock(address).answer(Answer::Hang));
}

/// A cluster whose first call goes to the first address, and its copies to the next ones.
fn in_turn(fleet: &Fleet, retries: u32) -> BoxInvoker {
    let balancer = Arc::new(RoundRobin::default());
    fleet.build(Arc::new(Failover::new(retries)), balancer, RouterChain::default())
}

fn failures_of(fleet: &Fleet, address: &str) -> u64 {
    let endpoints = fleet.directory.endpoints();
    endpoints.iter().find(|e| &**e.address() == address).unwrap().health().failures
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

#[tokio::test(start_paused = true)]
async fn a_copy_that_fails_is_followed_by_another_while_the_first_still_hangs() {
    for answer in [not_sent(), maybe_sent()] {
        let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
        hang(&fleet, &["a:1"]);
        fleet.mock("b:1").answer(answer);
        let (cluster, began) = (in_turn(&fleet, 2), Instant::now());
        cluster.invoke(call()).await.unwrap();
        assert!((HALF..HALF + MS * 20).contains(&began.elapsed()), "{:?}", began.elapsed());
        assert_eq!((fleet.net.total(), fleet.in_flight()), (3, 0));
        assert_eq!(failures_of(&fleet, "a:1"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_one_that_fails_at_last_is_followed_by_another_while_its_copy_hangs() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    let reset = Status::unavailable("connection reset").with_delivery(Delivery::MaybeSent);
    fleet.mock("a:1").answer(Answer::FailAfter(MS * 600, reset));
    hang(&fleet, &["b:1"]);
    let (cluster, began) = (in_turn(&fleet, 2), Instant::now());
    cluster.invoke(call()).await.unwrap();
    assert_eq!(began.elapsed(), MS * 601);
    assert_eq!((fleet.net.total(), fleet.in_flight()), (3, 0));
    // It had a tenth of the call's time, which is no timeout.
    assert_eq!(failures_of(&fleet, "b:1"), 0);
}

#[tokio::test(start_paused = true)]
async fn when_the_copy_hangs_too_the_next_goes_out_at_half_of_what_is_left() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    hang(&fleet, &["a:1", "b:1"]);
    let (cluster, began) = (in_turn(&fleet, 2), Instant::now());
    cluster.invoke(call()).await.unwrap();
    assert!((NEXT_HALF..NEXT_HALF + MS * 20).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!((fleet.net.total(), fleet.in_flight(), fleet.budget.resends()), (3, 0, 2));
    let failures = ["a:1", "b:1", "c:1"].map(|address| failures_of(&fleet, address));
    assert_eq!(failures, [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_copies_than_retries() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1", "d:1"]);
    hang(&fleet, &["a:1", "b:1", "c:1"]);
    let status = in_turn(&fleet, 2).invoke(call()).await.unwrap_err();
    assert_eq!((status.code(), fleet.net.total()), (Code::DeadlineExceeded, 3));
    assert_eq!(status.attempts().len(), 3, "{status}");
    in_turn(&fleet, 3).invoke(call()).await.unwrap();
    assert_eq!(fleet.mock("d:1").calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_after_a_failure_gets_its_copy_too() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    hang(&fleet, &["b:1"]);
    let (cluster, began) = (in_turn(&fleet, 2), Instant::now());
    cluster.invoke(call()).await.unwrap();
    assert!((HALF..HALF + MS * 20).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn while_one_hangs_the_only_other_is_tried_until_it_is_back() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    hang(&fleet, &["a:1"]);
    fleet.mock("b:1").answer_next([not_sent(), not_sent()]);
    in_turn(&fleet, 2).invoke(call()).await.unwrap();
    assert_eq!((fleet.mock("a:1").calls(), fleet.mock("b:1").calls()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_copy_waits_for_the_only_other_to_be_reachable() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    hang(&fleet, &["a:1"]);
    fleet.mock("b:1").set_state(ChannelState::Down);
    let (mock, began) = (fleet.mock("b:1"), Instant::now());
    tokio::spawn(async move {
        tokio::time::sleep(MS * 600).await;
        mock.set_state(ChannelState::Ready);
    });
    in_turn(&fleet, 2).invoke(call()).await.unwrap();
    assert!((NEXT_HALF..NEXT_HALF + MS * 20).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!((fleet.mock("a:1").calls(), fleet.mock("b:1").calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_for_the_registry_gets_its_copy_elsewhere() {
    let fleet = Fleet::pending();
    hang(&fleet, &["a:1"]);
    let began = Instant::now();
    let waiting = tokio::spawn(in_turn(&fleet, 2).invoke(call()));
    tokio::time::sleep(MS * 100).await;
    fleet.push(snapshot(&["a:1", "b:1"])).await;
    waiting.await.unwrap().unwrap();
    assert!((HALF..HALF + MS * 60).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!((fleet.mock("a:1").calls(), fleet.mock("b:1").calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn with_one_healthy_provider_a_call_succeeds_whatever_three_others_do() {
    let reset = Status::unavailable("connection reset").with_delivery(Delivery::MaybeSent);
    let answers =
        [Answer::Hang, not_sent(), maybe_sent(), Answer::FailAfter(MS * 600, reset.clone())];
    for case in 0..answers.len().pow(3) {
        let fleet = Fleet::of(&["a:1", "b:1", "c:1", "d:1"]);
        let kinds = [case % 4, case / 4 % 4, case / 16];
        for (address, kind) in ["a:1", "b:1", "c:1"].into_iter().zip(kinds) {
            fleet.mock(address).answer(answers[kind].clone());
        }
        // One that fails after its copy was sent costs two.
        let outcome = in_turn(&fleet, 6).invoke(call()).await;
        assert!(outcome.is_ok(), "{kinds:?}: {}", outcome.unwrap_err());
        assert_eq!(fleet.in_flight(), 0, "{kinds:?}");
    }
}
