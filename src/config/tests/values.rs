//! What a person reads about a value of the wrong kind: every key, every kind of value.

use rpc_core::ServiceKey;
use serde_json::{Value, json};

use super::sources;
use crate::config::schema::Schema;
use crate::config::*;

fn file_error(text: &str) -> String {
    Config::load(sources(text, &[])).unwrap_err().to_string()
}

#[test]
fn values_of_the_wrong_kind_are_told_in_words() {
    let retries = "consumer.retries";
    let share = "consumer.ejection.max_percent";
    for (key, value, told) in [
        ("provider.port", "65536", "65536 is no port: write 1 to 65535, or 0 for any that is free"),
        ("provider.port", "-1", "-1 is no port: write 1 to 65535, or 0 for any that is free"),
        (
            "provider.port",
            "\"http\"",
            "\"http\" is no port: write 1 to 65535, or 0 for any that is free",
        ),
        (
            "provider.bind",
            "\"localhost\"",
            "\"localhost\" is no IP address: write one without a port in quotes, such as \"0.0.0.0\"",
        ),
        (
            "provider.bind",
            "\"0.0.0.0:80\"",
            "\"0.0.0.0:80\" is no IP address: write one without a port in quotes, such as \"0.0.0.0\"",
        ),
        ("provider.protocols", "\"json\"", "\"json\" is no list: write [\"json\"]"),
        ("provider.weight", "1.5", "1.5 is no whole number: write one from 0 to 4294967295"),
        (
            "provider.limits.connections",
            "0",
            "0 is no number of them: write a whole number, 1 at least",
        ),
        (
            "provider.limits.payload",
            "-1",
            "-1 is no number of bytes: write 1 to 2147483647, or \"8MiB\"",
        ),
        ("provider.limits.payload", "[]", "[] is no size: write it as \"8MiB\" or in bytes"),
        ("provider.metadata.zone", "7", "7 is no text: write it in quotes"),
        ("provider.advertise", "7", "7 is no text: write it in quotes"),
        (
            "registry.cache",
            "\"no\"",
            "\"no\" is neither true nor false: write one of them, without quotes",
        ),
        ("registry.cache", "1", "1 is neither true nor false: write one of them"),
        ("registry.cache_dir", "\"\"", "\"\" is no folder: write its path in quotes"),
        ("application.name", "3", "3 is no text: write it in quotes"),
        ("application.name", "[\"a\"]", "a list is no text: write one in quotes"),
        (retries, "-1", "-1 is out of range: write a whole number from 0 to 4294967295"),
        (
            retries,
            "4294967296",
            "4294967296 is out of range: write a whole number from 0 to 4294967295",
        ),
        (
            retries,
            "99999999999999999999",
            "99999999999999999999 is a number beyond all bounds: write a smaller one",
        ),
        (retries, "2.0", "2.0 is no whole number: write one from 0 to 4294967295"),
        (retries, "inf", "inf is no number to reckon with: write a finite one"),
        (
            retries,
            "\"2\"",
            "\"2\" is no whole number: write one from 0 to 4294967295, without quotes",
        ),
        (retries, "true", "true is no whole number: write one from 0 to 4294967295"),
        (retries, "\"\"", "\"\" is no whole number: write one from 0 to 4294967295"),
        (retries, "[2]", "a list is no whole number: write one from 0 to 4294967295"),
        (retries, "{}", "a table is no whole number: write one from 0 to 4294967295"),
        (retries, "2026-11-21", "dates are not used here: write a text in quotes"),
        (share, "101", "101 is no share in percent: write 0 to 100"),
        (share, "\"50%\"", "\"50%\" is no share in percent: write 0 to 100"),
        (
            "consumer.timeout",
            "\"\"",
            "`` is no duration: write a whole number and a unit, such as 300ms, 1s, 2m, 1h",
        ),
        (
            "consumer.timeout",
            "true",
            "true is no duration: write it with its unit in quotes, such as \"300ms\"",
        ),
        (
            "consumer.cluster",
            "7",
            "7 chooses nothing: write a name in quotes, or { name = \"…\", … }",
        ),
        (
            "consumer.routers",
            "7",
            "7 is not possible here: expected a name in quotes, { name = \"…\", … }, or a list of these",
        ),
    ] {
        let origin = format!("dubhe.toml:1:{}", key.len() + 4);
        let text = format!("{key} = {value}");
        assert_eq!(file_error(&text), format!("{origin}: {key}: {told}"), "{text}");
    }
    assert_eq!(
        file_error("consumer.routers = [\"tag\", 7]"),
        "dubhe.toml:1:28: consumer.routers[1]: \
         7 chooses nothing: write a name in quotes, or { name = \"…\", … }"
    );
    assert_eq!(
        file_error("registry.address = [\"dev://\", { adress = \"dev://b\" }]"),
        "dubhe.toml:1:33: registry.address[1]: unknown key of registry.address `adress` \
         (did you mean `address`?), available: address, token"
    );
    let builder = Layer::new().set(retries, Value::Null);
    let message = Config::load(Sources { builder, ..Sources::default() }).unwrap_err().to_string();
    let told = "null is no whole number: write one from 0 to 4294967295";
    assert_eq!(message, format!("builder: {retries}: {told}"));
}

