//! Ejection: what takes an endpoint out, for how long, how it comes back, and when it counts.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::RoundRobin;
use dubhe_cluster::policy::{Failfast, Failover};
use dubhe_cluster::router::RouterChain;
use dubhe_cluster::{DirectoryOptions, EjectionConfig, EndpointHealth, HealthState, RetryBudget};
use rpc_core::status::Details;
use rpc_core::{Body, BoxInvoker, ChannelState, Delivery, Snapshot, Source, Status};
use support::*;
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);

fn config() -> EjectionConfig {
    EjectionConfig { seed: Some(1), ..EjectionConfig::default() }
}

fn fleet(addresses: &[&str]) -> Fleet {
    fleet_with(addresses, Some(config()))
}

fn fleet_with(addresses: &[&str], ejection: Option<EjectionConfig>) -> Fleet {
    Fleet::from(snapshot(addresses), DirectoryOptions { ejection, ..DirectoryOptions::default() })
}

/// One attempt a call, each endpoint in turn.
fn in_turn(fleet: &Fleet) -> BoxInvoker {
    fleet.build(Arc::new(Failfast), Arc::new(RoundRobin::new()), RouterChain::default())
}

fn health(fleet: &Fleet, address: &str) -> EndpointHealth {
    let endpoints = fleet.directory.endpoints();
    endpoints.iter().find(|e| **e.address() == *address).unwrap().health()
}

fn is_ejected(fleet: &Fleet, address: &str) -> bool {
    matches!(health(fleet, address).state, HealthState::Ejected { .. })
}

fn is_healthy(fleet: &Fleet, address: &str) -> bool {
    health(fleet, address).state == HealthState::Healthy
}

/// So many calls one after the other; how many of them failed.
async fn calls(cluster: &BoxInvoker, count: usize) -> usize {
    let mut failed = 0;
    for _ in 0..count {
        failed += usize::from(cluster.invoke(call()).await.is_err());
    }
    failed
}

/// Fails calls until the endpoint is out.
async fn eject(fleet: &Fleet, address: &str) {
    fleet.mock(address).answer(maybe_sent());
    let cluster = in_turn(fleet);
    while !is_ejected(fleet, address) {
        calls(&cluster, 1).await;
    }
}

/// Waits until the endpoint has got another call; how long that took.
async fn next_call(fleet: &Fleet, cluster: &BoxInvoker, address: &str) -> Duration {
    let (before, started) = (fleet.mock(address).calls(), Instant::now());
    while fleet.mock(address).calls() == before {
        cluster.invoke(call()).await.unwrap();
        sleep(9 * MS).await;
    }
    started.elapsed()
}

// --- What takes an endpoint out -------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_eject_and_four_do_not() {
    let fleet = fleet(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    let cluster = in_turn(&fleet);
    assert_eq!(calls(&cluster, 8).await, 4);
    assert!(is_healthy(&fleet, "a:1"));
    fleet.mock("a:1").answer_next([Answer::After(MS)]);
    calls(&cluster, 2).await;
    assert_eq!(calls(&cluster, 8).await, 4);
    assert!(is_healthy(&fleet, "a:1"), "a success between them begins a new row");
    calls(&cluster, 2).await;
    assert!(is_ejected(&fleet, "a:1"));
    assert_eq!(calls(&cluster, 20).await, 0);
    assert_eq!(fleet.mock("a:1").calls(), 10);
}

#[tokio::test(start_paused = true)]
async fn fewer_than_four_successes_in_five_eject_although_they_come_in_between() {
    let fleet = fleet(&["a:1", "b:1"]);
    let cluster = in_turn(&fleet);
    for turn in 0..12 {
        let answer = if turn % 3 == 2 { maybe_sent() } else { Answer::After(MS) };
        fleet.mock("a:1").answer_next([answer]);
        assert!(is_healthy(&fleet, "a:1"), "ten calls are needed before the share counts");
        calls(&cluster, 2).await;
    }
    assert!(is_ejected(&fleet, "a:1"), "8 of 12 are fewer than 80 %");
}

