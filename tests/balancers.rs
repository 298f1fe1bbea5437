//! Every balancer over three provider processes: even if it looks at nothing else, sparing one that
//! is slow if it looks at that, and losing no idempotent call when one stops dead or is killed.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex};

use dubhe::prelude::*;
use dubhe::{Consumer, Delivery, Reply, ServiceKey};
use support::load::{Calls, Load, Seen};
use support::process::{self, ProviderCommand, ProviderProcess};
use support::shop::{Clerk, Shop, ShopClient, ShopServer, read_ledger};
use tower::util::MapResponseLayer;

/// Seconds between the signs of life are too long for a test of all balancers.
const QUICK_TO_NOTICE: &str =
    "consumer.heartbeat = \"200ms\"\nconsumer.heartbeat_timeout = \"300ms\"";

/// Of three providers the third is slow: what percent of the calls it gets, and whether the other
/// two, which are alike, get about as many each. Who looks at latency follows what it measures, and
/// on a busy machine one of the two may wait for long.
const PROMISED: [(&str, RangeInclusive<usize>, bool); 7] = [
    ("adaptive", 0..=20, false),
    ("leastactive", 1..=25, false),
    ("p2c", 0..=15, false),
    ("shortestresponse", 0..=20, false),
    ("consistenthash", 20..=47, true),
    ("random", 23..=44, true),
    ("roundrobin", 30..=36, true),
];

#[test]
fn becomes_a_provider() {
    process::become_provider();
}

async fn provider(name: &str, url: &str, folder: &Path) -> ProviderProcess {
    // Longer than a busy machine keeps the others waiting, who take three milliseconds.
    let delay = if name == "c" { "60" } else { "0" };
    let command = ProviderCommand::new(name, url).set(process::DELAY, delay);
    let command = command.ledger(&folder.join(name));
    // A weight that is the same however long it has been warming up.
    command.set("DUBHE_PROVIDER__WEIGHT", "1").start().await
}

/// Percent of the answers by each of these.
fn shares<const N: usize>(seen: &Seen, who: [&str; N]) -> [usize; N] {
    let counts = seen.by_provider();
    let total = seen.answered.len().max(1);
    who.map(|who| counts.get(who).copied().unwrap_or_default() * 100 / total)
}

/// A client that knows all three, and that they are well.
async fn client(consumer: &Consumer) -> ShopClient {
    let shop: ShopClient = consumer.client().await.unwrap();
    let known = || consumer.directory_state(&ServiceKey::new("test.Shop"));
    let all = || known().is_some_and(|state| (state.endpoints, state.candidates) == (3, 3));
    support::until_is("three are listed", all).await;
    let load = Load::start(&shop, Calls::Idempotent(3), 8);
    load.answered(60).await;
    load.stop().await.assert_none_failed();
    shop
}

/// Fails if one of these calls was executed twice, or was answered and not executed.
fn assert_none_ran_twice(folder: &Path, writes: &Seen) {
    let executed = ["a", "b", "c"].map(|name| read_ledger(&folder.join(name)));
    let mut counts = BTreeMap::<u64, usize>::new();
    executed.iter().flatten().for_each(|id| *counts.entry(*id).or_default() += 1);
    let count = |id: &u64| counts.get(id).copied().unwrap_or_default();
    assert!(writes.answered.keys().all(|id| count(id) == 1), "answered, and not executed once");
    for (id, status) in &writes.failed {
        assert!(count(id) <= 1 && status.delivery() == Delivery::MaybeSent, "{status}");
    }
}

