//! Balancers: one contract for all built-in ones, and how each spreads calls. Seeded.

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::{LoadBalance, P2c, Random, RoundRobin, builtin};
use dubhe_cluster::policy::Failfast;
use dubhe_cluster::router::{Router, RouterChain};
use dubhe_cluster::{Candidates, DirectoryOptions, Endpoint, policy};
use rpc_core::{BuildContext, Error, Extension, Invocation, NoConfig, Params, Snapshot, Source};
use support::simulation::seeded;
use support::*;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Every built-in balancer; those that draw lots with this seed.
fn balancers(seed: u64) -> Vec<(&'static str, Arc<dyn LoadBalance>)> {
    builtin().names().map(|name| (name, seeded(name, seed))).collect()
}

/// How often each candidate is selected.
fn spread(balancer: &dyn LoadBalance, candidates: &Candidates, calls: usize) -> Vec<usize> {
    let (mut call, now) = (call(), Instant::now());
    let mut counts = vec![0; candidates.len()];
    for key in 0..calls {
        call.hash_key = Some(key as u64);
        counts[balancer.select(candidates, &call, now)] += 1;
    }
    counts
}

/// What every balancer holds to, in part: a ring is as even as its points happen to lie.
fn tolerance(name: &str) -> f64 {
    if name == "consistenthash" { 0.35 } else { 0.10 }
}

fn is_near(count: usize, expected: f64, tolerance: f64) -> bool {
    (count as f64 - expected).abs() <= expected * tolerance
}

