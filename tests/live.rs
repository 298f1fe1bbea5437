//! Settings that change while calls run: put in force whole, or refused whole.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dubhe::config::{ConfigFile, Layer, Sources};
use dubhe::extend::{
    BuildContext, Candidates, Extension, Filter, FilterScope, LoadBalance, NoConfig,
};
use dubhe::prelude::*;
use dubhe::{BoxInvoker, Error, Extensions, Invocation, RunningProvider, ServiceKey};
use support::load::{Calls, Load};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::{consumer, memory, provider, soon, sources, until, until_is};
use tokio::time::Instant;
use tower::util::MapRequestLayer;

async fn serve(registry: &str, name: &str) -> RunningProvider {
    let provider = provider(registry, "provider.warmup = \"0s\"");
    provider.serve(ShopServer::new(Clerk::new(name))).start().await.unwrap()
}

fn rule(key: &str, value: impl Into<serde_json::Value>) -> Layer {
    Layer::new().rule("r", key, value)
}

#[tokio::test]
async fn a_rule_counts_at_once_for_every_client_there_is_and_ends_when_it_is_taken_back() {
    let registry = memory();
    let _running = serve(&registry, "a").await;
    let consumer = consumer(&registry, "");
    let (one, two): (ShopClient, ShopClient) =
        (consumer.client().await.unwrap(), consumer.client().await.unwrap());
    let dynamic = soon(consumer.dynamic(&"test.Shop".parse().unwrap())).await.unwrap();
    one.ponder(1, 1).await.unwrap();

    let key = "consumer.services.\"test.Shop\".methods.ponder.timeout";
    let changed = consumer.apply_rules(rule(key, "20ms")).unwrap();
    let told: Vec<String> = changed.iter().map(ToString::to_string).collect();
    let shown = "consumer.services.\"test.Shop\".methods.ponder.timeout = \"20ms\" (rule r)";
    assert_eq!(told, [shown]);
    let hint = "consumer.services.\"test.Shop\".methods.ponder.timeout = 20ms (rule r)";
    for late in [one.ponder(1, 60_000).await, two.ponder(1, 60_000).await] {
        let late = late.unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded);
        assert!(late.hint().unwrap().ends_with(hint), "{late}");
    }
    let late = dynamic.call("ponder", serde_json::json!([1, 60_000])).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    // A call's own options are stronger, other methods are as they were.
    one.with(CallOptions::new().timeout(Duration::from_secs(5))).ponder(1, 50).await.unwrap();
    one.build(1, 50).await.unwrap();
    let method = consumer.config().method(&service(), "ponder", &Default::default());
    assert_eq!(method.timeout.origin.to_string(), "rule r");

    let changed = consumer.apply_rules(Layer::new()).unwrap();
    assert_eq!((changed.len(), &*changed[0].value), (1, "null"));
    one.ponder(1, 50).await.unwrap();
}

fn service() -> ServiceKey {
    ServiceKey::new("test.Shop")
}

#[tokio::test]
async fn what_is_wrong_is_refused_whole_and_the_last_good_stays() {
    let registry = memory();
    let _running = serve(&registry, "a").await;
    let consumer = consumer(&registry, "consumer.timeout = \"4s\"");
    let shop: ShopClient = consumer.client().await.unwrap();
    let before = consumer.config();
    for (key, value, told) in [
        ("consumer.timeout", "soon", "rule r: consumer.timeout: "),
        ("consumer.cluster", "failovr", "rule r: consumer.cluster: unknown cluster `failovr`"),
        ("consumer.filters", "none", "rule r: consumer.filters: unknown filter `none`"),
        // Found only with the methods of the client that there is.
        (
            "consumer.services.\"test.Shop\".methods.lok.retries",
            "1",
            "`lok` (did you mean `look`?)",
        ),
        ("consumer.services.\"test.Shop\".cluster", "failsafe", "has nothing to answer in place"),
        ("provider.port", "1", "rule r: provider.port: cannot change while the program runs"),
        ("application.name", "x", "rule r: application.name: cannot change while"),
    ] {
        let value: serde_json::Value = value.parse().unwrap_or_else(|_| value.into());
        let error = consumer.apply_rules(rule("consumer.retries", 7).rule("r", key, value));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(told), "{key}: {error}");
        assert!(Arc::ptr_eq(&before, &consumer.config()), "{key}");
    }
    shop.look(1).await.unwrap();
    consumer.apply_rules(rule("consumer.retries", 7)).unwrap();
    assert_eq!((before.consumer.retries, consumer.config().consumer.retries), (2, 7));
}

