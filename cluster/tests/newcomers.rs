//! Addresses that were never used: being chosen opens their connection, and calls go there once
//! their provider has answered.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::Endpoint;
use dubhe_cluster::load_balance::{P2c, RoundRobin, builtin as balancers};
use dubhe_cluster::policy::{Failfast, Failover, builtin as policies};
use dubhe_cluster::router::{Router, RouterChain};
use rpc_core::{BoxInvoker, Channel, ChannelState, Invocation, Params};
use support::mock::Connects;
use support::simulation::address;
use support::*;
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

/// A fleet of one proven provider at the last address, and `count` that hang once they are connected to.
fn beside_silent(count: usize) -> (Fleet, Arc<Mock>) {
    let all: Vec<String> = (0..=count).map(address).collect();
    let fleet = Fleet::of(&all.iter().map(String::as_str).collect::<Vec<_>>());
    for silent in &all[..count] {
        let silent = fleet.mock(silent);
        silent.unused(Connects::Hangs);
        silent.answer(Answer::Hang);
    }
    let proven = fleet.mock(&all[count]);
    (fleet, proven)
}

fn in_state(fleet: &Fleet, state: ChannelState) -> usize {
    let endpoints = fleet.directory.endpoints();
    endpoints.iter().filter(|endpoint| endpoint.channel().state() == state).count()
}

