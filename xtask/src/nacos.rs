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

/// Runs the tests; takes the name of one, and arguments for it.
pub(crate) fn test(arguments: &[String]) -> Result<(), Failure> {
    let prepared = target().join("nacos");
    for version in VERSIONS {
        prepare(version, &prepared.join(version))?;
    }
    let test = ["test", "--package", "dubhe-registry", "--all-features"];
    for tests in [&["--lib"][..], &["--test", "nacos"], &["--test", "contract"]] {
        let mut command = cargo(test);
        command.env(VARIABLE, &prepared).args(tests).args(arguments);
        run(&mut command)?;
    }
    Ok(())
}

/// Compiles the main class of a version, and writes down its class path, unless that was done.
fn prepare(version: &str, into: &Path) -> Result<(), Failure> {
    let source = root().join("tests/servers/nacos").join(version);
    let class_path = into.join("classpath");
    if is_newer(&class_path, &source) {
        return Ok(());
    }
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", into.display()));
    fs::create_dir_all(into).map_err(failed)?;
    let mut maven: Command = program("mvn");
    maven.args(["-q", "-B", "compile", "dependency:build-classpath", "-f"]);
    maven.arg(source.join("pom.xml"));
    maven.arg(format!("-Ddubhe.target={}", into.display()));
    maven.arg(format!("-Dmdep.outputFile={}", class_path.display()));
    run(&mut maven).map_err(|failure| {
        Failure::new(format!("{failure}; it takes Maven and Java 17 (Debian: apt install maven)"))
    })
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