#[tokio::test]
async fn a_file_that_has_changed_counts_once_it_is_read_again() {
    let registry = memory();
    let running = serve(&registry, "a").await;
    let consumer = consumer(&registry, "");
    let shop: ShopClient = consumer.client().await.unwrap();
    let changed = consumer.reload_from(sources(&registry, "\n[consumer]\ntimeout = \"20ms\"\n"));
    // `consumer.timeout` of the builder is weaker than a file.
    assert_eq!(changed.unwrap()[0].to_string(), "consumer.timeout = \"20ms\" (dubhe.toml:3:11)");
    assert_eq!(shop.ponder(1, 60_000).await.unwrap_err().code(), Code::DeadlineExceeded);
    // The same sources say the same.
    assert_eq!(consumer.reload().unwrap(), []);
    let error = consumer.reload_from(sources(&registry, "[consumer]\ntimeout = 3\n"));
    assert!(error.unwrap_err().to_string().starts_with("dubhe.toml:2:11: consumer.timeout: "));
    assert_eq!(shop.ponder(1, 60_000).await.unwrap_err().code(), Code::DeadlineExceeded);

    let other = sources("memory://elsewhere", "");
    let error = consumer.reload_from(other.clone()).unwrap_err().to_string();
    let start = "builder: registry.address: cannot change while the program runs";
    assert!(error.starts_with(start), "{error}");
    let error = running.reload_from(other).unwrap_err().to_string();
    assert!(error.starts_with(start), "{error}");
}

#[tokio::test]
async fn a_call_under_way_ends_by_the_plan_it_began_with() {
    let registry = memory();
    let _running = serve(&registry, "a").await;
    let consumer = consumer(&registry, "consumer.timeout = \"300ms\"");
    let shop: ShopClient = consumer.client().await.unwrap();
    shop.look(1).await.unwrap();
    let call = tokio::spawn({
        let shop = shop.clone();
        async move { shop.ponder(1, 60_000).await }
    });
    tokio::task::yield_now().await;
    let rules = rule("consumer.timeout", "1m").rule("r", "consumer.cluster", "failfast");
    consumer.apply_rules(rules).unwrap();
    let late = soon(call).await.unwrap().unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert!(late.hint().unwrap().ends_with("300ms, which has changed since"), "{late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_changes_under_load_fail_no_call_and_keep_the_connections() {
    let registry = memory();
    let peers: Arc<std::sync::Mutex<BTreeSet<(&str, String)>>> = Arc::default();
    let mut running = Vec::new();
    for name in ["a", "b"] {
        let peers = peers.clone();
        let note = MapRequestLayer::new(move |invocation: Invocation| {
            let peer = format!("{:?}", invocation.peer);
            peers.lock().unwrap().insert((name, peer));
            invocation
        });
        let provider = provider(&registry, "provider.warmup = \"0s\"").layer(note);
        let server = ShopServer::new(Clerk::new(name));
        running.push(provider.serve(server).start().await.unwrap());
    }
    let extensions = || Extensions::default().with_filter::<Pass>();
    let builder = || Consumer::builder().sources(sources(&registry, ""));
    let consumer = builder().extensions(extensions()).build().unwrap();
    let shop: ShopClient = consumer.client().await.unwrap();
    shop.look(0).await.unwrap();
    let load = Load::start(&shop, Calls::Changing(0), 16);
    load.answered(50).await;
    for round in 0..1_000_u64 {
        let layer = match round % 5 {
            0 => rule("consumer.loadbalance", "roundrobin"),
            1 => rule("consumer.cluster", "failfast").rule("r", "consumer.timeout", "9s"),
            2 => rule("consumer.filters", "pass").rule("r", "consumer.codec", "json"),
            3 => rule("consumer.attempt_filters", "pass").rule(
                "r",
                "consumer.ejection.enabled",
                false,
            ),
            _ => rule("consumer.retry_budget.percent", 10).rule(
                "r",
                "consumer.services.\"test.Shop\".instances.\"127.0.0.1\".weight",
                7,
            ),
        };
        assert!(!consumer.apply_rules(layer).unwrap().is_empty());
        if round % 10 == 0 {
            load.answered(20).await;
        }
    }
    let seen = soon(load.stop()).await;
    seen.assert_none_failed();
    assert!(seen.answered.len() >= 2_000, "{}", seen.answered.len());
    assert_eq!(consumer.directory_state(&service()).unwrap().candidates, 2);
    let peers = peers.lock().unwrap();
    assert_eq!(
        peers.len(),
        2,
        "one connection to each, from the first call to the last: {peers:?}"
    );
}

/// Lets everything pass.
#[derive(Debug)]
struct Pass;

impl Extension<dyn Filter> for Pass {
    const NAME: &'static str = "pass";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> std::result::Result<Arc<dyn Filter>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Filter for Pass {
    fn wrap(&self, _: &FilterScope<'_>, inner: BoxInvoker) -> BoxInvoker {
        inner
    }
}

/// In turn, as long as nobody makes it anew.
#[derive(Debug, Default)]
struct Turn(AtomicU64);

impl Extension<dyn LoadBalance> for Turn {
    const NAME: &'static str = "turn";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> std::result::Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self::default()))
    }
}

