//! Runs a program under valgrind's callgrind, which counts its instructions.

use std::fs;
use std::path::PathBuf;

use crate::callgrind::Profile;
use crate::debian;
use crate::process::{Failure, is_ci, program, target};

/// Whether callgrind can be run here. A continuous integration must have it; a person is told that
/// `what` was not counted.
pub(crate) fn is_there(what: &str) -> Result<bool, Failure> {
    let is_there = || program("valgrind").arg("--version").output().is_ok();
    if is_there() {
        return Ok(true);
    }
    if debian::is_root() && debian::install(&["valgrind"]).is_ok() && is_there() {
        return Ok(true);
    }
    if is_ci() {
        return Err(Failure::new("valgrind is not installed: run `apt-get install valgrind`"));
    }
    eprintln!("valgrind is not installed, so {what} was NOT counted");
    eprintln!("run `apt-get install valgrind`, or your system's like of it");
    Ok(false)
}

/// What this program of the profile `cost` does with these arguments, in instructions.
pub(crate) fn profile(binary: &str, arguments: &[&str]) -> Result<Profile, Failure> {
    let out: PathBuf = target().join("cost").join(format!("callgrind-{}", arguments.join("-")));
    let mut command = program("valgrind");
    command.args(["--quiet", "--tool=callgrind"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(target().join("cost").join(binary)).args(arguments);
    let failed = |why: String| Failure::new(format!("cannot count {}: {why}", arguments.join(" ")));
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let text = fs::read(&out).map_err(|error| failed(format!("{}: {error}", out.display())))?;
    Ok(Profile::parse(&String::from_utf8_lossy(&text)))
}

/// The system's allocator is asked by these alone.
pub(crate) fn is_allocation(function: &str) -> bool {
    ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"].contains(&function)
}
