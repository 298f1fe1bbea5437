//! Rules of a config centre: put in force while calls run, taken back, and shown with their origin.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::BTreeSet;

use dubhe::config::Layer;
use dubhe::describe::MethodDescription;
use dubhe::extend::OVERRIDES;
use dubhe::prelude::*;
use support::rules::{self, AT_ONCE, RULE, centre, of_calls, rule, serve, service, timeout_by};
use support::shop::{Shop, ShopClient};
use support::{consumer, memory, until, until_is};

#[tokio::test]
async fn a_rule_is_in_force_within_a_second_while_calls_run_and_ends_when_it_is_taken_back() {
    rules::are_followed_by_a_consumer(&memory()).await;
}

#[tokio::test]
async fn a_rule_that_is_there_counts_for_the_first_call() {
    let registry = memory();
    let _running = serve(&registry, "a").await;
    let centre = centre(&registry);
    let whole = r#"{ "scope": "application", "key": "till", "configs": [
        { "side": "consumer", "parameters": { "timeout": 20, "retries": 0 } }] }"#;
    centre.publish("till.configurators", "dubbo", Some(whole)).await.unwrap();
    centre.publish(RULE, "dubbo", Some(&of_calls(r#"{ "ponder.timeout": 30 }"#))).await.unwrap();
    let consumer = consumer(&registry, "application.name = \"till\"");
    let shop: ShopClient = consumer.client().await.unwrap();
    let late = shop.ponder(1, 60_000).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert_eq!(timeout_by(&consumer), format!("30ms by config centre, rule {RULE} of {registry}"));
    let method = consumer.config().method(&service(), "look", &Default::default());
    let origin = format!("config centre, rule till.configurators of {registry}");
    assert_eq!((method.retries.value, method.retries.origin.to_string()), (0, origin));
    // What the program itself orders is stronger.
    let rules =
        Layer::new().rule("r", "consumer.services.\"test.Shop\".methods.ponder.timeout", "1m");
    consumer.apply_rules(rules).unwrap();
    assert_eq!(timeout_by(&consumer), "60s by rule r");
}

#[tokio::test]
async fn a_provider_that_a_rule_disables_gets_not_even_the_first_call_of_a_client() {
    let registry = memory();
    let off = serve(&registry, "off").await;
    let _on = serve(&registry, "on").await;
    let item = format!(
        r#"{{ "side": "consumer", "providerAddresses": ["{}"], "parameters": {{ "disabled": true }} }}"#,
        off.address()
    );
    centre(&registry).publish(RULE, "dubbo", Some(&rule(&item))).await.unwrap();
    for id in 0..20 {
        let consumer = consumer(&registry, "");
        let shop: ShopClient = consumer.client().await.unwrap();
        assert_eq!(shop.look(id).await.unwrap().who, "on");
    }
}

#[tokio::test]
async fn a_rule_that_a_new_client_cannot_follow_costs_no_client() {
    let registry = memory();
    let _running = serve(&registry, "a").await;
    let centre = centre(&registry);
    let whole = r#"{ "scope": "application", "key": "till", "configs": [
        { "side": "consumer", "parameters": { "timeout": 3000 } }] }"#;
    centre.publish("till.configurators", "dubbo", Some(whole)).await.unwrap();
    // It can be known only with the methods of the client: `buy` cannot be sent twice.
    let wrong = of_calls(r#"{ "cluster": "failsafe", "timeout": 20 }"#);
    centre.publish(RULE, "dubbo", Some(&wrong)).await.unwrap();
    let consumer = consumer(&registry, "application.name = \"till\"");
    let shop: ShopClient = consumer.client().await.unwrap();
    shop.look(1).await.unwrap();
    // The other rule counts.
    let good = format!("3s by config centre, rule till.configurators of {registry}");
    assert_eq!(timeout_by(&consumer), good);
    // A method that there is not is none of this version, and no mistake.
    let unknown = of_calls(r#"{ "lok.retries": 1, "timeout": 2000 }"#);
    centre.publish(RULE, "dubbo", Some(&unknown)).await.unwrap();
    until_is("the next rule is in force", || timeout_by(&consumer).starts_with("2s by")).await;
    let _other: ShopClient = consumer.client().await.unwrap();
}

#[tokio::test]
async fn an_address_that_a_rule_disables_gets_no_call_and_explain_says_which() {
    let registry = memory();
    let (one, _two) = (serve(&registry, "one").await, serve(&registry, "two").await);
    let centre = centre(&registry);
    let consumer = consumer(&registry, "consumer.loadbalance = \"roundrobin\"");
    let shop: ShopClient = consumer.client().await.unwrap();
    let address = one.address();
    let item = |parameters: &str| {
        rule(&format!(
            r#"{{ "side": "consumer", "providerAddresses": ["{address}"], "parameters": {parameters} }}"#
        ))
    };
    centre.publish(RULE, "dubbo", Some(&item(r#"{ "disabled": true }"#))).await.unwrap();
    let names = async || {
        let mut names = BTreeSet::new();
        for id in 0..8 {
            names.insert(shop.look(id).await.unwrap().who);
        }
        names
    };
    let only = BTreeSet::from(["two".to_owned()]);
    until("one gets no call", async || (names().await == only).then_some(())).await;
    let look = MethodDescription::unknown("look");
    let explained =
        consumer.explain(&service(), &look, serde_json::Value::Null, AT_ONCE).await.unwrap();
    let by = explained.disabled[0].by.as_ref().unwrap().to_string();
    let key = format!("consumer.services.\"test.Shop\".instances.\"{address}\".disabled");
    assert_eq!(by, format!("{key} = true (config centre, rule {RULE} of {registry})"));
    let rules = consumer.rules(&service()).await.unwrap();
    assert_eq!(rules.settings.iter().map(ToString::to_string).collect::<Vec<_>>(), [by]);
    assert_eq!(rules.unheard, []);

    centre.publish(RULE, "dubbo", Some(&item(r#"{ "weight": 0 }"#))).await.unwrap();
    until("one has no weight", async || {
        let explained = consumer.explain(&service(), &look, serde_json::Value::Null, AT_ONCE).await;
        let endpoints = explained.unwrap().call.endpoints;
        let weight = endpoints.iter().find(|endpoint| &*endpoint.instance.address == address);
        (weight?.instance.weight == 0).then_some(())
    })
    .await;
    assert_eq!(names().await, only);
    centre.publish(RULE, "dubbo", None).await.unwrap();
    until("one is called again", async || (names().await.len() == 2).then_some(())).await;
}

#[tokio::test]
async fn a_provider_registers_what_rules_for_its_side_order() {
    rules::are_followed_by_a_provider(&memory()).await;
}

#[tokio::test]
async fn a_consumer_that_is_told_not_to_follows_no_rules() {
    let registry = memory();
    let _running = serve(&registry, "a").await;
    centre(&registry)
        .publish(RULE, "dubbo", Some(&of_calls(r#"{ "timeout": 20 }"#)))
        .await
        .unwrap();
    let consumer = consumer(&registry, "registry.use_as_config_center = false");
    let _shop: ShopClient = consumer.client().await.unwrap();
    assert_eq!(timeout_by(&consumer), "5s by builder");
}

#[test]
fn rules_are_followed_on_in_another_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let registry = memory();
    let (serving, first, second) = (
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
        runtime(),
        runtime(),
    );
    let _running = serving.block_on(serve(&registry, "a"));
    let consumer = consumer(&registry, "");
    let shop: ShopClient = first.block_on(async {
        let shop: ShopClient = consumer.client().await.unwrap();
        shop.look(1).await.unwrap();
        shop
    });
    drop(first);
    serving.block_on(async {
        let rule = of_calls(r#"{ "timeout": 3000 }"#);
        centre(&registry).publish(RULE, "dubbo", Some(&rule)).await.unwrap();
    });
    second.block_on(async {
        shop.look(1).await.unwrap();
        until_is("the rule is in force", || timeout_by(&consumer).starts_with("3s by")).await;
    });
}

#[tokio::test]
async fn of_several_config_centres_the_first_is_the_strongest() {
    let (first, second) = (memory(), memory());
    let centres = [&first, &second].map(|registry| centre(registry));
    for (centre, timeout) in centres.iter().zip([3000, 4000]) {
        let text = of_calls(&format!(r#"{{ "timeout": {timeout} }}"#));
        centre.publish(RULE, "dubbo", Some(&text)).await.unwrap();
    }
    let [one, other] =
        [&first, &second].map(|registry| format!("[[registry]]\naddress = \"{registry}\"\n"));
    let consumer = consumer("static://127.0.0.1:1", &format!("{one}{other}"));
    let _shop: ShopClient = consumer.client().await.unwrap();
    assert_eq!(timeout_by(&consumer), format!("3s by config centre, rule {RULE} of {first}"));
}

#[tokio::test]
async fn overrides_beside_the_providers_are_weaker_than_rules() {
    let registry = memory();
    let running = serve(&registry, "a").await;
    let (centre, key) = (centre(&registry), "test.Shop::");
    let url = |parameters: &str| {
        format!("override://0.0.0.0/test.Shop?category=configurators&{parameters}")
    };
    let list = [
        url("timeout=2500&retries=1"),
        url(&format!("providerAddresses={}&disabled=true", running.address())),
    ];
    centre.publish(key, OVERRIDES, Some(&serde_json::json!(list[..1]).to_string())).await.unwrap();
    let consumer = consumer(&registry, "application.name = \"till\"");
    let shop: ShopClient = consumer.client().await.unwrap();
    assert_eq!(timeout_by(&consumer), format!("2.5s by config centre, rule {key} of {registry}"),);
    let whole = r#"{ "scope": "application", "key": "till", "configs": [
        { "side": "consumer", "parameters": { "timeout": 3000 } }] }"#;
    centre.publish("till.configurators", "dubbo", Some(whole)).await.unwrap();
    until_is("the rule is stronger", || timeout_by(&consumer).starts_with("3s by")).await;
    shop.look(1).await.unwrap();
    // The form of Dubbo 2.6 disables an instance, too.
    centre.publish(key, OVERRIDES, Some(&serde_json::json!(list).to_string())).await.unwrap();
    until("nobody is left", async || shop.look(1).await.is_err().then_some(())).await;
    centre.publish(key, OVERRIDES, None).await.unwrap();
    until("it is called again", async || shop.look(1).await.ok()).await;
}

/// Orders of `absent://` beside the providers, in force at a consumer of these settings; gives what the
/// retries of `ponder` and `look` are, and by whom.
async fn absent(orders: &str, toml: &str) -> [String; 2] {
    let registry = memory();
    let _running = serve(&registry, "a").await;
    let url = format!("absent://0.0.0.0/test.Shop?category=configurators&{orders}");
    let list = serde_json::json!([url]).to_string();
    centre(&registry).publish("test.Shop::", OVERRIDES, Some(&list)).await.unwrap();
    let consumer = consumer(&registry, toml);
    let shop: ShopClient = consumer.client().await.unwrap();
    shop.look(1).await.unwrap();
    ["ponder", "look"].map(|method| {
        let retries = consumer.config().method(&service(), method, &Default::default()).retries;
        format!("{} by {}", retries.value, retries.origin).replace(&registry, "REGISTRY")
    })
}

#[tokio::test]
async fn what_is_ordered_for_the_absent_gives_way_to_whatever_is_set() {
    let ordered =
        |retries: u32| format!("{retries} by config centre, rule test.Shop:: of REGISTRY (absent)");
    let (of_all, of_method) = ("retries=7", "ponder.retries=7&retries=6");
    assert_eq!(absent(of_all, "").await, [ordered(7), ordered(7)]);
    assert_eq!(absent(of_method, "").await, [ordered(7), ordered(6)]);
    let file = |line: usize, column: usize| format!("4 by dubhe.toml:{line}:{column}");
    let whole = "consumer.retries = 4";
    assert_eq!(absent(of_all, whole).await, [file(1, 20), file(1, 20)]);
    // As in Dubbo, that of a method is another setting than that of all of them.
    assert_eq!(absent(of_method, whole).await, [ordered(7), file(1, 20)]);
    let service = "[consumer.services.\"test.Shop\"]\nretries = 4";
    assert_eq!(absent(of_all, service).await, [file(2, 11), file(2, 11)]);
    let method = "[consumer.services.\"test.Shop\".methods.ponder]\nretries = 4";
    assert_eq!(absent(of_method, method).await, [file(2, 11), ordered(6)]);
}

#[tokio::test]
async fn an_order_that_overrides_goes_before_one_for_the_absent_wherever_it_stands() {
    for order in [["absent", "override"], ["override", "absent"]] {
        let registry = memory();
        let _running = serve(&registry, "a").await;
        let url = |scheme: &str| {
            let timeout = if scheme == "absent" { 2500 } else { 3500 };
            format!("{scheme}://0.0.0.0/test.Shop?category=configurators&timeout={timeout}")
        };
        let list = serde_json::json!(order.map(url)).to_string();
        centre(&registry).publish("test.Shop::", OVERRIDES, Some(&list)).await.unwrap();
        let consumer = consumer(&registry, "consumer.timeout = \"4s\"");
        let _shop: ShopClient = consumer.client().await.unwrap();
        let by = timeout_by(&consumer);
        assert!(by.starts_with("3.5s by config centre") && !by.contains("absent"), "{by}");
    }
}

#[cfg(feature = "yaml")]
#[tokio::test]
async fn a_rule_in_yaml_as_dubbo_writes_it_is_followed() {
    let registry = memory();
    let _running = serve(&registry, "a").await;
    let rule = "configVersion: v3.0\nscope: service\nkey: test.Shop\nenabled: true\nconfigs:\n\
                - side: consumer\n  match:\n    app:\n      oneof:\n      - prefix: ti\n  \
                parameters:\n    timeout: 3000\n    ponder.retries: 0\n";
    centre(&registry).publish(RULE, "dubbo", Some(rule)).await.unwrap();
    let consumer = consumer(&registry, "application.name = \"till\"");
    let _shop: ShopClient = consumer.client().await.unwrap();
    assert!(timeout_by(&consumer).starts_with("3s by config centre"), "{}", timeout_by(&consumer));
}
