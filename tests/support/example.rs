//! The examples as programs, built by the cargo that runs the test, in the same profile.

#![allow(unreachable_pub, reason = "each test uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the examples of these names; the folder that has them.
pub fn build(names: &[&str]) -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let profile = deps.ancestors().nth(2).unwrap().to_owned();
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).args(["build", "--quiet"]);
    build.args(names.iter().flat_map(|name| ["--example", name]));
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "the examples do not build");
    profile.join("examples")
}

/// To run the program at `path` with none of the settings of whoever runs the test.
pub fn command(path: &Path) -> Command {
    let mut command = Command::new(path);
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_string_lossy().starts_with("DUBHE_")) {
        command.env_remove(name);
    }
    command.env("DUBHE_CONFIG", "");
    command
}