#[tokio::test(start_paused = true)]
async fn every_balancer_stays_in_range() {
    let net = Net::default();
    for (name, balancer) in balancers(1) {
        for weights in [vec![100], vec![0, 0], vec![1, 0, 7], vec![u32::MAX; 3], vec![5; 40]] {
            let counts = spread(&*balancer, &weighted(&net, &weights), 200);
            assert_eq!(counts.iter().sum::<usize>(), 200, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_balancer_spreads_evenly_over_equal_endpoints() {
    let net = Net::default();
    for (name, balancer) in balancers(2) {
        for weight in [100, 0] {
            let counts = spread(&*balancer, &weighted(&net, &[weight; 5]), 10_000);
            let even = counts.iter().all(|count| is_near(*count, 2000.0, tolerance(name)));
            assert!(even, "{name}: {counts:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_balancer_follows_the_weights_and_spares_the_weightless() {
    let net = Net::default();
    // Consistent hashing places keys, as in Dubbo, whatever the weights.
    for (name, balancer) in balancers(3).into_iter().filter(|(name, _)| *name != "consistenthash") {
        let counts = spread(&*balancer, &weighted(&net, &[10, 20, 0, 70]), 10_000);
        let expected = [1000.0, 2000.0, 0.0, 7000.0];
        let follows = counts.iter().zip(expected).all(|(count, e)| is_near(*count, e, 0.10));
        assert!(follows, "{name}: {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_balancer_is_steady_when_members_come_and_go() {
    let net = Net::default();
    for (name, balancer) in balancers(4) {
        let five = weighted(&net, &[100, 100, 100, 100, 50]);
        let three = Candidates::new(five.endpoints()[..3].to_vec());
        for _ in 0..50 {
            spread(&*balancer, &five, 7);
            spread(&*balancer, &three, 5);
        }
        let counts = spread(&*balancer, &three, 3000);
        let even = counts.iter().all(|count| is_near(*count, 1000.0, tolerance(name)));
        assert!(even, "{name}: {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_balancer_reaches_every_provider_through_the_cluster() {
    for (name, balancer) in balancers(5) {
        let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
        let cluster = fleet.build(Arc::new(Failfast), balancer, RouterChain::default());
        let mut calls = JoinSet::new();
        for key in 0..300 {
            calls.spawn(cluster.invoke(keyed(key)));
        }
        while let Some(outcome) = calls.join_next().await {
            outcome.unwrap().unwrap();
        }
        let counts = fleet.net.counts();
        let spread = counts.values().all(|count| (70..130).contains(count));
        assert!(spread, "{name}: {counts:?}");
        assert_eq!(fleet.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn round_robin_takes_turns_exactly_and_smoothly() {
    let net = Net::default();
    let counts = spread(&RoundRobin::new(), &weighted(&net, &[100; 4]), 400);
    assert_eq!(counts, [100; 4]);

    let candidates = weighted(&net, &[5, 1, 1]);
    let (balancer, call, now) = (RoundRobin::new(), call(), Instant::now());
    let turns: Vec<usize> = (0..7).map(|_| balancer.select(&candidates, &call, now)).collect();
    // nginx's example of smoothness.
    assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
}

/// Sends the calls of even and odd hash keys to different halves.
#[derive(Debug)]
struct Halves;

impl Router for Halves {
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, invocation: &Invocation) {
        let first = invocation.hash_key.is_some_and(|key| key % 2 == 0);
        candidates.retain(|endpoint| endpoint.address().starts_with('a') == first);
    }
}

#[tokio::test(start_paused = true)]
async fn round_robin_is_even_within_each_part_that_routers_leave() {
    let fleet = Fleet::of(&["a1:1", "a2:1", "b1:1", "b2:1"]);
    let routers = chain(vec![("halves", Arc::new(Halves))]);
    let cluster = fleet.build(Arc::new(Failfast), Arc::new(RoundRobin::new()), routers);
    for key in 0..100 {
        cluster.invoke(keyed(key)).await.unwrap();
    }
    assert!(fleet.net.counts().values().all(|count| *count == 25));
}

#[tokio::test(start_paused = true)]
async fn p2c_sends_little_to_one_slow_among_ten() {
    let addresses: Vec<String> = (0..10).map(|n| format!("p{n}:1")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let fleet = Fleet::of(&addresses);
    fleet.mock("p3:1").answer(Answer::After(Duration::from_millis(200)));
    let balancer = Arc::new(P2c::new(Some(6)));
    let cluster = fleet.build(Arc::new(Failfast), balancer, RouterChain::default());
    for _ in 0..300 {
        let mut calls = JoinSet::new();
        for _ in 0..10 {
            calls.spawn(cluster.invoke(call()));
        }
        while calls.join_next().await.is_some() {}
    }
    // An even share would be 300.
    let slow = fleet.mock("p3:1").calls();
    assert!((1..30).contains(&slow), "{slow}");
}

/// Calls to a slow and two quick providers of these weights, many at a time.
async fn shares_of_weighted(weights: [u32; 3], slow: Option<usize>) -> Vec<u64> {
    let mut instances = ["a:1", "b:1", "c:1"].map(instance);
    for (instance, weight) in instances.iter_mut().zip(weights) {
        instance.weight = weight;
    }
    let addresses = instances.each_ref().map(|instance| instance.address.clone());
    let list = Snapshot::new(instances.into(), Source::Live);
    let fleet = Fleet::from(list, DirectoryOptions::default());
    if let Some(slow) = slow {
        let answer = Answer::After(Duration::from_millis(200));
        fleet.mock(&addresses[slow]).answer(answer);
    }
    let balancer = Arc::new(P2c::new(Some(8)));
    let cluster = fleet.build(Arc::new(Failfast), balancer, RouterChain::default());
    for _ in 0..200 {
        let mut calls = JoinSet::new();
        for _ in 0..30 {
            calls.spawn(cluster.invoke(call()));
        }
        while calls.join_next().await.is_some() {}
    }
    fleet.net.counts().into_values().collect()
}

#[tokio::test(start_paused = true)]
async fn p2c_follows_the_weights_under_even_load() {
    let shares = shares_of_weighted([100, 50, 10], None).await;
    let expected = [3750.0, 1875.0, 375.0];
    let follows = shares.iter().zip(expected).all(|(share, e)| is_near(*share as usize, e, 0.25));
    assert!(follows, "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn p2c_keeps_to_the_weights_where_latencies_differ_a_little() {
    let mut instances = [instance("a:1"), instance("b:1")];
    instances[1].weight = 50;
    let list = Snapshot::new(instances.into(), Source::Live);
    let fleet = Fleet::from(list, DirectoryOptions::default());
    let answer = Answer::After(Duration::from_millis(3));
    fleet.mock("a:1").answer(answer);
    fleet.mock("b:1").answer(Answer::After(Duration::from_millis(2)));
    let balancer = Arc::new(P2c::new(Some(9)));
    let cluster = fleet.build(Arc::new(Failfast), balancer, RouterChain::default());
    for _ in 0..3000 {
        cluster.invoke(call()).await.unwrap();
    }
    let share = fleet.mock("a:1").calls() as usize;
    assert!(is_near(share, 2000.0, 0.10), "{share}");
}

#[tokio::test(start_paused = true)]
async fn p2c_spares_a_slow_provider_whatever_its_weight() {
    let shares = shares_of_weighted([100, 50, 50], Some(0)).await;
    assert!(shares[0] < 600, "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn p2c_is_not_drawn_to_an_endpoint_that_fails_fast() {
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    fleet.mock("a:1").answer(maybe_sent());
    let balancer = Arc::new(P2c::new(Some(7)));
    let cluster = fleet.build(Arc::new(Failfast), balancer, RouterChain::default());
    for _ in 0..300 {
        let _ = cluster.invoke(write()).await;
    }
    let failed = fleet.mock("a:1").calls();
    assert!((1..5).contains(&failed), "{failed}");
}

/// Those that compare all of a short list, and some of a long one.
const COMPARING: [&str; 2] = ["leastactive", "shortestresponse"];

#[tokio::test(start_paused = true)]
async fn of_a_long_list_the_drawn_ones_follow_the_weights() {
    let weights: Vec<u32> = (0..400).map(|index| [0, 10, 20, 70][index % 4]).collect();
    let candidates = weighted(&Net::default(), &weights);
    for name in COMPARING {
        let counts = spread(&*seeded(name, 9), &candidates, 10_000);
        let of_weight = |class: usize| counts.iter().skip(class).step_by(4).sum::<usize>();
        let expected = [0.0, 1000.0, 2000.0, 7000.0];
        let follows = (0..4).all(|class| is_near(of_weight(class), expected[class], 0.10));
        assert!(follows, "{name}: {:?}", [0, 1, 2, 3].map(of_weight));
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_last_are_spread_over_a_long_list_nearly_as_over_a_short_one() {
    let (net, now) = (Net::default(), Instant::now());
    for len in [50, 1000] {
        let candidates = weighted(&net, &vec![100; len]);
        let balancer = seeded("leastactive", 10);
        let mut running = Vec::new();
        for _ in 0..5 * len {
            let index = balancer.select(&candidates, &call(), now);
            running.push(candidates.endpoints()[index].call(call(), now, 1).unwrap());
        }
        let counts = candidates.endpoints().iter().map(|endpoint| endpoint.load().in_flight());
        let (most, least) = (counts.clone().max(), counts.min());
        let bounds = if len == 50 { (Some(5), Some(5)) } else { (Some(6), Some(4)) };
        assert!(most <= bounds.0 && least >= bounds.1, "{least:?} to {most:?} of {len}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_of_a_long_list_gets_nearly_nothing() {
    let addresses: Vec<String> = (0..100).map(simulation::address).collect();
    let fleet = Fleet::of(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    let cluster =
        fleet.build(Arc::new(Failfast), seeded("shortestresponse", 11), RouterChain::default());
    fleet.mock(&addresses[7]).answer(Answer::After(Duration::from_millis(200)));
    for _ in 0..3000 {
        cluster.invoke(call()).await.unwrap();
    }
    let slow = fleet.mock(&addresses[7]).calls();
    assert!((1..5).contains(&slow), "{slow}");
    let least = fleet.net.counts().into_values().filter(|calls| *calls != slow).min();
    assert!(least > Some(10), "{least:?}");
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_make_equal_choices() {
    let net = Net::default();
    let candidates = weighted(&net, &[10, 20, 70]);
    let (call, now) = (call(), Instant::now());
    let choices = |seed| -> Vec<usize> {
        let (p2c, random) = (P2c::new(Some(seed)), Random::new(Some(seed)));
        let both =
            |_| [&p2c as &dyn LoadBalance, &random].map(|b| b.select(&candidates, &call, now));
        (0..50).flat_map(both).collect()
    };
    assert_eq!(choices(1), choices(1));
    assert_ne!(choices(1), choices(2));
}

#[test]
fn unknown_names_and_parameters_are_refused_with_the_known_ones() {
    let error = builtin().build("p2", Params::new()).unwrap_err().to_string();
    assert!(error.contains("unknown loadbalance `p2` (did you mean `p2c`?)"), "{error}");
    let all = "adaptive, consistenthash, leastactive, p2c, random, roundrobin, shortestresponse";
    assert!(error.contains(all), "{error}");
    let mut params = Params::new();
    params.insert("forks".to_owned(), 2.into());
    let error = policy::builtin().build("failover", params).unwrap_err().to_string();
    assert!(error.contains("failover") && error.contains("forks"), "{error}");
}

/// A user's own: always the last.
#[derive(Debug)]
struct Last;

impl LoadBalance for Last {
    fn select(&self, _: &Candidates, _: &Invocation, _: Instant) -> usize {
        usize::MAX
    }
}

impl Extension<dyn LoadBalance> for Last {
    const NAME: &'static str = "last";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self))
    }
}

#[tokio::test(start_paused = true)]
async fn a_balancer_from_outside_is_one_registration_and_cannot_break_a_call() {
    let balancer = builtin().with::<Last>().build("last", Params::new());
    let fleet = Fleet::of(&["a:1", "b:1", "c:1"]);
    let routers = RouterChain::default();
    let cluster = fleet.build(Arc::new(Failfast), balancer.unwrap(), routers);
    cluster.invoke(call()).await.unwrap();
    assert_eq!(fleet.net.total(), 1);
}
