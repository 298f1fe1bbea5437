//! Nacos servers for the tests of `nacos://` and for chaos, and these tests.
//!
//! Not part of `ci`: the servers are Java programs whose jars Maven fetches, 300 MB of them.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{Failure, cargo, run, target};
use crate::{examples, maven};

/// Says to tests where the servers are.
pub(crate) const VARIABLE: &str = "DUBHE_NACOS";

/// The versions of which there is a folder in `tests/servers/nacos`.
const VERSIONS: [&str; 2] = ["2", "3"];

/// Runs the tests and the quickstart, or with arguments those of `tests/nacos.rs` that they choose. What fails does not
/// keep the rest from running.
pub(crate) fn test(arguments: &[String]) -> Result<(), Failure> {
    let prepared = prepare()?;
    // Those of faults have servers of their own: one after the other, or times are those of the machine.
    let faults = ["--test", "nacos", "--", "--test-threads=1"];
    let suites = [
        &faults[..],
        &["--test", "contract"],
        &["--test", "config_center"],
        &["--test", "memory", "at_nacos"],
        &["--lib", "nacos::"],
    ];
    let of_registry = |suite: &[&str]| {
        let mut command = cargo(["test", "--package", "dubhe-registry", "--all-features"]);
        command.args(suite);
        command
    };
    let chosen = if arguments.is_empty() { &suites[..] } else { &suites[..1] };
    let mut commands: Vec<Command> = chosen.iter().map(|suite| of_registry(suite)).collect();
    if arguments.is_empty() {
        let of_command =
            ["test", "--package", "dubhe-cli", "--test", "registries", "--test", "rules"];
        commands.push(cargo([&of_command[..], &["nacos"]].concat()));
    }
    let mut failures = Vec::new();
    for command in &mut commands {
        if let Err(failure) = run(command.env(VARIABLE, &prepared).args(arguments)) {
            failures.push(failure.to_string());
        }
    }
    if arguments.is_empty() {
        let rules = ["--all-features", "--test", "real_servers", "rules_of"];
        let rules = run(cargo(["test", "--package", "dubhe"]).env(VARIABLE, &prepared).args(rules));
        let quickstart = examples::run_at_nacos((VARIABLE, &prepared));
        let failed = [rules, quickstart].into_iter().filter_map(Result::err);
        failures.extend(failed.map(|failure| failure.to_string()));
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure::new(failures.join("; "))) }
}

/// Puts the servers of all versions together, and returns the folder that they are in.
pub(crate) fn prepare() -> Result<PathBuf, Failure> {
    let prepared = target().join("nacos");
    for version in VERSIONS {
        maven::prepare(&format!("tests/servers/nacos/{version}"), &prepared.join(version))?;
    }
    Ok(prepared)
}
