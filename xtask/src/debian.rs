//! Packages of Debian and its descendants that tests need, where this machine may install them.

use std::process::Command;

use crate::process::{Failure, program, run};

/// Installs them, without what they only recommend. The package lists are fetched if it fails without.
pub(crate) fn install(packages: &[&str]) -> Result<(), Failure> {
    let install = || {
        let mut command = apt_get();
        command.args(["install", "--yes", "--no-install-recommends"]).args(packages);
        run(command.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    install().or_else(|_| {
        run(apt_get().arg("update"))?;
        install()
    })
}

/// Whether this process is the system's administrator.
pub(crate) fn is_root() -> bool {
    let user = program("id").arg("-u").output();
    user.is_ok_and(|user| user.stdout.trim_ascii() == b"0")
}

/// As administrator; without a question, because nobody may be there to answer it.
fn apt_get() -> Command {
    if is_root() {
        return program("apt-get");
    }
    let mut command = program("sudo");
    command.args(["-n", "apt-get"]);
    command
}
