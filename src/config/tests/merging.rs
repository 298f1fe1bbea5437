//! What wins where several sources or levels set a key, and whether the page about them is complete.

use std::time::Duration;

use rpc_core::ServiceKey;
use serde_json::Value;

use super::{file, inventory, sources};
use crate::config::loader::{Schema, has_variable, variable};
use crate::config::sections::Tree;
use crate::config::*;

#[test]
fn nothing_set_gives_the_defaults() {
    let config = Config::load(Sources::default()).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.consumer.timeout, Duration::from_secs(1));
    assert!(config.sources().iter().all(|setting| setting.origin == Origin::Default));
}

#[test]
fn the_file_of_the_design_is_understood() {
    let config = file(
        r#"
        application.name = "shop"
        [registry]
        address = "zookeeper://127.0.0.1:2181"
        [provider]
        port = 0
        bind = "0.0.0.0"
        advertise = "10.1.2.3"
        protocols = ["json"]
        limits = { payload = "1MiB", header = 4096 }
        [consumer]
        codec = "msgpack"
        cluster = { name = "forking", forks = 2 }
        "#,
    );
    assert_eq!(config.application.name, "shop");
    assert_eq!(config.registry_address().unwrap().scheme(), "zookeeper");
    assert_eq!(config.provider.port, 0);
    assert_eq!(config.provider.bind, Some([0, 0, 0, 0].into()));
    assert_eq!(config.provider.advertise.unwrap().with_bound_port(7), "10.1.2.3:7");
    assert!(!config.provider.protocols.contains("dubbo"));
    assert_eq!(config.provider.limits.payload, 1 << 20);
    assert_eq!(config.provider.limits.header, 4096);
    assert_eq!(config.consumer.cluster.params["forks"], 2);
}

/// The addresses and tokens that the registries are made from.
fn registries(config: &Config) -> Vec<(String, Option<String>)> {
    let settings = config.registry_settings().unwrap();
    settings.into_iter().map(|(_, one)| (one.url, one.token)).collect()
}

#[test]
fn several_registries_are_written_as_tables_as_a_list_or_with_commas() {
    let both = [("dev://".to_owned(), None), ("dubhe://h:1,h:2".to_owned(), None)];
    for text in [
        "[[registry]]\naddress = \"dev://\"\n[[registry]]\naddress = \"dubhe://h:1,h:2\"\n",
        "registry.address = [\"dev://\", \"dubhe://h:1,h:2\"]",
        "registry.address = \"dev://,dubhe://h:1,h:2\"",
    ] {
        assert_eq!(registries(&file(text)), both, "{text}");
    }
    for value in ["dev://,dubhe://h:1,h:2", "[\"dev://\", \"dubhe://h:1,h:2\"]"] {
        let config = Config::load(sources("", &[("DUBHE_REGISTRY__ADDRESS", value)])).unwrap();
        assert_eq!(registries(&config), both, "{value}");
    }
    let config = file("[[registry]]\naddress = \"dev://\"\n");
    assert_eq!(registries(&config), both[..1]);
}

#[test]
fn each_of_several_registries_may_have_a_token_of_its_own() {
    let config = file(
        "[[registry]]\naddress = \"dubhe://a:1\"\ntoken = \"one\"\ncache = false\n\
         [[registry]]\naddress = \"dubhe://b:1\"\n",
    );
    let own = |address: &str, token: Option<&str>| (address.to_owned(), token.map(str::to_owned));
    assert_eq!(registries(&config), [own("dubhe://a:1", Some("one")), own("dubhe://b:1", None)]);
    assert!(!config.registry.cache);
    assert!(!format!("{config:?} {:?}", config.sources()).contains("one\""));
    let all = Config::load(sources(
        "registry.token = \"all\"\nregistry.address = \"dubhe://a:1,dubhe://b:1\"",
        &[],
    ));
    assert!(registries(&all.unwrap()).iter().all(|(_, token)| token.as_deref() == Some("all")));
}

