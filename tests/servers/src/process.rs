//! A program that runs while a test needs it.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running program; killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `command`, whose output goes to the file `log`.
    ///
    /// # Panics
    /// It cannot be started, or the file cannot be written.
    #[must_use]
    pub fn start(command: Command, log: &Path) -> Self {
        Self::launch(command, Stdio::null(), log)
    }

    /// As [`start`](Self::start), of a program that ends when its input does: it ends with this process, even
    /// if nothing is dropped.
    #[must_use]
    pub(crate) fn start_tied(command: Command, log: &Path) -> Self {
        Self::launch(command, Stdio::piped(), log)
    }

    /// Says a line to a program that was [started tied](Self::start_tied) and listens.
    pub(crate) fn say(&mut self, line: &str) {
        let said = self.child.stdin.as_mut().map(|input| writeln!(input, "{line}"));
        assert!(matches!(said, Some(Ok(()))), "{} is not there to be told `{line}`", self.name);
    }

    fn launch(mut command: Command, input: Stdio, log: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let errors =
            output.try_clone().unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        command.stdin(input).stdout(output).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name, child }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it at once, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only if it has gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops it where it is, as `kill -STOP` does.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on, as `kill -CONT` does.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Has it read its files again, as `kill -HUP` does.
    pub fn reload(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {signal} to {}", self.name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The first of `places` that exists: a program of the Debian package `package`.
///
/// `None` is told loudly, and the caller leaves its test.
///
/// # Panics
/// It is not there and nobody would read a warning, because `CI` is set.
#[must_use]
pub fn installed(places: &[&str], package: &str) -> Option<PathBuf> {
    let found = places.iter().map(PathBuf::from).find(|place| place.exists());
    if found.is_none() {
        let what =
            format!("{} is not installed (Debian: apt install {package})", places.join(" or "));
        assert!(!is_ci(), "{what}");
        eprintln!("!!! NOT TESTED: {what}");
    }
    found
}

/// Whether nobody is there to read a warning.
#[must_use]
pub fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !["", "0", "false"].iter().any(|no| value == *no))
}
