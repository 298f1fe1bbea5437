//! What a person reads when something in the configuration is wrong.

use rpc_core::{Error, ServiceKey};

use super::{file, file_error, inventory};
use crate::config::*;

#[test]
fn a_mistake_in_one_of_several_registries_is_pointed_at() {
    for (text, message) in [
        (
            "[[registry]]\naddress = \"dev://\"\n[[registry]]\ntoken = \"x\"\n",
            "3:1: registry: it has no address; each [[registry]] needs one",
        ),
        (
            "[[registry]]\naddress = \"dev://\"\n[[registry]]\nadress = \"dev://b\"\n",
            "4:1: unknown key in [registry] `adress` (did you mean `address`?), \
             available: address, cache, cache_dir, token, \
             use_as_config_center, zone",
        ),
        (
            "[[registry]]\naddress = \"dev://\"\n[[registry]]\naddress = \"here\"\n",
            "4:11: registry.address: `here` is not a registry's address: \
             write scheme://…, such as dev:// or static://HOST:PORT",
        ),
        (
            "[[registry]]\naddress = \"dev://\"\ncache = true\n\
             [[registry]]\naddress = \"dev://b\"\ncache = false\n",
            "6:9: registry.cache: an earlier [[registry]] sets it; it holds for all of them",
        ),
        (
            "[[registry]]\naddress = \"dev://\"\n[[registry]]\naddress = \"dev://\"\n",
            "3:1: registry.address[1]: `dev://` is there twice: name each registry once",
        ),
        (
            "registry.address = []",
            "1:20: registry.address: an empty list names no registry: name one registry",
        ),
        (
            "registry.address = 3",
            "1:20: registry.address: 3 is not possible here: \
             expected an address in quotes, or a list of them",
        ),
    ] {
        assert_eq!(file_error(text), format!("dubhe.toml:{message}"));
    }
}

