//! Whether what is built here and what the commit before builds understand each other.
//!
//! `tests/peer` is both ends of a conversation in which everything takes part that travels. The program
//! of the commit before is built from its own sources, and each end talks to the other's.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::process::{Failure, cargo, program, root, run, target};

const PACKAGE: &str = "dubhe-peer";

/// Builds both and runs them against each other, in both directions.
pub(crate) fn check(arguments: &[String]) -> Result<(), Failure> {
    let commit = match arguments {
        [] => "HEAD^",
        [commit] => commit,
        _ => return Err(Failure::new("usage: cargo xtask previous [COMMIT]")),
    };
    let Some(commit) = resolve(commit) else {
        eprintln!("{commit} is not here, so its peer was NOT talked to");
        eprintln!("a shallow clone lacks it: run `git fetch --deepen 1`");
        return Ok(());
    };
    let sources = sources_of(&commit)?;
    if !sources.join("tests/peer").is_dir() {
        eprintln!("{commit} has no program {PACKAGE} yet, so there is nobody to talk to");
        return Ok(());
    }
    // Apart: cargo takes what two checkouts of one workspace build for the same.
    let before = build(&sources, &target().join("previous/target"))?;
    let here = build(root(), &target())?;
    for (provider, consumer) in [(&before, &here), (&here, &before)] {
        converse(provider, consumer)?;
    }
    eprintln!("previous: {commit} and this tree understand each other in both directions");
    Ok(())
}

/// The full name of a commit, if it is in this clone.
fn resolve(commit: &str) -> Option<String> {
    let name = format!("{commit}^{{commit}}");
    let output = program("git").args(["rev-parse", "--quiet", "--verify", &name]).output().ok()?;
    let hash = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| hash.trim().to_owned())
}

/// The sources of a commit, put under `target/`.
fn sources_of(commit: &str) -> Result<PathBuf, Failure> {
    let (folder, archive) =
        (target().join("previous/sources"), target().join("previous/sources.tar"));
    let failed = |error| Failure::new(format!("{}: {error}", folder.display()));
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed)?;
    }
    fs::create_dir_all(&folder).map_err(failed)?;
    run(program("git").args(["archive", "--output"]).arg(&archive).arg(commit))?;
    run(program("tar").arg("-xf").arg(&archive).arg("-C").arg(&folder))?;
    Ok(folder)
}

/// Builds the peer of these sources in this folder.
fn build(sources: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let mut command = cargo(["build", "--quiet", "--package", PACKAGE]);
    run(command.current_dir(sources).env("CARGO_TARGET_DIR", folder))?;
    Ok(folder.join("debug").join(PACKAGE))
}

/// Ends a program also where something goes wrong.
struct Provider(Child);

impl Drop for Provider {
    fn drop(&mut self) {
        // Its input ends with this, and so does the program; whatever remains is of no interest.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn converse(provider: &Path, consumer: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("{}: {error}", provider.display()));
    let mut command = program(provider);
    command.arg("provide").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut provider = Provider(command.spawn().map_err(failed)?);
    let mut address = String::new();
    if let Some(said) = provider.0.stdout.take() {
        BufReader::new(said).read_line(&mut address).map_err(failed)?;
    }
    run(program(consumer).args(["consume", address.trim()]))
}
