//! Registries in processes of their own that want another token than they are shown, or that hang:
//! who is set up then is told, and who runs already goes on.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{Consumer, Delivery, ServiceKey};
use support::process::{self, Process};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::{sources, until, until_is};
use tokio::time::Instant;

#[test]
fn becomes_a_provider() {
    process::become_provider();
}

fn url(registry: &Process) -> String {
    format!("dubhe://{}", registry.address())
}

fn provider(url: &str, token: &str) -> Provider {
    let provider = Provider::builder().sources(sources(url, ""));
    let provider = provider.serve(ShopServer::new(Clerk::new("a")));
    if token.is_empty() { provider } else { provider.set("registry.token", token) }
}

fn consumer(url: &str, token: &str) -> Consumer {
    support::consumer(url, &format!("registry.token = \"{token}\""))
}

#[tokio::test]
async fn a_wrong_token_ends_the_start_of_a_provider_and_of_a_consumer_with_its_setting() {
    let registry = Process::registry(0, "open sesame").await;
    let url = url(&registry);
    for (token, why) in [
        ("sesame", "the token is wrong, check registry.token"),
        ("", "it needs a token, set registry.token"),
    ] {
        let begun = Instant::now();
        let error = provider(&url, token).start().await.unwrap_err();
        assert_eq!(error.to_string(), format!("registry {url}: {why}"));
        assert!(error.is_refused() && begun.elapsed() < support::PATIENCE);
    }
    // `run` listens for signals first, and ends all the same.
    let error = support::soon(provider(&url, "sesame").run()).await.unwrap_err();
    assert!(error.is_refused(), "{error}");
    let error = consumer(&url, "sesame").client::<ShopClient>().await.unwrap_err();
    assert!(error.to_string().contains("check registry.token"), "{error}");

    let running = provider(&url, "open sesame").start().await.unwrap();
    assert!(running.is_registered());
    let shop: ShopClient = consumer(&url, "open sesame").client().await.unwrap();
    assert_eq!(shop.look(1).await.unwrap().who, "a");
}

#[tokio::test]
async fn a_token_that_changes_later_takes_nothing_from_who_runs() {
    let mut registry = Process::registry(0, "old").await;
    let (url, port) = (url(&registry), port(&registry));
    let running = provider(&url, "old").start().await.unwrap();
    let consumer = consumer(&url, "old");
    let shop: ShopClient = consumer.client().await.unwrap();
    shop.look(1).await.unwrap();
    registry.kill();
    let other = Process::registry(port, "new").await;
    let service = ServiceKey::new("test.Shop");
    let trouble = until("the refusal is heard", async || {
        shop.look(2).await.unwrap();
        let trouble = consumer.directory_state(&service).unwrap().trouble;
        trouble.filter(|trouble| trouble.error.contains("check registry.token"))
    })
    .await;
    assert!(trouble.to_string().contains("the token is wrong"), "{trouble}");
    assert!(!running.is_registered());
    drop(other);
    let _again = Process::registry(port, "old").await;
    until_is("it is registered again", || running.is_registered()).await;
    shop.look(3).await.unwrap();
}

fn port(registry: &Process) -> u16 {
    registry.address().rsplit(':').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn who_starts_while_the_registry_hangs_is_told_in_time_and_served_when_it_goes_on() {
    let registry = Process::registry(0, "").await;
    let url = url(&registry);
    let early = provider(&url, "").start().await.unwrap();
    // The system takes connections for it, but nobody reads them.
    registry.suspend();
    let late = Provider::builder().sources(sources(&url, ""));
    let late = late.serve(ShopServer::new(Clerk::new("b")));
    let late = support::soon(late.start()).await.unwrap();
    assert!(!late.is_registered());
    let shop: ShopClient =
        support::soon(support::consumer(&url, "").client::<ShopClient>()).await.unwrap();
    let hasty = shop.with(CallOptions::new().timeout(Duration::from_millis(300)));
    let begun = Instant::now();
    let status = hasty.look(1).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(status.message().contains(&url) && status.delivery() == Delivery::NotSent, "{status}");

    // A call that has the time waits for the list.
    let patient = shop.with(CallOptions::new().timeout(support::PATIENCE));
    let of_all = patient.clone();
    let asking = tokio::spawn(async move { of_all.broadcast().look(2).await });
    let waiting = tokio::spawn(async move { patient.look(3).await });
    registry.resume();
    waiting.await.unwrap().unwrap();
    let nodes = asking.await.unwrap().unwrap();
    assert!(nodes.iter().any(|node| node.result.is_ok()), "{nodes:?}");
    until_is("the late one is registered too", || late.is_registered()).await;
    drop(early);
}