#[tokio::test]
async fn every_balancer_keeps_its_word_over_processes_and_loses_no_idempotent_call() {
    let names: BTreeSet<&str> = PROMISED.iter().map(|(name, ..)| *name).collect();
    let error = Consumer::new(&support::memory()).set("consumer.loadbalance", "none").build();
    let listed = error.unwrap_err().to_string();
    let known = listed.split_once("available: ").unwrap().1;
    let known: BTreeSet<&str> = known.lines().next().unwrap().split(", ").collect();
    assert_eq!(names, known, "every balancer promises something");
    let (_registry, url) = support::registry(0).await;
    let folder = tempfile::tempdir().unwrap();
    let start = async |name| provider(name, &url, folder.path()).await;
    let mut b = start("b").await;
    let (_a, _c) = (start("a").await, start("c").await);
    for (balancer, of_the_slow, is_even) in PROMISED {
        let toml = format!("{QUICK_TO_NOTICE}\nconsumer.loadbalance = \"{balancer}\"");
        let consumer = support::consumer(&url, &toml);
        let shop = client(&consumer).await;

        let load = Load::start(&shop, Calls::Idempotent(3), 8);
        load.answered(600).await;
        let seen = load.stop().await;
        seen.assert_none_failed();
        let [first, second, slow] = shares(&seen, ["a", "b", "c"]);
        assert!(of_the_slow.contains(&slow), "{balancer} gives the slow one {slow} %");
        let are_near = first <= 2 * second && second <= 2 * first;
        assert!(
            are_near || !is_even,
            "{balancer}: {first} % and {second} % for two that are alike"
        );

        let load = Load::start(&shop, Calls::Idempotent(3), 8);
        let writes = Load::start(&shop, Calls::Changing(3), 4);
        b.suspend();
        load.answered(60).await;
        writes.answered(20).await;
        b.resume();
        load.answered(60).await;
        writes.answered(20).await;
        b.kill();
        load.answered(60).await;
        writes.answered(20).await;
        load.stop().await.assert_none_failed();
        assert_none_ran_twice(folder.path(), &writes.stop().await);
        b = start("b").await;
    }
}

#[tokio::test]
async fn calls_of_one_argument_stay_with_one_provider_and_parameters_choose_which_argument() {
    let registry = support::memory();
    let mut running = Vec::new();
    for name in ["a", "b", "c"] {
        let provider = support::provider(&registry, "");
        running.push(provider.serve(ShopServer::new(Clerk::new(name))).start().await.unwrap());
    }
    let places = async |toml: &str, calls: [(u64, u64); 6]| {
        let consumer = support::consumer(&registry, toml);
        let shop: ShopClient = consumer.client().await.unwrap();
        let mut places = Vec::new();
        for (id, millis) in calls {
            places.push(shop.ponder(id, millis).await.unwrap().who);
        }
        places
    };
    let by_id = "consumer.loadbalance = \"consistenthash\"";
    let by_millis = "consumer.loadbalance = { name = \"consistenthash\", hash_arguments = [1] }";
    let one_id = places(by_id, [0, 1, 2, 3, 4, 5].map(|millis| (7, millis))).await;
    assert!(one_id.iter().all(|who| *who == one_id[0]), "{one_id:?}");
    let one_time = places(by_millis, [0, 10, 20, 30, 40, 50].map(|id| (id, 1))).await;
    assert!(one_time.iter().all(|who| *who == one_time[0]), "{one_time:?}");
    // By the other argument the same calls are those of 60 keys, which no provider has alone.
    let mut spread = BTreeSet::new();
    for tens in 0..10 {
        let calls = [0, 1, 2, 3, 4, 5].map(|one| (tens * 6 + one, 1));
        spread.extend(places(by_id, calls).await);
    }
    assert_eq!(spread.len(), 3);
    // What hash_key says is stronger than any argument.
    let consumer = support::consumer(&registry, by_id);
    let shop: ShopClient = consumer.client().await.unwrap();
    let keyed = shop.with(CallOptions::new().hash_key(7));
    for id in 0..20 {
        assert_eq!(keyed.look(id).await.unwrap().who, one_id[0]);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn adaptive_is_told_how_loaded_the_machines_of_providers_are() {
    let registry = support::memory();
    let mut running = Vec::new();
    for name in ["a", "b"] {
        let provider = support::provider(&registry, "");
        running.push(provider.serve(ShopServer::new(Clerk::new(name))).start().await.unwrap());
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let sources = support::sources(&registry, "consumer.loadbalance = \"adaptive\"");
    let listening = MapResponseLayer::new(move |reply: Reply| {
        heard.lock().unwrap().extend(reply.metadata.value("lb_adaptive").map(str::to_owned));
        reply
    });
    let consumer = Consumer::builder().sources(sources).attempt_layer(listening).build().unwrap();
    let shop: ShopClient = consumer.client().await.unwrap();
    for id in 0..20 {
        shop.look(id).await.unwrap();
    }
    let told = told.lock().unwrap();
    // Each of the two is asked once within its first moments, not with every call.
    assert!((2..20).contains(&told.len()), "{told:?}");
    for text in told.iter() {
        let load = text.split_once(",load:").unwrap().1;
        assert!(load.parse::<f64>().unwrap() >= 0.0, "{text}");
    }
}