#[test]
fn each_of_several_registries_may_have_a_zone_of_its_own() {
    let config = file(
        "[[registry]]\naddress = \"dubhe://a:1\"\nzone = \"east\"\n\
         [[registry]]\naddress = \"dubhe://b:1\"\n",
    );
    let zones = |config: &Config| -> Vec<Option<String>> {
        config.registry_settings().unwrap().into_iter().map(|(_, one)| one.zone).collect()
    };
    assert_eq!(zones(&config), [Some("east".to_owned()), None]);
    let all = "registry.zone = \"west\"\nregistry.address = \"dubhe://a:1,dubhe://b:1\"";
    assert_eq!(zones(&file(all)), [Some("west".to_owned()), Some("west".to_owned())]);
}

#[test]
fn a_stronger_source_replaces_all_registries_of_a_weaker_one() {
    let text = "[[registry]]\naddress = \"dubhe://a:1\"\n[[registry]]\naddress = \"dubhe://b:1\"\n";
    let config = Config::load(sources(text, &[("DUBHE_REGISTRY__ADDRESS", "dev://")])).unwrap();
    assert_eq!(registries(&config), [("dev://".to_owned(), None)]);
}

#[test]
fn instances_of_a_service_are_published_as_its_section_says() {
    let config = file(
        r#"
        [provider]
        weight = 50
        metadata = { zone = "a" }
        [provider.services."shop.Inventory"]
        weight = 10
        warmup = "0s"
        [provider.services."blue/shop.Inventory"]
        weight = 20
        "#,
    );
    assert_eq!(config.instance(&inventory()), (10, Duration::ZERO));
    let blue = ServiceKey::with_parts("shop.Inventory", "blue", "");
    assert_eq!(config.instance(&blue), (20, Duration::ZERO));
    assert_eq!(config.instance(&ServiceKey::new("Other")), (50, Duration::from_secs(600)));
    assert_eq!(config.provider.metadata["zone"], "a");
    let variables = [("DUBHE_PROVIDER__METADATA__ZONE", "b"), ("DUBHE_PROVIDER__WARMUP", "1m")];
    let config = Config::load(sources("provider.metadata.rack = \"7\"", &variables)).unwrap();
    assert_eq!(config.provider.metadata["zone"], "b");
    assert_eq!(config.provider.metadata["rack"], "7");
    assert_eq!(config.instance(&inventory()), (100, Duration::from_secs(60)));
}

#[test]
fn routers_of_a_service_replace_those_of_all() {
    let config = file(
        r#"
        [consumer]
        routers = ["tag", { name = "condition", force = true }]
        [consumer.services."shop.Inventory"]
        routers = "zone"
        [consumer.services.Plain]
        routers = []
        "#,
    );
    let names = |service: &str| -> Vec<String> {
        let routers = config.routers(&ServiceKey::new(service)).value;
        routers.iter().map(Selector::to_string).collect()
    };
    assert_eq!(names("Other"), ["tag", "condition { force: true }"]);
    assert_eq!(names("shop.Inventory"), ["zone"]);
    assert!(names("Plain").is_empty());
}

#[test]
fn routers_of_a_method_replace_those_of_its_service() {
    let config = file(
        r#"
        [consumer]
        routers = ["tag"]
        [consumer.services."shop.Inventory"]
        routers = "zone"
        [consumer.services."shop.Inventory".methods.reserve]
        routers = [{ name = "condition", force = true }]
        [consumer.services."shop.Inventory".methods.free]
        routers = []
        "#,
    );
    let decided = |service: &str, method: &str| {
        let config = config.method(&ServiceKey::new(service), method, &MethodDefaults::default());
        let names: Vec<String> = config.routers.value.iter().map(Selector::to_string).collect();
        (names.join(", "), config.routers.key)
    };
    let section = "consumer.services.\"shop.Inventory\"";
    for (service, method, routers, key) in [
        ("Other", "reserve", "tag", "consumer.routers".to_owned()),
        ("shop.Inventory", "look", "zone", format!("{section}.routers")),
        (
            "shop.Inventory",
            "reserve",
            "condition { force: true }",
            format!("{section}.methods.reserve.routers"),
        ),
        ("shop.Inventory", "free", "", format!("{section}.methods.free.routers")),
    ] {
        assert_eq!(decided(service, method), (routers.to_owned(), key));
    }
}

