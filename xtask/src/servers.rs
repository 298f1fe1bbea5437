//! The servers that the tests of registries start: those of Debian, of which a continuous integration
//! has all.
//!
//! Some packages start their server at once, on its usual port. That does not matter: tests start their
//! own, on free ports and with data of their own.

use std::path::Path;

use crate::debian;
use crate::process::{Failure, is_ci};

/// Where a server is, and the package that brings it.
const SERVERS: [(&str, &str); 3] = [
    ("/usr/sbin/dnsmasq", "dnsmasq-base"),
    ("/usr/bin/etcd", "etcd-server"),
    ("/usr/share/java/zookeeper.jar", "zookeeper"),
];

/// Installs what is missing if nobody is there to do it; a person is told what is not tested.
pub(crate) fn prepare() -> Result<(), Failure> {
    let packages = missing(&SERVERS);
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !is_ci() {
        eprintln!("!!! NOT TESTED: registries whose servers are not installed");
        eprintln!(
            "!!! run `apt-get install --no-install-recommends {list}`, or your system's like of it"
        );
        return Ok(());
    }
    let failed = |why: &str| {
        Failure::new(format!(
            "tests of registries need servers, {why}: run `apt-get install --no-install-recommends \
             {list}` as root"
        ))
    };
    debian::install(&packages).map_err(|failure| failed(&failure.to_string()))?;
    match missing(&SERVERS)[..] {
        [] => Ok(()),
        [first, ..] => Err(failed(&format!("and {first} does not bring its own here"))),
    }
}

/// The packages of the servers that are not there.
fn missing<'a>(servers: &[(&str, &'a str)]) -> Vec<&'a str> {
    let absent = servers.iter().filter(|(place, _)| !Path::new(place).exists());
    absent.map(|(_, package)| *package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_missing_if_its_server_is_not_there() {
        let servers = [(env!("CARGO_MANIFEST_DIR"), "here"), ("/nowhere/at-all", "gone")];
        assert_eq!(missing(&servers), ["gone"]);
    }
}
