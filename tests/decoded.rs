//! Bodies that take little on the wire and much when they are read: refused by either side past its
//! `limits.decoded`, whatever the codec, and nothing else is.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::HashMap;

use dubhe::prelude::*;
use dubhe::{Delivery, RunningProvider};
use support::http::post;
use support::memory;

#[dubhe::message]
#[derive(Debug, Clone)]
struct Order {
    id: u64,
    customer: String,
    street: String,
    city: String,
    note: Option<String>,
    tags: Vec<String>,
    prices: HashMap<u64, f64>,
}

#[dubhe::service(name = "test.Orders")]
trait Orders {
    async fn put(&self, orders: Vec<Order>) -> Result<u32>;
    async fn list(&self, count: u32) -> Result<Vec<Order>>;
}

struct Desk;

impl Orders for Desk {
    async fn put(&self, orders: Vec<Order>) -> Result<u32> {
        Ok(orders.len() as u32)
    }

    async fn list(&self, count: u32) -> Result<Vec<Order>> {
        Ok(vec![Order::default(); count as usize])
    }
}

const CODECS: [&str; 3] = ["protobuf", "msgpack", "json"];

async fn open(codec: &str, toml: &str) -> (RunningProvider, OrdersClient) {
    let provider = support::provider(&memory(), toml).serve(OrdersServer::new(Desk));
    let provider = provider.start().await.unwrap();
    let toml = format!("consumer.codec = \"{codec}\"\n{toml}");
    let client = support::consumer(&support::fixed(&provider), &toml).client().await.unwrap();
    (provider, client)
}

#[tokio::test]
async fn arguments_past_the_limit_are_refused_by_name() {
    for codec in CODECS {
        let (_provider, orders) = open(codec, "provider.limits.decoded = \"1MiB\"").await;
        assert_eq!(orders.put(vec![Order::default(); 1_000]).await.unwrap(), 1_000, "{codec}");
        let status = orders.put(vec![Order::default(); 20_000]).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert_eq!(
            status.message(),
            "arguments of test.Orders/put take more than the limit of 1048576 bytes of memory; send \
             less at a time or raise `provider.limits.decoded`"
        );
        // The next body begins anew.
        assert_eq!(orders.put(vec![Order::default(); 1_000]).await.unwrap(), 1_000, "{codec}");
    }
}

#[tokio::test]
async fn a_reply_past_the_limit_is_refused_by_name() {
    for codec in CODECS {
        let (_provider, orders) = open(codec, "consumer.limits.decoded = \"1MiB\"").await;
        assert_eq!(orders.list(1_000).await.unwrap().len(), 1_000, "{codec}");
        let status = orders.list(20_000).await.unwrap_err();
        let (code, delivery) = (status.code(), status.delivery());
        assert_eq!((code, delivery), (Code::ResourceExhausted, Delivery::Answered), "{status}");
        assert_eq!(
            status.message(),
            "the reply of test.Orders/list takes more than the limit of 1048576 bytes of memory; \
             raise `consumer.limits.decoded` or ask for less"
        );
    }
}

#[tokio::test]
async fn an_empty_request_of_millions_of_orders_is_refused_by_default() {
    let (provider, orders) = open("protobuf", "").await;
    // 1.5 MiB that would be 100 MB and more.
    let body = format!("[[{}{{}}]]", "{},".repeat(500_000));
    let answer = post(provider.local_addr(), "/test.Orders/put", &body).await;
    let (code, message) = answer.error();
    assert_eq!((answer.status, &*code), (400, "invalid_argument"), "{message}");
    assert!(message.contains("67108864") && message.contains("`provider.limits.decoded`"));
    let status = orders.put(vec![Order::default(); 500_000]).await.unwrap_err();
    assert!(status.message().contains("`provider.limits.decoded`"), "{status}");
}

#[tokio::test]
async fn a_call_without_a_stub_has_the_limit_too() {
    let (provider, _) = open("json", "").await;
    let toml = "consumer.limits.decoded = \"1MiB\"";
    let consumer = support::consumer(&support::fixed(&provider), toml);
    let orders = consumer.dynamic(&"test.Orders".parse().unwrap()).await.unwrap();
    orders.call("list", serde_json::json!([100])).await.unwrap();
    let status = orders.call("list", serde_json::json!([20_000])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("`consumer.limits.decoded`"), "{status}");
}
