//! A registry of this process that the code names, beside files and variables that lie about.

use super::sources;
use crate::config::*;

const FLEET: &str = "registry.address = \"dubhe://fleet:20890\"\nconsumer.timeout = \"2s\"\n";

/// Where the program meets others, who said so, and what is told of contradictions.
fn loaded(sources: Sources) -> (String, Origin, String, String) {
    let config = Config::load(sources).unwrap();
    let address = config.registry.address.to_string();
    let settings = config.sources();
    let setting = settings.into_iter().find(|it| it.key == "registry.address").unwrap();
    let Overruled { replaced, kept, .. } = config.overruled();
    (address, setting.origin, replaced.to_string(), kept.to_string())
}

fn in_code(address: &str, file: &str, environment: &[(&str, &str)]) -> Sources {
    let mut sources = sources(file, environment);
    sources.builder = Layer::new().set("registry.address", address).set("consumer.timeout", "9s");
    sources
}

#[test]
fn no_file_and_no_variable_replaces_a_registry_of_this_process_that_the_code_names() {
    let variable = ("DUBHE_REGISTRY__ADDRESS", "dubhe://other:1");
    let tables = "[[registry]]\naddress = \"dubhe://a:1\"\n[[registry]]\naddress = \"dev://\"\n";
    let kept = "registry.address (dubhe.toml:1:20), registry.address (DUBHE_REGISTRY__ADDRESS)";
    let (address, origin, replaced, told) = loaded(in_code("memory://t", FLEET, &[variable]));
    assert_eq!((&*address, origin), ("memory://t", Origin::Builder));
    assert_eq!((&*replaced, &*told), ("consumer.timeout (dubhe.toml:2:20)", kept));
    for (own, file) in
        [("memory://", FLEET), ("memory://a,memory://b", FLEET), ("memory://t", tables)]
    {
        let (address, origin, ..) = loaded(in_code(own, file, &[variable]));
        assert_eq!((address.replace(", ", ","), origin), (own.to_owned(), Origin::Builder));
    }
}

#[test]
fn an_argument_replaces_a_registry_of_this_process_as_everything_else() {
    let mut sources = in_code("memory://t", FLEET, &[]);
    sources.builder = sources.builder.argument("--registry", "registry.address", "dev://x");
    let (address, origin, ..) = loaded(sources);
    assert_eq!(address, "dev://x");
    assert_eq!(origin, Origin::Argument { name: "--registry".to_owned() });
}

#[test]
fn any_other_registry_in_code_gives_way_to_the_file_and_that_is_told() {
    for own in ["dev://", "static://127.0.0.1:1", "dubhe://h:1", "memory://t,dev://"] {
        let (address, _, replaced, kept) = loaded(in_code(own, FLEET, &[]));
        assert_eq!(address, "dubhe://fleet:20890", "{own}");
        let both = "registry.address (dubhe.toml:1:20), consumer.timeout (dubhe.toml:2:20)";
        assert_eq!((&*replaced, &*kept), (both, "nothing"), "{own}");
    }
}

#[test]
fn what_says_the_same_as_the_code_contradicts_nothing() {
    let file = "registry.address = \"memory://t\"\nconsumer.timeout = \"9s\"\n";
    let (.., replaced, kept) = loaded(in_code("memory://t", file, &[]));
    assert_eq!((&*replaced, &*kept), ("nothing", "nothing"));
}

#[test]
fn a_registry_that_is_not_in_force_must_be_possible_all_the_same() {
    let sources = in_code("memory://t", "registry.address = \"nonsense\"", &[]);
    let told = Config::load(sources).unwrap_err().to_string();
    assert!(told.starts_with("dubhe.toml:1:20: registry.address: "), "{told}");
}
