//! The configuration of a real process: its environment and the files it finds.
//!
//! Environment and working directory belong to a process, so each of these cases runs this test program once
//! more, down to the one test that prints what was loaded.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use dubhe::config::{Config, Layer, Setting, Sources};
use support::shop::{Clerk, ShopServer};

/// Set in the inner process.
const INNER: &str = "TEST_PRINTS_ITS_CONFIGURATION";

#[test]
fn the_inner_process_prints_what_it_loaded() {
    if std::env::var_os(INNER).is_none() {
        return;
    }
    let builder = Layer::new().set("consumer.codec", "from-builder");
    let loaded = Sources::of_process(builder).and_then(Config::load);
    eprintln!(
        "{INNER}: {}",
        match loaded {
            Ok(config) => config.consumer.codec,
            Err(error) => error.to_string(),
        }
    );
}

/// What a process says that runs in `folder` with these variables.
fn loaded(folder: &Path, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DUBHE_") {
            command.env_remove(name);
        }
    }
    let output = command
        .args(["--exact", "the_inner_process_prints_what_it_loaded", "--nocapture"])
        .current_dir(folder)
        .env(INNER, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(INNER)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("nothing printed: {text}")).to_owned()
}

#[test]
fn a_process_finds_its_file_and_its_variables() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(loaded(folder, &[]), "from-builder");
    std::fs::write(folder.join("dubhe.toml"), "consumer.codec = \"from-file\"").unwrap();
    assert_eq!(loaded(folder, &[]), "from-file");
    std::fs::write(folder.join("other.toml"), "consumer.codec = \"from-other\"").unwrap();
    assert_eq!(loaded(folder, &[("DUBHE_CONFIG", "other.toml")]), "from-other");
    assert_eq!(loaded(folder, &[("DUBHE_CONFIG", "")]), "from-builder");
    let variables = [("DUBHE_CONFIG", "other.toml"), ("DUBHE_CONSUMER__CODEC", "from-variable")];
    assert_eq!(loaded(folder, &variables), "from-variable");
}

/// What a registry lists of a provider with these settings: weight and metadata.
async fn listed(toml: &str) -> (u32, BTreeMap<String, String>) {
    let url = support::memory();
    let provider = support::provider(&url, toml).serve(ShopServer::new(Clerk::new("a")));
    let running = provider.start().await.unwrap();
    let instances = registry::connect(&url).unwrap().list(&"test.Shop".parse().unwrap()).await;
    running.shutdown().await;
    let [instance] = &instances.unwrap()[..] else { panic!("one instance is registered") };
    (instance.weight, (*instance.metadata).clone())
}

#[tokio::test]
async fn a_provider_publishes_what_is_configured_for_its_service() {
    let all = "[provider]\nweight = 30\nwarmup = \"1m\"\nmetadata.zone = \"a\"\n";
    let metadata = |warmup: &str| {
        let pairs = [("zone", "a"), ("warmup", warmup)];
        BTreeMap::from(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())))
    };
    assert_eq!(listed(all).await, (30, metadata("60000")));
    let own = format!("{all}[provider.services.\"test.Shop\"]\nweight = 7\nwarmup = \"0s\"\n");
    assert_eq!(listed(&own).await, (7, metadata("0")));
}

#[tokio::test]
async fn a_section_for_a_service_that_is_not_served_is_pointed_at() {
    let toml = "[provider.services.\"test.Shp\"]\nweight = 7\n";
    let provider = support::provider(&support::memory(), toml);
    let started = provider.serve(ShopServer::new(Clerk::new("a"))).start().await;
    assert_eq!(
        started.map(drop).unwrap_err().to_string(),
        "dubhe.toml:1:20: unknown service in [provider.services] `test.Shp` \
         (did you mean `test.Shop`?), available: test.Shop"
    );
}

#[test]
fn every_value_in_force_is_listed_with_its_place() {
    let toml = "[consumer.services.\"test.Shop\".methods.look]\ntimeout = \"2s\"\n";
    let config = support::consumer(&support::memory(), toml).config().sources();
    let lines: Vec<String> = config.iter().map(Setting::to_string).collect();
    for line in [
        "consumer.services.\"test.Shop\".methods.look.timeout = \"2s\" (dubhe.toml:2:11)",
        "consumer.timeout = \"5s\" (builder)",
        "consumer.retry_budget.percent = 20 (default)",
    ] {
        assert!(lines.iter().any(|found| found == line), "no `{line}` in {lines:#?}");
    }
    let json = serde_json::to_value(&config).unwrap();
    let is_port = |setting: &&serde_json::Value| setting["key"] == "provider.port";
    let port = json.as_array().unwrap().iter().find(is_port).unwrap();
    assert_eq!(
        port,
        &serde_json::json!({ "key": "provider.port", "value": 0, "origin": "builder" })
    );
}

#[test]
fn a_named_file_that_does_not_exist_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let message = loaded(folder.path(), &[("DUBHE_CONFIG", "absent.toml")]);
    let start = "cannot read configuration file absent.toml: No such file or directory";
    assert!(message.starts_with(start), "{message}");
}

#[test]
fn a_mistake_in_the_file_is_pointed_at() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dubhe.toml"), "[consumer]\ncodek = \"json\"\n").unwrap();
    let message = loaded(folder.path(), &[]);
    let start = "dubhe.toml:2:1: unknown key in [consumer] `codek` (did you mean `codec`?)";
    assert!(message.starts_with(start), "{message}");
}
