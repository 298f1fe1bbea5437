//! Types of one name in one service: descriptions and calls without a stub keep them apart.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "the whole file is a test")]

mod support;

use dubhe::prelude::*;
use dubhe::{Code, ServiceClient, ServiceKey};
use serde_json::{Value, json};
use support::memory;

mod v1 {
    #[dubhe::message]
    #[derive(Debug)]
    pub struct Item {
        pub a: u32,
    }
}

mod v2 {
    #[dubhe::message]
    #[derive(Debug)]
    pub struct Item {
        pub b: String,
    }
}

#[dubhe::message]
#[derive(Debug)]
struct Page<T> {
    items: Vec<T>,
}

#[dubhe::message]
#[derive(Debug)]
struct EventClick {
    x: i32,
}

#[dubhe::message]
#[derive(Debug)]
enum Event {
    None,
    Click { target: String },
    Sub(EventClick),
}

#[dubhe::service]
trait Two {
    async fn old(&self, page: Page<v1::Item>) -> Result<String>;
    async fn new(&self, page: Page<v2::Item>) -> Result<String>;
    async fn event(&self, event: Event) -> Result<String>;
}

struct Clerk;

impl Two for Clerk {
    async fn old(&self, page: Page<v1::Item>) -> Result<String> {
        Ok(format!("{:?}", page.items.iter().map(|item| item.a).collect::<Vec<_>>()))
    }

    async fn new(&self, page: Page<v2::Item>) -> Result<String> {
        Ok(format!("{:?}", page.items.iter().map(|item| &item.b).collect::<Vec<_>>()))
    }

    async fn event(&self, event: Event) -> Result<String> {
        Ok(match event {
            Event::None => "none".to_owned(),
            Event::Click { target } => target,
            Event::Sub(EventClick { x }) => x.to_string(),
        })
    }
}

#[tokio::test]
async fn each_type_is_described_and_called_as_itself() {
    let registry = memory();
    let provider = support::provider(&registry, "").serve(TwoServer::new(Clerk));
    let provider = provider.start().await.unwrap();
    let consumer = support::consumer(&registry, "");
    let two: ServiceKey = "Two".parse().unwrap();
    let described = consumer.describe(&two, support::PATIENCE).await.unwrap();
    assert_eq!(described.to_proto().unwrap(), TwoClient::DESCRIPTOR.to_proto());

    let dynamic = consumer.dynamic(&two).await.unwrap();
    let call = async |method: &str, arguments: Value| {
        let reply = dynamic.call(method, arguments).await?;
        Ok::<Value, Status>(reply["value"].clone())
    };
    let old = call("old", json!({ "items": [{ "a": 1 }] })).await.unwrap();
    assert_eq!(old, json!("[1]"));
    let new = call("new", json!({ "items": [{ "b": "x" }] })).await.unwrap();
    assert_eq!(new, json!("[\"x\"]"));
    for (method, item) in [("old", json!({ "b": "x" })), ("new", json!({ "a": 1 }))] {
        let status = call(method, json!({ "items": [item] })).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains("unknown field of `items[0]` (Item"), "{status}");
    }
    for (event, text) in
        [(json!({ "click": { "target": "t" } }), "t"), (json!({ "sub": { "x": 5 } }), "5")]
    {
        assert_eq!(call("event", event).await.unwrap(), json!(text));
    }
    let status = call("event", json!({ "sub": { "target": "t" } })).await.unwrap_err();
    assert!(status.message().contains("(EventClick2) `target`"), "{status}");
    provider.shutdown().await;
}
