//! Rules of a config centre that are wrong: one warning each, which names key and place, and the last
//! good one stays in force.
//!
//! One test in a file of its own: which events are wanted is cached for the whole process.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dubhe::extend::ConfigCenter;
use dubhe::{Consumer, RunningProvider, ServiceKey};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::{consumer, memory, provider, until, until_is};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

const RULE: &str = "test.Shop::.configurators";

/// Notes every warning about rules as text, and counts rules in force.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>);

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}: {value:?}; "));
    }
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() != "dubhe::config" {
            return;
        }
        let mut text = String::new();
        event.record(&mut Text(&mut text));
        match *metadata.level() {
            Level::WARN => self.0.lock().unwrap().push(text),
            _ if text.contains("message: rule in force") => {
                self.1.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
    }
}

impl Warnings {
    /// The warnings of consumer and provider, which listen to the same rule.
    async fn both(&self, what: &str) -> Vec<String> {
        until(what, async || {
            let mut all = self.0.lock().unwrap();
            (all.len() == 2).then(|| std::mem::take(&mut *all))
        })
        .await
    }

    /// The only warning that comes.
    async fn one(&self, what: &str) -> String {
        let one = until(what, async || self.0.lock().unwrap().pop()).await;
        assert_eq!(*self.0.lock().unwrap(), Vec::<String>::new(), "{what}");
        one
    }
}