/// So many calls 5 ms apart, none of which fails or goes to any but `proven`.
async fn all_by(cluster: &BoxInvoker, fleet: &Fleet, proven: &Mock, count: u64, what: &str) {
    // The states of many are not looked at again in the instant in which their list came.
    sleep(MS).await;
    for number in 0..count {
        let mut call = if number % 2 == 0 { write() } else { call() };
        call.hash_key = Some(number);
        let reply = cluster.invoke(call).await.unwrap_or_else(|status| panic!("{what}: {status}"));
        assert!(!is_fallback(&reply), "{what}");
        sleep(4 * MS).await;
        assert!(in_state(fleet, ChannelState::Connecting) <= 16, "{what}");
    }
    assert_eq!(proven.calls(), count, "{what}");
    // Of a copy beside it nobody waits for the answer.
    assert!(fleet.net.total() == count || what == "forking", "{what}");
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_silent_newcomers_get_no_call_beside_one_that_has_answered() {
    for name in policies().names().filter(|name| *name != "broadcast") {
        let (fleet, proven) = beside_silent(20);
        let policy = policies().build(name, Params::new()).unwrap();
        let cluster = fleet.build(policy, Arc::new(P2c::new(Some(1))), RouterChain::default());
        all_by(&cluster, &fleet, &proven, 400, name).await;
        // They were connected to, and found out.
        assert!(in_state(&fleet, ChannelState::Down) > 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn by_every_balancer_136_silent_newcomers_are_found_out_a_few_at_a_time() {
    for name in balancers().names() {
        let (fleet, proven) = beside_silent(136);
        let balancer = balancers().build(name, Params::new()).unwrap();
        let cluster = fleet.build(Arc::new(Failover::default()), balancer, RouterChain::default());
        all_by(&cluster, &fleet, &proven, 3000, name).await;
        let found_out = in_state(&fleet, ChannelState::Down);
        assert!(found_out > 100, "{name}: {found_out}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_that_answers_gets_its_share_from_then_on() {
    for name in balancers().names().filter(|name| *name != "consistenthash") {
        let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
        let newcomer = fleet.mock("b:1");
        newcomer.unused(Connects::After(30 * MS));
        let balancer = balancers().build(name, Params::new()).unwrap();
        let cluster = fleet.build(Arc::new(Failfast), balancer, RouterChain::default());
        while Channel::state(&*newcomer) != ChannelState::Ready {
            cluster.invoke(write()).await.unwrap();
            assert_eq!(newcomer.calls(), 0, "{name}");
        }
        let before = fleet.net.total();
        for _ in 0..600 {
            cluster.invoke(write()).await.unwrap();
        }
        let share = newcomer.calls() as f64 / (fleet.net.total() - before) as f64;
        assert!((0.2..=0.5).contains(&share), "{name}: {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_has_answered_yet_the_call_itself_connects() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    ["a:1", "b:1"].iter().for_each(|address| fleet.mock(address).unused(Connects::Hangs));
    fleet.cluster(Failfast).invoke(write()).await.unwrap();
    assert_eq!(fleet.net.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_only_a_call_can_open_gets_that_call() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").unused(Connects::ByCall);
    let in_turn = Arc::new(RoundRobin::new());
    let cluster = fleet.build(Arc::new(Failfast), in_turn, RouterChain::default());
    for _ in 0..2 {
        cluster.invoke(write()).await.unwrap();
    }
    assert_eq!(fleet.mock("a:1").calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn keys_come_to_a_newcomer_once_it_has_answered_and_nobody_else_s_keys_move() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    let balancer = balancers().build("consistenthash", Params::new()).unwrap();
    let cluster = fleet.build(Arc::new(Failfast), balancer, RouterChain::default());
    let owner = async |key: u64| {
        let before = fleet.net.counts();
        cluster.invoke(keyed(key)).await.unwrap();
        let after = fleet.net.counts();
        let called = after.into_iter().find(|(address, calls)| before[address] != *calls);
        called.unwrap().0
    };
    let mut owners = Vec::new();
    for key in 0..60 {
        owners.push(owner(key).await);
    }
    let newcomer = fleet.mock("b:1");
    newcomer.unused(Connects::After(MS * 1000));
    for (key, before) in (0..60).zip(&owners) {
        let now = owner(key).await;
        assert!(now == *before || (before == "b:1" && now != "b:1"), "{key}: {before} {now}");
    }
    sleep(1000 * MS).await;
    for (key, before) in (0..60).zip(&owners) {
        assert_eq!(owner(key).await, *before);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_off_the_list_and_was_never_used_is_let_go_if_nobody_is_there() {
    // The first list may be that of a moment ago: all that are in it have ended, but for one.
    let fleet = Fleet::of(&["a:1", "b:1", "c:1", "d:1"]);
    ["a:1", "b:1", "c:1"].iter().for_each(|old| fleet.mock(old).unused(Connects::Refused));
    fleet.mock("d:1").unused(Connects::After(30 * MS));
    fleet.push(snapshot(&["e:1"])).await;
    sleep(2500 * MS).await;
    assert_eq!(fleet.addresses(), ["d:1", "e:1"]);
    assert_eq!((fleet.directory.state().held, fleet.net.total()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn of_many_that_are_off_the_list_at_once_a_few_at_a_time_are_connected_to() {
    let all: Vec<String> = (0..100).map(address).collect();
    let fleet = Fleet::of(&all.iter().map(String::as_str).collect::<Vec<_>>());
    all.iter().for_each(|old| fleet.mock(old).unused(Connects::Hangs));
    fleet.push(snapshot(&[])).await;
    for _ in 0..200 {
        assert!(in_state(&fleet, ChannelState::Connecting) <= 16);
        sleep(100 * MS).await;
    }
    assert_eq!(fleet.addresses(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn connections_that_take_long_to_open_count_among_those_few_until_they_are_open() {
    let all: Vec<String> = (0..100).map(address).collect();
    let fleet = Fleet::of(&all.iter().map(String::as_str).collect::<Vec<_>>());
    all.iter().for_each(|old| fleet.mock(old).unused(Connects::After(2500 * MS)));
    fleet.push(snapshot(&[])).await;
    for _ in 0..300 {
        assert!(in_state(&fleet, ChannelState::Connecting) <= 16);
        sleep(100 * MS).await;
    }
    assert_eq!(in_state(&fleet, ChannelState::Ready), 100);
}

/// Leaves the one at `a:1`.
#[derive(Debug)]
struct First;

impl Router for First {
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, _: &Invocation) {
        candidates.retain(|endpoint| **endpoint.address() == *"a:1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_called_where_routers_leave_nobody_else_or_all_others_have_the_call() {
    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").unused(Connects::Hangs);
    let routers = chain(vec![("first", Arc::new(First))]);
    let cluster = fleet.build(Arc::new(Failfast), Arc::new(P2c::new(Some(1))), routers);
    cluster.invoke(write()).await.unwrap();
    assert_eq!((fleet.mock("a:1").calls(), fleet.net.total()), (1, 1));

    let fleet = Fleet::of(&["a:1", "b:1"]);
    fleet.mock("a:1").unused(Connects::After(10 * MS));
    let cluster = fleet.cluster(Failover::default());
    fleet.mock("b:1").answer(Answer::Hang);
    for _ in 0..2 {
        cluster.invoke(call()).await.unwrap();
    }
    assert!(fleet.mock("a:1").calls() > 0);
}
