//! `failover`: when a call is over, what decided that, and what it has cost until then.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use dubhe_cluster::load_balance::{LoadBalance, RoundRobin};
use dubhe_cluster::policy::{ClusterPolicy, Failover};
use dubhe_cluster::router::RouterChain;
use dubhe_cluster::{Candidates, RetryBudget};
use rpc_core::{
    Body, BoxInvoker, ChannelState, Code, Deadline, Delivery, Invocation, Method, MethodKind,
    Status,
};
use support::*;
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Takes the first of those that are left, and counts how often it is asked.
#[derive(Debug, Default)]
struct First(AtomicU64);

impl LoadBalance for First {
    fn select(&self, _: &Candidates, _: &Invocation, _: Instant) -> usize {
        self.0.fetch_add(1, Relaxed);
        0
    }
}

/// A cluster whose calls go to the first address, and then to the next ones.
fn in_turn(fleet: &Fleet, retries: u32) -> BoxInvoker {
    let balancer = Arc::new(RoundRobin::default());
    fleet.build(Arc::new(Failover::new(retries)), balancer, RouterChain::default())
}

fn counted(fleet: &Fleet, retries: u32) -> (BoxInvoker, Arc<First>) {
    let balancer = Arc::new(First::default());
    let policy = Arc::new(Failover::new(retries));
    (fleet.build(policy, balancer.clone(), RouterChain::default()), balancer)
}

fn no_such_method() -> Answer {
    let status = Status::unimplemented("no such method");
    Answer::Fail(status.with_delivery(Delivery::Refused))
}

/// A call whose arguments stream, of a method that may run twice.
fn streaming() -> Invocation {
    let method = Method::new(service(), "gather", MethodKind::ClientStream, true);
    let body = Body::stream(futures_util::stream::iter([]));
    Invocation::new(method.into(), body, Deadline::after(SECOND))
}

