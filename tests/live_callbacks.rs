//! Extensions and layers of the program's own that misbehave while settings change: one calls back into
//! the consumer that is making it, one panics. What was in force stays in force.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::{Arc, Mutex, OnceLock};

use dubhe::config::{Layer, Setting};
use dubhe::extend::{BuildContext, Extension, Filter, FilterScope, NoConfig};
use dubhe::{BoxInvoker, Consumer, Error, Extensions, RunningProvider};
use serde_json::json;
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::{memory, provider, soon, sources};

/// Calls back, as often as it can.
#[derive(Debug)]
struct Recursive;

/// Whom it calls back, and what it was told.
static CONSUMER: OnceLock<Consumer> = OnceLock::new();
static PROVIDER: OnceLock<Arc<RunningProvider>> = OnceLock::new();
static TOLD: Mutex<Vec<Error>> = Mutex::new(Vec::new());

fn call_back() {
    let told = [
        CONSUMER.get().map(Consumer::reload),
        CONSUMER.get().map(|consumer| consumer.apply_rules(Layer::new())),
        PROVIDER.get().map(|provider| provider.reload()),
    ];
    // To look at what there is waits for nobody.
    CONSUMER.get().map(|consumer| consumer.directory_state(&"test.Shop".parse().unwrap()));
    TOLD.lock().unwrap().extend(told.into_iter().flatten().filter_map(Result::err));
}

impl Extension<dyn Filter> for Recursive {
    const NAME: &'static str = "recursive";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Filter>, Error> {
        call_back();
        Ok(Arc::new(Self))
    }
}

impl Filter for Recursive {
    fn wrap(&self, _: &FilterScope<'_>, inner: BoxInvoker) -> BoxInvoker {
        call_back();
        inner
    }
}

/// What `change` gives; in a thread of its own, as it may be stuck.
async fn changed(
    change: impl FnOnce() -> Result<Vec<Setting>, Error> + Send + 'static,
) -> Result<Vec<Setting>, Error> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(change()));
    soon(result).await.unwrap()
}

fn rule(key: &str, filters: serde_json::Value) -> Layer {
    Layer::new().rule("r", key, filters)
}

#[tokio::test]
async fn an_extension_that_calls_back_while_it_is_made_is_refused_and_not_stuck() {
    let registry = memory();
    let extensions = Extensions::default().with_filter::<Recursive>();
    let provider = provider(&registry, "").extensions(extensions.clone());
    let provider = provider.serve(ShopServer::new(Clerk::new("a"))).start().await.unwrap();
    let provider = PROVIDER.get_or_init(|| Arc::new(provider));
    let consumer = Consumer::builder().sources(sources(&registry, "")).extensions(extensions);
    let consumer = CONSUMER.get_or_init(|| consumer.build().unwrap());
    let shop: ShopClient = consumer.client().await.unwrap();
    shop.look(1).await.unwrap();

    changed(|| consumer.apply_rules(rule("consumer.filters", json!(["recursive"])))).await.unwrap();
    changed(|| provider.apply_rules(rule("provider.filters", json!(["recursive"])))).await.unwrap();
    shop.look(2).await.unwrap();
    let told = TOLD.lock().unwrap().clone();
    let of = |whose: &str| {
        let begin = format!("an extension or a layer called back into {whose} that is making it");
        told.iter().filter(|error| error.is_busy() && error.to_string().starts_with(&begin)).count()
    };
    // Twice each: while it is built, and while its layers are made.
    assert!(of("this consumer") >= 4 && of("this provider") >= 2, "{told:?}");
    // Afterwards nothing is in the way.
    consumer.reload().unwrap();
    provider.reload().unwrap();
    shop.look(3).await.unwrap();
}

/// Panics for a handler and for calls of one method, after others were made.
#[derive(Debug)]
struct Fragile;

impl Extension<dyn Filter> for Fragile {
    const NAME: &'static str = "fragile";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Filter>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Filter for Fragile {
    fn wrap(&self, scope: &FilterScope<'_>, inner: BoxInvoker) -> BoxInvoker {
        assert!(scope.method.is_none_or(|method| method.name() != "ponder"), "not for ponder");
        BoxInvoker::from_invoke(Refuse(inner))
    }
}

struct Refuse(BoxInvoker);

impl dubhe::extend::Invoke for Refuse {
    fn invoke(&self, invocation: dubhe::Invocation) -> dubhe::extend::ReplyFuture {
        drop((self.0.clone(), invocation));
        Box::pin(std::future::ready(Err(dubhe::Status::aborted("refused by a half of a change"))))
    }
}

#[tokio::test]
async fn a_layer_that_panics_while_it_is_made_refuses_the_change_whole() {
    let registry = memory();
    let extensions = Extensions::default().with_filter::<Fragile>();
    let provider = provider(&registry, "").extensions(extensions.clone());
    let provider = provider.serve(ShopServer::new(Clerk::new("a"))).start().await.unwrap();
    let consumer = Consumer::builder().sources(sources(&registry, "")).extensions(extensions);
    let consumer = consumer.build().unwrap();
    let shop: ShopClient = consumer.client().await.unwrap();
    let own = |error: Error| {
        let text = "an extension or a layer of this program panicked while it was made: ";
        assert!(error.is_invalid_config() && error.to_string().starts_with(text), "{error}");
    };
    own(consumer.apply_rules(rule("consumer.filters", json!(["fragile"]))).unwrap_err());
    own(provider.apply_rules(rule("provider.filters", json!(["fragile"]))).unwrap_err());
    shop.look(1).await.unwrap();
    shop.ponder(1, 1).await.unwrap();
    consumer.reload().unwrap();
    provider.reload().unwrap();
}
