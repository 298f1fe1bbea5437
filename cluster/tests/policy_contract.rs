//! What holds for every built-in policy, present and to come.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::P2c;
use dubhe_cluster::policy::builtin;
use dubhe_cluster::router::RouterChain;
use rpc_core::{BoxInvoker, Params, Status};
use support::*;
use tokio::task::JoinSet;
use tokio::time::Instant;

const ADDRESSES: [&str; 3] = ["a:1", "b:1", "c:1"];

/// A fresh fleet under each policy.
fn each() -> Vec<(&'static str, Fleet, BoxInvoker)> {
    let point = builtin();
    let build = |name| {
        let fleet = Fleet::of(&ADDRESSES);
        let policy =
            point.build(name, Params::new()).expect("a built-in policy needs no parameters");
        let cluster = fleet.build(policy, Arc::new(P2c::new(Some(1))), RouterChain::default());
        (name, fleet, cluster)
    };
    point.names().map(build).collect()
}

fn all_answer(fleet: &Fleet, answer: &Answer) {
    for address in ADDRESSES {
        fleet.mock(address).answer(answer.clone());
    }
}

#[tokio::test(start_paused = true)]
async fn every_policy_passes_success_through() {
    for (name, fleet, cluster) in each() {
        for _ in 0..10 {
            cluster.invoke(call()).await.unwrap();
            cluster.invoke(write()).await.unwrap();
        }
        assert_eq!(fleet.budget.resends(), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_policy_ends_at_the_deadline() {
    for (name, fleet, cluster) in each() {
        all_answer(&fleet, &Answer::Hang);
        let started = Instant::now();
        let _ = cluster.invoke(call_of(true, Duration::from_millis(300))).await;
        assert!(started.elapsed() <= Duration::from_millis(300), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_no_attempt_starts_after_the_deadline() {
    for (name, fleet, cluster) in each() {
        let _ = cluster.invoke(call_of(true, Duration::ZERO)).await;
        assert_eq!(fleet.net.total(), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_a_write_that_may_have_run_is_sent_once() {
    for (name, fleet, cluster) in each() {
        all_answer(&fleet, &maybe_sent());
        let _ = cluster.invoke(write()).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        settle().await;
        assert_eq!(fleet.net.total(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_the_counters_return_to_zero() {
    for (name, fleet, cluster) in each() {
        let answers = [
            Answer::After(Duration::from_millis(5)),
            maybe_sent(),
            not_sent(),
            Answer::Fail(Status::not_found("no such item")),
            Answer::Hang,
        ];
        for answer in answers {
            all_answer(&fleet, &answer);
            let mut calls = JoinSet::new();
            for number in 0..40 {
                let call = cluster.invoke(call());
                // Half of them are given up on the way.
                let patience = Duration::from_millis(if number % 2 == 0 { 2 } else { 5000 });
                calls.spawn(tokio::time::timeout(patience, call));
            }
            while calls.join_next().await.is_some() {}
        }
        assert_eq!(fleet.in_flight(), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_a_failure_names_the_call_and_the_provider() {
    for (name, fleet, cluster) in each() {
        all_answer(&fleet, &maybe_sent());
        if let Err(status) = cluster.invoke(write()).await {
            assert_eq!(status.call(), Some("shop.Inventory/reserve"), "{name}");
            assert!(!status.attempts().is_empty(), "{name}: {status}");
        }
    }
}
