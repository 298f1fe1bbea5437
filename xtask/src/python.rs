//! The Python that tests use as a stock protobuf implementation: a virtual environment under
//! `target/` with pinned packages, made once.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Failure, program, run, target};

/// Tells tests which Python to run; who sets it brings their own.
pub(crate) const VARIABLE: &str = "DUBHE_PYTHON";

/// What is installed. A change of this list makes the environment anew.
const PACKAGES: [&str; 3] = ["protobuf==7.36.2", "grpcio-tools==1.85.1", "msgpack==1.1.2"];

/// Makes the environment if it is missing or not of these packages; its interpreter.
pub(crate) fn prepare() -> Result<PathBuf, Failure> {
    if let Some(own) = env::var_os(VARIABLE) {
        return Ok(own.into());
    }
    let home = target().join("python");
    let python = home.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let stamp = home.join("packages.txt");
    let wanted = PACKAGES.join("\n");
    let is_ready = fs::read_to_string(&stamp).is_ok_and(|found| found == wanted);
    if !(is_ready && starts(&python)) {
        make(&home, &python)?;
        fs::write(&stamp, wanted)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", stamp.display())))?;
    }
    Ok(python)
}

/// `cargo xtask python`
pub(crate) fn print(_: &[String]) -> Result<(), Failure> {
    let python = prepare()?;
    eprintln!("{VARIABLE}={}", python.display());
    Ok(())
}

fn make(home: &Path, python: &Path) -> Result<(), Failure> {
    let base = ["python3", "python"].into_iter().find(|name| starts(name.as_ref()));
    let base = base.ok_or_else(|| {
        Failure::new(format!(
            "tests need Python 3.10 or later: install it (Debian: apt install python3 \
             python3-venv), or set {VARIABLE} to an interpreter that has {}",
            PACKAGES.join(" and ")
        ))
    })?;
    run(program(base).args(["-m", "venv", "--clear"]).arg(home)).map_err(|failure| {
        Failure::new(format!(
            "{failure}; the module venv may be missing (Debian: apt install python3-venv)"
        ))
    })?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(program(python).args(pip).args(PACKAGES)).map_err(|failure| {
        Failure::new(format!(
            "{failure}; pip needs a package index once, or set {VARIABLE} to an interpreter that \
             has {}",
            PACKAGES.join(" and ")
        ))
    })
}

fn starts(python: &Path) -> bool {
    let check = "import sys; sys.exit(sys.version_info < (3, 10))";
    let answer = program(python).args(["-c", check]).output();
    answer.is_ok_and(|answer| answer.status.success())
}
