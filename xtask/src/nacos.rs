//! Nacos servers for the tests of `nacos://`, and these tests.
//!
//! Not part of `ci`: the servers are Java programs whose jars Maven fetches, 300 MB of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::{Failure, cargo, program, root, run, target};

/// Says to tests where the servers are.
const VARIABLE: &str = "DUBHE_NACOS";

/// The versions of which there is a folder in `tests/servers/nacos`.
const VERSIONS: [&str; 2] = ["2", "3"];

/// Runs the tests, or with arguments those of `tests/nacos.rs` that they choose.
pub(crate) fn test(arguments: &[String]) -> Result<(), Failure> {
    let prepared = target().join("nacos");
    for version in VERSIONS {
        prepare(version, &prepared.join(version))?;
    }
    // Those of faults have servers of their own: one after the other, or times are those of the machine.
    let faults = ["--test", "nacos", "--", "--test-threads=1"];
    let suites =
        [&faults[..], &["--test", "contract"], &["--test", "config_center"], &["--lib", "nacos::"]];
    let chosen = if arguments.is_empty() { &suites[..] } else { &suites[..1] };
    for suite in chosen {
        let mut command = cargo(["test", "--package", "dubhe-registry", "--all-features"]);
        run(command.env(VARIABLE, &prepared).args(*suite).args(arguments))?;
    }
    Ok(())
}

/// Compiles the main class of a version, and writes down its class path, unless that was done.
fn prepare(version: &str, into: &Path) -> Result<(), Failure> {
    let source = root().join("tests/servers/nacos").join(version);
    // Maven leaves what has not changed as it is, so its files do not tell when that was.
    let done = into.join("done");
    if is_newer(&done, &source) {
        return Ok(());
    }
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", into.display()));
    fs::create_dir_all(into).map_err(failed)?;
    let mut maven: Command = program("mvn");
    maven.args(["-q", "-B", "compile", "dependency:build-classpath", "-f"]);
    maven.arg(source.join("pom.xml"));
    maven.arg(format!("-Ddubhe.target={}", into.display()));
    maven.arg(format!("-Dmdep.outputFile={}", into.join("classpath").display()));
    run(&mut maven).map_err(|failure| {
        Failure::new(format!("{failure}; it takes Maven and Java 17 (Debian: apt install maven)"))
    })?;
    fs::write(done, "").map_err(failed)
}

/// Whether a file is younger than everything in a folder.
fn is_newer(file: &Path, folder: &Path) -> bool {
    let Ok(made) = file.metadata().and_then(|about| about.modified()) else { return false };
    let Ok(entries) = folder.read_dir() else { return false };
    entries.flatten().all(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => is_newer(file, &entry.path()),
        _ => entry.metadata().and_then(|about| about.modified()).is_ok_and(|at| at < made),
    })
}