#[tokio::test(start_paused = true)]
async fn one_failure_in_ten_does_not_eject() {
    let fleet = fleet(&["a:1", "b:1"]);
    let cluster = in_turn(&fleet);
    for turn in 0..200 {
        let answer = if turn % 10 == 9 { maybe_sent() } else { Answer::After(MS) };
        fleet.mock("a:1").answer_next([answer]);
        calls(&cluster, 2).await;
    }
    assert!(is_healthy(&fleet, "a:1"));
    assert_eq!(fleet.mock("a:1").calls(), 200);
}

#[tokio::test(start_paused = true)]
async fn timeouts_and_unavailable_count_and_errors_of_the_business_do_not() {
    let details = Details { type_name: "shop.SoldOut".into(), body: Body::typed(Nothing) };
    let fail = Answer::Fail;
    let refused = |status: Status| fail(status.with_delivery(Delivery::Refused));
    for (answer, counts) in [
        (Answer::Hang, true),
        (fail(Status::unavailable("no database")), true),
        (refused(Status::unavailable("shutting down")), true),
        (fail(Status::unavailable("sold out").with_details(details)), false),
        (fail(Status::not_found("no such item")), false),
        (fail(Status::internal("a panic")), false),
        (refused(Status::resource_exhausted("too many calls")), false),
        (not_sent(), false),
    ] {
        let fleet = fleet(&["a:1", "b:1"]);
        fleet.mock("a:1").answer(answer);
        let cluster = in_turn(&fleet);
        let started: Vec<_> = (0..40).map(|_| tokio::spawn(cluster.invoke(call()))).collect();
        for call in started {
            let _ = call.await.unwrap();
        }
        assert_eq!(is_ejected(&fleet, "a:1"), counts, "{:?}", health(&fleet, "a:1"));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_the_balancer_avoids_after_a_failure_is_ejected_and_probed_all_the_same() {
    let fleet = fleet(&["a:1", "b:1", "c:1"]);
    let cluster = fleet.cluster(Failover::default());
    calls(&cluster, 30).await;
    fleet.mock("a:1").answer_next([maybe_sent()]);
    while health(&fleet, "a:1").failures == 0 {
        calls(&cluster, 1).await;
    }
    let failed = Instant::now();
    // Without ejection p2c would need more than a minute to come back to it.
    next_call(&fleet, &cluster, "a:1").await;
    assert!((1000 * MS..1800 * MS).contains(&failed.elapsed()), "{:?}", failed.elapsed());
    sleep(2 * MS).await;
    assert!(is_healthy(&fleet, "a:1"));
    let before = fleet.mock("a:1").calls();
    calls(&cluster, 300).await;
    let share = fleet.mock("a:1").calls() - before;
    assert!((80..120).contains(&share), "{share} of 300: what it did before is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_one_way_call_proves_nothing() {
    let fleet = fleet(&["a:1", "b:1"]);
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::After(MS));
    sleep(2000 * MS).await;
    let cluster = in_turn(&fleet);
    for _ in 0..50 {
        cluster.invoke(one_way()).await.unwrap();
    }
    assert_eq!(health(&fleet, "a:1").state, HealthState::Probation);
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_leaves_endpoints_to_the_balancer() {
    let fleet = fleet_with(&["a:1", "b:1"], None);
    fleet.mock("a:1").answer(maybe_sent());
    assert_eq!(calls(&in_turn(&fleet), 100).await, 50);
    sleep(2000 * MS).await;
    assert!(is_healthy(&fleet, "a:1"));
}

// --- For how long, and how it comes back ----------------------------------------------------

#[tokio::test(start_paused = true)]
async fn ejections_double_from_one_second_to_sixty_with_equal_jitter() {
    let fleet = fleet(&["a:1", "b:1"]);
    eject(&fleet, "a:1").await;
    let cluster = in_turn(&fleet);
    let mut longest = 1.0;
    for _ in 0..9 {
        let waited = next_call(&fleet, &cluster, "a:1").await.as_secs_f64();
        // A look every 100 ms and a call every 10 ms come on top.
        assert!((longest / 2.0..longest + 0.2).contains(&waited), "{waited} of {longest}");
        longest = (longest * 2.0).min(60.0);
    }
    assert_eq!(fleet.directory.state().ejections, 1);
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_by_one_call_that_succeeds_and_gets_no_other_meanwhile() {
    let fleet = fleet(&["a:1", "b:1"]);
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::After(500 * MS));
    let cluster = in_turn(&fleet);
    next_call(&fleet, &cluster, "a:1").await;
    let before = fleet.mock("a:1").calls();
    let many: Vec<_> = (0..100).map(|_| tokio::spawn(cluster.invoke(call()))).collect();
    for call in many {
        call.await.unwrap().unwrap();
    }
    assert_eq!(fleet.mock("a:1").calls(), before, "one probe at a time");
    assert_eq!(health(&fleet, "a:1").state, HealthState::Probation);
    fleet.mock("a:1").answer(Answer::After(MS));
    sleep(500 * MS).await;
    assert!(is_healthy(&fleet, "a:1"));
    calls(&cluster, 100).await;
    assert_eq!(fleet.mock("a:1").calls() - before, 50);
}

#[tokio::test(start_paused = true)]
async fn the_caller_whose_call_is_copied_for_a_probe_notices_nothing() {
    let fleet = fleet(&["a:1", "b:1"]);
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::Hang);
    let cluster = in_turn(&fleet);
    let (before, resends) = (fleet.mock("a:1").calls(), fleet.budget.resends());
    for _ in 0..1000 {
        let started = Instant::now();
        cluster.invoke(call()).await.unwrap();
        assert!(started.elapsed() < 5 * MS);
        sleep(9 * MS).await;
    }
    let probes = fleet.mock("a:1").calls() - before;
    assert!((2..=4).contains(&probes), "{probes} in ten seconds");
    assert_eq!(fleet.budget.resends() - resends, probes, "they draw on the budget");
}

#[tokio::test(start_paused = true)]
async fn without_budget_no_copy_is_sent() {
    let mut fleet = fleet(&["a:1", "b:1"]);
    fleet.budget = RetryBudget::new(0, 0).into();
    eject(&fleet, "a:1").await;
    let (cluster, before) = (in_turn(&fleet), fleet.mock("a:1").calls());
    sleep(1100 * MS).await;
    calls(&cluster, 100).await;
    assert_eq!(fleet.mock("a:1").calls(), before);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_must_not_run_twice_is_the_probe_itself_and_only_where_there_is_no_other() {
    let fleet = fleet(&["a:1", "b:1"]);
    eject(&fleet, "a:1").await;
    let (cluster, before) = (in_turn(&fleet), fleet.mock("a:1").calls());
    let HealthState::Ejected { left } = health(&fleet, "a:1").state else { unreachable!() };
    sleep(left).await;
    let mut failed = 0;
    let started = Instant::now();
    while started.elapsed() < 900 * MS {
        failed += u64::from(cluster.invoke(write()).await.is_err());
    }
    assert_eq!((failed, fleet.mock("a:1").calls()), (0, before), "they leave it to others first");
    while started.elapsed() < 1500 * MS {
        failed += u64::from(cluster.invoke(write()).await.is_err());
    }
    assert_eq!((failed, fleet.mock("a:1").calls()), (1, before + 1));
    assert!(is_ejected(&fleet, "a:1"));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_given_up_leaves_the_endpoint_out_and_is_followed_by_another() {
    let fleet = fleet(&["a:1", "b:1"]);
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::Hang);
    let cluster = in_turn(&fleet);
    sleep(2500 * MS).await;
    let before = fleet.mock("a:1").calls();
    while fleet.mock("a:1").calls() == before {
        let running = tokio::spawn(cluster.invoke(write()));
        sleep(2 * MS).await;
        running.abort();
    }
    settle().await;
    assert!(is_ejected(&fleet, "a:1"));
    fleet.mock("a:1").answer(Answer::After(MS));
    next_call(&fleet, &cluster, "a:1").await;
    sleep(2 * MS).await;
    assert!(is_healthy(&fleet, "a:1"));
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_again_soon_after_it_came_back_stays_out_longer() {
    let fleet = fleet(&["a:1", "b:1"]);
    let cluster = in_turn(&fleet);
    let mut times = Vec::new();
    for pause in [0, 0, 0, 60] {
        sleep(Duration::from_secs(pause)).await;
        eject(&fleet, "a:1").await;
        let HealthState::Ejected { left } = health(&fleet, "a:1").state else { unreachable!() };
        times.push(left.as_secs_f64());
        fleet.mock("a:1").answer(Answer::After(MS));
        next_call(&fleet, &cluster, "a:1").await;
        sleep(2 * MS).await;
    }
    for (time, longest) in times.iter().zip([1.0, 2.0, 4.0, 1.0]) {
        assert!((longest / 2.0..=longest).contains(time), "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_before_it_came_back_does_not_speak_against_it() {
    let fleet = fleet(&["a:1", "b:1"]);
    let cluster = in_turn(&fleet);
    fleet.mock("a:1").answer(Answer::Hang);
    let patient = || call_of(false, Duration::from_secs(10));
    let hanging: Vec<_> = (0..40).map(|_| tokio::spawn(cluster.invoke(patient()))).collect();
    settle().await;
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::After(MS));
    next_call(&fleet, &cluster, "a:1").await;
    sleep(2 * MS).await;
    for call in hanging {
        let _ = call.await.unwrap();
    }
    assert!(is_healthy(&fleet, "a:1"), "{:?}", health(&fleet, "a:1"));
}

#[tokio::test(start_paused = true)]
async fn how_long_the_probe_took_is_forgotten_too() {
    let fleet = fleet(&["a:1", "b:1"]);
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::After(400 * MS));
    let cluster = fleet.cluster(Failover::default());
    next_call(&fleet, &cluster, "a:1").await;
    sleep(400 * MS).await;
    fleet.mock("a:1").answer(Answer::After(MS));
    let before = fleet.mock("a:1").calls();
    calls(&cluster, 100).await;
    let share = fleet.mock("a:1").calls() - before;
    assert!((40..60).contains(&share), "{share} of 100");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn among_many_threads_there_is_one_probe() {
    let short = EjectionConfig { base: 20 * MS, ..config() };
    let fleet = fleet_with(&["a:1", "b:1"], Some(short));
    fleet.mock("b:1").answer(Answer::After(Duration::ZERO));
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::Hang);
    let (cluster, before) = (in_turn(&fleet), fleet.mock("a:1").calls());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let cluster = cluster.clone();
        callers.spawn(async move {
            let started = Instant::now();
            while started.elapsed() < 400 * MS {
                let idempotent = call_of(true, Duration::from_secs(5));
                cluster.invoke(idempotent).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    callers.join_all().await;
    assert_eq!(fleet.mock("a:1").calls() - before, 1);
}

// --- When ejections count -------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn half_may_be_out_and_if_more_are_all_are_called() {
    let fleet = fleet(&["a:1", "b:1", "c:1", "d:1"]);
    let candidates = || fleet.directory.state().candidates;
    for (address, left) in [("a:1", 3), ("b:1", 2), ("c:1", 4)] {
        eject(&fleet, address).await;
        assert_eq!(candidates(), left, "after {address}");
    }
    assert_eq!(fleet.directory.state().ejected, 3);
}

#[tokio::test(start_paused = true)]
async fn the_last_one_is_never_left_out() {
    let fleet = fleet(&["a:1"]);
    eject(&fleet, "a:1").await;
    assert_eq!(fleet.directory.state().candidates, 1);
    fleet.mock("a:1").answer(Answer::After(MS));
    assert_eq!(calls(&in_turn(&fleet), 10).await, 0);
}

#[tokio::test(start_paused = true)]
async fn those_that_are_down_are_not_counted_and_come_last() {
    let fleet = fleet(&["a:1", "b:1", "c:1", "d:1"]);
    let candidates = || fleet.directory.state().candidates;
    for address in ["c:1", "d:1"] {
        fleet.mock(address).set_state(ChannelState::Down);
    }
    eject(&fleet, "a:1").await;
    assert_eq!(candidates(), 1, "one of two connected ones");
    fleet.mock("b:1").set_state(ChannelState::Down);
    let before = fleet.mock("a:1").calls();
    calls(&in_turn(&fleet), 10).await;
    assert_eq!(
        fleet.mock("a:1").calls() - before,
        10,
        "rather one that fails than one that is down"
    );
}

#[tokio::test(start_paused = true)]
async fn when_all_failed_at_once_calls_go_on_and_all_come_back() {
    let fleet = fleet(&["a:1", "b:1", "c:1"]);
    let addresses = ["a:1", "b:1", "c:1"];
    addresses.iter().for_each(|a| fleet.mock(a).answer(maybe_sent()));
    let cluster = in_turn(&fleet);
    assert_eq!(calls(&cluster, 100).await, 100);
    assert_eq!(fleet.directory.state().candidates, 3);
    addresses.iter().for_each(|a| fleet.mock(a).answer(Answer::After(MS)));
    assert_eq!(calls(&cluster, 3000).await, 0);
    assert!(addresses.iter().all(|a| is_healthy(&fleet, a)));
}

// --- Addresses without the service ----------------------------------------------------------

fn gone() -> Answer {
    Answer::Fail(Status::service_missing("no such service here"))
}

#[tokio::test(start_paused = true)]
async fn an_address_without_the_service_comes_after_one_that_is_ejected() {
    let fleet = fleet(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(gone());
    let cluster = in_turn(&fleet);
    calls(&cluster, 2).await;
    assert_eq!(health(&fleet, "a:1").state, HealthState::Stale);
    assert_eq!(fleet.directory.state().stale, 1);
    eject(&fleet, "b:1").await;
    let before = fleet.mock("a:1").calls();
    calls(&cluster, 20).await;
    assert_eq!(fleet.mock("a:1").calls(), before);
}

#[tokio::test(start_paused = true)]
async fn a_stale_address_is_asked_again_within_a_minute() {
    let fleet = fleet(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(gone());
    let cluster = in_turn(&fleet);
    calls(&cluster, 2).await;
    for _ in 0..2 {
        let waited = next_call(&fleet, &cluster, "a:1").await;
        assert!((30_000 * MS..60_200 * MS).contains(&waited), "{waited:?}");
    }
    fleet.mock("a:1").answer(Answer::After(MS));
    next_call(&fleet, &cluster, "a:1").await;
    sleep(2 * MS).await;
    assert!(is_healthy(&fleet, "a:1"));
}

#[tokio::test(start_paused = true)]
async fn a_stale_address_that_registers_again_is_called_at_once() {
    let fleet = fleet(&["a:1", "b:1"]);
    fleet.mock("a:1").answer(gone());
    let cluster = in_turn(&fleet);
    calls(&cluster, 2).await;
    fleet.push(snapshot(&["a:1", "b:1"])).await;
    assert_eq!(fleet.directory.state().stale, 1, "the same list as before proves nothing");
    let mut again = instance("a:1");
    again.started_ms = 1;
    fleet.push(Snapshot::new(vec![again, instance("b:1")], Source::Live)).await;
    assert_eq!(fleet.directory.state().stale, 0);
    fleet.mock("a:1").answer(Answer::After(MS));
    let before = fleet.mock("a:1").calls();
    calls(&cluster, 10).await;
    assert_eq!(fleet.mock("a:1").calls() - before, 5);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_else_is_a_stale_address_is_called_and_one_success_is_enough() {
    let fleet = fleet(&["a:1"]);
    fleet.mock("a:1").answer_next([gone()]);
    let cluster = in_turn(&fleet);
    assert_eq!(calls(&cluster, 1).await, 1);
    assert_eq!(health(&fleet, "a:1").state, HealthState::Stale);
    assert_eq!(calls(&cluster, 1).await, 0);
    assert!(is_healthy(&fleet, "a:1"));
}
