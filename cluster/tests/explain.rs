//! What an explanation says of a call: who could get it, who left out whom, what the balancer
//! compares; and what a log says of its attempts.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::LoadBalance;
use dubhe_cluster::policy::{Available, Broadcast, Choice, ClusterPolicy, Failover};
use dubhe_cluster::router::Router;
use dubhe_cluster::{
    Candidates, Dropped, Endpoint, ExplainedEndpoint, Explanation, Overrides, Picker,
};
use rpc_core::{AttemptLog, AttemptOutcome, ChannelState, Delivery, Invocation, Status};
use support::*;
use tokio::time::Instant;
use tower_layer::Layer;

/// Takes the first, and scores by place.
#[derive(Debug)]
struct InOrder;

impl LoadBalance for InOrder {
    fn select(&self, _: &Candidates, _: &Invocation, _: Instant) -> usize {
        0
    }

    fn score(&self, _: &Candidates, index: usize, _: &Invocation, _: Instant) -> Option<f64> {
        Some(index as f64)
    }
}

/// Leaves only addresses that begin so.
#[derive(Debug)]
struct Prefix(&'static str);

impl Router for Prefix {
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, _: &Invocation) {
        candidates.retain(|endpoint| endpoint.address().starts_with(self.0));
    }

    fn why(&self, endpoint: &Endpoint, _: &Invocation) -> Option<String> {
        Some(format!("{} does not begin with {}", endpoint.address(), self.0))
    }
}

fn picker(fleet: &Fleet, routers: Vec<Arc<dyn Router>>) -> Picker {
    let routers = chain(routers.into_iter().map(|router| ("prefix", router)).collect());
    fleet.picker(Arc::new(InOrder), routers)
}

fn explained(fleet: &Fleet, routers: Vec<Arc<dyn Router>>) -> Explanation {
    picker(fleet, routers).explain(&call(), Failover::default().choice())
}

fn at<'a>(explained: &'a Explanation, address: &str) -> &'a ExplainedEndpoint {
    let mut endpoints = explained.endpoints.iter();
    endpoints.find(|endpoint| &*endpoint.instance.address == address).expect("it is listed")
}

#[tokio::test(start_paused = true)]
async fn every_endpoint_is_told_with_what_left_it_out() {
    let fleet = Fleet::of(&["a1:1", "a2:1", "b1:1", "c1:1"]);
    fleet.mock("c1:1").set_state(ChannelState::Down);
    let routers: Vec<Arc<dyn Router>> = vec![Arc::new(Prefix("")), Arc::new(Prefix("a"))];
    let explained = explained(&fleet, routers);
    assert_eq!(explained.endpoints.len(), 4);
    assert_eq!(at(&explained, "a2:1").dropped, None);
    let why = Some("b1:1 does not begin with a".to_owned());
    let by_router = Some(Dropped::Router { name: "prefix".to_owned(), why });
    assert_eq!(at(&explained, "b1:1").dropped, by_router);
    assert_eq!(at(&explained, "c1:1").dropped, Some(Dropped::Unfit));
    assert_eq!(at(&explained, "c1:1").state, ChannelState::Down);
    let steps: Vec<_> = explained.routers.iter().map(|step| (step.before, step.after)).collect();
    assert_eq!(steps, [(3, 3), (3, 2)]);
    assert!(explained.routers.iter().all(|step| step.router == "prefix"));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_full_and_one_that_is_disabled_are_told_with_the_time_and_by_name() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    let full = Status::resource_exhausted("full").with_delivery(Delivery::Refused);
    let full = full.with_retry_after(Duration::from_secs(4));
    fleet.mock("a:1").answer(Answer::Fail(full));
    let cluster = fleet.cluster(Failover::default());
    while fleet.mock("a:1").calls() == 0 {
        cluster.invoke(call()).await.unwrap();
    }
    let overrides = Overrides::new(|it| (&*it.address != "c:1").then_some(it));
    fleet.directory.set_overrides(overrides);
    settle().await;
    let explained = explained(&fleet, Vec::new());
    let disabled: Vec<_> = explained.disabled.iter().map(|it| &*it.address).collect();
    assert_eq!((explained.endpoints.len(), disabled), (2, vec!["c:1"]));
    let left = at(&explained, "a:1").full.unwrap();
    assert!((2..=6).contains(&left.as_secs()), "{left:?}");
    assert_eq!(at(&explained, "a:1").dropped, Some(Dropped::Unfit));
    assert_eq!(at(&explained, "b:1").full, None);
}

