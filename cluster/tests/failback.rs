//! `failback`: when calls are sent again, to whom, how often, how many wait, and which never do.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::RoundRobin;
use dubhe_cluster::policy::{ClusterPolicy, Failback, FailbackConfig};
use dubhe_cluster::router::RouterChain;
use dubhe_cluster::{Backlog, RetryBudget};
use rpc_core::status::Details;
use rpc_core::{Body, Delivery, Status};
use support::*;
use tokio::time::{Instant, sleep};

/// Moves the clock and lets everybody run that is due.
async fn pass(time: Duration) {
    sleep(time).await;
    settle().await;
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_answered_at_once_and_sent_again_after_five_ten_and_twenty_seconds() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    let cluster = fleet.cluster(Failback::default());
    assert!(is_fallback(&cluster.invoke(call()).await.unwrap()));
    assert_eq!((fleet.net.total(), fleet.backlog.waiting()), (1, 1));
    let (mut last, mut pauses) = (Instant::now(), Vec::new());
    for _ in 0..600 {
        pass(Duration::from_millis(100)).await;
        if fleet.net.total() > pauses.len() as u64 + 1 {
            pauses.push(last.elapsed());
            last = Instant::now();
        }
    }
    assert_eq!(pauses.len(), 3);
    // At most a tenth more by lot, and a step of this test.
    for (pause, seconds) in pauses.into_iter().zip([5, 10, 20]) {
        let (least, step) = (SECOND * seconds, Duration::from_millis(100));
        assert!((least..=least * 11 / 10 + step).contains(&(pause + step)), "{pause:?}");
    }
    assert_eq!((fleet.backlog.waiting(), fleet.backlog.dropped()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_again_before_the_interval() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    let config = FailbackConfig { interval: SECOND * 2, ..FailbackConfig::default() };
    let cluster = fleet.cluster(Failback::new(config).unwrap());
    cluster.invoke(call()).await.unwrap();
    pass(Duration::from_millis(1_999)).await;
    assert_eq!(fleet.net.total(), 1);
    pass(Duration::from_millis(201)).await;
    assert_eq!(fleet.net.total(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_success_in_the_background_ends_it() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer_next([maybe_sent(), maybe_sent()]);
    let cluster = fleet.cluster(Failback::default());
    cluster.invoke(call()).await.unwrap();
    pass(SECOND * 600).await;
    assert_eq!(fleet.net.total(), 3);
    assert_eq!((fleet.backlog.waiting(), fleet.backlog.dropped()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_provider_that_failed_last_is_avoided() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    let in_turn = Arc::new(RoundRobin::default());
    let policy = Arc::new(Failback::default());
    let cluster = fleet.build(policy, in_turn, RouterChain::default());
    for _ in 0..10 {
        cluster.invoke(call()).await.unwrap();
    }
    assert_eq!((fleet.mock("a:1").calls(), fleet.mock("b:1").calls()), (5, 5));
    pass(SECOND * 6).await;
    // The first retry of each went to the other.
    assert_eq!((fleet.mock("a:1").calls(), fleet.mock("b:1").calls()), (5, 10));
    assert_eq!(fleet.backlog.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_sent_again_with_a_deadline_of_its_own() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer_next([Answer::Hang]);
    let cluster = fleet.cluster(Failback::default());
    assert!(is_fallback(&cluster.invoke(call()).await.unwrap()));
    pass(SECOND * 600).await;
    assert_eq!((fleet.net.total(), fleet.backlog.dropped()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_run_is_neither_promised_nor_sent_again() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    for answer in [maybe_sent(), Answer::Hang, Answer::Fail(Status::unavailable("going down"))] {
        let before = fleet.net.total();
        fleet.mock("a:1").answer(answer.clone());
        fleet.mock("b:1").answer(answer);
        let cluster = fleet.cluster(Failback::default());
        let status = cluster.invoke(write()).await.unwrap_err();
        assert_eq!(status.hint(), Some("the method is not idempotent"));
        pass(SECOND * 600).await;
        assert_eq!(fleet.net.total() - before, 1);
        assert_eq!(fleet.backlog.waiting(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_not_sent_is_sent_again_until_it_may_have_run() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer_next([not_sent(), not_sent()]);
    fleet.mock("a:1").answer(maybe_sent());
    let cluster = fleet.cluster(Failback::default());
    assert!(is_fallback(&cluster.invoke(write()).await.unwrap()));
    pass(SECOND * 600).await;
    // Twice not sent, once maybe: the third retry is not made.
    assert_eq!((fleet.net.total(), fleet.backlog.dropped()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_handler_is_no_failure_to_repair() {
    let fleet = Fleet::of(&["a:1"]);
    let details = Details { type_name: "shop.SoldOut".into(), body: Body::typed(Nothing) };
    let business = Status::unavailable("sold out").with_details(details);
    for status in [business, Status::not_found("no such item")] {
        fleet.mock("a:1").answer(Answer::Fail(status.clone()));
        let cluster = fleet.cluster(Failback::default());
        let failed = cluster.invoke(call()).await.unwrap_err();
        assert_eq!(failed.message(), status.message());
        assert_eq!((failed.delivery(), fleet.backlog.waiting()), (Delivery::Answered, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_the_queue_fails_names_the_bound_and_is_counted() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(not_sent());
    let config = FailbackConfig { tasks: 10, ..FailbackConfig::default() };
    let cluster = fleet.cluster(Failback::new(config).unwrap());
    for _ in 0..10 {
        cluster.invoke(call()).await.unwrap();
    }
    for _ in 0..1_000 {
        let status = cluster.invoke(call()).await.unwrap_err();
        let hint = "cluster = failback, tasks = 10: so many calls wait";
        assert_eq!(status.hint(), Some(hint));
    }
    assert_eq!((fleet.backlog.waiting(), fleet.backlog.dropped()), (10, 1_000));
    fleet.mock("a:1").answer(Answer::After(Duration::ZERO));
    pass(SECOND * 6).await;
    assert_eq!(fleet.backlog.waiting(), 0);
    fleet.mock("a:1").answer(not_sent());
    cluster.invoke(call()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_all_waiting_calls_hold_is_bounded_and_given_back() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(not_sent());
    let cluster = fleet.cluster(Failback::default());
    let bytes = bytes::Bytes::from(vec![0; 24 << 20]);
    let large = || {
        let mut call = call();
        call.body = Body::from_bytes(Arc::new(Named("x")), bytes.clone());
        call
    };
    for _ in 0..2 {
        cluster.invoke(large()).await.unwrap();
    }
    let status = cluster.invoke(large()).await.unwrap_err();
    assert_eq!(status.hint(), Some("cluster = failback: the calls that wait hold 64 MiB"));
    cluster.invoke(call()).await.unwrap();
    pass(SECOND * 600).await;
    assert_eq!((fleet.backlog.waiting(), fleet.backlog.dropped()), (0, 4));
    cluster.invoke(large()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_bound_holds_for_a_method_however_many_clients_it_has() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(not_sent());
    let mut refused = 0;
    for _ in 0..150 {
        let cluster = fleet.cluster(Failback::default());
        refused += u32::from(cluster.invoke(call()).await.is_err());
    }
    assert_eq!((fleet.backlog.waiting(), refused), (100, 50));
}

#[tokio::test(start_paused = true)]
async fn waiting_calls_outlive_their_client_and_end_with_the_consumer() {
    let mut fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer_next([not_sent()]);
    fleet.cluster(Failback::default()).invoke(call()).await.unwrap();
    pass(SECOND * 6).await;
    assert_eq!(fleet.net.total(), 2, "the client was gone");

    fleet.mock("a:1").answer_next([not_sent()]);
    let cluster = fleet.cluster(Failback::default());
    cluster.invoke(call()).await.unwrap();
    fleet.backlog = Arc::new(Backlog::default());
    pass(SECOND * 600).await;
    assert_eq!(fleet.net.total(), 3, "the consumer was gone");
    fleet.mock("a:1").answer(not_sent());
    let status = cluster.invoke(call()).await.unwrap_err();
    assert_eq!(status.hint(), Some("the consumer has ended"));
}

#[tokio::test(start_paused = true)]
async fn background_attempts_draw_on_the_budget_of_all() {
    let mut fleet = Fleet::of(&["a:1"]);
    fleet.budget = RetryBudget::new(0, 1).into();
    fleet.mock("a:1").answer(maybe_sent());
    let cluster = fleet.cluster(Failback::default());
    for _ in 0..50 {
        cluster.invoke(call()).await.unwrap();
    }
    pass(SECOND * 6).await;
    // Ten in ten seconds, of fifty wanted.
    assert_eq!(fleet.net.total(), 60);
    assert_eq!(fleet.budget.resends(), 10);
}

#[tokio::test(start_paused = true)]
async fn with_retries_off_nothing_is_promised() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(not_sent());
    let config = FailbackConfig { retries: 0, ..FailbackConfig::default() };
    let status = fleet.cluster(Failback::new(config).unwrap()).invoke(call()).await.unwrap_err();
    assert_eq!(status.hint(), Some("cluster = failback, retries = 0"));
}

#[tokio::test(start_paused = true)]
async fn retries_that_are_set_beside_the_policy_replace_its_own_and_leave_the_rest() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(not_sent());
    let config = FailbackConfig { interval: SECOND / 2, ..FailbackConfig::default() };
    let policy = Failback::new(config).unwrap().with_retries(1).unwrap();
    let cluster = fleet.build(policy, Arc::new(RoundRobin::default()), RouterChain::default());
    cluster.invoke(call()).await.unwrap();
    pass(SECOND).await;
    assert_eq!((fleet.net.total(), fleet.backlog.dropped()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn calls_that_failed_together_do_not_come_back_together() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(not_sent());
    let cluster = fleet.cluster(Failback::default());
    for _ in 0..20 {
        cluster.invoke(call()).await.unwrap();
    }
    fleet.mock("a:1").answer(Answer::After(Duration::ZERO));
    let (mut seen, mut bursts) = (20, 0);
    // At most a tenth more by lot.
    for _ in 0..56 {
        pass(Duration::from_millis(100)).await;
        bursts += u32::from(fleet.net.total() > seen);
        seen = fleet.net.total();
    }
    assert_eq!(seen, 40);
    assert!(bursts >= 4, "20 calls came back in {bursts} of six tenths of a second");
}

#[test]
fn a_queue_without_room_is_refused() {
    let params = serde_json::json!({ "tasks": 0 }).as_object().unwrap().clone();
    let error = dubhe_cluster::policy::builtin().build("failback", params).unwrap_err();
    let text = "tasks: 0 leaves no room for any call: write 1 or more, or choose failsafe";
    assert_eq!(error.to_string(), text);
}

/// A runtime on paused time that ends when it is dropped.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

#[test]
fn a_call_that_waits_goes_on_in_the_runtime_of_the_next_call() {
    let first = runtime();
    let (fleet, cluster) = first.block_on(async {
        let fleet = Fleet::of(&["a:1"]);
        fleet.mock("a:1").answer_next([maybe_sent()]);
        let cluster = fleet.cluster(Failback::default());
        cluster.invoke(call()).await.unwrap();
        (fleet, cluster)
    });
    drop(first);
    assert_eq!((fleet.net.total(), fleet.backlog.waiting()), (1, 1));
    runtime().block_on(async {
        cluster.invoke(call()).await.unwrap();
        pass(SECOND * 6).await;
    });
    assert_eq!(fleet.net.total(), 3);
    assert_eq!((fleet.backlog.waiting(), fleet.backlog.dropped()), (0, 0));
}

#[test]
fn a_write_that_was_under_way_when_its_runtime_ended_is_not_sent_again() {
    let first = runtime();
    let (fleet, cluster) = first.block_on(async {
        let fleet = Fleet::of(&["a:1"]);
        fleet.mock("a:1").answer_next([not_sent(), Answer::Hang]);
        let cluster = fleet.cluster(Failback::default());
        cluster.invoke(write()).await.unwrap();
        // Sent again after 5 s to 5.5 s, for a second.
        pass(SECOND * 11 / 2 + SECOND / 4).await;
        (fleet, cluster)
    });
    drop(first);
    assert_eq!((fleet.net.total(), fleet.backlog.waiting()), (2, 1));
    runtime().block_on(async {
        cluster.invoke(call()).await.unwrap();
        pass(SECOND * 600).await;
    });
    assert_eq!(fleet.net.total(), 3, "the call of the second runtime alone");
    assert_eq!((fleet.backlog.waiting(), fleet.backlog.dropped()), (0, 1));
}
