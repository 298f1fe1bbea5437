//! A router of one's own.

use std::sync::Arc;

use dubhe::extend::{BuildContext, Endpoint, Extension, Router};
use dubhe::prelude::*;
use dubhe::{Error, Extensions, Invocation};
use serde::Deserialize;

use crate::shop::{self, Shop, Stock, StockClient};

/// Sends calls that carry a tag to the instances with that tag, and all others elsewhere.
#[derive(Debug)]
struct Tag(TagConfig);

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TagConfig {
    key: String,
}

impl Default for TagConfig {
    fn default() -> Self {
        Self { key: "tag".to_owned() }
    }
}

impl Extension<dyn Router> for Tag {
    const NAME: &'static str = "own-tag";
    type Config = TagConfig;

    fn build(config: TagConfig, _: &BuildContext) -> std::result::Result<Arc<dyn Router>, Error> {
        Ok(Arc::new(Self(config)))
    }
}

impl Router for Tag {
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, invocation: &Invocation) {
        let wanted = invocation.metadata.value(&self.0.key);
        let key = &self.0.key;
        candidates
            .retain(|endpoint| endpoint.instance().metadata.get(key).map(String::as_str) == wanted);
    }

    fn why(&self, _: &Endpoint, _: &Invocation) -> Option<String> {
        Some(format!("its {} is another", self.0.key))
    }
}

#[tokio::test]
async fn an_own_router_is_chosen_by_name_for_all_services_one_or_a_method() {
    let url = "memory://own-router";
    let main = shop::serve(url, &Shop::new("main")).await;
    let server = shop::StockServer::from_arc(Shop::new("gray"));
    let gray = shop::provider(url).set("provider.metadata.tag", "gray").serve(server);
    let gray = gray.start().await.unwrap();
    let with = || Extensions::default().with_router::<Tag>();

    for (key, value) in [
        ("consumer.routers", serde_json::json!(["own-tag"])),
        (
            "consumer.services.\"shop.Stock\".routers",
            serde_json::json!([{ "name": "own-tag", "key": "tag" }]),
        ),
    ] {
        let consumer = shop::consumer(url).extensions(with()).set(key, value).build().unwrap();
        let stock: StockClient = consumer.client().await.unwrap();
        let tagged = stock.with(CallOptions::new().metadata("tag", "gray"));
        let nowhere = stock.with(CallOptions::new().metadata("tag", "none"));
        for article in 0..10 {
            assert_eq!(stock.count(article).await.unwrap(), format!("main {article}"));
            assert_eq!(tagged.count(article).await.unwrap(), format!("gray {article}"));
        }
        let status = nowhere.count(1).await.unwrap_err();
        let text = format!("router `own-tag` of {key} (builder) removed the last 2 of 2 (");
        assert!(status.message().contains(&text), "{status}");
        assert!(status.message().ends_with(": its tag is another); check that rule"), "{status}");
    }
    let own = "consumer.services.\"shop.Stock\".methods.count.routers";
    let consumer = shop::consumer(url).extensions(with()).set(own, "own-tag").build().unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    let tagged = stock.with(CallOptions::new().metadata("tag", "none"));
    assert_eq!(tagged.count(1).await.unwrap_err().code(), Code::Unavailable);
    tagged.take(1).await.unwrap();

    let unknown = shop::consumer(url).set("consumer.routers", "own-tga").extensions(with());
    let message = unknown.build().unwrap_err().to_string();
    let start = "builder: consumer.routers: unknown router `own-tga` (did you mean `own-tag`?)";
    assert!(message.starts_with(start), "{message}");
    gray.shutdown().await;
    main.shutdown().await;
}