#[test]
fn the_settings_of_a_method_are_listed_with_their_places() {
    let text = r#"
        [consumer]
        routers = ["tag"]
        [consumer.services."shop.Inventory"]
        retries = 1
        [consumer.services."shop.Inventory".methods.reserve]
        cluster = { name = "forking", forks = 2 }
    "#;
    let config = Config::load(sources(text, &[("DUBHE_CONSUMER__CODEC", "json")])).unwrap();
    let attribute =
        MethodDefaults { timeout: Some(Duration::from_millis(300)), ..MethodDefaults::default() };
    let settings = config.method(&inventory(), "reserve", &attribute).settings();
    let lines: Vec<String> = settings.iter().map(Setting::to_string).collect();
    let service = "consumer.services.\"shop.Inventory\"";
    assert_eq!(
        lines,
        [
            format!(
                "{service}.methods.reserve.cluster = \"forking {{ forks: 2 }}\" (dubhe.toml:7:19)"
            ),
            "consumer.codec = \"json\" (DUBHE_CONSUMER__CODEC)".to_owned(),
            "consumer.loadbalance = \"p2c\" (default)".to_owned(),
            format!("{service}.retries = 1 (dubhe.toml:5:19)"),
            "consumer.routers = [\"tag\"] (dubhe.toml:3:19)".to_owned(),
            "consumer.timeout = \"300ms\" (attribute on the trait)".to_owned(),
        ]
    );
    assert_eq!(
        serde_json::to_value(&settings[4]).unwrap(),
        serde_json::json!({
            "key": "consumer.routers", "value": ["tag"], "origin": "dubhe.toml:3:19"
        })
    );
}

#[test]
fn a_stronger_source_overwrites_a_weaker_one() {
    let text = "[consumer]\ntimeout = \"2s\"\nretries = 5\n";
    let mut sources = sources(text, &[("DUBHE_CONSUMER__TIMEOUT", "3s"), ("PATH", "/")]);
    sources.builder = Layer::new()
        .set("consumer.timeout", "9s")
        .set("consumer.retries", 9)
        .set("registry.address", "dev://");
    let config = Config::load(sources).unwrap();
    assert_eq!(config.consumer.timeout, Duration::from_secs(3));
    assert_eq!(config.consumer.retries, 5);
    let shown: Vec<String> = config
        .sources()
        .iter()
        .filter(|setting| setting.origin != Origin::Default)
        .map(|Setting { key, value, origin }| format!("{key} = {value} ({origin})"))
        .collect();
    assert_eq!(
        shown,
        [
            "consumer.retries = 5 (dubhe.toml:3:11)",
            "consumer.timeout = \"3s\" (DUBHE_CONSUMER__TIMEOUT)",
            "registry.address = \"dev://\" (builder)",
        ]
    );
}

#[test]
fn the_most_specific_level_wins_over_sources() {
    let text = r#"
        [consumer.services."shop.Inventory"]
        timeout = "2s"
        retries = 1
        [consumer.services."shop.Inventory".methods.reserve]
        timeout = "300ms"
    "#;
    let config = Config::load(sources(text, &[("DUBHE_CONSUMER__TIMEOUT", "9s")])).unwrap();
    let timeout = |service: &ServiceKey, method| {
        let settings = config.method(service, method, &MethodDefaults::default());
        settings.timeout.value.as_millis()
    };
    assert_eq!(timeout(&inventory(), "reserve"), 300);
    assert_eq!(timeout(&inventory(), "count"), 2000);
    assert_eq!(timeout(&ServiceKey::new("Other"), "count"), 9000);
    let settings = config.method(&inventory(), "reserve", &MethodDefaults::default());
    assert_eq!(settings.retries.value, 1);
    assert_eq!(settings.retries.key, "consumer.services.\"shop.Inventory\".retries");
    assert_eq!(settings.retries.origin.to_string(), "dubhe.toml:4:19");
    assert_eq!(settings.codec.origin, Origin::Default);
}