fn rule(side: &str, parameters: &str) -> String {
    let item = format!(r#"{{ "side": "{side}", "parameters": {parameters} }}"#);
    format!(r#"{{ "key": "test.Shop", "configs": [{item}] }}"#)
}

async fn publish(centre: &Arc<dyn ConfigCenter>, text: &str) {
    centre.publish(RULE, "dubbo", Some(text)).await.unwrap();
}

fn timeout_by(consumer: &Consumer) -> String {
    let service = ServiceKey::new("test.Shop");
    let method = consumer.config().method(&service, "look", &Default::default());
    format!("{:?} by {}", method.timeout.value, method.timeout.origin)
}

#[tokio::test]
async fn a_rule_that_is_wrong_is_one_warning_and_leaves_the_last_good_one_in_force() {
    let warnings = Warnings::default();
    let _noting = tracing::subscriber::set_default(Registry::default().with(warnings.clone()));
    let registry = memory();
    let running = serve(&registry).await;
    let consumer = consumer(&registry, "");
    let centre = &consumer.config_centers()[0];
    let shop: ShopClient = consumer.client().await.unwrap();
    of_consumer(&warnings, &consumer, centre, &registry).await;
    shop.look(1).await.unwrap();
    publish(centre, &rule("consumer", r#"{ "timeout": 2000 }"#)).await;
    until_is("the next good one is in force", || timeout_by(&consumer).starts_with("2s by")).await;
    of_provider(&warnings, &running, centre).await;
    // A part that has no effect is told, and the others count.
    publish(centre, &rule("consumer", r#"{ "timeout": 4000, "mock": "return null" }"#)).await;
    for told in warnings.both("a note").await {
        assert!(told.contains("configs[0]: mock has no effect here"), "{told}");
    }
    assert!(timeout_by(&consumer).starts_with("4s by"));
    at_another_key(&warnings, centre).await;
    of_no_method(&warnings, &consumer, centre).await;
}

/// Dubbo goes by what the text says that it is for, wherever that stands.
async fn at_another_key(warnings: &Warnings, centre: &Arc<dyn ConfigCenter>) {
    let item = r#"{ "side": "consumer", "parameters": { "timeout": 1000 } }"#;
    for (head, why) in [
        (
            r#""key": "test.Shopp""#,
            "key: it is for the service `test.Shopp` and changes nothing at the key of `test.Shop`: write \
             key: test.Shop, or store it under test.Shopp::.configurators",
        ),
        (
            r#""scope": "application", "key": "till""#,
            "scope: it is for the application `till` and stands at the key of a service, where it changes \
             that service at most: store it under till.configurators, or write scope: service and key: test.Shop",
        ),
    ] {
        publish(centre, &format!(r#"{{ {head}, "configs": [{item}] }}"#)).await;
        for told in warnings.both(head).await {
            assert!(told.contains(why) && told.contains(&format!("rule: {RULE};")), "{told}");
        }
    }
    // One item of a list that is for another service leaves the others in force, which is told, too.
    let of = |service: &str| format!(r#""override://0.0.0.0/{service}?timeout=1200&weight=7""#);
    let before = warnings.1.load(Ordering::SeqCst);
    publish(centre, &format!("[{}, {}]", of("test.Shop"), of("test.Shopp"))).await;
    for told in warnings.both("an item for another service").await {
        assert!(told.contains("[1]: it is for the service `test.Shopp`"), "{told}");
    }
    let are_told = || warnings.1.load(Ordering::SeqCst) == before + 2;
    until_is("both say that the other item is in force", are_told).await;
}

async fn of_no_method(warnings: &Warnings, consumer: &Consumer, centre: &Arc<dyn ConfigCenter>) {
    publish(centre, &rule("consumer", r#"{ "timeout": 2500, "lok.retries": 1 }"#)).await;
    let told = warnings.one("a method that there is not").await;
    let why = "unknown method of test.Shop `lok` (did you mean `look`?), available: ";
    assert!(told.contains(why) && told.contains(&format!("rule: {RULE};")), "{told}");
    // The rest counts, and a further client is no reason to tell it again.
    let _other: ShopClient = consumer.client().await.unwrap();
    assert!(timeout_by(consumer).starts_with("2.5s by"));
    publish(centre, &rule("consumer", r#"{ "timout": 2500 }"#)).await;
    for told in warnings.both("a slip").await {
        assert!(told.contains("timout has no effect here (did you mean `timeout`?)"), "{told}");
    }
}

async fn serve(registry: &str) -> RunningProvider {
    let provider = provider(registry, "provider.warmup = \"0s\"");
    provider.serve(ShopServer::new(Clerk::new("a"))).start().await.unwrap()
}

async fn of_consumer(
    warnings: &Warnings,
    consumer: &Consumer,
    centre: &Arc<dyn ConfigCenter>,
    registry: &str,
) {
    publish(centre, &rule("consumer", r#"{ "timeout": 3000 }"#)).await;
    let good = format!("3s by config centre, rule {RULE} of {registry}");
    until_is("the rule is in force", || timeout_by(consumer) == good).await;
    let before = consumer.config();
    for (parameters, told) in [
        // Found by the extensions, and by the methods of the client.
        (r#"{ "timeout": 20, "loadbalance": "roundrobbin" }"#, "did you mean `roundrobin`?"),
        (r#"{ "timeout": 20, "cluster": "mergeable" }"#, "unknown cluster `mergeable`"),
        (r#"{ "timeout": 20, "cluster": "failsafe" }"#, "has nothing to answer in place"),
    ] {
        publish(centre, &rule("consumer", parameters)).await;
        let text = warnings.one(parameters).await;
        assert!(text.contains(told), "{text}");
        assert!(text.contains(&format!("rule: {RULE}; config_center: {registry};")), "{text}");
        let key = "consumer.services.\"test.Shop\".";
        assert!(text.contains(&format!("rule {RULE} of {registry}: {key}")), "{text}");
        assert!(Arc::ptr_eq(&before, &consumer.config()), "{parameters}");
    }
}

async fn of_provider(
    warnings: &Warnings,
    running: &RunningProvider,
    centre: &Arc<dyn ConfigCenter>,
) {
    publish(centre, &rule("provider", r#"{ "weight": 7 }"#)).await;
    until_is("it has the weight", || {
        running.config().sources().iter().any(|setting| setting.value == "7")
    })
    .await;
    let before = running.config();
    for (text, told) in [
        ("{".to_owned(), "it is malformed"),
        // In JSON only what begins as an object or a list is read.
        #[cfg(feature = "yaml")]
        ("7".to_owned(), "`7` is not an object with keys"),
        (" ".repeat(256 * 1024 + 1), "bytes and may have 262144"),
        (
            rule("provider", r#"{ "weight": "much" }"#),
            "configs[0].parameters.weight: `much` is not",
        ),
    ] {
        publish(centre, &text).await;
        for one in warnings.both(told).await {
            assert!(one.contains(told) && one.contains(&format!("rule: {RULE};")), "{one}");
        }
        assert!(Arc::ptr_eq(&before, &running.config()), "{told}");
    }
}
