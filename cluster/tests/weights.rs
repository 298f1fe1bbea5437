//! Weights through the whole layer: what is without weight gets nothing, and re-sends leave the
//! shares of the others alone.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;

use dubhe_cluster::load_balance::{self, P2c, RoundRobin};
use dubhe_cluster::policy::{Available, ClusterPolicy, Failover, Forking, builtin};
use dubhe_cluster::router::{Router, RouterChain, Zone, ZoneConfig};
use dubhe_cluster::{DirectoryOptions, Dropped, Endpoint};
use rpc_core::{
    BoxInvoker, ChannelState, Code, Instance, Invocation, Params, Snapshot, Source, ZONE,
};
use support::*;

fn fleet(weights: &[(&str, u32)]) -> Fleet {
    let instances = weights.iter().map(|(address, weight)| {
        let mut instance = instance(address);
        instance.weight = *weight;
        instance
    });
    let snapshot = Snapshot::new(instances.collect(), Source::Live);
    Fleet::from(snapshot, DirectoryOptions::default())
}

fn in_turn(fleet: &Fleet, policy: impl ClusterPolicy) -> BoxInvoker {
    fleet.build(Arc::new(policy), Arc::new(RoundRobin::default()), RouterChain::default())
}

fn calls<const N: usize>(fleet: &Fleet, addresses: [&str; N]) -> [u64; N] {
    addresses.map(|address| fleet.mock(address).calls())
}

#[tokio::test(start_paused = true)]
async fn re_sends_leave_the_shares_of_roundrobin_alone() {
    let fleet = fleet(&[("a:1", 100), ("b:1", 100), ("c:1", 300)]);
    fleet.mock("c:1").answer(not_sent());
    let cluster = in_turn(&fleet, Failover::new(0));
    for _ in 0..3000 {
        cluster.invoke(write()).await.unwrap();
    }
    let [a, b, c] = calls(&fleet, ["a:1", "b:1", "c:1"]);
    assert!((1350..=1650).contains(&a) && (1350..=1650).contains(&b), "{a} {b} {c}");
    assert!((1700..=1900).contains(&c), "{a} {b} {c}");
}

#[tokio::test(start_paused = true)]
async fn the_weight_of_a_provider_with_two_protocols_counts_once() {
    for balancer in ["random", "roundrobin"] {
        let two = Instance {
            protocols: ["dubbo".to_owned(), "json".to_owned()].into(),
            endpoints: [("json".to_owned(), "a:2".into())].into(),
            ..instance("a:1")
        };
        let instances = vec![two, instance("b:1"), Instance { weight: 200, ..instance("c:1") }];
        let snapshot = Snapshot::new(instances, Source::Live);
        let fleet = Fleet::from(snapshot, DirectoryOptions::default());
        assert_eq!(fleet.addresses(), ["a:1", "b:1", "c:1"]);
        let balancer = simulation::seeded(balancer, 1);
        let cluster = fleet.build(Arc::new(Failover::new(0)), balancer, RouterChain::default());
        for _ in 0..4000 {
            cluster.invoke(write()).await.unwrap();
        }
        let [a, b, c] = calls(&fleet, ["a:1", "b:1", "c:1"]);
        assert!((900..=1100).contains(&a) && (900..=1100).contains(&b), "{a} {b} {c}");
        assert_eq!((a + b + c, fleet.net.total()), (4000, 4000));
    }
}