impl LoadBalance for Turn {
    /// The first three calls go to the first instance, all others to the second.
    fn select(&self, _: &Candidates, _: &Invocation, _: Instant) -> usize {
        usize::from(self.0.fetch_add(1, Ordering::AcqRel) >= 3)
    }
}

#[tokio::test]
async fn a_balancer_that_is_still_chosen_goes_on_where_it_was() {
    let registry = memory();
    let (_a, _b) = (serve(&registry, "a").await, serve(&registry, "b").await);
    let extensions = Extensions::default().with_load_balance::<Turn>();
    let builder = Consumer::builder().sources(sources(&registry, "")).extensions(extensions);
    let consumer = builder.set("consumer.loadbalance", "turn").build().unwrap();
    let shop: ShopClient = consumer.client().await.unwrap();
    let state = || consumer.directory_state(&service()).unwrap();
    until_is("both are listed", || state().endpoints == 2).await;
    let first = shop.look(1).await.unwrap().who;
    for _ in 0..2 {
        shop.look(1).await.unwrap();
    }
    // Being chosen opens its connection; until it has answered the calls go to the first.
    let second = until("the second has answered", async || {
        Some(shop.look(1).await.unwrap().who).filter(|who| *who != first)
    });
    let second = second.await;
    for rules in [
        rule("consumer.timeout", "3s"),
        rule("consumer.cluster", "failfast"),
        rule("consumer.codec", "json"),
        rule("consumer.retries", 1),
        // Chosen by another setting, and still the same.
        rule("consumer.services.\"test.Shop\".loadbalance", "turn"),
    ] {
        consumer.apply_rules(rules).unwrap();
        assert_eq!(shop.look(1).await.unwrap().who, second);
    }
    consumer.apply_rules(rule("consumer.loadbalance", "random")).unwrap();
    consumer.apply_rules(Layer::new()).unwrap();
    assert_ne!(shop.look(1).await.unwrap().who, second, "chosen again it begins anew");
}

#[tokio::test]
async fn instances_are_taken_for_what_a_rule_says_whatever_they_publish() {
    let registry = memory();
    let (a, b) = (serve(&registry, "a").await, serve(&registry, "b").await);
    let consumer = consumer(&registry, "consumer.loadbalance = \"roundrobin\"");
    let shop: ShopClient = consumer.client().await.unwrap();
    let state = || consumer.directory_state(&service()).unwrap();
    until_is("both are listed", || state().endpoints == 2).await;
    shop.look(1).await.unwrap();

    let disabled = |address: &str| format!("consumer.instances.\"{address}\".disabled");
    consumer.apply_rules(rule(&disabled(a.address()), true)).unwrap();
    until_is("one is disabled", || (state().endpoints, state().disabled) == (1, 1)).await;
    let answered = answers(&shop, 20).await;
    assert_eq!(answered, BTreeMap::from([("b".to_owned(), 20)]));

    let both = rule(&disabled(a.address()), true).rule("r", &disabled(b.address()), true);
    consumer.apply_rules(both).unwrap();
    until_is("both are disabled", || state().endpoints == 0).await;
    let nobody = shop.look(1).await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unavailable);
    assert!(
        nobody.message().contains("lists 2, all disabled, by their providers or by this consumer"),
        "{nobody}"
    );

    let weight = |address: &str| format!("consumer.instances.\"{address}\".weight");
    consumer.apply_rules(rule(&weight(a.address()), 300)).unwrap();
    until_is("both are back", || state().endpoints == 2).await;
    let mut seen = BTreeSet::new();
    until("both have answered", async || {
        seen.insert(shop.look(1).await.unwrap().who);
        (seen.len() == 2).then_some(())
    })
    .await;
    // 300 to 100.
    let answered = answers(&shop, 40).await;
    assert_eq!(answered, BTreeMap::from([("a".to_owned(), 30), ("b".to_owned(), 10)]));
}

async fn answers(shop: &ShopClient, calls: u64) -> BTreeMap<String, u64> {
    let mut answered = BTreeMap::new();
    for id in 0..calls {
        *answered.entry(shop.look(id).await.unwrap().who).or_default() += 1;
    }
    answered
}

#[tokio::test]
async fn what_a_process_is_started_with_is_read_again_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dubhe.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let file = Some(ConfigFile::read(&path).unwrap());
        let builder = Layer::new().set("registry.address", "memory://read-again");
        Sources { builder, file, ..Sources::default() }
    };
    let consumer = Consumer::builder().sources(read("consumer.retries = 1\n")).build();
    let consumer = consumer.unwrap();
    let changed = consumer.reload_from(read("\nconsumer.retries = 5\n")).unwrap();
    assert!(changed[0].to_string().ends_with("dubhe.toml:2:20)"), "{}", changed[0]);
    assert_eq!(consumer.config().consumer.retries, 5);
}
