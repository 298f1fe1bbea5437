//! Providers that are told to end: nobody who calls them notices.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{Consumer, ServiceKey};
use support::load::{Calls, Load};
use support::process::{self, ProviderCommand, ProviderProcess};
use support::shop::{Answer, Clerk, Shop, ShopClient, ShopServer};
use support::{soon, until, until_is};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Nothing is sent again that may have run.
const NO_RETRIES: &str = "consumer.retries = 0";

#[test]
fn becomes_a_provider() {
    process::become_provider();
}

async fn fleet(url: &str) -> [ProviderProcess; 3] {
    let start = |name| ProviderCommand::new(name, url).start();
    [start("a").await, start("b").await, start("c").await]
}

fn listed(consumer: &Consumer) -> usize {
    consumer.directory_state(&ServiceKey::new("test.Shop")).unwrap().endpoints
}

#[tokio::test]
async fn no_call_fails_when_a_provider_is_told_to_end_under_load() {
    let (_registry, url) = support::registry(0).await;
    let mut providers = fleet(&url).await;
    let shop: ShopClient = support::consumer(&url, NO_RETRIES).client().await.unwrap();
    let load = Load::start(&shop, Calls::Changing(3), 16);
    for who in ["a", "b", "c"] {
        load.answered_by(who).await;
    }
    providers[0].terminate();
    assert!(providers[0].ended().await.success());
    assert_eq!(providers[0].said("ended with ").await, "0 calls cut");
    load.answered(100).await;
    let seen = load.stop().await;
    seen.assert_none_failed();
}

#[tokio::test]
async fn a_running_call_still_answers_while_the_provider_is_off_the_list() {
    let (registry, url) = support::registry(0).await;
    let mut going = ProviderCommand::new("going", &url).start().await;
    let consumer = support::consumer(&url, NO_RETRIES);
    let shop: ShopClient = consumer.client().await.unwrap();
    let running = tokio::spawn({
        let shop = shop.clone();
        async move { shop.build(7, 1500).await }
    });
    // Behind it on the same connection: when this is answered, that has begun.
    shop.look(1).await.unwrap();
    let _staying = ProviderCommand::new("staying", &url).start().await;
    until_is("both are listed", || listed(&consumer) == 2).await;
    going.terminate();
    until_is("one is off the list", || registry.status().instances == 1).await;
    assert!(!running.is_finished(), "the list was late");
    assert_eq!(soon(running).await.unwrap().unwrap().who, "going");
    assert!(going.ended().await.success());
    assert_eq!(shop.look(2).await.unwrap().who, "staying");
}

#[tokio::test]
async fn what_runs_too_long_is_cut_and_reported() {
    let (_registry, url) = support::registry(0).await;
    let command = ProviderCommand::new("slow", &url);
    let mut provider = command.set("DUBHE_PROVIDER__DRAIN_TIMEOUT", "500ms").start().await;
    let shop: ShopClient = support::consumer(&url, NO_RETRIES).client().await.unwrap();
    let running = tokio::spawn({
        let shop = shop.clone();
        async move { shop.build(7, 60_000).await }
    });
    shop.look(1).await.unwrap();
    provider.terminate();
    assert!(provider.ended().await.success());
    assert_eq!(provider.said("ended with ").await, "1 calls cut");
    let status = soon(running).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}

/// A call that takes longer than a second and has begun at the only provider.
async fn call_under_way(url: &str) -> JoinHandle<Result<Answer>> {
    let shop: ShopClient = support::consumer(url, NO_RETRIES).client().await.unwrap();
    let calls = shop.clone();
    let running = tokio::spawn(async move { calls.build(7, 2500).await });
    // Behind it on the same connection: when this is answered, that has begun.
    shop.look(1).await.unwrap();
    running
}

#[tokio::test]
async fn a_signal_that_is_delivered_twice_is_one_and_cuts_nothing() {
    let (registry, url) = support::registry(0).await;
    for _ in 0..5 {
        let mut provider = ProviderCommand::new("a", &url).start().await;
        let running = call_under_way(&url).await;
        let begun = Instant::now();
        provider.terminate();
        // Two that come before the first is heard would be one to the runtime anyway.
        until_is("the first is heard", || registry.status().instances == 0).await;
        provider.terminate();
        if begun.elapsed() > Duration::from_millis(900) {
            // The machine was too busy for them to be one.
            continue;
        }
        soon(running).await.unwrap().unwrap();
        assert!(provider.ended().await.success());
        assert_eq!(provider.said("ended with ").await, "0 calls cut");
        return;
    }
    panic!("five times it took longer than 0.9 s to send both");
}

