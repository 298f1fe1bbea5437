//! Providers that have no room: what they refuse is not multiplied by sending it again, and nothing
//! fails while one has room.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;

use dubhe::prelude::*;
use dubhe::{Delivery, RunningProvider};
use support::shop::{Answer, Clerk, Shop, ShopClient, ShopServer};
use support::{memory, until_is};
use tokio::task::JoinSet;

/// Providers that run two calls at a time each, at `registry`.
async fn small(registry: &str, count: usize) -> Vec<(RunningProvider, Arc<Clerk>)> {
    let mut providers = Vec::new();
    for number in 0..count {
        let clerk = Arc::new(Clerk::new(&number.to_string()));
        let small = support::provider(registry, "provider.limits.in_flight = 2");
        let running = small.serve(ShopServer::from_arc(clerk.clone())).start().await.unwrap();
        providers.push((running, clerk));
    }
    providers
}

/// Fills these with two calls each that take their time; they go on until the set is dropped.
async fn fill(providers: &[(RunningProvider, Arc<Clerk>)]) -> JoinSet<Result<Answer>> {
    let mut hogs = JoinSet::new();
    for (provider, clerk) in providers {
        let timeout = "consumer.timeout = \"60s\"";
        let hog: ShopClient =
            support::consumer(&support::fixed(provider), timeout).client().await.unwrap();
        for id in 0..2 {
            let hog = hog.clone();
            hogs.spawn(async move { hog.build(id, 60_000).await });
        }
        until_is("it is full", || clerk.executed() == 2).await;
    }
    hogs
}

/// Calls that take their time, 32 beside each other, and what became of them.
async fn calls(shop: &ShopClient, count: u64) -> Vec<Result<Answer>> {
    let (mut running, mut ended) = (JoinSet::new(), Vec::new());
    for id in 0..count {
        let shop = shop.clone();
        running.spawn(async move { shop.build(100 + id, 1).await });
        if running.len() >= 32 {
            ended.push(running.join_next().await.unwrap().unwrap());
        }
    }
    ended.extend(running.join_all().await);
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_find_all_eight_providers_full_are_sent_hardly_once_each() {
    let registry = memory();
    let providers = small(&registry, 8).await;
    let _hogs = fill(&providers).await;
    let consumer = support::consumer(&registry, "consumer.retries = 0");
    let shop: ShopClient = consumer.client().await.unwrap();
    let ended = calls(&shop, 6000).await;
    for outcome in &ended {
        let status = outcome.as_ref().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert_eq!(status.delivery(), Delivery::Refused, "{status}");
        assert!(status.message().contains("provider.limits.in_flight"), "{status}");
    }
    let resends = consumer.resends();
    assert!(resends <= 600, "{resends} more attempts for 6000 calls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_one_of_three_providers_has_room() {
    let registry = memory();
    let providers = small(&registry, 2).await;
    let _hogs = fill(&providers).await;
    let roomy = support::provider(&registry, "").serve(ShopServer::new(Clerk::new("roomy")));
    let _roomy = roomy.start().await.unwrap();
    let settings = "consumer.retries = 0\nconsumer.loadbalance = \"random\"";
    let consumer = support::consumer(&registry, settings);
    let shop: ShopClient = consumer.client().await.unwrap();
    for outcome in calls(&shop, 3000).await {
        assert_eq!(outcome.unwrap().who, "roomy");
    }
    let resends = consumer.resends();
    assert!((1..=300).contains(&resends), "{resends} more attempts for 3000 calls");
}
