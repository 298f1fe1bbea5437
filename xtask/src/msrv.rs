//! The oldest Rust that the manifest promises: does everything still compile with it?

use std::fs;

use crate::process::{Failure, program, root, run, target};

/// Checks the workspace's libraries and programs with the `rust-version` of the manifest.
///
/// The toolchain is fetched by rustup where that is there; a machine without rustup is told that
/// nothing was checked.
pub(crate) fn check(_: &[String]) -> Result<(), Failure> {
    let version = promised()?;
    if program("rustup").arg("--version").output().is_err() {
        eprintln!("rustup is not installed, so Rust {version} was NOT checked");
        return Ok(());
    }
    run(program("rustup").args(["toolchain", "install", &version, "--profile", "minimal"]))?;
    let mut check = program("rustup");
    check.args(["run", &version, "cargo", "check", "--workspace", "--all-features"]);
    // A folder of its own, and not the flags that came with another toolchain.
    check.env("CARGO_TARGET_DIR", target().join("msrv")).env_remove("RUSTUP_TOOLCHAIN");
    run(&mut check)
}

/// The `rust-version` of the root manifest.
fn promised() -> Result<String, Failure> {
    let manifest = fs::read_to_string(root().join("Cargo.toml"))
        .map_err(|error| Failure::new(format!("cannot read Cargo.toml: {error}")))?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \""));
    let version = line.and_then(|line| line.strip_suffix('"')).map(str::to_owned);
    version.ok_or_else(|| Failure::new("Cargo.toml has no line `rust-version = \"…\"`"))
}
