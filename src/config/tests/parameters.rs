//! What a person reads when the parameters of an extension or the address of a registry are wrong.

use serde_json::json;

use super::sources;
use crate::config::*;
use crate::extensions::Extensions;

/// What is said of these sources once the extensions are asked.
fn refused(sources: Sources) -> String {
    let extensions = Extensions::default();
    let config = match Config::load(sources) {
        Ok(config) => config,
        Err(error) => return error.to_string(),
    };
    let checked = extensions.check(&config).and_then(|()| extensions.registries(&config).map(drop));
    checked.map_or_else(|error| error.to_string(), |()| "it was accepted".to_owned())
}

fn file_error(text: &str) -> String {
    refused(sources(text, &[]))
}

#[test]
fn a_parameter_nobody_knows_is_pointed_at_with_the_known_ones() {
    for (text, message) in [
        (
            "[consumer]\nloadbalance = { name = \"consistenthash\", hash_node = 160 }",
            "2:42: consumer.loadbalance: unknown parameter of consistenthash `hash_node` \
             (did you mean `hash_nodes`?), available: hash_nodes, hash_arguments",
        ),
        (
            "[consumer.cluster]\nname = \"forking\"\nfork = 2\n",
            "3:1: consumer.cluster: unknown parameter of forking `fork` \
             (did you mean `forks`?), available: forks",
        ),
        (
            "[consumer.services.\"a.B\".methods.c]\ncluster.name = \"failback\"\ncluster.task = 1\n",
            "3:9: consumer.services.\"a.B\".methods.c.cluster: unknown parameter of failback `task` \
             (did you mean `tasks`?), available: retries, tasks, interval",
        ),
        (
            "consumer.loadbalance = { name = \"roundrobin\", seed = 1 }",
            "1:47: consumer.loadbalance: unknown parameter of roundrobin `seed`, available: none",
        ),
        (
            "consumer.cluster = { forks = 2, name = \"froking\" }",
            "1:40: consumer.cluster: unknown cluster `froking` (did you mean `forking`?), \
             available: available, broadcast, failback, failfast, failover, failsafe, forking",
        ),
        (
            "consumer.cluster = { forks = 2 }",
            "1:20: consumer.cluster: the name is missing: write { name = \"…\", … }",
        ),
    ] {
        assert_eq!(file_error(text), format!("dubhe.toml:{message}"), "{text}");
    }
}

#[test]
fn a_value_that_a_parameter_cannot_have_is_pointed_at_with_what_is_possible() {
    for (chosen, message) in [
        ("cluster = { name = \"forking\", forks = 0 }", "forks: 0 asks no provider: write 1 to 64"),
        (
            "cluster = { name = \"forking\", forks = \"two\" }",
            "forks: \"two\" is not a whole number: write one from 0 on",
        ),
        (
            "cluster = { name = \"forking\", forks = -1 }",
            "forks: -1 is out of range: write a whole number from 0 on",
        ),
        (
            "cluster = { name = \"broadcast\", quorum = 101 }",
            "quorum: 101 is not a percentage: write 1 to 100",
        ),
        (
            "cluster = { name = \"failback\", interval = 5 }",
            "interval: 5 is not a duration: write it with its unit in quotes, such as \"300ms\"",
        ),
        (
            "cluster = { name = \"failback\", interval = \"0s\" }",
            "interval: 0 is too short: it must be longer than zero",
        ),
        (
            "loadbalance = { name = \"consistenthash\", hash_nodes = 3 }",
            "hash_nodes: 3 is out of range: write 4 to 1000; more make the ring large, and hardly \
             more even",
        ),
        (
            "loadbalance = { name = \"consistenthash\", hash_arguments = [] }",
            "hash_arguments: an empty list would send all calls to one instance: name the position \
             of one argument at least, such as [0]",
        ),
        (
            "loadbalance = { name = \"consistenthash\", hash_arguments = 1 }",
            "hash_arguments: 1 is not a list: write [1]",
        ),
        (
            "loadbalance = { name = \"consistenthash\", hash_arguments = [0, \"sku\"] }",
            "hash_arguments[1]: \"sku\" is not a whole number: write one from 0 on",
        ),
    ] {
        let (key, _) = chosen.split_once(' ').unwrap();
        let parameter = message.split([':', '[']).next().unwrap();
        let value = chosen.find(parameter).unwrap() + parameter.len() + " = ".len();
        let inside = if message.starts_with("hash_arguments[1]") { "[0, ".len() } else { 0 };
        let place = format!("dubhe.toml:2:{}", value + inside + 1);
        let text = format!("[consumer]\n{chosen}\n");
        assert_eq!(file_error(&text), format!("{place}: consumer.{key}.{message}"), "{chosen}");
        let section = "consumer.services.\"a.B\"";
        let text = format!("[{section}]\n{chosen}\n");
        assert_eq!(file_error(&text), format!("{place}: {section}.{key}.{message}"), "{chosen}");
    }
}

