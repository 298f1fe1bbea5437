//! Where and of what the figures come: the facts without which they say nothing.

use std::fmt;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::peers::Entry;

/// The lock file this program was built from.
const LOCK: &str = include_str!("../Cargo.lock");

/// The machine, the build and the peers of one bench.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Seconds since 1970.
    time: u64,
    cpu: String,
    cores: usize,
    kernel: String,
    /// Load average of the last minute before the bench; it should be near zero.
    load: String,
    rustc: &'static str,
    commit: String,
    /// Name and version of each peer.
    peers: Vec<(&'static str, &'static str)>,
}

impl Machine {
    /// Looks at this machine; what cannot be found out is called unknown.
    pub(crate) fn look(peers: &[Entry]) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            time: now.map_or(0, |elapsed| elapsed.as_secs()),
            cpu: cpu(),
            cores: cores(),
            kernel: word("/proc/sys/kernel/osrelease"),
            load: word("/proc/loadavg"),
            rustc: env!("BENCH_RUSTC"),
            commit: commit(),
            peers: peers.iter().map(|peer| (peer.name, version(LOCK, peer.package))).collect(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, kernel, load, rustc, commit, .. } = self;
        writeln!(f, "machine: {cores} cores of {cpu}, Linux {kernel}, load {load}")?;
        writeln!(f, "build:   commit {commit}, {rustc}")?;
        let peers: Vec<_> = self.peers.iter().map(|(name, of)| format!("{name} {of}")).collect();
        writeln!(f, "peers:   {}", peers.join(", "))
    }
}

/// Cores this process may use.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

fn cpu() -> String {
    let known = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = known.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

/// The first word of a file of one line.
fn word(path: &str) -> String {
    let line = fs::read_to_string(path).unwrap_or_default();
    line.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// The commit the sources are at, marked when they differ from it.
fn commit() -> String {
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    match described {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}

/// The version that `lock` holds of `package`.
fn version<'a>(lock: &'a str, package: &str) -> &'a str {
    let name = format!("name = \"{package}\"\nversion = \"");
    let rest = lock.split_once(&name).map_or("unknown\"", |(_, rest)| rest);
    rest.split('"').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_found_by_its_whole_name() {
        let lock = "[[package]]\nname = \"volo\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"volo-thrift\"\nversion = \"2.0.0\"\n";
        assert_eq!(version(lock, "volo-thrift"), "2.0.0");
        assert_eq!(version(lock, "volo"), "1.0.0");
        assert_eq!(version(lock, "corba"), "unknown");
    }

    #[test]
    fn every_peer_has_a_locked_version() {
        for peer in crate::peers::builtin() {
            assert_ne!(version(LOCK, peer.package), "unknown", "{}", peer.name);
        }
    }
}