#[test]
fn a_whole_service_key_is_stronger_than_its_interface() {
    let config = file(
        "[consumer.services]\n\"shop.Inventory\".retries = 1\n\"blue/shop.Inventory:2\".retries = 7\n",
    );
    let retries = |service: &ServiceKey| {
        let settings = config.method(service, "count", &MethodDefaults::default());
        settings.retries.value
    };
    assert_eq!(retries(&ServiceKey::with_parts("shop.Inventory", "blue", "2")), 7);
    assert_eq!(retries(&ServiceKey::with_parts("shop.Inventory", "", "2")), 1);
}

#[test]
fn the_attribute_is_stronger_than_the_default_alone() {
    let attribute = MethodDefaults {
        timeout: Some(Duration::from_millis(70)),
        cluster: Some(Selector::new("failfast")),
        ..MethodDefaults::default()
    };
    let timeout = |config: &Config| config.method(&inventory(), "count", &attribute).timeout;
    let decided = timeout(&Config::default());
    assert_eq!(decided.value, Duration::from_millis(70));
    assert_eq!(decided.origin, Origin::Attribute);
    assert_eq!(timeout(&file("consumer.timeout = \"1s\"")).value, Duration::from_secs(1));
    let cluster = Config::default().method(&inventory(), "count", &attribute).cluster;
    assert_eq!(cluster.value.name, "failfast");
}

#[test]
fn variables_set_keys_with_or_without_quotes() {
    let variables = [
        ("DUBHE_CONSUMER__CODEC", "json"),
        ("DUBHE_CONSUMER__LOADBALANCE", "\"random\""),
        ("DUBHE_CONSUMER__CLUSTER", "{ name = \"forking\", forks = 3 }"),
        ("DUBHE_PROVIDER__PORT", "0"),
        ("DUBHE_PROVIDER__PROTOCOLS", "[\"dubbo\"]"),
        ("DUBHE_PROVIDER__LIMITS__SNIFF_TIMEOUT", "9s"),
        ("DUBHE_APPLICATION__NAME", "123"),
        ("DUBHE_REGISTRY__CACHE", "false"),
        ("DUBHE_LOG", "debug"),
    ];
    let config = Config::load(sources("", &variables)).unwrap();
    assert_eq!(config.consumer.codec, "json");
    assert_eq!(config.consumer.loadbalance, Selector::new("random"));
    assert_eq!(config.consumer.cluster.params["forks"], 3);
    assert_eq!(config.provider.port, 0);
    assert_eq!(config.provider.protocols.names().collect::<Vec<_>>(), ["dubbo"]);
    assert_eq!(config.provider.limits.sniff_timeout, Duration::from_secs(9));
    assert_eq!(config.application.name, "123");
    assert!(!config.registry.cache);
}

#[cfg(unix)]
#[test]
fn the_page_lists_every_key_with_its_default() {
    let page = include_str!("../../../docs/configuration.md");
    // Every key has a section; a row without a dot is of another table.
    let is_key = |line: &&str| {
        line.starts_with("| `") && line.split('`').nth(1).is_some_and(|key| key.contains('.'))
    };
    let rows: Vec<&str> = page.lines().filter(is_key).collect();
    let schema = Schema::of::<Tree>();
    let keys = schema.leaves();
    for (key, default) in &keys {
        let default = match default {
            Value::Null => "none".to_owned(),
            value => format!("`{value}`"),
        };
        let place = match has_variable(key) {
            true => format!("`{}`", variable(key)),
            false => "–".to_owned(),
        };
        let row = format!("| `{key}` | {default} | {place} | ");
        assert!(
            rows.iter().any(|found| found.starts_with(&row)),
            "docs/configuration.md has no row that begins with\n{row}"
        );
    }
    assert_eq!(rows.len(), keys.len(), "docs/configuration.md lists a key that does not exist");
}

#[test]
fn the_file_on_the_page_is_understood() {
    let page = include_str!("../../../docs/configuration.md");
    let block = page.split("```toml\n").nth(1).unwrap();
    let config = file(block.split("```").next().unwrap());
    let method = config.method(&inventory(), "reserve", &MethodDefaults::default());
    assert_eq!(method.cluster.value.name, "failfast");
    assert_eq!(method.loadbalance.value.name, "roundrobin");
}
