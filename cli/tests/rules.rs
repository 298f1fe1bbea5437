//! What the command shows of the rules that a real server keeps: ZooKeeper, etcd, and Nacos where one is prepared.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use servers::{EtcdHand, EtcdServer, Nacos, NacosVersion, ZooKeeperServer};
use support::{consumer, late_provider, with};

/// The key of rules for the stock.
const RULE: &str = "test.Stock::.configurators";

/// The one line that names the rule.
#[track_caller]
fn line_of_rule(out: &str) -> &str {
    let lines: Vec<_> = out.lines().filter(|line| line.contains(&format!("rule {RULE}"))).collect();
    assert_eq!(lines.len(), 1, "{out}");
    lines[0]
}

/// `config` and `explain` name the rule as the origin of what it orders, and nothing without it.
async fn a_rule_in_force_is_named(registry: &str) {
    let _running = late_provider(registry).await;
    let centre = consumer(registry, "hand").config_centers()[0].clone();
    for command in [["config", "test.Stock"], ["explain", "test.Stock/left"]] {
        let run = with(registry, &command).await.code(0);
        assert!(!run.out.contains("configurators"), "{registry} {command:?}: {}", run.out);
    }
    let rule = r#"{ "configVersion": "v3.0", "scope": "service", "key": "test.Stock", "configs": [
        { "side": "consumer", "parameters": { "timeout": 4321 } }] }"#;
    centre.publish(RULE, "dubbo", Some(rule)).await.unwrap();
    for command in [["config", "test.Stock"], ["explain", "test.Stock/left"]] {
        let run = with(registry, &command).await.code(0);
        let line = line_of_rule(&run.out);
        assert!(line.contains("timeout"), "{registry} {command:?}: {line}");
        assert!(line.contains("4321ms") || line.contains("4.321s"), "{registry}: {line}");
        let run = with(registry, &[command[0], "--json", command[1]]).await.code(0).json();
        let settings = run["settings"].as_array().unwrap();
        let by_rule = settings.iter().filter(|it| it["origin"].as_str().unwrap().contains(RULE));
        assert_eq!(by_rule.count(), 1, "{registry} {command:?}: {settings:#?}");
    }
    let without = with(registry, &["config", "test.Other"]).await.code(0);
    assert!(!without.out.contains("configurators"), "{registry}: {}", without.out);
}

#[tokio::test]
async fn config_and_explain_name_a_rule_of_etcd() {
    let Some(etcd) = EtcdServer::start() else { return };
    a_rule_in_force_is_named(&format!("etcd://{}", etcd.address())).await;
}

#[tokio::test]
async fn config_and_explain_name_a_rule_of_zookeeper() {
    let Some(server) = ZooKeeperServer::shared() else { return };
    a_rule_in_force_is_named(&format!("zookeeper://{}/rules", server.address())).await;
}

#[tokio::test]
async fn config_and_explain_name_a_rule_of_nacos() {
    for version in NacosVersion::ALL {
        let Some(at) = Nacos::shared(version) else { continue };
        let space = format!("namespace=rules-{}", std::process::id());
        a_rule_in_force_is_named(&format!("nacos://{at}?{space}")).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_rule_is_told_once_by_config_and_explain() {
    let Some(etcd) = EtcdServer::start() else { return };
    let (registry, hand) = (format!("etcd://{}", etcd.address()), EtcdHand::new(&etcd.address()));
    let put = |key: &str, value: &str| hand.put(key.as_bytes(), value.as_bytes()).unwrap();
    let _running = late_provider(&registry).await;
    let of = |key: &str, parameters: &str| {
        format!(
            r#"{{ "key": "{key}", "configs": [
            {{ "side": "consumer", "parameters": {parameters} }}] }}"#
        )
    };
    for (rule, told) in [
        (of("test.Stok", r#"{ "timeout": 4321 }"#), "write key: test.Stock"),
        (of("test.Stock", r#"{ "loadbalance": "roundrobbin" }"#), "did you mean `roundrobin`?"),
        (of("test.Stock", r#"{ "cluster": "failovr" }"#), "did you mean `failover`?"),
        (of("test.Stock", r#"{ "timout": 4321 }"#), "did you mean `timeout`?"),
    ] {
        put("/dubbo/config/dubbo/test.Stock::.configurators", &rule);
        for command in [["-v", "config", "test.Stock"], ["-v", "explain", "test.Stock/left"]] {
            let run = with(&registry, &command).await.code(0);
            assert_eq!(run.err.matches(told).count(), 1, "{command:?} {rule}: {}", run.err);
            let is_in_force = run.err.contains("rule in force");
            assert_eq!(is_in_force, !rule.contains("Stok"), "{rule}: {}", run.err);
        }
    }
    // Where methods are known, which of them there is not.
    let rule = of("test.Stock", r#"{ "lft.timeout": 4321 }"#);
    put("/dubbo/config/dubbo/test.Stock::.configurators", &rule);
    let run = with(&registry, &["explain", "test.Stock/left"]).await.code(0);
    assert_eq!(run.err.matches("did you mean `left`?").count(), 1, "{}", run.err);
    // Nobody says what the method is, so everything is asked anew, and told once all the same.
    put("/dubbo/test.Gone/providers/dubbo%3A%2F%2F127.0.0.1%3A1%2Ftest.Gone%3Fside%3Dprovider", "");
    let rule = of("test.Gone", r#"{ "timout": 4321 }"#);
    put("/dubbo/config/dubbo/test.Gone::.configurators", &rule);
    let run = with(&registry, &["explain", "test.Gone/left"]).await.code(1);
    assert_eq!(run.err.matches("did you mean `timeout`?").count(), 1, "{}", run.err);
}

#[tokio::test]
async fn a_config_centre_that_is_away_is_not_taken_for_one_without_rules() {
    let registry = "etcd://127.0.0.1:1";
    let told = format!("config centre {registry} does not answer, its rules are not known: ");
    let run = with(registry, &["config", "test.Stock"]).await.code(1);
    run.says(&told).prints("registry.address");
    // Without services no rules are shown, and nobody is asked.
    let run = with(registry, &["config"]).await.code(0);
    assert_eq!(run.err, "");
    let run =
        with(registry, &["config", "--json", "test.Stock", "test.Other"]).await.code(1).json();
    let unheard = run["unheard"].as_array().unwrap();
    assert_eq!(unheard.len(), 1, "{unheard:?}");
    assert_eq!(unheard[0]["address"], registry);
}
