//! The registry dies and comes back: calls go on, and lists become right again by themselves.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::path::Path;
use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{DirectoryState, RunningProvider, ServiceKey, Source};
use support::load::{Calls, Load};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::{until, until_is};
use tokio::net::TcpListener;
use tokio::time::Instant;

fn state(consumer: &Consumer) -> DirectoryState {
    consumer.directory_state(&ServiceKey::new("test.Shop")).unwrap()
}

async fn provider(name: &str, registry: &str) -> RunningProvider {
    let provider = support::provider(registry, "").serve(ShopServer::new(Clerk::new(name)));
    provider.start().await.unwrap()
}

#[tokio::test]
async fn calls_go_on_without_the_registry_and_providers_come_back_to_it() {
    let (registry, url) = support::registry(0).await;
    let port = registry.local_addr().port();
    let (a, b) = (provider("a", &url).await, provider("b", &url).await);
    let consumer = support::consumer(&url, "");
    let shop: ShopClient = consumer.client().await.unwrap();
    let load = Load::start(&shop, Calls::Changing(1), 8);
    until_is("both are listed", || state(&consumer).endpoints == 2).await;
    load.answered(100).await;

    drop(registry);
    until_is("the providers notice", || !a.is_registered() && !b.is_registered()).await;
    load.answered(500).await;
    assert_eq!((state(&consumer).endpoints, state(&consumer).source), (2, Source::Live));
    let kept = state(&consumer);
    assert_eq!(kept.registry.to_string(), url);
    assert!(kept.to_string().starts_with("kept (registry lost for "), "{kept}");
    until_is("the cause is told", || state(&consumer).to_string().contains("cannot connect")).await;

    let (registry, _) = support::registry(port).await;
    until_is("both register again", || registry.status().instances == 2).await;
    until_is("both know it", || a.is_registered() && b.is_registered()).await;
    let c = provider("c", &url).await;
    load.answered_by("c").await;
    assert!(c.is_registered());
    assert_eq!(state(&consumer).to_string(), "live");
    load.stop().await.assert_none_failed();
}

#[tokio::test]
async fn a_provider_starts_without_its_registry_and_registers_later() {
    let (registry, url) = support::registry(0).await;
    let port = registry.local_addr().port();
    drop(registry);
    let a = provider("a", &url).await;
    assert!(!a.is_registered());
    let (_registry, _) = support::registry(port).await;
    let shop: ShopClient = support::consumer(&url, "").client().await.unwrap();
    until("it is found", async || shop.look(1).await.ok()).await;
    assert!(a.is_registered());
}

/// A consumer that keeps lists in `folder`.
fn caching(url: &str, folder: &Path) -> Consumer {
    let toml = format!("[registry]\ncache = true\ncache_dir = {:?}", folder.to_str().unwrap());
    support::consumer(url, &toml)
}

#[tokio::test]
async fn a_consumer_that_starts_without_its_registry_serves_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, url) = support::registry(0).await;
    let port = registry.local_addr().port();
    let _a = provider("a", &url).await;
    {
        let consumer = caching(&url, folder.path());
        let shop: ShopClient = consumer.client().await.unwrap();
        assert_eq!(shop.look(1).await.unwrap().who, "a");
        let is_written = || {
            let files = std::fs::read_dir(folder.path()).into_iter().flatten().flatten();
            // Not one that is still being written.
            files.into_iter().any(|file| file.path().extension().is_some_and(|e| e == "list"))
        };
        until_is("the list is on disk", is_written).await;
    }
    drop(registry);

    let consumer = caching(&url, folder.path());
    let shop: ShopClient = consumer.client().await.unwrap();
    assert_eq!(shop.look(2).await.unwrap().who, "a");
    let state_then = state(&consumer);
    let Source::Cache { age } = state_then.source else { panic!("{state_then:?}") };
    let told = state_then.to_string();
    assert!(told.starts_with("from cache, age ") && told.contains("cannot connect to"), "{told}");
    assert!(age < Duration::from_secs(60) && state_then.age >= age, "{state_then:?}");

    let (_registry, _) = support::registry(port).await;
    until_is("the list is live again", || state(&consumer).source == Source::Live).await;
    assert_eq!(shop.look(3).await.unwrap().who, "a");
}

