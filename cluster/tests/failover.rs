//! `failover`: who is tried next, what decides that nobody is, and what the caller is told.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use dubhe_cluster::load_balance::LoadBalance;
use dubhe_cluster::policy::Failover;
use dubhe_cluster::router::RouterChain;
use dubhe_cluster::{Candidates, DirectoryOptions, RetryBudget};
use rpc_core::status::Details;
use rpc_core::{Body, ChannelState, Code, Delivery, Invocation, Snapshot, Source, Status};
use support::*;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_followed_by_one_at_another_provider() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    fleet.mock("b:1").answer(maybe_sent());
    let cluster = fleet.cluster(Failover::default());
    for _ in 0..20 {
        cluster.invoke(call()).await.unwrap();
    }
    assert_eq!(fleet.mock("c:1").calls(), 20);
    assert_eq!(fleet.budget.resends(), fleet.net.total() - 20);
}

#[tokio::test(start_paused = true)]
async fn failover_skips_endpoints_already_tried() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    for address in ["a:1", "b:1", "c:1"] {
        fleet.mock(address).answer(maybe_sent());
    }
    let status = fleet.cluster(Failover::new(2)).invoke(call()).await.unwrap_err();
    let mut tried: Vec<&str> = status.attempts().iter().map(|a| &*a.address).collect();
    tried.sort_unstable();
    assert_eq!(tried, ["a:1", "b:1", "c:1"]);
    assert_eq!(status.hint(), Some("retries = 2"));
}

