//! What a person reads about a value of the wrong kind: every key, every kind of value.

use rpc_core::ServiceKey;
use serde_json::{Value, json};

use super::{file_error, sources};
use crate::config::loader::Schema;
use crate::config::sections::Tree;
use crate::config::*;

/// Whether `key = value` is refused with its place and these words.
fn check(key: &str, value: &str, told: &str) {
    let origin = format!("dubhe.toml:1:{}", key.len() + 4);
    let text = format!("{key} = {value}");
    assert_eq!(file_error(&text), format!("{origin}: {key}: {told}"), "{text}");
}

#[test]
fn a_number_of_the_wrong_kind_is_told_in_words() {
    let port = "is not a port: write 1 to 65535, or 0 for any that is free";
    for value in ["65536", "-1", "\"http\"", "1.5", "true"] {
        check("provider.port", value, &format!("{value} {port}"));
    }
    let share = "is not a percentage: write 0 to 100";
    for value in ["101", "-1", "\"50%\""] {
        check("consumer.ejection.max_percent", value, &format!("{value} {share}"));
    }
    for key in ["provider.limits.connections", "consumer.limits.in_flight"] {
        check(key, "0", "0 is not a number of them: write a whole number, 1 at least");
    }
    let (key, number) =
        ("consumer.retries", "is not a whole number: write one from 0 to 4294967295");
    for value in ["2.0", "true", "\"\"", "\"two\""] {
        check(key, value, &format!("{value} {number}"));
    }
    for value in ["-1", "4294967296"] {
        let range = "is out of range: write a whole number from 0 to 4294967295";
        check(key, value, &format!("{value} {range}"));
    }
    check(key, "[2]", &format!("a list {number}"));
    check(key, "{}", &format!("a table {number}"));
    check(key, "\"2\"", &format!("\"2\" {number}, without quotes"));
    let endless = "99999999999999999999";
    check(key, endless, "this is a number beyond all bounds: write a smaller one");
    check(key, "inf", "must be a finite number");
    let builder = Layer::new().set(key, Value::Null);
    let message = Config::load(Sources { builder, ..Sources::default() }).unwrap_err().to_string();
    assert_eq!(message, format!("builder: {key}: null {number}"));
}

#[test]
fn any_other_value_of_the_wrong_kind_is_told_in_words() {
    let ip = "is not an IP address: write one without a port in quotes, such as \"0.0.0.0\"";
    let chooses = "chooses nothing: write a name in quotes, or { name = \"…\", … }";
    let written = "is not a duration: write a whole number and a unit, such as 300ms, 1s, 2m, 1h";
    let quoted = "is not a duration: write it with its unit in quotes, such as \"300ms\"";
    let bytes = "is not a number of bytes: write 1 to 2147483647, or \"8MiB\"";
    let truth = "is neither true nor false: write one of them";
    for (key, value, told) in [
        ("provider.bind", "\"localhost\"", ip),
        ("provider.bind", "\"0.0.0.0:80\"", ip),
        ("provider.protocols", "\"json\"", "is not a list: write [\"json\"]"),
        ("provider.limits.payload", "-1", bytes),
        ("provider.limits.payload", "[]", "is not a size: write it as \"8MiB\" or in bytes"),
        ("provider.metadata.zone", "7", "is not a text: write it in quotes"),
        ("provider.advertise", "7", "is not a text: write it in quotes"),
        ("registry.cache", "1", truth),
        ("registry.cache_dir", "\"\"", "is not a folder: write its path in quotes"),
        ("application.name", "3", "is not a text: write it in quotes"),
        ("consumer.timeout", "true", quoted),
        ("consumer.cluster", "7", chooses),
    ] {
        check(key, value, &format!("{value} {told}"));
    }
    check("registry.cache", "\"no\"", &format!("\"no\" {truth}, without quotes"));
    check("application.name", "[\"a\"]", "a list is not a text: write one in quotes");
    check("consumer.retries", "2026-11-21", "dates are not used here: write a text in quotes");
    check("consumer.timeout", "\"\"", &format!("`` {written}"));
    let routers = "a name in quotes, { name = \"…\", … }, or a list of these";
    check("consumer.routers", "7", &format!("7 is not possible here: expected {routers}"));
}

#[test]
fn a_mistake_inside_a_list_is_pointed_at() {
    for (text, told) in [
        (
            "consumer.routers = [\"tag\", 7]",
            "1:28: consumer.routers[1]: \
             7 chooses nothing: write a name in quotes, or { name = \"…\", … }",
        ),
        (
            "consumer.services.X.routers = [\"tag\", 7]",
            "1:39: consumer.services.X.routers[1]: \
             7 chooses nothing: write a name in quotes, or { name = \"…\", … }",
        ),
        (
            "consumer.services.X.methods.m.routers = [\"tag\", 7]",
            "1:49: consumer.services.X.methods.m.routers[1]: \
             7 chooses nothing: write a name in quotes, or { name = \"…\", … }",
        ),
        (
            "registry.address = [\"dev://\", { adress = \"dev://b\" }]",
            "1:33: registry.address[1]: unknown key of registry.address `adress` \
             (did you mean `address`?), available: address, token, zone",
        ),
    ] {
        assert_eq!(file_error(text), format!("dubhe.toml:{told}"));
    }
}

