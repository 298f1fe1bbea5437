//! A provider that serves its protocols at different addresses is one instance, and a call goes to the
//! address of the protocol that carries it.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use dubhe::{Instance, ServiceKey};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::until;

#[tokio::test]
async fn a_call_goes_to_the_address_of_the_protocol_that_carries_it() {
    let (_server, url) = support::registry(0).await;
    let registry = registry::connect(&url).unwrap();
    let shop = ShopServer::new(Clerk::new("a"));
    let unlisted = support::provider("static://127.0.0.1:1", "").serve(shop).start().await.unwrap();

    // Its first protocol is spoken where nobody answers, and by nobody here.
    let service = ServiceKey::new("test.Shop");
    let (dubbo, address) = ("dubbo".to_owned(), unlisted.address().into());
    let instance = Instance {
        protocols: ["tri".to_owned(), dubbo.clone()].into(),
        endpoints: [(dubbo, address)].into(),
        ..Instance::new(service.clone(), "127.0.0.1:2", "start-1")
    };
    let _listed = registry.register(instance).await.unwrap();

    let consumer = support::consumer(&url, "");
    let client: ShopClient = consumer.client().await.unwrap();
    until("it is found", async || client.look(1).await.ok()).await;
    let state = consumer.directory_state(&service).unwrap();
    assert_eq!(state.endpoints, 1, "two addresses are one instance");
}
