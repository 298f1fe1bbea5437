//! Nodes among the overrides of a service, written by hand at a real server.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use dubhe_registry::{ConfigValue, OVERRIDES, connect};
use servers::{ZooKeeperHand, ZooKeeperServer};
use tokio::time::timeout;
use world::SOON;
use world::log::{listen, logged};

#[tokio::test]
async fn orders_for_the_absent_are_read_and_what_is_no_override_is_one_warning() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    let folder = "/no-overrides/dubbo/shop.Stock/configurators";
    let mut hand = ZooKeeperHand::open(server.address()).unwrap();
    for name in ["nothing", "route%3A%2F%2F0.0.0.0%2Fshop.Stock%3Fa%3Db", "%FF"] {
        hand.put(&format!("{folder}/{name}"), b"").unwrap();
    }
    listen();
    let registry = connect(&format!("zookeeper://{}/no-overrides", server.address())).unwrap();
    let centre = registry.config_center().unwrap();
    let mut watch = centre.watch("shop.Stock::", OVERRIDES).await.unwrap();
    assert_eq!(watch.latest(), ConfigValue::Absent);
    let absent = "absent://0.0.0.0/shop.Stock?timeout=1";
    let name = "absent%3A%2F%2F0.0.0.0%2Fshop.Stock%3Ftimeout%3D1";
    hand.put(&format!("{folder}/{name}"), b"").unwrap();
    let expected = ConfigValue::Set(serde_json::json!([absent]).to_string().into());
    let shown = async {
        while watch.latest() != expected {
            watch.next().await.unwrap();
        }
    };
    timeout(SOON, shown).await.expect("it is read");
    let warned = ["nodes among the overrides of a service have no effect", "count=3"];
    assert_eq!(logged(&warned), 1);
}
