//! Settings of a provider, and filters on both sides, that change while calls run.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dubhe::config::Layer;
use dubhe::extend::{BuildContext, Extension, Filter, FilterScope, Invoke, ReplyFuture};
use dubhe::prelude::*;
use dubhe::{BoxInvoker, Error, Extensions, Invocation, ServiceKey};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::{consumer, memory, provider, soon, sources, until_is};

fn rule(key: &str, value: impl Into<serde_json::Value>) -> Layer {
    Layer::new().rule("r", key, value)
}

fn service() -> ServiceKey {
    ServiceKey::new("test.Shop")
}

/// Counts the calls that passed it, since it was made.
#[derive(Debug)]
struct Meter(Arc<AtomicU64>);

static METERS: std::sync::Mutex<Vec<Arc<AtomicU64>>> = std::sync::Mutex::new(Vec::new());

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct MeterConfig {
    name: String,
}

impl Extension<dyn Filter> for Meter {
    const NAME: &'static str = "meter";
    type Config = MeterConfig;

    fn build(
        _: MeterConfig,
        context: &BuildContext,
    ) -> std::result::Result<Arc<dyn Filter>, Error> {
        let count = Arc::<AtomicU64>::default();
        if context.service().is_some_and(|service| service.interface() == "test.Shop") {
            METERS.lock().unwrap().push(count.clone());
        }
        Ok(Arc::new(Self(count)))
    }
}

impl Filter for Meter {
    fn wrap(&self, _: &FilterScope<'_>, inner: BoxInvoker) -> BoxInvoker {
        BoxInvoker::from_invoke(Metered(self.0.clone(), inner))
    }
}

struct Metered(Arc<AtomicU64>, BoxInvoker);

impl Invoke for Metered {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        self.0.fetch_add(1, Ordering::AcqRel);
        self.1.invoke(invocation)
    }
}

#[tokio::test]
async fn filters_of_a_provider_and_a_consumer_change_and_the_others_keep_what_they_know() {
    let registry = memory();
    let meter = || Extensions::default().with_filter::<Meter>();
    let counts = || -> Vec<u64> {
        METERS.lock().unwrap().iter().map(|count| count.load(Ordering::Acquire)).collect()
    };
    let running = provider(&registry, "").extensions(meter());
    let running = running.serve(ShopServer::new(Clerk::new("a"))).start().await.unwrap();
    let builder = Consumer::builder().sources(sources(&registry, ""));
    let consumer = builder.extensions(meter()).build().unwrap();
    let shop: ShopClient = consumer.client().await.unwrap();
    shop.look(1).await.unwrap();
    assert!(counts().is_empty());

    running.apply_rules(rule("provider.filters", "meter")).unwrap();
    shop.look(1).await.unwrap();
    shop.buy(1).await.unwrap();
    assert_eq!(counts(), [2]);

    // One more around it: the first goes on counting.
    let both = serde_json::json!([{ "name": "meter", "unit": "calls" }, "meter"]);
    let error = running.apply_rules(rule("provider.filters", both)).unwrap_err().to_string();
    assert!(error.contains("unknown parameter of meter `unit`"), "{error}");
    running.apply_rules(rule("provider.filters", serde_json::json!(["meter", "meter"]))).unwrap();
    shop.look(1).await.unwrap();
    assert_eq!(counts(), [3, 1]);

    consumer.apply_rules(rule("consumer.attempt_filters", "meter")).unwrap();
    // The directory's task puts it around the instances.
    until_is("attempts are counted", || counts().len() == 3).await;
    let before = counts()[2];
    soon(async {
        while counts()[2] == before {
            shop.look(1).await.unwrap();
        }
    })
    .await;
    running.apply_rules(Layer::new()).unwrap();
    let before = counts();
    shop.look(1).await.unwrap();
    assert_eq!(counts()[..2], before[..2]);
    running.shutdown().await;
}

#[tokio::test]
async fn a_provider_registers_anew_what_has_changed_of_it() {
    let registry = memory();
    let server = ShopServer::new(Clerk::new("a"));
    let running = provider(&registry, "").serve(server).start().await.unwrap();
    let consumer = consumer(&registry, "");
    let listed = async || consumer.instances(&service()).await.unwrap().remove(0);
    let before = listed().await;
    let rules = rule("provider.weight", 7).rule("r", "provider.metadata.zone", "east");
    running.apply_rules(rules).unwrap();
    let after = support::until("it is registered anew", async || {
        Some(listed().await).filter(|listed| listed.weight == 7)
    });
    let after = after.await;
    assert_eq!((&*after.metadata["zone"], &after.id), ("east", &before.id));
    assert_eq!(running.config().provider.weight, 7);
    let error = running.apply_rules(rule("provider.limits.in_flight", 1)).unwrap_err().to_string();
    assert!(error.starts_with("rule r: provider.limits.in_flight: cannot change"), "{error}");
    let typo = rule("provider.services.\"test.Shop\".methods.lok.filters", "x");
    assert!(running.apply_rules(typo).is_err());
    assert_eq!(running.config().provider.weight, 7, "the rules before stay in force");
}
