//! A child process of the bench: started on a core or anywhere, heard once, always ended.
//!
//! Each child says exactly one line (a server where it listens, a client what it measured). Its
//! standard input is a pipe from the runner that never carries anything: however the runner ends,
//! the pipe closes with it, and [`end_with_parent`] ends the child.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::peers::BoxError;

/// A running child; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    what: String,
    child: Child,
    line: Receiver<io::Result<String>>,
}

impl Process {
    /// Runs this program again with `args`, on `core` alone if one is given.
    pub(crate) fn start(core: Option<usize>, args: &[String]) -> Result<Self, BoxError> {
        let program = std::env::current_exe()?;
        let mut command = match core {
            Some(core) => {
                let mut taskset = Command::new("taskset");
                taskset.args(["--cpu-list", &core.to_string()]).arg(program);
                taskset
            }
            None => Command::new(program),
        };
        let what = args.join(" ");
        let mut child = command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
        let stdout = child.stdout.take().expect("stdout was asked to be piped");
        Ok(Self { what, child, line: first_line(stdout) })
    }

    /// The process id; that of the program itself, as `taskset` becomes it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child's line, waited for at most `patience`.
    pub(crate) fn line(&self, patience: Duration) -> Result<String, BoxError> {
        let what = &self.what;
        match self.line.recv_timeout(patience) {
            Ok(Ok(line)) if !line.is_empty() => Ok(line.trim_end().to_owned()),
            Ok(Ok(_)) => {
                Err(format!("`{what}` ended without a result, see its output above").into())
            }
            Ok(Err(error)) => Err(format!("`{what}` cannot be read: {error}").into()),
            Err(_) => Err(format!("`{what}` said nothing for {patience:?}").into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn first_line(stdout: ChildStdout) -> Receiver<io::Result<String>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        // Nobody listens any more once the process was given up.
        let _ = sender.send(read.map(|_| line));
    });
    receiver
}

/// Ends this process as soon as its runner is gone.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}