#[test]
fn a_parameter_of_a_variable_or_of_a_builder_is_named_with_its_key() {
    let value = "{ name = \"forking\", forks = 0 }";
    assert_eq!(
        refused(sources("", &[("DUBHE_CONSUMER__CLUSTER", value)])),
        "DUBHE_CONSUMER__CLUSTER: consumer.cluster.forks: 0 asks no provider: write 1 to 64"
    );
    let value = json!({ "name": "forking", "fork": 2 });
    let builder = Layer::new().set("consumer.cluster", value);
    assert_eq!(
        refused(Sources { builder, ..Sources::default() }),
        "builder: consumer.cluster: unknown parameter of forking `fork` \
         (did you mean `forks`?), available: forks"
    );
    // What a stronger source replaces leaves no place behind.
    let text = "consumer.cluster = { name = \"forking\", forks = 3 }";
    let value = "{ name = \"forking\", forks = 65 }";
    assert_eq!(
        refused(sources(text, &[("DUBHE_CONSUMER__CLUSTER", value)])),
        "DUBHE_CONSUMER__CLUSTER: consumer.cluster.forks: 65 are more than one call may ask: \
         write 1 to 64"
    );
}

#[test]
fn the_name_and_every_parameter_of_an_extension_is_listed_with_its_place() {
    let text = "[consumer.cluster]\nname = \"forking\"\nforks = 3\n[consumer.loadbalance]\n\
                name = \"consistenthash\"\nhash_arguments = [1]\n";
    let shown = |sources| -> Vec<String> {
        let settings = Config::load(sources).unwrap().sources();
        let set = settings.iter().filter(|setting| setting.origin != Origin::Default);
        set.map(Setting::to_string).collect()
    };
    assert_eq!(
        shown(sources(text, &[("DUBHE_CONSUMER__CODEC", "json")])),
        [
            "consumer.cluster.forks = 3 (dubhe.toml:3:9)",
            "consumer.cluster.name = \"forking\" (dubhe.toml:2:8)",
            "consumer.codec = \"json\" (DUBHE_CONSUMER__CODEC)",
            "consumer.loadbalance.hash_arguments = [1] (dubhe.toml:6:18)",
            "consumer.loadbalance.name = \"consistenthash\" (dubhe.toml:5:8)",
        ]
    );
    assert_eq!(
        shown(sources(
            text,
            &[
                ("DUBHE_CONSUMER__CLUSTER", "{ name = \"forking\", forks = 4 }"),
                ("DUBHE_CONSUMER__LOADBALANCE", "p2c"),
            ]
        )),
        [
            "consumer.cluster.forks = 4 (DUBHE_CONSUMER__CLUSTER)",
            "consumer.cluster.name = \"forking\" (DUBHE_CONSUMER__CLUSTER)",
            "consumer.loadbalance = \"p2c\" (DUBHE_CONSUMER__LOADBALANCE)",
        ]
    );
}

