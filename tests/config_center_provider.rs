//! Rules of a config centre at a provider, when several come.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use support::shop::{Clerk, ShopServer};
use support::{consumer, memory, provider, until_is};

#[tokio::test]
async fn a_rule_on_the_weight_is_held_against_the_weight_that_is_set() {
    let registry = memory();
    let centre = consumer(&registry, "").config_centers()[0].clone();
    let rule = r#"{ "configVersion": "v3.0", "key": "test.Shop", "configs": [{
        "side": "provider", "parameters": { "weight": 7 },
        "match": { "param": [{ "key": "weight", "value": { "exact": "50" } }] } }] }"#;
    centre.publish("test.Shop::.configurators", "dubbo", Some(rule)).await.unwrap();
    let provider = provider(&registry, "application.name = \"shop\"\nprovider.weight = 50");
    let running = provider.serve(ShopServer::new(Clerk::new("a"))).start().await.unwrap();
    let weight = || {
        let set = running.config().sources();
        let found = set.into_iter().find(|setting| setting.key.ends_with("Shop\".weight"));
        found.map(|setting| setting.value)
    };
    assert_eq!(weight().as_deref(), Some("7"));
    // Another rule comes while this one is in force.
    let whole = r#"{ "scope": "application", "key": "shop", "configs": [
        { "side": "provider", "parameters": { "warmup": 1000 } }] }"#;
    centre.publish("shop.configurators", "dubbo", Some(whole)).await.unwrap();
    until_is("the other is in force", || {
        let set = running.config().sources();
        set.iter().any(|one| one.key.ends_with(".warmup") && one.value.contains("1s"))
    })
    .await;
    assert_eq!(weight().as_deref(), Some("7"));
}
