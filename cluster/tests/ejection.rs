//! Ejection: what takes an endpoint out, and when that counts.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;

use dubhe_cluster::load_balance::RoundRobin;
use dubhe_cluster::policy::{Failover, Forking};
use dubhe_cluster::router::RouterChain;
use dubhe_cluster::{EjectionConfig, HealthState};
use rpc_core::status::Details;
use rpc_core::{Body, ChannelState, Delivery, Snapshot, Source, Status};
use support::health::*;
use support::*;
use tokio::time::{Instant, sleep};

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
async fn an_ejected_one_is_told_with_the_rule_and_the_last_failure() {
    let fleet = fleet(&["a:1", "b:1"]);
    assert_eq!(health(&fleet, "a:1").why, None);
    eject(&fleet, "a:1").await;
    let told = health(&fleet, "a:1");
    assert_eq!(told.why, Some("failures in a row"));
    assert_eq!(told.last_error.as_deref(), Some("unavailable: connection reset"));
    assert_eq!(health(&fleet, "b:1").last_error, None);
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
async fn one_that_no_call_can_probe_is_not_left_out_for_ever() {
    let fleet = fleet(&["a:1", "b:1"]);
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::After(MS));
    let cluster = in_turn(&fleet);
    for second in 0..62 {
        cluster.invoke(one_way()).await.unwrap();
        assert!(second > 60 || !is_healthy(&fleet, "a:1"), "after {second} s");
        sleep(1000 * MS).await;
    }
    assert!(is_healthy(&fleet, "a:1"));
}

#[tokio::test(start_paused = true)]
async fn policies_that_choose_endpoints_themselves_probe_too() {
    let fleet = fleet(&["a:1", "b:1", "c:1"]);
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::After(MS));
    let turns = Arc::new(RoundRobin::new());
    let forking = fleet.build(Arc::new(Forking::default()), turns, RouterChain::default());
    next_call(&fleet, &forking, "a:1").await;
    sleep(2 * MS).await;
    assert!(is_healthy(&fleet, "a:1"));
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_leaves_endpoints_to_the_balancer() {
    let fleet = fleet_with(&["a:1", "b:1"], None);
    fleet.mock("a:1").answer(maybe_sent());
    assert_eq!(calls(&in_turn(&fleet), 100).await, 50);
    sleep(2000 * MS).await;
    assert!(is_healthy(&fleet, "a:1"));
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
async fn an_address_without_the_service_comes_after_one_that_is_ejected_or_down() {
    let fleet = fleet_with(&["a:1", "b:1"], Some(EjectionConfig { max_percent: 100, ..config() }));
    fleet.mock("a:1").answer(gone());
    let cluster = in_turn(&fleet);
    calls(&cluster, 2).await;
    assert_eq!(health(&fleet, "a:1").state, HealthState::Stale);
    assert_eq!(fleet.directory.state().stale, 1);
    eject(&fleet, "b:1").await;
    let before = fleet.mock("a:1").calls();
    calls(&cluster, 20).await;
    fleet.mock("b:1").set_state(ChannelState::Down);
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
