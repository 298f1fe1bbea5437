//! Running other programs: from the repository's root, shown before they start, judged by their
//! exit code.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Why a command of ours did not succeed; the message names the remedy where there is one.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Whether nobody is there to read a warning.
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !["", "0", "false"].iter().any(|no| value == *no))
}

/// A program started from the root, without settings of ours that happen to be in the environment.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("DUBHE_") {
            command.env_remove(name);
        }
    }
    command
}

/// The cargo we were started by.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// A program that runs meanwhile; it is killed when this is dropped, also where something before its end has failed.
#[derive(Debug)]
pub(crate) struct RunningProgram(pub(crate) Child);

impl Drop for RunningProgram {
    fn drop(&mut self) {
        // Both fail only if it has gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Shows the command, runs it and waits for it.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command
        .status()
        .map_err(|error| Failure::new(format!("cannot start `{shown}`: {error}")))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("`{shown}` failed: {status}"))),
    }
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::sync::mpsc;
    use std::time::Duration;
    use std::{io, thread};

    use super::*;

    /// More than the end of a program may take.
    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn a_program_ends_with_its_owner() {
        let child = program("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut running = RunningProgram(child);
        // It would run as long as it has an input, and does not outlive this test.
        let (_input, output) = (running.0.stdin.take(), running.0.stdout.take());
        let (ended, end) = mpsc::channel();
        thread::spawn(move || {
            drop(running);
            ended.send(io::read_to_string(output.unwrap()).unwrap())
        });
        assert_eq!(end.recv_timeout(LIMIT).expect("it runs on"), "");
    }
}
