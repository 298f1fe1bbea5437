//! Ejection: for how long an endpoint is out, and how it comes back.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use dubhe_cluster::policy::Failover;
use dubhe_cluster::{EjectionConfig, HealthState, RetryBudget};
use support::health::*;
use support::*;
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn ejections_double_from_one_second_to_sixty_with_equal_jitter() {
    let fleet = fleet(&["a:1", "b:1"]);
    eject(&fleet, "a:1").await;
    let cluster = in_turn(&fleet);
    let (mut longest, mut shares) = (1.0, Vec::new());
    for _ in 0..20 {
        let waited = next_call(&fleet, &cluster, "a:1").await.as_secs_f64();
        // A look every 100 ms and a call every 10 ms come on top.
        assert!((longest / 2.0..longest + 0.2).contains(&waited), "{waited} of {longest}");
        if longest == 60.0 {
            shares.push(waited / longest);
        }
        longest = (longest * 2.0_f64).min(60.0);
    }
    for part in [0.5..0.7, 0.7..0.85, 0.85..1.01] {
        assert!(shares.iter().any(|share| part.contains(share)), "none in {part:?}: {shares:?}");
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
    let mut fleet = fleet(&["a:1", "b:1"]);
    fleet.budget = RetryBudget::new(0, 10).into();
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::Hang);
    let cluster = in_turn(&fleet);
    let before = fleet.mock("a:1").calls();
    for _ in 0..800 {
        let started = Instant::now();
        cluster.invoke(call()).await.unwrap();
        assert!(started.elapsed() < 5 * MS);
        sleep(9 * MS).await;
    }
    let probes = fleet.mock("a:1").calls() - before;
    assert!((2..=4).contains(&probes), "{probes} in eight seconds");
    assert_eq!(fleet.budget.available(Instant::now()), 100 - probes, "they draw on the budget");
    assert_eq!(fleet.budget.resends(), 0, "a copy beside a call is no re-send");
}

#[tokio::test(start_paused = true)]
async fn without_budget_no_copy_is_sent_and_no_idempotent_call_is_the_probe_in_its_place() {
    let mut fleet = fleet(&["a:1", "b:1"]);
    fleet.budget = RetryBudget::new(0, 0).into();
    eject(&fleet, "a:1").await;
    let (cluster, before) = (in_turn(&fleet), fleet.mock("a:1").calls());
    sleep(2500 * MS).await;
    calls(&cluster, 100).await;
    assert_eq!(fleet.mock("a:1").calls(), before);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_patient_call_is_judged_after_the_longest_ejection_and_counts_as_a_failure() {
    let fleet = fleet(&["a:1", "b:1"]);
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::Hang);
    begin_patient_probe(&fleet).await;
    let started = Instant::now();
    while !is_ejected(&fleet, "a:1") {
        assert!(started.elapsed() < config().max + 100 * MS, "the copy goes on");
        sleep(10 * MS).await;
    }
    let HealthState::Ejected { left } = health(&fleet, "a:1").state else { unreachable!() };
    assert!((900 * MS..=2000 * MS).contains(&left), "{left:?} is not twice as long");
}

#[tokio::test(start_paused = true)]
async fn a_copy_ends_with_the_directory() {
    let fleet = fleet(&["a:1", "b:1"]);
    eject(&fleet, "a:1").await;
    fleet.mock("a:1").answer(Answer::Hang);
    begin_patient_probe(&fleet).await;
    let endpoint = fleet.directory.endpoints()[0].clone();
    assert_eq!(endpoint.load().in_flight(), 1);
    drop(fleet);
    settle().await;
    assert_eq!(endpoint.load().in_flight(), 0);
}

/// Calls with half an hour of time until one of them is copied to `a:1`.
async fn begin_patient_probe(fleet: &Fleet) {
    let (cluster, before) = (in_turn(fleet), fleet.mock("a:1").calls());
    while fleet.mock("a:1").calls() == before {
        cluster.invoke(call_of(true, Duration::from_secs(1800))).await.unwrap();
        sleep(9 * MS).await;
    }
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