// --- What decided that it is over -----------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn the_hint_is_the_setting_that_decided_and_there_is_none_where_the_answer_did() {
    let cut = || Status::deadline_exceeded("cut by a layer").with_delivery(Delivery::MaybeSent);
    let (soon, late) = (5 * MS, SECOND);
    let idempotent = Some("the method is not idempotent");
    let deadline = Some("deadline");
    for (is_read, after, status, hint) in [
        (false, soon, cut(), idempotent),
        (false, soon, cut().with_delivery(Delivery::NotSent), deadline),
        (false, late, cut(), deadline),
        (false, soon, Status::deadline_exceeded("its own limit"), None),
        (true, soon, Status::deadline_exceeded("its own limit"), None),
        (true, late, Status::not_found("no such item"), deadline),
        (false, soon, Status::unavailable("no database"), idempotent),
        (false, soon, Status::not_found("no such item"), None),
        (true, soon, Status::not_found("no such item"), None),
    ] {
        let fleet = Fleet::of(&["a:1"]);
        fleet.mock("a:1").answer(Answer::FailAfter(after, status.clone()));
        let failed = in_turn(&fleet, 2).invoke(call_of(is_read, SECOND)).await.unwrap_err();
        assert_eq!(failed.hint(), hint, "{status} after {after:?}");
        assert_eq!(fleet.net.total(), 1, "{status} after {after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_stream_was_read_says_that_this_is_why() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    let call = streaming();
    let mut reader = call.clone().body.messages().unwrap();
    let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
    let _ = reader.poll_next(&mut nobody);
    drop(reader);
    let failed = in_turn(&fleet, 2).invoke(call).await.unwrap_err();
    assert_eq!(failed.hint(), Some("the stream of its arguments was read"));
    assert_eq!(fleet.net.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn those_left_that_lack_the_method_end_a_call_whose_last_hope_has_gone() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(no_such_method());
    fleet.mock("b:1").answer(not_sent());
    let (began, running) = (Instant::now(), tokio::spawn(in_turn(&fleet, 9).invoke(call())));
    // Both have been asked, and it waits to ask `b:1` again.
    settle().await;
    assert_eq!(fleet.net.total(), 2);
    fleet.mock("b:1").set_state(ChannelState::Down);
    fleet.push(snapshot(&["a:1"])).await;
    let failed = running.await.unwrap().unwrap_err();
    assert_eq!((failed.code(), failed.delivery()), (Code::Unimplemented, Delivery::Refused));
    assert_eq!(failed.message(), "those left do not have the method");
    assert!(began.elapsed() <= 10 * MS, "{:?}", began.elapsed());
    assert_eq!(fleet.net.total(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_when_it_would_be_sent_again_and_nobody_is_listed_any_more() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(not_sent());
    let (began, running) = (Instant::now(), tokio::spawn(in_turn(&fleet, 9).invoke(call())));
    settle().await;
    fleet.mock("a:1").set_state(ChannelState::Down);
    fleet.push(snapshot(&[])).await;
    let failed = running.await.unwrap().unwrap_err();
    assert!(failed.message().starts_with("no instance of shop.Inventory"), "{failed}");
    assert_eq!(failed.attempts().len(), 1);
    assert!(began.elapsed() <= 10 * MS, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_outlives_the_list_it_came_from() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(Answer::After(800 * MS));
    let running = tokio::spawn(in_turn(&fleet, 2).invoke(call()));
    sleep(100 * MS).await;
    fleet.mock("a:1").set_state(ChannelState::Down);
    fleet.push(snapshot(&[])).await;
    assert!(fleet.addresses().is_empty());
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_single_provider_that_hangs_has_the_call_to_its_deadline() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(Answer::Hang);
    let began = Instant::now();
    let failed = in_turn(&fleet, 2).invoke(call()).await.unwrap_err();
    assert_eq!((failed.code(), began.elapsed()), (Code::DeadlineExceeded, SECOND));
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_a_call_that_waits_to_be_sent_again() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    let answer = Status::not_found("no such item");
    fleet.mock("a:1").answer(Answer::FailAfter(503 * MS, answer));
    fleet.mock("b:1").answer(not_sent());
    // The copy at `b:1` fails at half of the time, and is to be sent there again in 5 to 10 ms.
    let began = Instant::now();
    let failed = in_turn(&fleet, 2).invoke(call()).await.unwrap_err();
    assert_eq!((failed.code(), began.elapsed()), (Code::NotFound, 503 * MS));
    assert_eq!(fleet.net.total(), 2);
}

// --- What it costs --------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_failure_while_it_waits_to_be_sent_again_is_not_paid_for_twice() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    let reset = Status::unavailable("connection reset").with_delivery(Delivery::MaybeSent);
    fleet.mock("a:1").answer_next([Answer::FailAfter(503 * MS, reset)]);
    fleet.mock("b:1").answer_next([not_sent()]);
    in_turn(&fleet, 5).invoke(call()).await.unwrap();
    // One copy, and one attempt for both of those that have failed.
    assert_eq!((fleet.net.total(), fleet.budget.resends()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_a_fifth_of_a_second() {
    for (retries, longest) in [(1, 10), (5, 310), (9, 1110)] {
        let fleet = Fleet::of(&["a:1"]);
        fleet.mock("a:1").answer(maybe_sent());
        let began = Instant::now();
        let call = call_of(true, 10 * SECOND);
        let failed = in_turn(&fleet, retries).invoke(call).await.unwrap_err();
        assert_eq!(failed.attempts().len(), retries as usize + 1);
        // By lot each is between half of its longest and that.
        let (took, longest) = (began.elapsed(), MS * longest);
        assert!((longest / 2..=longest + MS * retries).contains(&took), "{took:?}, {retries}");
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_instances_there_are_one_call_is_sent_again_to_64_of_them() {
    let addresses: Vec<String> = (0..100).map(|host| format!("p{host:02}:1")).collect();
    let fleet = Fleet::of(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    addresses.iter().for_each(|address| fleet.mock(address).answer(not_sent()));
    let failed = in_turn(&fleet, 0).invoke(call()).await.unwrap_err();
    assert_eq!((fleet.net.total(), fleet.budget.resends()), (65, 64));
    assert_eq!(failed.hint(), Some("64 instances and retries = 0"));
    assert!(fleet.net.counts().values().all(|calls| *calls <= 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_with_no_retry_left_asks_the_balancer_for_nobody() {
    for (retries, attempts) in [(0, 1), (1, 2), (2, 3)] {
        let addresses = ["a:1", "b:1", "c:1", "d:1"];
        let fleet = Fleet::of(&addresses);
        addresses.iter().for_each(|address| fleet.mock(address).answer(Answer::Hang));
        let (cluster, balancer) = counted(&fleet, retries);
        cluster.invoke(call()).await.unwrap_err();
        let asked = balancer.0.load(Relaxed);
        assert_eq!((fleet.net.total(), asked), (attempts, attempts), "retries = {retries}");
    }
}

#[tokio::test(start_paused = true)]
async fn however_often_it_is_sent_a_call_is_one_to_the_budget() {
    let mut fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.budget = RetryBudget::new(100, 0).into();
    fleet.mock("a:1").answer(not_sent());
    fleet.mock("b:1").answer(not_sent());
    in_turn(&fleet, 2).invoke(call()).await.unwrap();
    assert_eq!((fleet.net.total(), fleet.budget.available(Instant::now())), (3, 1));
}

// --- What must not run twice ----------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_write_that_was_turned_away_and_then_hangs_gets_no_copy() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.mock("a:1").answer(not_sent());
    fleet.mock("b:1").answer(Answer::Hang);
    let failed = in_turn(&fleet, 2).invoke(write()).await.unwrap_err();
    assert_eq!((failed.code(), failed.delivery()), (Code::DeadlineExceeded, Delivery::MaybeSent));
    assert_eq!(fleet.mock("c:1").calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_arguments_stream_gets_no_copy() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(Answer::Hang);
    in_turn(&fleet, 2).invoke(streaming()).await.unwrap_err();
    assert_eq!(fleet.net.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn retries_that_are_set_beside_the_policy_replace_its_own() {
    for retries in [0, 1, 3] {
        let fleet = Fleet::of(&["a:1", "b:1", "c:1", "d:1", "e:1"]);
        ["a:1", "b:1", "c:1", "d:1", "e:1"].iter().for_each(|a| fleet.mock(a).answer(maybe_sent()));
        let policy = Failover::default().with_retries(retries).unwrap();
        let cluster = fleet.build(policy, Arc::new(RoundRobin::default()), RouterChain::default());
        cluster.invoke(call()).await.unwrap_err();
        assert_eq!(fleet.net.total(), u64::from(retries) + 1);
    }
}