#[tokio::test(start_paused = true)]
async fn under_every_policy_and_balancer_a_provider_without_weight_gets_nothing() {
    for policy in builtin().names().filter(|name| *name != "broadcast") {
        for balancer in load_balance::builtin().names() {
            let fleet = fleet(&[("a:1", 0), ("b:1", 100), ("c:1", 50), ("d:1", 0)]);
            fleet.mock("b:1").answer_next([maybe_sent(), not_sent(), Answer::Hang]);
            let cluster = fleet.build(
                builtin().build(policy, Params::new()).unwrap(),
                load_balance::builtin().build(balancer, Params::new()).unwrap(),
                RouterChain::default(),
            );
            for key in 0..30 {
                let _ = cluster.invoke(keyed(key)).await;
            }
            assert_eq!(calls(&fleet, ["a:1", "d:1"]), [0, 0], "{policy}, {balancer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_weight_holds_no_call_in_its_zone() {
    let zoned = |address, weight, zone: &str| {
        let metadata = Arc::new([(ZONE.to_owned(), zone.to_owned())].into());
        Instance { weight, metadata, ..instance(address) }
    };
    let instances = vec![zoned("a:1", 0, "here"), zoned("b:1", 100, "there")];
    let snapshot = Snapshot::new(instances, Source::Live);
    let fleet = Fleet::from(snapshot, DirectoryOptions::default());
    let prefer = vec!["here".to_owned(), "there".to_owned()];
    let zone: Arc<dyn Router> = Arc::new(Zone::new(ZoneConfig { prefer }));
    let routers = chain(vec![("zone", zone)]);
    let policy = Arc::new(Failover::new(0));
    let cluster = fleet.build(policy, Arc::new(RoundRobin::default()), routers);
    for _ in 0..10 {
        cluster.invoke(write()).await.unwrap();
    }
    assert_eq!(calls(&fleet, ["a:1", "b:1"]), [0, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_is_for_providers_without_weight_too() {
    let fleet = fleet(&[("a:1", 0), ("b:1", 100)]);
    let broadcast = builtin().build("broadcast", Params::new()).unwrap();
    let cluster = fleet.build(broadcast, Arc::new(P2c::new(Some(1))), RouterChain::default());
    cluster.invoke(call()).await.unwrap();
    assert_eq!(calls(&fleet, ["a:1", "b:1"]), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn where_none_has_weight_all_are_called() {
    let fleet = fleet(&[("a:1", 0), ("b:1", 0)]);
    let cluster = in_turn(&fleet, Failover::default());
    for _ in 0..10 {
        cluster.invoke(call()).await.unwrap();
    }
    assert_eq!(calls(&fleet, ["a:1", "b:1"]), [5, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_fork_goes_to_none_without_weight() {
    let fleet = fleet(&[("a:1", 100), ("b:1", 0)]);
    for _ in 0..10 {
        in_turn(&fleet, Forking::default()).invoke(call()).await.unwrap();
    }
    assert_eq!(calls(&fleet, ["a:1", "b:1"]), [10, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_halfway_goes_to_none_without_weight() {
    let fleet = fleet(&[("a:1", 100), ("b:1", 0)]);
    fleet.mock("a:1").answer(Answer::Hang);
    let status = in_turn(&fleet, Failover::default()).invoke(call()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(calls(&fleet, ["a:1", "b:1"]), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_all_others_have_failed_goes_to_one_without_weight_at_last() {
    for answer in [not_sent(), maybe_sent()] {
        let fleet = fleet(&[("a:1", 0), ("b:1", 100), ("c:1", 100)]);
        for address in ["b:1", "c:1"] {
            fleet.mock(address).answer(answer.clone());
        }
        in_turn(&fleet, Failover::default()).invoke(call()).await.unwrap();
        in_turn(&fleet, Forking::default()).invoke(call()).await.unwrap();
        assert_eq!(calls(&fleet, ["a:1", "b:1", "c:1"]), [2, 2, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn available_passes_over_those_without_weight_while_another_can_be_reached() {
    let fleet = fleet(&[("a:1", 0), ("b:1", 100), ("c:1", 100)]);
    fleet.mock("b:1").answer(not_sent());
    let cluster = fleet.cluster(Available);
    cluster.invoke(call()).await.unwrap();
    assert_eq!(calls(&fleet, ["a:1", "b:1", "c:1"]), [0, 1, 1]);
    fleet.mock("c:1").answer(not_sent());
    cluster.invoke(call()).await.unwrap();
    assert_eq!(calls(&fleet, ["a:1", "b:1", "c:1"]), [1, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn one_without_weight_serves_only_while_no_other_can_be_connected_to() {
    let fleet = fleet(&[("a:1", 0), ("b:1", 100)]);
    let cluster = fleet.cluster(Failover::default());
    fleet.mock("b:1").set_state(ChannelState::Connecting);
    cluster.invoke(call()).await.unwrap();
    assert_eq!(calls(&fleet, ["a:1", "b:1"]), [0, 1]);
    fleet.mock("b:1").set_state(ChannelState::Down);
    cluster.invoke(call()).await.unwrap();
    assert_eq!(calls(&fleet, ["a:1", "b:1"]), [1, 1]);
}

/// Leaves only addresses that begin so.
#[derive(Debug)]
struct Prefix(&'static str);

impl Router for Prefix {
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, _: &Invocation) {
        candidates.retain(|endpoint| endpoint.address().starts_with(self.0));
    }
}

#[tokio::test(start_paused = true)]
async fn weights_are_compared_among_those_that_routers_leave() {
    let fleet = fleet(&[("a:1", 0), ("b1:1", 0), ("b2:1", 100)]);
    let policies: [fn() -> Arc<dyn ClusterPolicy>; 2] =
        [|| Arc::new(Failover::default()), || Arc::new(Available)];
    for policy in policies {
        let routed = |prefix| {
            let routers = chain(vec![("prefix", Arc::new(Prefix(prefix)))]);
            fleet.build(policy(), Arc::new(RoundRobin::default()), routers)
        };
        for _ in 0..10 {
            routed("a").invoke(call()).await.unwrap();
            routed("b").invoke(call()).await.unwrap();
        }
    }
    assert_eq!(calls(&fleet, ["a:1", "b1:1", "b2:1"]), [20, 0, 20]);
}

#[tokio::test(start_paused = true)]
async fn an_explanation_says_that_it_is_the_weight() {
    let fleet = fleet(&[("a:1", 0), ("b:1", 100)]);
    let picker = fleet.picker(Arc::new(P2c::new(Some(1))), RouterChain::default());
    let explained = picker.explain(&call(), Failover::default().choice());
    let dropped: Vec<_> = explained.endpoints.iter().map(|e| e.dropped.clone()).collect();
    assert_eq!(dropped, [Some(Dropped::Weightless), None]);
}