/// Addresses that no registry understands, and what is said of them.
const ADDRESSES: [(&str, &str); 12] = [
    ("eureka://a:1", "unknown registry `eureka`, available: dev, "),
    ("dbhe://a:1", "unknown registry `dbhe` (did you mean `dubhe`?), available: "),
    ("dubhe://a:x", "registry address `dubhe://a:x`: `x` is not a port: write 1 to 65535"),
    (
        "dubhe://a:65536",
        "registry address `dubhe://a:65536`: `65536` is not a port: write 1 to 65535",
    ),
    ("dubhe://a:1?k=v", "unknown parameter of dubhe:// `k`, it takes none"),
    ("dubhe://a:1/p", "registry address `dubhe://a:1/p`: dubhe:// takes no path, leave out `/p`"),
    ("dubhe://", "registry address `dubhe://`: it needs one server, as in dubhe://127.0.0.1:20890"),
    ("dubhe://:1", "registry address `dubhe://:1`: a host is empty: write a name or an IP address"),
    (
        "static://a",
        "registry address `static://a`: every provider needs host and port, as in \
         static://10.0.0.1:20880",
    ),
    (
        "static://a:1?codec=json",
        "unknown parameter of static:// `codec` (did you mean `codecs`?), available: codecs, \
         protocols",
    ),
    ("dev://a:1", "registry address `dev://a:1`: it takes one name of letters, digits, "),
    ("dev://a?k", "registry address `dev://a?k`: parameter `k` has no `=`"),
];

#[test]
fn an_address_that_its_registry_does_not_understand_is_pointed_at_in_every_form() {
    for (address, message) in ADDRESSES {
        let variable = [("DUBHE_REGISTRY__ADDRESS", address)];
        let builder = Layer::new().set("registry.address", address);
        for (sources, place) in [
            (
                sources(&format!("[registry]\ncache = true\naddress = \"{address}\"\n"), &[]),
                "dubhe.toml:3:11: registry.address",
            ),
            (
                sources(
                    &format!(
                        "[[registry]]\naddress = \"dev://\"\n\n[[registry]]\ntoken = \"t\"\n\
                         address = \"{address}\"\n"
                    ),
                    &[],
                ),
                "dubhe.toml:6:11: registry.address[1].address",
            ),
            (
                sources(&format!("registry.address = [\"dev://\", \"{address}\"]"), &[]),
                "dubhe.toml:1:31: registry.address[1]",
            ),
            (
                sources(&format!("registry.address = \"dev://,{address}\""), &[]),
                "dubhe.toml:1:20: registry.address",
            ),
            (sources("", &variable), "DUBHE_REGISTRY__ADDRESS: registry.address"),
            (Sources { builder, ..Sources::default() }, "builder: registry.address"),
        ] {
            let told = refused(sources);
            let start = format!("{place}: {message}");
            assert!(told.starts_with(&start), "{address}\n gives {told}\n not   {start}");
            for form in ["[/path]", "?key", "/path"] {
                assert!(!told.contains(form), "{told} offers what is refused");
            }
        }
    }
}

#[test]
fn what_is_not_built_in_is_told_apart_from_a_slip() {
    for (text, message) in [
        (
            "registry.address = \"consul://127.0.0.1:8500\"",
            "1:20: registry.address: registry `consul` is not built in, available: dev, ",
        ),
        (
            "consumer.codec = \"hessian2\"",
            "1:18: consumer.codec: codec `hessian2` is not built in, available: json, msgpack, \
             protobuf",
        ),
        (
            "provider.protocols = [\"dubbo\", \"triple\", \"json\"]",
            "1:32: provider.protocols[1]: protocol `triple` is not built in, available: dubbo, json",
        ),
        (
            "provider.protocols = [\"jsn\"]",
            "1:23: provider.protocols[0]: unknown protocol `jsn` (did you mean `json`?), \
             available: dubbo, json",
        ),
    ] {
        let (told, expected) = (file_error(text), format!("dubhe.toml:{message}"));
        // Registries are by feature, and so differ between builds.
        assert!(told.starts_with(&expected), "{told}");
    }
}
