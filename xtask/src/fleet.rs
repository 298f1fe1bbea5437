//! Java, Go and Rust processes around one registry: prepares the peers and runs `tests/fleet`.
//!
//! Not part of `ci`: Maven fetches 400 MB of jars and Go as many modules the first time, and it runs for minutes.

use std::fs;
use std::path::Path;

use crate::process::{Failure, cargo, program, root, run, target};
use crate::{maven, nacos, servers};

/// Says where the peers are.
const VARIABLE: &str = "DUBHE_FLEET";

/// What a shell does in a network of its own, in which there is nothing but loopback: Java registers and calls
/// another address of its host else.
const ON_LOOPBACK: &str = "ip link set lo up && exec \"$@\"";

/// Runs it with the registries that are named, or with all.
pub(crate) fn check(arguments: &[String]) -> Result<(), Failure> {
    let prepared = target().join("fleet");
    servers::prepare()?;
    maven::prepare("tests/fleet/java", &prepared.join("java"))?;
    build_go(&prepared.join("go"))?;
    let mut registries = arguments.iter().filter(|word| !word.starts_with("--")).peekable();
    let mut environment = vec![(VARIABLE, prepared)];
    if registries.peek().is_none() || registries.any(|name| name.starts_with("nacos")) {
        environment.push((nacos::VARIABLE, nacos::prepare()?));
    }
    run(&mut cargo(["build", "--quiet", "--package", "dubhe-fleet"]))?;
    let mut command = program("unshare");
    command.args(["-rn", "sh", "-c", ON_LOOPBACK, "sh"]);
    command.arg(target().join("debug/dubhe-fleet")).arg("run").args(arguments);
    run(command.envs(environment)).map_err(|failure| {
        Failure::new(format!(
            "{failure}; it takes network namespaces (Debian: util-linux, iproute2) and the right to make them"
        ))
    })
}

/// Builds the peer of dubbo-go; Go itself knows whether that was done.
fn build_go(into: &Path) -> Result<(), Failure> {
    fs::create_dir_all(into)
        .map_err(|error| Failure::new(format!("{}: {error}", into.display())))?;
    let mut go = program("go");
    go.current_dir(root().join("tests/fleet/go")).args(["build", "-o"]).arg(into.join("peer"));
    run(go.arg(".")).map_err(|failure| {
        Failure::new(format!("{failure}; it takes Go 1.25 or newer (Debian: apt install golang)"))
    })
}
