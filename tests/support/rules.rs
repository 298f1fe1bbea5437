//! Rules of a config centre that tests put in force, and what is the same wherever they are kept.

use std::sync::Arc;
use std::time::Duration;

use dubhe::extend::ConfigCenter;
use dubhe::prelude::*;
use dubhe::{Consumer, RunningProvider, ServiceKey};
use tokio::time::Instant;

use super::shop::{Clerk, Shop, ShopClient, ShopServer};
use super::{consumer, provider, until, until_is};

/// The key of rules for the service of these tests.
pub const RULE: &str = "test.Shop::.configurators";

/// How long a rule may take to be in force.
pub const AT_ONCE: Duration = Duration::from_secs(1);

/// A provider of the shop, once it is registered.
pub async fn serve(registry: &str, name: &str) -> RunningProvider {
    serve_with(registry, name, "").await
}

/// The same with further settings.
pub async fn serve_with(registry: &str, name: &str, toml: &str) -> RunningProvider {
    let provider = provider(registry, &format!("provider.warmup = \"0s\"\n{toml}"));
    let running = provider.serve(ShopServer::new(Clerk::new(name))).start().await.unwrap();
    until_is("it is registered", || running.is_registered()).await;
    running
}

pub fn centre(registry: &str) -> Arc<dyn ConfigCenter> {
    consumer(registry, "").config_centers()[0].clone()
}

pub fn service() -> ServiceKey {
    ServiceKey::new("test.Shop")
}

/// A rule for the service, with one item of these words.
pub fn rule(item: &str) -> String {
    format!(
        r#"{{ "configVersion": "v3.0", "scope": "service", "key": "test.Shop", "configs": [{item}] }}"#
    )
}

pub fn of_calls(parameters: &str) -> String {
    rule(&format!(r#"{{ "side": "consumer", "parameters": {parameters} }}"#))
}

/// The origin of the timeout of `ponder`.
pub fn timeout_by(consumer: &Consumer) -> String {
    let method = consumer.config().method(&service(), "ponder", &Default::default());
    format!("{:?} by {}", method.timeout.value, method.timeout.origin)
}

/// A rule for its side is in force at a consumer within a second, while calls run, and ends when it is taken
/// back.
pub async fn are_followed_by_a_consumer(registry: &str) {
    let _running = serve(registry, "a").await;
    let centre = centre(registry);
    let toml =
        "[application]\nname = \"till\"\n[consumer.services.\"test.Shop\"]\ntimeout = \"4s\"";
    let consumer = consumer(registry, toml);
    let shop: ShopClient = consumer.client().await.unwrap();
    // It has its connection before the time is taken.
    assert_eq!(centre.get(RULE, "dubbo").await.unwrap(), None);
    let calls = tokio::spawn({
        let shop = shop.clone();
        async move {
            for id in 0.. {
                // Every call ends well, whatever becomes of the rules meanwhile.
                shop.look(id).await.unwrap();
            }
        }
    });
    assert_eq!(timeout_by(&consumer), "4s by dubhe.toml:4:11");

    let begun = Instant::now();
    centre.publish(RULE, "dubbo", Some(&of_calls(r#"{ "ponder.timeout": 20 }"#))).await.unwrap();
    let origin = format!("config centre, rule {RULE} of {}", centre.address());
    let shown = format!("20ms by {origin}");
    until_is("the rule is in force", || timeout_by(&consumer) == shown).await;
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    let late = shop.ponder(1, 60_000).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert!(late.hint().unwrap().contains(&origin), "{late}");
    // The options of a call are stronger.
    shop.with(CallOptions::new().timeout(Duration::from_secs(5))).ponder(1, 50).await.unwrap();

    let begun = Instant::now();
    centre.publish(RULE, "dubbo", None).await.unwrap();
    until_is("the rule is gone", || timeout_by(&consumer) == "4s by dubhe.toml:4:11").await;
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    shop.ponder(1, 50).await.unwrap();
    assert!(!calls.is_finished());
    calls.abort();
}

/// A provider registers what rules for its side order, from its start on and within a second of a change.
pub async fn are_followed_by_a_provider(registry: &str) {
    let centre = centre(registry);
    let of_provider = |parameters: &str| {
        rule(&format!(r#"{{ "side": "provider", "parameters": {parameters} }}"#))
    };
    centre.publish(RULE, "dubbo", Some(&of_provider(r#"{ "weight": 7 }"#))).await.unwrap();
    let one = serve(registry, "one").await;
    let _two = serve_with(registry, "two", "registry.use_as_config_center = false").await;
    let consumer = consumer(registry, "");
    let weights = async || {
        let listed = consumer.instances(&service()).await.unwrap();
        let (ours, others): (Vec<_>, Vec<_>) =
            listed.iter().partition(|instance| &*instance.address == one.address());
        (ours[0].weight, others[0].weight)
    };
    until("both are listed", async || {
        (consumer.instances(&service()).await.unwrap().len() == 2).then_some(())
    })
    .await;
    // From the start on, and not where it is switched off.
    assert_eq!(weights().await, (7, 100));
    let shop: ShopClient = consumer.client().await.unwrap();

    let begun = Instant::now();
    centre.publish(RULE, "dubbo", Some(&of_provider(r#"{ "disabled": true }"#))).await.unwrap();
    until("it is disabled", async || {
        let listed = consumer.instances(&service()).await.unwrap();
        let one = listed.iter().find(|instance| &*instance.address == one.address())?;
        (one.metadata.get("disabled").map(String::as_str) == Some("true")).then_some(())
    })
    .await;
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!(weights().await, (100, 100));
    until("it gets no call", async || {
        for id in 0..8 {
            if shop.look(id).await.unwrap().who == "one" {
                return None;
            }
        }
        Some(())
    })
    .await;
    let config = one.config();
    let set = config.sources();
    let disabled =
        set.iter().find(|setting| setting.key.ends_with("disabled") && setting.value == "true");
    let origin = format!("config centre, rule {RULE} of {}", centre.address());
    assert_eq!(disabled.unwrap().origin.to_string(), origin);

    centre.publish(RULE, "dubbo", None).await.unwrap();
    until("it is called again", async || (shop.look(1).await.unwrap().who == "one").then_some(()))
        .await;
}
