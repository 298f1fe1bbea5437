//! What holds for every built-in policy, present and to come.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::{P2c, RoundRobin};
use dubhe_cluster::policy::{Choice, Failfast, builtin};
use dubhe_cluster::router::{Router, RouterChain};
use dubhe_cluster::{Endpoint, HealthState};
use rpc_core::{BoxInvoker, ChannelState, Invocation, Method, MethodKind, Params, Status};
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
        assert_eq!((fleet.budget.resends(), fleet.backlog.dropped()), (0, 0), "{name}");
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
        // A broadcast is one call of each provider.
        let providers = if name == "broadcast" { 3 } else { 1 };
        let counts = fleet.net.counts();
        assert_eq!(fleet.net.total(), providers, "{name}: {counts:?}");
        assert!(counts.values().all(|count| *count <= 1), "{name}: {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_one_connected_provider_is_found_among_those_that_are_down() {
    for (name, fleet, cluster) in each() {
        for address in ["a:1", "b:1"] {
            fleet.mock(address).answer(not_sent());
            fleet.mock(address).set_state(ChannelState::Down);
        }
        for _ in 0..5 {
            // Who calls everyone hears of those that are down.
            let is_ok = cluster.invoke(call()).await.is_ok_and(|reply| !is_fallback(&reply));
            assert_eq!(is_ok, name != "broadcast", "{name}");
        }
        assert_eq!(fleet.mock("c:1").calls(), 5, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_a_call_waits_for_the_first_word_of_the_registry() {
    let point = builtin();
    for name in point.names() {
        let fleet = Fleet::pending();
        let policy = point.build(name, Params::new()).unwrap();
        let cluster = fleet.build(policy, Arc::new(P2c::new(Some(1))), RouterChain::default());
        let waiting = tokio::spawn(cluster.invoke(call()));
        settle().await;
        fleet.push(snapshot(&ADDRESSES)).await;
        let reply = waiting.await.unwrap().unwrap_or_else(|status| panic!("{name}: {status}"));
        assert!(!is_fallback(&reply), "{name}");
    }
}

/// Whether the endpoint is called as if nothing had been.
fn is_healthy(fleet: &Fleet, address: &str) -> bool {
    let endpoints = fleet.directory.endpoints();
    let endpoint = endpoints.iter().find(|e| **e.address() == *address).unwrap();
    endpoint.health().state == HealthState::Healthy
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_a_provider_that_is_well_again_comes_back() {
    for idempotent in [true, false] {
        for (name, fleet, cluster) in each() {
            fleet.mock("a:1").answer(maybe_sent());
            let in_turn = (Arc::new(Failfast), Arc::new(RoundRobin::new()));
            let in_turn = fleet.build(in_turn.0, in_turn.1, RouterChain::default());
            while is_healthy(&fleet, "a:1") {
                let _ = in_turn.invoke(call()).await;
            }
            fleet.mock("a:1").answer(Answer::After(Duration::from_millis(1)));
            let begun = Instant::now();
            while !is_healthy(&fleet, "a:1") {
                let _ = cluster.invoke(call_of(idempotent, Duration::from_secs(1))).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                let waited = begun.elapsed();
                assert!(waited < Duration::from_secs(10), "{name}, idempotent: {idempotent}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_policy_refuses_it_refuses_by_name_and_with_a_remedy() {
    let bare = |idempotent| Method::new(service(), "reserve", MethodKind::Unary, idempotent);
    let all = [method(true), method(false), bare(true), bare(false)];
    let point = builtin();
    for name in point.names() {
        let policy = point.build(name, Params::new()).unwrap();
        assert!(policy.check(&all[0]).is_ok(), "{name} refuses what no policy may refuse");
        for refused in all.iter().filter_map(|method| policy.check(method).err()) {
            let text = refused.to_string();
            assert!(refused.is_invalid_config(), "{name}: {text}");
            assert!(text.contains(&format!("`{name}`")), "{name}: {text}");
            assert!(text.contains("shop.Inventory/reserve"), "{name}: {text}");
            assert!(text.contains("or choose another policy for this method"), "{name}: {text}");
        }
        let refuses = all.iter().map(|method| policy.check(method).is_err()).collect::<Vec<_>>();
        let expected = match name {
            "failsafe" | "failback" => [false, false, true, true],
            "forking" => [false, true, false, true],
            _ => [false; 4],
        };
        assert_eq!(refuses, expected, "{name}");
    }
}

#[test]
fn streams_are_refused_by_policies_that_send_a_call_to_several_or_later() {
    let point = builtin();
    for kind in [MethodKind::ClientStream, MethodKind::ServerStream, MethodKind::BidiStream] {
        let method = Method::new(service(), "gather", kind, true).with_fallback(Some(fallback()));
        let refuses = |name: &&str| {
            let told = point.build(name, Params::new()).unwrap().check(&method).err();
            told.is_some_and(|error| {
                let text = error.to_string();
                assert!(text.contains(&format!("`{name}` cannot make calls of")), "{text}");
                assert!(text.contains("shop.Inventory/gather"), "{text}");
                true
            })
        };
        let refusing: Vec<&str> = point.names().filter(refuses).collect();
        assert_eq!(refusing, ["broadcast", "failback", "forking"], "{kind}");
    }
}

#[test]
fn one_policy_alone_calls_everyone() {
    let point = builtin();
    let policy = |name| point.build(name, Params::new()).unwrap();
    let everyone: Vec<&str> = point.names().filter(|name| policy(name).calls_everyone()).collect();
    assert_eq!(everyone, ["broadcast"]);
    let choices = ["available", "broadcast", "failover"].map(|name| policy(name).choice());
    assert_eq!(choices, [Choice::First, Choice::Everyone, Choice::Balanced]);
}

#[test]
fn only_policies_that_send_again_take_retries() {
    let point = builtin();
    let takes = |name: &&str| point.build(name, Params::new()).unwrap().with_retries(1).is_some();
    let taking: Vec<&str> = point.names().filter(takes).collect();
    assert_eq!(taking, ["failback", "failover"]);
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
        // Until what some of them do in the background is over.
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!((fleet.in_flight(), fleet.backlog.waiting()), (0, 0), "{name}");
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

/// Leaves nobody.
#[derive(Debug)]
struct Nobody;

impl Router for Nobody {
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, _: &Invocation) {
        candidates.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_a_call_that_routers_leave_nobody_for_is_named() {
    for name in builtin().names() {
        let fleet = Fleet::of(&ADDRESSES);
        let policy = builtin().build(name, Params::new()).unwrap();
        let routers = chain(vec![("nobody", Arc::new(Nobody))]);
        let cluster = fleet.build(policy, Arc::new(P2c::new(Some(1))), routers);
        match cluster.invoke(call()).await {
            Ok(reply) => assert!(is_fallback(&reply), "{name}"),
            Err(status) => {
                assert_eq!(status.call(), Some("shop.Inventory/reserve"), "{name}");
                assert!(status.message().contains("router `nobody` of"), "{name}: {status}");
            }
        }
    }
}