#[tokio::test]
async fn a_second_signal_after_a_second_ends_the_drain_and_says_so() {
    let (_registry, url) = support::registry(0).await;
    let mut provider = ProviderCommand::new("a", &url).start().await;
    let running = call_under_way(&url).await;
    let begun = Instant::now();
    let mut signals = 0;
    until("the drain is ended", async || {
        signals += 1;
        provider.terminate();
        running.is_finished().then_some(())
    })
    .await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "it ended after {:?}", begun.elapsed());
    running.await.unwrap().unwrap_err();
    assert!(!provider.ended().await.success() && signals > 1);
    let said = provider.said("called `Result::unwrap()` on an `Err` value: ").await;
    assert_eq!(said, "a second SIGTERM ended the drain; calls may be cut");
}

#[tokio::test]
async fn a_closed_terminal_drains_a_provider() {
    let (registry, url) = support::registry(0).await;
    // Whoever runs the tests may have it ignored, as `nohup` does, and children inherit that.
    let hearing = "env --default-signal=HUP";
    let mut provider = ProviderCommand::new("a", &url).under(hearing).start().await;
    let running = call_under_way(&url).await;
    provider.signal("HUP");
    until_is("it is off the list", || registry.status().instances == 0).await;
    soon(running).await.unwrap().unwrap();
    assert!(provider.ended().await.success());
    assert_eq!(provider.said("ended with ").await, "0 calls cut");
}

#[tokio::test]
async fn under_nohup_a_closed_terminal_goes_unnoticed() {
    let (_registry, url) = support::registry(0).await;
    let mut provider = ProviderCommand::new("a", &url).under("nohup").start().await;
    let shop: ShopClient = support::consumer(&url, NO_RETRIES).client().await.unwrap();
    // It listens for signals by now.
    shop.look(1).await.unwrap();
    provider.signal("HUP");
    let status = std::fs::read_to_string(format!("/proc/{}/status", provider.id())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    assert_eq!(u64::from_str_radix(ignored.trim(), 16).unwrap() & 1, 1, "{status}");
    shop.look(2).await.unwrap();
    provider.terminate();
    assert!(provider.ended().await.success());
    assert_eq!(provider.said("ended with ").await, "0 calls cut");
}

#[tokio::test]
async fn a_rolling_restart_of_three_loses_no_call() {
    let (_registry, url) = support::registry(0).await;
    let mut providers = fleet(&url).await;
    let consumer = support::consumer(&url, NO_RETRIES);
    let shop: ShopClient = consumer.client().await.unwrap();
    let load = Load::start(&shop, Calls::Changing(3), 16);
    for (old, new) in providers.iter_mut().zip(["d", "e", "f"]) {
        let started = ProviderCommand::new(new, &url).start().await;
        load.answered_by(new).await;
        old.terminate();
        assert!(old.ended().await.success());
        *old = started;
    }
    load.answered(100).await;
    let seen = load.stop().await;
    seen.assert_none_failed();
    assert_eq!(seen.by_provider().len(), 6, "{:?}", seen.by_provider());
    assert_eq!(listed(&consumer), 3);
}

#[tokio::test]
async fn a_shutdown_in_the_program_reports_how_it_went() {
    let registry = support::memory();
    let provider = support::provider(&registry, "provider.drain_timeout = \"200ms\"");
    let provider = provider.serve(ShopServer::new(Clerk::new("a"))).start().await.unwrap();
    let shop: ShopClient = support::consumer(&registry, NO_RETRIES).client().await.unwrap();
    let (stays, slow) = (shop.clone(), shop.clone());
    let slow = tokio::spawn(async move { slow.build(1, 60_000).await });
    stays.look(2).await.unwrap();
    let report = soon(provider.shutdown()).await;
    assert_eq!(report.cut_calls, 1);
    assert!(report.took >= Duration::from_millis(200), "{report:?}");
    assert_eq!(soon(slow).await.unwrap().unwrap_err().code(), Code::Unavailable);
}
