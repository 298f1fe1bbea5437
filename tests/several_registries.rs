//! Several registries in one configuration: providers are listed in all, found through any, and one
//! that dies takes nothing away.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::BTreeSet;

use dubhe::{Consumer, RunningProvider};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};

/// What stands in code where the file says otherwise; `memory://` would stay.
const REPLACED: &str = "static://127.0.0.1:1";

/// The settings of both registries as a file has them, over the one that the tests set.
fn both(first: &str, second: &str) -> String {
    format!("[[registry]]\naddress = \"{first}\"\n[[registry]]\naddress = \"{second}\"\n")
}

async fn start(name: &str, toml: &str) -> RunningProvider {
    let provider = support::provider(REPLACED, toml);
    let running = provider.serve(ShopServer::new(Clerk::new(name))).start().await.unwrap();
    support::until_is("it is registered everywhere", || running.is_registered()).await;
    running
}

/// Who answers through `consumer`, asked until all of `names` have.
async fn all_answer(shop: &ShopClient, names: &[&str]) {
    let mut seen = BTreeSet::new();
    support::until("all of them answer", async || {
        seen.insert(shop.look(1).await.unwrap().who);
        names.iter().all(|name| seen.contains(*name)).then_some(())
    })
    .await;
}

async fn shop(consumer: &Consumer) -> ShopClient {
    consumer.client().await.unwrap()
}

#[tokio::test]
async fn a_provider_of_several_registries_is_found_through_each_of_them() {
    let (first, second) = (support::memory(), support::memory());
    let running = start("a", &both(&first, &second)).await;
    for registry in [&first, &second] {
        all_answer(&shop(&support::consumer(registry, "")).await, &["a"]).await;
    }
    let only_second = support::provider(&second, "").serve(ShopServer::new(Clerk::new("b")));
    let only_second = only_second.start().await.unwrap();
    let consumer = support::consumer(REPLACED, &both(&first, &second));
    let shop = shop(&consumer).await;
    all_answer(&shop, &["a", "b"]).await;
    let state = consumer.directory_state(&"test.Shop".parse().unwrap()).unwrap();
    assert_eq!(state.endpoints, 2, "who is in both lists counts once");
    only_second.shutdown().await;
    running.shutdown().await;
}

#[tokio::test]
async fn one_registry_that_dies_takes_nothing_away() {
    let ((doomed, first), second) = (support::registry(0).await, support::memory());
    let toml = both(&first, &second);
    let running = start("a", &toml).await;
    let consumer = support::consumer(REPLACED, &toml);
    let shop = shop(&consumer).await;
    all_answer(&shop, &["a"]).await;

    drop(doomed);
    // It cannot be confirmed by the dead one, but it is found by way of the other.
    let provider = support::provider(REPLACED, &toml);
    let later = provider.serve(ShopServer::new(Clerk::new("b"))).start().await.unwrap();
    all_answer(&shop, &["a", "b"]).await;
    for id in 0..100 {
        shop.look(id).await.unwrap();
    }
    later.shutdown().await;
    running.shutdown().await;
}

#[tokio::test]
async fn calls_stay_in_the_nearest_zone_while_it_has_somebody() {
    let (near, far) = (support::memory(), support::memory());
    let at = |registry: &str| format!("[registry]\naddress = \"{registry}\"\n");
    let toml = format!(
        "[consumer]\nrouters = [{{ name = \"zone\", prefer = [\"here\", \"there\"] }}]\n\
         [[registry]]\naddress = \"{far}\"\nzone = \"there\"\n\
         [[registry]]\naddress = \"{near}\"\nzone = \"here\"\n"
    );
    let distant = start("far", &at(&far)).await;
    // What an instance says itself goes before what its registry says.
    let own = format!("{}[provider.metadata]\nzone = \"elsewhere\"\n", at(&near));
    let elsewhere = start("elsewhere", &own).await;
    let consumer = support::consumer(REPLACED, &toml);
    let shop = shop(&consumer).await;
    let only = async |phase: &str, who: &str| {
        all_answer(&shop, &[who]).await;
        for id in 0..200 {
            assert_eq!(shop.look(id).await.unwrap().who, who, "{phase}, call {id}");
        }
    };
    only("alone", "far").await;
    let close = start("near", &at(&near)).await;
    only("near", "near").await;
    close.shutdown().await;
    only("near has gone", "far").await;
    let again = start("again", &at(&near)).await;
    only("again", "again").await;
    again.shutdown().await;
    distant.shutdown().await;
    // In none of the zones, and better than nobody.
    only("all have gone", "elsewhere").await;
    elsewhere.shutdown().await;
}

#[tokio::test]
async fn a_router_of_zones_that_names_none_is_refused_in_words() {
    let toml = "[consumer]\nrouters = [\"zone\"]\n";
    let sources = support::sources(&support::memory(), toml);
    let error = Consumer::builder().sources(sources).build().unwrap_err().to_string();
    assert!(error.contains("`prefer` names no zone: write the zones"), "{error}");
}