#[tokio::test(start_paused = true)]
async fn the_balancer_scores_those_that_are_left_as_it_would_see_them() {
    let fleet = Fleet::of(&["a1:1", "b1:1", "b2:1"]);
    let explained = explained(&fleet, vec![Arc::new(Prefix("b"))]);
    let scores: Vec<_> = explained.endpoints.iter().map(|endpoint| endpoint.score).collect();
    assert_eq!(scores, [None, Some(0.0), Some(1.0)]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_calls_everyone_leaves_out_only_what_routers_do() {
    let fleet = Fleet::of(&["a1:1", "a2:1", "b1:1"]);
    fleet.mock("a2:1").set_state(ChannelState::Down);
    let picker = picker(&fleet, vec![Arc::new(Prefix("a"))]);
    let explained = picker.explain(&call(), Broadcast::default().choice());
    assert_eq!(explained.choice, Choice::Everyone);
    let called: Vec<_> = explained.endpoints.iter().map(|it| it.dropped.is_none()).collect();
    assert_eq!(called, [true, true, false]);
    assert!(explained.endpoints.iter().all(|endpoint| endpoint.score.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_takes_the_first_shows_no_score() {
    let fleet = Fleet::of(&["a1:1", "b1:1"]);
    let explained = picker(&fleet, Vec::new()).explain(&call(), Available.choice());
    assert_eq!(explained.choice, Choice::First);
    assert!(explained.endpoints.iter().all(|it| it.dropped.is_none() && it.score.is_none()));
    assert_eq!(Failover::default().choice(), Choice::Balanced);
}

#[tokio::test(start_paused = true)]
async fn explaining_sends_and_counts_nothing() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    let explained = explained(&fleet, Vec::new());
    assert_eq!((fleet.net.total(), fleet.in_flight(), fleet.budget.resends()), (0, 0, 0));
    assert!(explained.endpoints.iter().all(|endpoint| endpoint.latency.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_log_tells_of_every_attempt_of_a_call_that_succeeded() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    fleet.mock("b:1").answer(Answer::After(Duration::from_millis(7)));
    let log = AttemptLog::new();
    let mut invocation = call();
    invocation.extensions.insert(log.clone());
    Failover::default().layer(picker(&fleet, Vec::new())).invoke(invocation).await.unwrap();
    let records = log.records();
    let addresses: Vec<&str> = records.iter().map(|record| &*record.address).collect();
    assert_eq!(addresses, ["a:1", "b:1"]);
    assert!(matches!(records[0].outcome, AttemptOutcome::Failed(_)));
    assert!(matches!(records[1].outcome, AttemptOutcome::Replied));
    assert_eq!(records[1].elapsed, Duration::from_millis(7));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_leaves_an_attempt_that_was_given_up() {
    let fleet = Fleet::of(&["a:1"]);
    fleet.mock("a:1").answer(Answer::Hang);
    let log = AttemptLog::new();
    let mut invocation = call();
    invocation.extensions.insert(log.clone());
    let running = Failover::default().layer(picker(&fleet, Vec::new())).invoke(invocation);
    let waited = tokio::time::timeout(Duration::from_millis(5), running).await;
    assert!(waited.is_err());
    assert!(
        matches!(log.records()[..], [ref only] if matches!(only.outcome, AttemptOutcome::GivenUp))
    );
}