/// Words of Rust and of serde that mean nothing to whoever writes a file.
const STRANGE: [&str; 14] = [
    "u8",
    "u16",
    "u32",
    "u64",
    "usize",
    "i32",
    "i64",
    "f64",
    "struct",
    "invalid type",
    "invalid value",
    "visitor",
    "sequence",
    "integer `",
];

#[test]
fn no_message_of_any_key_speaks_of_rust() {
    let wrong = [
        json!(-1),
        json!(1_u64 << 40),
        json!(1.5),
        json!(true),
        json!(null),
        json!(""),
        json!("no such thing"),
        json!([]),
        json!([[]]),
        json!([7]),
        json!({}),
        json!({ "name": 7 }),
        json!({ "x": 7 }),
    ];
    let mut seen = 0;
    for (key, _) in Schema::new().leaves() {
        for value in &wrong {
            let parts = key.parts().map(|part| if part == "*" { "a" } else { part });
            let builder = Layer::new().set_at(parts, value.clone());
            let sources = Sources { builder, ..Sources::default() };
            let Err(error) = Config::load(sources) else { continue };
            let message = error.to_string();
            let words: Vec<&str> =
                message.split(|c: char| !c.is_alphanumeric() && c != ' ' && c != '`').collect();
            for strange in STRANGE {
                let is_there = match strange.contains(' ') {
                    true => message.contains(strange),
                    false => words.iter().any(|part| part.split(' ').any(|word| word == strange)),
                };
                assert!(!is_there, "{value} for {key}: {message}");
            }
            let names_key = message.starts_with(&format!("builder: {}", key).replace('*', "a"));
            assert!(names_key, "{value} for {key}: {message}");
            assert!(
                message.contains(": write ")
                    || message.contains("write ")
                    || message.contains("expected ")
                    || message.contains("name one")
                    || message.contains("must be")
                    || message.contains("possible")
                    || message.contains("available"),
                "no remedy: {message}"
            );
            seen += 1;
        }
    }
    assert!(seen > 300, "only {seen} values were refused");
}

#[test]
fn a_section_with_a_slip_is_found_at_any_depth() {
    for (text, message) in [
        (
            "[consumr]",
            "1:2: unknown section `consumr` (did you mean `consumer`?), available: application, consumer, provider, registry",
        ),
        (
            "consumr.retries = 1",
            "1:1: unknown section `consumr` (did you mean `consumer`?), available: application, consumer, provider, registry",
        ),
        (
            "[consumer.service.\"x\"]\nretries = 1",
            "1:11: unknown key in [consumer] `service` (did you mean `services`?), available: cluster, codec, ",
        ),
        (
            "[consumer.ejektion]",
            "1:11: unknown key in [consumer] `ejektion` (did you mean `ejection`?), available: ",
        ),
        (
            "[consumer.services.x.method.y]",
            "1:22: unknown key in [consumer.services.x] `method` (did you mean `methods`?), available: ",
        ),
        ("[[consumer]]", "1:1: consumer: expected a section [consumer], this is a value (array)"),
        (
            "consumer = \"x\"",
            "1:12: consumer: expected a section [consumer], this is a value (string)",
        ),
    ] {
        let told = file_error(text);
        assert!(told.starts_with(&format!("dubhe.toml:{message}")), "{text}: {told}");
    }
}

#[test]
fn a_file_may_be_empty_or_begin_with_a_mark_of_its_encoding() {
    for text in ["", "\n", "# nothing", "\u{feff}", "\u{feff}consumer.retries = 2"] {
        assert!(Config::load(sources(text, &[])).is_ok(), "{text:?}");
    }
    assert!(
        file_error("\u{feff}consumer.retries = -2").starts_with("dubhe.toml:1:20: "),
        "the mark is no column: {}",
        file_error("\u{feff}consumer.retries = -2")
    );
    let message = file_error("[consumer]\nretries = 1\n[consumer]\n");
    assert!(message.starts_with("dubhe.toml:3:2: duplicate key"), "{message}");
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
        extensions.registry(&config)?;
        Ok::<_, rpc_core::Error>(config)
    };
    let config = load(&sample("dev://", "[\"dubbo\", \"json\"]")).unwrap();
    let service = ServiceKey::new("shop.Inventory");
    let method = |name| config.method(&service, name, &MethodDefaults::default());
    assert_eq!(method("reserve").cluster.value, Selector::new("failfast"));
    assert_eq!(method("reserve").timeout.value.as_millis(), 300);
    assert_eq!(method("count").cluster.value.params["forks"], 2);
    assert_eq!(
        load(&sample("zookeeper://127.0.0.1:2181", "[\"dubbo\"]")).unwrap_err().to_string(),
        "dubhe.toml:6:11: registry.address: registry `zookeeper` is not built in, available: dev, \
         dubhe, memory, static"
    );
    assert_eq!(
        load(&sample("dev://", "[\"dubbo\", \"triple\", \"json\"]")).unwrap_err().to_string(),
        "dubhe.toml:10:23: provider.protocols[1]: protocol `triple` is not built in, available: \
         dubbo, json"
    );
}
