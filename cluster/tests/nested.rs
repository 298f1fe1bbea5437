//! Providers that pass on the failures of calls they make themselves: one that is cut off from what
//! the others reach is left out, and a dependency that fails for all takes nobody out.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::RoundRobin;
use dubhe_cluster::policy::{Failfast, Failover, builtin};
use dubhe_cluster::router::RouterChain;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rpc_core::{Code, Delivery, Params, Status};
use support::health::*;
use support::*;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const ADDRESSES: [&str; 3] = ["a:1", "b:1", "c:1"];

/// What a handler passes on.
fn nested() -> Status {
    let status = Status::unavailable("its call bank.Account/charge failed: connection refused");
    status.with_origin("bank.Account/charge".into())
}

fn cut_off(fleet: &Fleet, addresses: &[&str]) {
    addresses.iter().for_each(|address| fleet.mock(address).answer(Answer::Fail(nested())));
}

/// Calls for this long, one every 5 ms; how many failed.
async fn go_on(cluster: &rpc_core::BoxInvoker, time: Duration) -> usize {
    let (started, mut failed) = (Instant::now(), 0);
    while started.elapsed() < time {
        failed += calls(cluster, 1).await;
        sleep(4 * MS).await;
    }
    failed
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_what_a_handler_passed_on_is_asked_of_nobody_else() {
    for name in builtin().names().filter(|name| !matches!(*name, "broadcast" | "forking")) {
        let fleet = Fleet::of(&ADDRESSES);
        cut_off(&fleet, &ADDRESSES);
        let policy = builtin().build(name, Params::new()).unwrap();
        let cluster = fleet.build(policy, Arc::new(RoundRobin::new()), RouterChain::default());
        if let Err(status) = cluster.invoke(call()).await {
            assert_eq!((status.code(), status.delivery()), (Code::Unavailable, Delivery::Answered));
            assert_eq!(status.origin(), Some("bank.Account/charge"), "{name}: {status}");
        }
        assert_eq!((fleet.net.total(), fleet.budget.resends()), (1, 0), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_cut_off_is_left_out_while_a_third_at_most_are() {
    let fleet = fleet(&ADDRESSES);
    cut_off(&fleet, &["a:1"]);
    let cluster = in_turn(&fleet);
    go_on(&cluster, 700 * MS).await;
    assert!(is_ejected(&fleet, "a:1"));
    assert_eq!(health(&fleet, "a:1").why, Some("its own calls fail"));
    // As probes copies are sent, which nobody notices.
    assert_eq!(go_on(&cluster, 5000 * MS).await, 0);
    fleet.mock("a:1").answer(Answer::After(MS));
    go_on(&cluster, 10_000 * MS).await;
    assert!(is_healthy(&fleet, "a:1"));
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_fails_for_more_than_a_third_takes_nobody_out() {
    for many in [&ADDRESSES[..], &ADDRESSES[..2]] {
        let fleet = fleet(&ADDRESSES);
        cut_off(&fleet, many);
        let cluster = in_turn(&fleet);
        go_on(&cluster, 5000 * MS).await;
        assert!(ADDRESSES.iter().all(|address| is_healthy(&fleet, address)), "{many:?}");
        assert_eq!(fleet.directory.state().ejections, 0, "{many:?}");
    }
}

/// Half of the calls go to a method that depends on nothing: rows of failures end by chance, and for
/// each provider at another time.
#[tokio::test(start_paused = true)]
async fn a_dependency_that_fails_for_all_takes_nobody_out_beside_calls_that_succeed() {
    let fleet = fleet(&ADDRESSES);
    let (cluster, mut coin) = (in_turn(&fleet), StdRng::seed_from_u64(5));
    for _ in 0..2000 {
        mixed(&fleet, &cluster, &ADDRESSES, &mut coin).await;
        for address in ADDRESSES {
            assert!(is_healthy(&fleet, address), "{address}: {:?}", health(&fleet, address));
        }
    }
    assert_eq!(fleet.directory.state().ejections, 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_alone_is_cut_off_is_left_out_beside_calls_that_succeed() {
    let fleet = fleet(&ADDRESSES);
    let (cluster, mut coin) = (in_turn(&fleet), StdRng::seed_from_u64(5));
    for _ in 0..5000 {
        mixed(&fleet, &cluster, &["a:1"], &mut coin).await;
        assert!(is_healthy(&fleet, "b:1") && is_healthy(&fleet, "c:1"));
    }
    // It may be back by now, by a probe that happened to succeed.
    assert!(fleet.directory.state().ejections > 0);
}

/// A call by chance either of a method that fails at those `cut_off`, or of one that succeeds everywhere.
async fn mixed(fleet: &Fleet, cluster: &rpc_core::BoxInvoker, cut_off: &[&str], coin: &mut StdRng) {
    let fails = coin.random_bool(0.5);
    for address in cut_off {
        let answer = if fails { Answer::Fail(nested()) } else { Answer::After(MS) };
        fleet.mock(address).answer(answer);
    }
    calls(cluster, 1).await;
    sleep(4 * MS).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_was_left_out_is_called_again_once_others_fail_like_it() {
    let fleet = fleet(&ADDRESSES);
    cut_off(&fleet, &["a:1"]);
    let cluster = in_turn(&fleet);
    go_on(&cluster, 1000 * MS).await;
    assert!(is_ejected(&fleet, "a:1"));
    cut_off(&fleet, &ADDRESSES);
    go_on(&cluster, 2000 * MS).await;
    assert!(ADDRESSES.iter().all(|address| is_healthy(&fleet, address)));
    let before = fleet.directory.state().ejections;
    go_on(&cluster, 10_000 * MS).await;
    assert_eq!(fleet.directory.state().ejections, before, "nobody is taken out in turns");
    ADDRESSES.iter().for_each(|address| fleet.mock(address).answer(Answer::After(MS)));
    assert_eq!(go_on(&cluster, 5000 * MS).await, 0);
}

/// Of two, one may not be left out; it fails at once, which must not look quick.
#[tokio::test(start_paused = true)]
async fn a_provider_that_is_cut_off_attracts_no_calls_by_failing_at_once() {
    let fleet = fleet(&["a:1", "b:1"]);
    cut_off(&fleet, &["a:1"]);
    fleet.mock("b:1").answer(Answer::After(20 * MS));
    let cluster = fleet.cluster(Failfast);
    let mut running = JoinSet::new();
    for _ in 0..2000 {
        running.spawn(cluster.invoke(call()));
        sleep(2 * MS).await;
    }
    let failed = running.join_all().await.into_iter().filter(Result::is_err).count();
    assert!(failed < 100, "{failed} of 2000 calls went to the one that is cut off");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_another_provider_has_already_may_still_answer() {
    let fleet = fleet(&["a:1", "b:1"]);
    let late = Answer::FailAfter(600 * MS, nested());
    fleet.mock("a:1").answer(late);
    fleet.mock("b:1").answer(Answer::After(300 * MS));
    let policy = Arc::new(Failover::default());
    let cluster = fleet.build(policy, Arc::new(RoundRobin::new()), RouterChain::default());
    for _ in 0..2 {
        cluster.invoke(call()).await.unwrap();
    }
}