#[test]
fn a_router_nobody_knows_is_pointed_at() {
    for section in ["consumer.services.X", "consumer.services.X.methods.m"] {
        let text =
            format!("[{section}]\nrouters = [\"tag\", {{ name = \"tga\", force = true }}]\n");
        let known = ["tag"];
        let error = file(&text).check_extensions(|kind, selector| match kind {
            Kind::Router if !known.contains(&&*selector.name) => {
                Err(Error::unknown_name("router", &selector.name, known))
            }
            _ => Ok(()),
        });
        assert_eq!(
            error.unwrap_err().to_string(),
            format!(
                "dubhe.toml:2:28: {section}.routers[1]: \
                 unknown router `tga` (did you mean `tag`?), available: tag"
            )
        );
    }
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_known_ones() {
    assert_eq!(
        file_error("[registry]\ncache = true\n  adress = \"dev://\"\n"),
        "dubhe.toml:3:3: unknown key in [registry] `adress` (did you mean `address`?), \
         available: address, cache, cache_dir, token, \
         use_as_config_center, zone"
    );
    assert_eq!(
        file_error("[provder]\nport = 1\n"),
        "dubhe.toml:1:2: unknown section `provder` (did you mean `provider`?), \
         available: application, consumer, provider, registry"
    );
    assert_eq!(
        file_error("[consumer.services.\"a.B\".methods.c]\nretry = 1\n"),
        "dubhe.toml:2:1: unknown key in [consumer.services.\"a.B\".methods.c] `retry`, \
         available: access_log, attempt_filters, cluster, codec, filters, loadbalance, retries, routers, timeout, \
         trace_context"
    );
}

#[test]
fn a_bad_amount_is_named_with_its_place_and_how_to_write_one() {
    for (text, message) in [
        (
            "[consumer]\ntimeout = \"3 apples\"",
            "2:11: consumer.timeout: `3 apples` is not a duration: \
             write a whole number and a unit, such as 300ms, 1s, 2m, 1h",
        ),
        (
            "consumer.timeout = 300",
            "1:20: consumer.timeout: 300 is not a duration: \
             write it with its unit in quotes, such as \"300ms\"",
        ),
        (
            "consumer.services.X.timeout = \"0s\"",
            "1:31: consumer.services.X.timeout: 0 is too short: it must be longer than zero",
        ),
        (
            "provider.limits.payload = \"8MB\"",
            "1:27: provider.limits.payload: `8MB` is not a size: write bytes as a number, \
             or a whole number and a unit, such as 512B, 16KiB, 8MiB, 1GiB",
        ),
    ] {
        assert_eq!(file_error(text), format!("dubhe.toml:{message}"));
    }
}

#[test]
fn a_choice_that_is_not_possible_says_which_are() {
    for (text, message) in [
        (
            "provider.protocols = []",
            "1:22: provider.protocols: an empty list serves no protocol: name one protocol at least",
        ),
        (
            "registry.address = \"localhost\"",
            "1:20: registry.address: `localhost` is not a registry's address: \
             write scheme://…, such as dev:// or static://HOST:PORT",
        ),
        (
            "registry.address = \"ETCD://10.0.0.1\"",
            "1:20: registry.address: `ETCD://10.0.0.1` is not a registry's address: \
             write its scheme in small letters",
        ),
        (
            "provider.advertise = \"0.0.0.0\"",
            "1:22: provider.advertise: `0.0.0.0` is not an address to connect to: \
             write a host, or HOST:PORT, that others can reach",
        ),
        (
            "consumer.services.\"a b\".retries = 1",
            "1:35: consumer.services.\"a b\".retries: `a b` is not a service key: \
             expected [group/]interface[:version], without blanks or control characters",
        ),
        (
            "consumer.ejection.max_percent = 101",
            "1:33: consumer.ejection.max_percent: 101 is not a percentage: write 0 to 100",
        ),
        (
            "consumer.ejection.consecutive = 0",
            "1:33: consumer.ejection.consecutive: 0 is not a number of them: \
             write a whole number, 1 at least",
        ),
        (
            "provider.port = 70000",
            "1:17: provider.port: 70000 is not a port: \
             write 1 to 65535, or 0 for any that is free",
        ),
        (
            "provider = 3",
            "1:12: provider: expected a section [provider], this is a value (integer)",
        ),
        (
            "application.name = 2026-11-21",
            "1:20: application.name: dates are not used here: write a text in quotes",
        ),
    ] {
        assert_eq!(file_error(text), format!("dubhe.toml:{message}"));
    }
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_line_and_column() {
    let message = file_error("[consumer]\ntimeout = \n");
    assert!(message.starts_with("dubhe.toml:2:11: "), "{message}");
    for (text, told) in [
        (
            "[consumer]\nretries = 1\nretries = 2\n",
            "3:1: duplicate key `retries`: keep one of them",
        ),
        ("[registry]\n[registry]\n", "2:2: duplicate key `registry`: keep one of them"),
        (
            "consumer.cluster = forking # fast",
            "1:20: this is not a value: write a text in quotes, key = \"text\"",
        ),
        (
            "consumer.timeout = 1s",
            "1:20: this is not a value: write a text in quotes, key = \"text\"",
        ),
        (
            "consumer.cluster = { name = true_or_not }",
            "1:29: this is not a value: write a text in quotes, key = \"text\"",
        ),
    ] {
        assert_eq!(file_error(text), format!("dubhe.toml:{told}"));
    }
}

#[test]
fn a_name_in_brackets_is_no_element_of_a_list() {
    assert_eq!(
        file_error("provider.metadata.\"[0]\" = 3"),
        "dubhe.toml:1:27: provider.metadata.\"[0]\": 3 is not a text: write it in quotes"
    );
    assert_eq!(
        file_error("provider.metadata = { \"[0]\" = [1] }"),
        "dubhe.toml:1:31: provider.metadata.\"[0]\": a list is not a text: write one in quotes"
    );
    let config = file("provider.metadata.\"[0]\" = \"a\"");
    assert_eq!(config.provider.metadata["[0]"], "a");
    let set = config.sources().into_iter().find(|set| set.value == "\"a\"").unwrap();
    assert_eq!(set.to_string(), "provider.metadata.\"[0]\" = \"a\" (dubhe.toml:1:27)");
}

#[test]
fn a_builder_is_held_to_the_same_rules() {
    let load = |builder| {
        let sources = Sources { builder, ..Sources::default() };
        Config::load(sources).map_err(|error| error.to_string())
    };
    assert_eq!(
        load(Layer::new().set("consumer.timout", "1s")).unwrap_err(),
        "builder: unknown key in [consumer] `timout` (did you mean `timeout`?), available: \
         access_log, attempt_filters, cluster, codec, connect_timeout, ejection, filters, heartbeat, \
         heartbeat_timeout, instances, limits, loadbalance, retries, retry_budget, routers, services, timeout, \
         trace_context"
    );
    assert_eq!(
        load(Layer::new().set("consumer", 1)).unwrap_err(),
        "builder: consumer: is a section, it takes no value"
    );
    assert_eq!(
        load(Layer::new().set("consumer.cluster.name", "x")).unwrap_err(),
        "builder: consumer.cluster: is a key, it has no keys of its own"
    );
    let key = ["consumer", "services", "shop.Inventory", "methods", "count", "retries"];
    let config = load(Layer::new().set_at(key, 4)).unwrap();
    let settings = config.method(&inventory(), "count", &MethodDefaults::default());
    assert_eq!(settings.retries.value, 4);
}

#[test]
fn names_nobody_knows_are_pointed_at() {
    let config = file("[consumer.services.X.methods.go]\ncodec = \"jsn\"\n");
    let known = ["json", "protobuf"];
    let error = config
        .check_extensions(|kind, selector| match kind {
            Kind::Codec if !known.contains(&&*selector.name) => {
                Err(Error::unknown_name("codec", &selector.name, known))
            }
            _ => Ok(()),
        })
        .unwrap_err();
    assert!(error.is_unknown_name());
    assert_eq!(
        error.to_string(),
        "dubhe.toml:2:9: consumer.services.X.methods.go.codec: \
         unknown codec `jsn` (did you mean `json`?), available: json, protobuf"
    );
    let error = config.check_methods(&ServiceKey::new("X"), ["goes", "come"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "dubhe.toml:1:30: unknown method in [consumer.services.X.methods] `go`, \
         available: goes, come"
    );
    assert!(config.check_methods(&ServiceKey::new("X"), ["go"]).is_ok());
}

#[test]
fn no_registry_anywhere_says_where_to_set_one() {
    let message = Config::default().registry_address().unwrap_err().to_string();
    assert!(message.starts_with("no registry is set: write address = \"dev://\""), "{message}");
}

#[test]
fn places_in_a_large_file_are_found_at_once() {
    // As large as a file may be; counted from its beginning each time, this takes half a minute.
    for between in [", ", ",\n"] {
        let list = vec!["\"ä\""; 170_000].join(between);
        let begun = tokio::time::Instant::now();
        let told = file_error(&format!("consumer.routers = [\n{list}, 7]"));
        let place = match between {
            ", " => "dubhe.toml:2:850001: ",
            _ => "dubhe.toml:170001:6: ",
        };
        assert!(told.starts_with(place), "{told}");
        assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
    }
}

#[test]
fn a_file_nested_beyond_reason_is_refused() {
    let deep = 20_000;
    for text in [
        format!("consumer.cluster = {}1{}", "[".repeat(deep), "]".repeat(deep)),
        format!("consumer.cluster = {}1{}", "{ a = ".repeat(deep), " }".repeat(deep)),
        format!("{}a = 1", "consumer.".repeat(deep)),
        format!("[{}a]", "consumer.".repeat(deep)),
        format!("consumer.cluster = {{ {}a = 1 }}", "a.".repeat(deep)),
    ] {
        let text = format!("# Deep.\nconsumer.routers = [\n\"tag\"]\n  {text}\n[registry]\n");
        let told = file_error(&text);
        assert!(told.starts_with("dubhe.toml:4:"), "{told}");
        assert!(!told.starts_with("dubhe.toml:4:1:"), "{told}");
    }
    let told = file_error(&format!("\n {}a = 1", "consumer.".repeat(deep)));
    assert_eq!(told, "dubhe.toml:2:2: a key with too many names: write fewer dots");
}
