//! The configuration of a real process: its environment and the files it finds.
//!
//! Environment and working directory belong to a process, so each case runs this test program once
//! more, down to the one test that prints what was loaded.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use std::path::Path;
use std::process::Command;

use dubhe::config::{Config, Layer, Sources};

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