#[tokio::test(start_paused = true)]
async fn tried_providers_are_tried_again_after_a_pause_when_none_is_left() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer_next([maybe_sent(), maybe_sent()]);
    let started = Instant::now();
    let cluster = fleet.cluster(Failover::new(2));
    cluster.invoke(call()).await.unwrap();
    assert_eq!(fleet.mock("a:1").calls(), 3);
    assert!(started.elapsed() >= Duration::from_millis(15));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_would_outlast_the_deadline_is_not_made() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    let started = Instant::now();
    let cluster = fleet.cluster(Failover::default());
    let call = call_of(true, Duration::from_millis(3));
    let status = cluster.invoke(call).await.unwrap_err();
    assert_eq!(status.hint(), Some("deadline"));
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!((fleet.net.total(), fleet.budget.resends()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_method_that_is_not_idempotent_is_never_sent_twice_if_it_may_have_run() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    let unavailable = Answer::Fail(Status::unavailable("shutting down"));
    for (answer, delivery) in
        [(maybe_sent(), Delivery::MaybeSent), (unavailable, Delivery::Answered)]
    {
        let before = fleet.net.total();
        fleet.mock("a:1").answer(answer.clone());
        fleet.mock("b:1").answer(answer);
        let cluster = fleet.cluster(Failover::new(5));
        let status = cluster.invoke(write()).await.unwrap_err();
        assert_eq!(fleet.net.total() - before, 1);
        assert_eq!(status.delivery(), delivery);
        assert_eq!(status.hint(), Some("the method is not idempotent"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_sent_goes_to_every_instance_even_with_retries_off() {
    let addresses = ["a:1", "b:1", "c:1", "d:1", "e:1"];
    let fleet = Fleet::of(&addresses);
    for address in &addresses[..4] {
        fleet.mock(address).answer(not_sent());
    }
    let cluster = fleet.cluster(Failover::new(0));
    for _ in 0..10 {
        cluster.invoke(write()).await.unwrap();
    }
    assert_eq!(fleet.mock("e:1").calls(), 10);
}

#[tokio::test(start_paused = true)]
async fn free_attempts_are_bounded_by_the_list_and_the_retries() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    for address in ["a:1", "b:1", "c:1"] {
        fleet.mock(address).answer(not_sent());
    }
    let cluster = fleet.cluster(Failover::new(2));
    let status = cluster.invoke(call()).await.unwrap_err();
    assert_eq!(fleet.net.total(), 6);
    assert_eq!(status.hint(), Some("3 instances and retries = 2"));
    assert_eq!(status.delivery(), Delivery::NotSent);
    let one = Fleet::of(&["a:1"]);
    one.mock("a:1").answer(not_sent());
    let status = one.cluster(Failover::new(2)).invoke(call()).await.unwrap_err();
    assert_eq!(status.hint(), Some("1 instance and retries = 2"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_final() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    let business = Status::unavailable("sold out")
        .with_details(Details { type_name: "shop.SoldOut".into(), body: Body::typed(Nothing) });
    for status in [business, Status::not_found("no such item")] {
        let before = fleet.net.total();
        fleet.mock("a:1").answer(Answer::Fail(status.clone()));
        fleet.mock("b:1").answer(Answer::Fail(status.clone()));
        let cluster = fleet.cluster(Failover::default());
        let failed = cluster.invoke(call()).await.unwrap_err();
        assert_eq!(fleet.net.total() - before, 1);
        assert_eq!((failed.code(), failed.message()), (status.code(), status.message()));
        assert!(failed.attempts().is_empty() && failed.hint().is_none());
        assert_eq!(failed.call(), Some("shop.Inventory/reserve"));
        assert!(failed.address().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_starts_after_the_deadline() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(Answer::Hang);
    fleet.mock("b:1").answer(Answer::Hang);
    let started = Instant::now();
    let cluster = fleet.cluster(Failover::default());
    let status = cluster.invoke(call()).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(1));
    // One, and its copy halfway.
    assert_eq!(fleet.net.total(), 2);
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.hint(), Some("deadline"));

    let late = call_of(true, Duration::ZERO);
    let status = cluster.invoke(late).await.unwrap_err();
    assert_eq!(fleet.net.total(), 2);
    assert_eq!(status.delivery(), Delivery::NotSent);
}

#[tokio::test(start_paused = true)]
async fn a_used_up_budget_ends_re_sends_of_calls_that_may_have_run() {
    let mut fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.budget = RetryBudget::new(20, 0).into();
    fleet.mock("a:1").answer(maybe_sent());
    fleet.mock("b:1").answer(maybe_sent());
    let cluster = fleet.cluster(Failover::default());
    let mut hints = Vec::new();
    for _ in 0..100 {
        let status = cluster.invoke(call()).await.unwrap_err();
        hints.extend(status.hint().map(str::to_owned));
    }
    assert_eq!(fleet.net.total(), 120);
    assert!(hints.iter().any(|hint| hint == "the retry budget is used up"));
}

#[tokio::test(start_paused = true)]
async fn the_final_status_tells_of_every_attempt() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    fleet.mock("b:1").answer(not_sent());
    let cluster = fleet.cluster(Failover::new(0));
    // Until the one that may have run comes last, as the balancer wants.
    let mut status = cluster.invoke(call()).await.unwrap_err();
    for _ in 0..100 {
        if status.attempts().len() == 2 {
            break;
        }
        status = cluster.invoke(call()).await.unwrap_err();
    }
    let text = status.to_string();
    assert!(text.contains("shop.Inventory/reserve"), "{text}");
    assert!(text.contains("attempt 1 at b:1"), "{text}");
    assert!(text.contains("attempt 2 at a:1"), "{text}");
    assert!(text.contains("connection refused (not sent)"), "{text}");
    assert!(text.contains("not sent again: retries = 0"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_call_one_of_whose_attempts_may_have_run_is_not_told_to_be_unsent() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer_next([maybe_sent()]);
    fleet.mock("a:1").answer(not_sent());
    let cluster = fleet.cluster(Failover::default());
    let status = cluster.invoke(call()).await.unwrap_err();
    assert_eq!(status.delivery(), Delivery::MaybeSent);
}

fn no_such_method() -> Answer {
    let status = Status::unimplemented("no such method");
    Answer::Fail(status.with_delivery(Delivery::Refused))
}

#[tokio::test(start_paused = true)]
async fn who_does_not_have_the_method_is_not_asked_twice_for_one_call() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(no_such_method());
    let began = Instant::now();
    let status = fleet.cluster(Failover::default()).invoke(call()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "no such method"));
    assert_eq!((fleet.net.total(), began.elapsed()), (1, Duration::ZERO), "{status}");

    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.mock("a:1").answer(no_such_method());
    fleet.mock("b:1").answer(no_such_method());
    fleet.mock("c:1").answer_next([not_sent(), maybe_sent()]);
    let cluster = fleet.cluster(Failover::default());
    cluster.invoke(call()).await.unwrap();
    assert!(fleet.mock("a:1").calls() <= 1 && fleet.mock("b:1").calls() <= 1);
    assert_eq!(fleet.mock("c:1").calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_the_first_word_of_the_registry() {
    let fleet = Fleet::pending();
    let cluster = fleet.cluster(Failover::default());
    let waiting = tokio::spawn(cluster.invoke(call()));
    settle().await;
    fleet.push(snapshot(&["a:1"])).await;
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_registry_costs_a_call_no_more_than_its_deadline() {
    let fleet = Fleet::pending();
    let started = Instant::now();
    let cluster = fleet.cluster(Failover::default());
    let status = cluster.invoke(call()).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(1));
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.delivery(), Delivery::NotSent);
    let text = status.to_string();
    assert!(text.contains("no instance of shop.Inventory"), "{text}");
    assert!(text.contains("the registry has not answered yet"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_fails_at_once_and_says_where_it_came_from() {
    let age = Duration::from_secs(90);
    for (source, expected) in [
        (Source::Live, "lists none; start a provider"),
        (Source::Cache { age }, "the registry is not reachable and the cached list is empty"),
    ] {
        let fleet = Fleet::from(Snapshot::new(vec![], source), DirectoryOptions::default());
        let started = Instant::now();
        let cluster = fleet.cluster(Failover::default());
        let text = cluster.invoke(call()).await.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_whose_connection_is_down_is_called_only_if_all_are() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").set_state(ChannelState::Down);
    let cluster = fleet.cluster(Failover::default());
    for _ in 0..10 {
        cluster.invoke(call()).await.unwrap();
    }
    assert_eq!((fleet.mock("a:1").calls(), fleet.mock("b:1").calls()), (0, 10));
    fleet.mock("b:1").set_state(ChannelState::Down);
    for _ in 0..100 {
        cluster.invoke(call()).await.unwrap();
    }
    assert!(fleet.mock("a:1").calls() > 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_nothing_in_flight() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(Answer::Hang);
    let cluster = fleet.cluster(Failover::default());
    let call = tokio::spawn(cluster.invoke(call()));
    settle().await;
    assert_eq!(fleet.in_flight(), 1);
    call.abort();
    settle().await;
    assert_eq!(fleet.in_flight(), 0);
}

/// Always takes the first, and counts how often it is asked.
#[derive(Debug, Default)]
struct First(AtomicU64);

impl LoadBalance for First {
    fn select(&self, _: &Candidates, _: &Invocation, _: Instant) -> usize {
        self.0.fetch_add(1, Relaxed);
        0
    }
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_keeps_count_is_asked_once_for_each_attempt_also_among_many() {
    let addresses: Vec<String> = (100..200).map(|host| format!("{host}:1")).collect();
    let fleet = Fleet::of(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    fleet.mock("100:1").answer(maybe_sent());
    let balancer = Arc::new(First::default());
    let policy = Arc::new(Failover::default());
    let cluster = fleet.build(policy, balancer.clone(), RouterChain::default());
    cluster.invoke(call()).await.unwrap();
    assert_eq!((fleet.mock("101:1").calls(), balancer.0.load(Relaxed)), (1, 2));
}