#[tokio::test]
async fn without_registry_and_cache_a_call_says_so_in_time_and_heals_later() {
    let (registry, url) = support::registry(0).await;
    let port = registry.local_addr().port();
    drop(registry);
    let consumer = support::consumer(&url, "consumer.timeout = \"300ms\"");
    let shop: ShopClient = consumer.client().await.unwrap();
    let begun = Instant::now();
    let status = shop.look(1).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(status.code(), Code::Unavailable);
    let text = format!(
        "unavailable in test.Shop/look: no instance of test.Shop: registry {url} gives no list: \
         cannot connect to 127.0.0.1:{port}: Connection refused (os error 111), is it running? \
         (not sent); ended by the deadline: consumer.timeout = 300ms (dubhe.toml:1:20)"
    );
    assert_eq!(status.to_string(), text);

    let (_registry, _) = support::registry(port).await;
    let _a = provider("a", &url).await;
    let answer = until("it heals", async || shop.look(2).await.ok()).await;
    assert_eq!(answer.who, "a");
}

#[tokio::test]
async fn a_registry_that_takes_connections_and_says_nothing_is_as_good_as_dead() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("dubhe://{}", silent.local_addr().unwrap());
    let consumer = support::consumer(&url, "consumer.timeout = \"200ms\"");
    let shop: ShopClient = consumer.client().await.unwrap();
    let remedy = "check that it is running and reachable";
    let status = shop.look(1).await.unwrap_err();
    assert!(status.message().contains(&format!("no instance of test.Shop: registry {url} ")));
    assert!(status.message().ends_with(remedy), "{status}");
}

#[tokio::test]
async fn a_reachable_registry_without_the_service_is_told_apart() {
    let (registry, url) = support::registry(0).await;
    let consumer = support::consumer(&url, "");
    let shop: ShopClient = consumer.client().await.unwrap();
    let status = shop.look(1).await.unwrap_err();
    let text = &*format!(
        "no instance of test.Shop: registry {url} is reachable and lists none; start a provider, \
         or check that its registry, group and version are those of this consumer"
    );
    assert_eq!((status.code(), status.message()), (Code::Unavailable, text));

    drop(registry);
    until_is("the loss is noticed", || state(&consumer).to_string().contains("cannot connect"))
        .await;
    let status = shop.look(2).await.unwrap_err();
    let text = format!("no instance of test.Shop: registry {url} is lost (");
    assert!(status.message().starts_with(&text), "{status}");
    assert!(status.message().contains("is it running?) and its last list was empty"), "{status}");
}

#[tokio::test]
async fn without_a_provider_of_a_dev_registry_the_remedy_is_to_start_one() {
    let url = format!("dev://nobody-{}", std::process::id());
    let shop: ShopClient =
        support::consumer(&url, "consumer.timeout = \"300ms\"").client().await.unwrap();
    let status = shop.look(1).await.unwrap_err();
    let text = format!(
        "no instance of test.Shop: registry {url} gives no list: no provider runs, start one with \
         this registry"
    );
    assert_eq!(status.message(), text);
}

#[tokio::test]
async fn a_provider_without_the_protocol_of_a_client_is_told_from_one_that_is_not_there() {
    let (_registry, url) = support::registry(0).await;
    let provider = support::provider(&url, "provider.protocols = [\"json\"]");
    let provider = provider.serve(ShopServer::new(Clerk::new("a"))).start().await.unwrap();
    let shop: ShopClient = support::consumer(&url, "").client().await.unwrap();
    let status = shop.look(1).await.unwrap_err();
    let text = format!(
        "no instance of test.Shop: registry {url} lists 1 (at {}), all left out because they speak \
         only json and this consumer needs dubbo; add `dubbo` to their `provider.protocols`",
        provider.address()
    );
    assert_eq!((status.code(), status.message()), (Code::Unavailable, &*text));
}

#[tokio::test]
async fn the_port_of_a_provider_is_not_taken_for_a_registry_without_a_hint() {
    let (_registry, url) = support::registry(0).await;
    let provider = provider("a", &url).await;
    let wrong = format!("dubhe://{}", provider.address());
    let shop: ShopClient =
        support::consumer(&wrong, "consumer.timeout = \"300ms\"").client().await.unwrap();
    let status = shop.look(1).await.unwrap_err();
    let hint = "check host and port: what listens there may be a provider rather than a registry";
    assert!(status.message().ends_with(hint), "{status}");
}

#[tokio::test]
async fn of_two_registries_either_is_enough_to_find_a_provider() {
    let ((one, first), (two, second)) = (support::registry(0).await, support::registry(0).await);
    let both = format!("{first},{second}");
    let _a = provider("a", &both).await;
    until_is("both list it", || one.status().instances + two.status().instances == 2).await;
    drop(one);
    let consumer = support::consumer(&both, "");
    let shop: ShopClient = consumer.client().await.unwrap();
    assert_eq!(shop.look(1).await.unwrap().who, "a");
    let told = state(&consumer).to_string();
    assert!(told.starts_with("kept (") && told.contains(&format!("{first}: cannot")), "{told}");
    drop(two);
    assert_eq!(shop.look(2).await.unwrap().who, "a");
}
