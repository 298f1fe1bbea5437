//! What holds wherever rules and providers are kept, at real servers: ZooKeeper, etcd, and Nacos where
//! `cargo xtask nacos` runs this.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::any::Any;
use std::collections::BTreeSet;

use dubhe::{Consumer, ServiceKey};
use servers::{EtcdServer, ZooKeeperHand, ZooKeeperServer};
use support::rules::{self, serve, serve_with};
use support::shop::{Shop, ShopClient};
use support::{consumer, until};

/// What stands in code where the file says otherwise; `memory://` would stay.
const REPLACED: &str = "static://127.0.0.1:1";

/// The address of a registry at each server that is there, and what keeps the server running.
fn registries(test: &str) -> Vec<(String, Box<dyn Any>)> {
    let mut all: Vec<(String, Box<dyn Any>)> = Vec::new();
    if let Some(server) = ZooKeeperServer::shared() {
        all.push((format!("zookeeper://{}/{test}", server.address()), Box::new(server)));
    }
    if let Some(server) = EtcdServer::shared() {
        all.push((format!("etcd://{}?group={test}", server.address()), Box::new(server)));
    }
    #[cfg(feature = "nacos")]
    all.extend(servers::NacosVersion::ALL.into_iter().filter_map(|version| {
        let at = servers::Nacos::shared(version)?;
        let namespace = format!("{test}-{}", std::process::id());
        Some((format!("nacos://{at}?namespace={namespace}"), Box::new(()) as Box<dyn Any>))
    }));
    all
}

#[tokio::test]
async fn rules_of_a_server_are_in_force_within_a_second_while_calls_run() {
    for (registry, _server) in registries("rules-of-calls") {
        rules::are_followed_by_a_consumer(&registry).await;
    }
}

#[tokio::test]
async fn a_provider_registers_what_rules_of_a_server_order() {
    for (registry, _server) in registries("rules-of-providers") {
        rules::are_followed_by_a_provider(&registry).await;
    }
}

/// The retries and the timeout of `look`, and which of them give way to whatever is set.
fn orders(consumer: &Consumer) -> String {
    let service = ServiceKey::new("test.Shop");
    let method = consumer.config().method(&service, "look", &Default::default());
    let (retries, timeout) = (method.retries, method.timeout);
    let given_way = [retries.origin.to_string(), timeout.origin.to_string()];
    let given_way = given_way.map(|origin| origin.ends_with("(absent)"));
    format!("{}, {:?}, {given_way:?}", retries.value, timeout.value)
}

#[tokio::test]
async fn overrides_and_orders_for_the_absent_beside_the_providers_are_both_in_force() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let registry = format!("zookeeper://{}/overrides", server.address());
    let _running = serve(&registry, "a").await;
    let consumer = consumer(&registry, "");
    let shop: ShopClient = consumer.client().await.unwrap();
    shop.look(1).await.unwrap();
    let mut hand = ZooKeeperHand::open(server.address()).unwrap();
    let node = |scheme: &str, orders: &str| {
        let query = format!("category%3Dconfigurators%26dynamic%3Dfalse%26{orders}");
        let url = format!("{scheme}%3A%2F%2F0.0.0.0%2Ftest.Shop%3F{query}");
        format!("/overrides/dubbo/test.Shop/configurators/{url}")
    };
    hand.put(&node("absent", "retries%3D7%26timeout%3D2500"), b"").unwrap();
    let is = async |expected: &str| {
        until(expected, async || (orders(&consumer) == expected).then_some(())).await;
    };
    // The tests set a timeout themselves, and no retries.
    is("7, 5s, [true, false]").await;
    hand.put(&node("override", "timeout%3D3500"), b"").unwrap();
    is("7, 3.5s, [true, false]").await;
    hand.put(&node("override", "retries%3D1"), b"").unwrap();
    is("1, 3.5s, [false, false]").await;
    hand.remove("/overrides/dubbo/test.Shop/configurators").unwrap();
    is("2, 5s, [false, false]").await;
    shop.look(2).await.unwrap();
}

#[tokio::test]
async fn who_is_at_two_servers_counts_once_and_calls_stay_in_the_nearest_zone() {
    let (Some(zookeeper), Some(etcd)) = (ZooKeeperServer::shared(), EtcdServer::shared()) else {
        return;
    };
    let toml = format!(
        "[[registry]]\naddress = \"zookeeper://{}/zones\"\n\
         [[registry]]\naddress = \"etcd://{}?group=zones\"\n",
        zookeeper.address(),
        etcd.address()
    );
    let zoned = |zone: &str| format!("{toml}[provider.metadata]\nzone = \"{zone}\"\n");
    let far = serve_with(REPLACED, "far", &zoned("there")).await;
    let near = serve_with(REPLACED, "near", &zoned("here")).await;
    let prefer = "[consumer]\nrouters = [{ name = \"zone\", prefer = [\"here\", \"there\"] }]\n";
    let consumer = consumer(REPLACED, &format!("{prefer}{toml}"));
    let shop: ShopClient = consumer.client().await.unwrap();
    let endpoints = || consumer.directory_state(&ServiceKey::new("test.Shop")).unwrap().endpoints;
    until("both are listed", async || (endpoints() == 2).then_some(())).await;
    let only = async |who: &str| {
        let names = async || {
            let mut names = BTreeSet::new();
            for id in 0..50 {
                names.insert(shop.look(id).await.unwrap().who);
            }
            names
        };
        let expected = BTreeSet::from([who.to_owned()]);
        until(who, async || (names().await == expected).then_some(())).await;
    };
    only("near").await;
    assert_eq!(endpoints(), 2, "who is in both lists counts once");
    near.shutdown().await;
    only("far").await;
    far.shutdown().await;
}