/// Words of Rust and of serde that mean nothing to whoever writes a file.
const STRANGE: [&str; 14] = [
    "u8", "u16", "u32", "u64", "usize", "i32", "i64", "f64", "struct", "type", "invalid",
    "visitor", "sequence", "integer",
];

/// One of these tells what to do.
const REMEDIES: [&str; 4] = ["write ", "expected ", "name one", "available: "];

#[test]
fn no_message_of_any_key_speaks_of_rust() {
    let wrong = json!([
        -1, 1_u64 << 40, 1.5, true, null, "", "no such thing", [], [[]], [7], {}, { "name": 7 },
        { "x": 7 }
    ]);
    let mut seen = 0;
    for (key, _) in Schema::of::<Tree>().leaves() {
        for value in wrong.as_array().unwrap() {
            let parts = key.parts().map(|part| if part == "*" { "a" } else { part });
            let builder = Layer::new().set_at(parts, value.clone());
            let Err(error) = Config::load(Sources { builder, ..Sources::default() }) else {
                continue;
            };
            let message = error.to_string();
            let mut words = message.split(|c: char| !c.is_alphanumeric());
            assert!(!words.any(|word| STRANGE.contains(&word)), "{value} for {key}: {message}");
            let place = format!("builder: {}", key.to_string().replace('*', "a"));
            assert!(message.starts_with(&place), "{value} for {key}: {message}");
            let is_told = REMEDIES.iter().any(|remedy| message.contains(remedy));
            assert!(is_told, "{value} for {key}: {message}");
            seen += 1;
        }
    }
    assert!(seen > 300, "only {seen} values were refused");
}

#[test]
fn a_section_with_a_slip_is_found_at_any_depth() {
    let sections =
        "(did you mean `consumer`?), available: application, consumer, provider, registry";
    for (text, place, told) in [
        ("[consumr]", "1:2", format!("unknown section `consumr` {sections}")),
        ("consumr.retries = 1", "1:1", format!("unknown section `consumr` {sections}")),
        (
            "[consumer.service.\"x\"]\nretries = 1",
            "1:11",
            "unknown key in [consumer] `service` (did you mean `services`?), available: ".into(),
        ),
        (
            "[consumer.ejektion]",
            "1:11",
            "unknown key in [consumer] `ejektion` (did you mean `ejection`?), available: ".into(),
        ),
        (
            "[consumer.services.x.method.y]",
            "1:22",
            "unknown key in [consumer.services.x] `method` (did you mean `methods`?), ".into(),
        ),
        (
            "[[consumer]]",
            "1:1",
            "consumer: expected a section [consumer], this is a value (array)".into(),
        ),
        (
            "consumer = \"x\"",
            "1:12",
            "consumer: expected a section [consumer], this is a value (string)".into(),
        ),
    ] {
        let message = file_error(text);
        let start = format!("dubhe.toml:{place}: {told}");
        assert!(message.starts_with(&start), "{text}: {message}");
    }
}

#[test]
fn a_file_may_be_empty_or_begin_with_a_mark_of_its_encoding() {
    for text in ["", "\n", "# nothing", "\u{feff}", "\u{feff}consumer.retries = 2"] {
        assert!(Config::load(sources(text, &[])).is_ok(), "{text:?}");
    }
    let message = file_error("\u{feff}consumer.retries = -2");
    assert!(message.starts_with("dubhe.toml:1:20: "), "the mark is no column: {message}");
}

#[test]
fn the_sample_of_the_design_loads_but_for_what_is_not_built_in() {
    let sample = |address: &str, protocols: &str| {
        format!(
            r#"
[application]
name = "shop"

[registry]
address = "{address}"        # or dev://, dubhe://, etcd://, nacos://, static://; [[registry]] for several

[provider]
port = 20880                                   # bind = "0.0.0.0", advertise = "10.1.2.3" where they differ
protocols = {protocols}

[consumer]
codec = "protobuf"                            # protobuf | msgpack | json | hessian2
cluster = "failover"
loadbalance = "p2c"
timeout = "1s"
retries = 2

[consumer.services."shop.Inventory"]
cluster = {{ name = "forking", forks = 2 }}

[consumer.services."shop.Inventory".methods.reserve]
cluster = "failfast"
timeout = "300ms"
"#
        )
    };
    let extensions = crate::Extensions::default();
    let load = |text: &str| {
        let config = Config::load(sources(text, &[]))?;
        extensions.check(&config)?;
        extensions.registries(&config)?;
        Ok::<_, rpc_core::Error>(config)
    };
    let config = load(&sample("dev://", "[\"dubbo\", \"json\"]")).unwrap();
    let service = ServiceKey::new("shop.Inventory");
    let method = |name| config.method(&service, name, &MethodDefaults::default());
    assert_eq!(method("reserve").cluster.value, Selector::new("failfast"));
    assert_eq!(method("reserve").timeout.value.as_millis(), 300);
    assert_eq!(method("count").cluster.value.params["forks"], 2);
    let absent = load(&sample("consul://127.0.0.1:8500", "[\"dubbo\"]")).unwrap_err().to_string();
    let expected =
        "dubhe.toml:6:11: registry.address: registry `consul` is not built in, available: ";
    assert!(absent.starts_with(expected), "{absent}");
    assert_eq!(
        load(&sample("dev://", "[\"dubbo\", \"triple\", \"json\"]")).unwrap_err().to_string(),
        "dubhe.toml:10:23: provider.protocols[1]: protocol `triple` is not built in, available: \
         dubbo, json"
    );
}
