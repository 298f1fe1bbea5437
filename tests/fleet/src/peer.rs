//! A process of the fleet, in whichever language: told what to do by lines, heard by lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::{Duration, timeout};

use crate::BoxError;
use crate::listed::Listed;

/// How long a peer may take to come up, to answer and to go, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A list by level: `interface` or `application`.
pub(crate) type Lists = BTreeMap<String, BTreeSet<Listed>>;

/// What a peer has said so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    /// What follows `ready`.
    ready: Option<String>,
    /// The last lists that its registry layer handed on.
    pub(crate) lists: Lists,
    /// Answers to what it was told.
    answers: Vec<String>,
    has_ended: bool,
}

/// A running process; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) heard: watch::Receiver<Heard>,
    log: PathBuf,
}

impl Peer {
    /// Starts `command`, whose log goes to a file in `folder`, and waits until it is ready: the rest of
    /// that line comes with it.
    pub(crate) async fn start(
        name: &str,
        mut command: Command,
        folder: &Path,
    ) -> Result<(Self, String), BoxError> {
        let log = folder.join(name).with_extension("log");
        let errors = OpenOptions::new().create(true).append(true).open(&log)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        let output = child.stdout.take().ok_or("a child has no output")?;
        let input = child.stdin.take();
        let (told, heard) = watch::channel(Heard::default());
        // Ends with the process, whose output closes.
        tokio::spawn(hear(output, told, log.clone()));
        let mut peer = Self { name: name.to_owned(), child, input, heard, log };
        let ready = peer.wait("is not ready", |heard| heard.ready.clone()).await?;
        Ok((peer, ready))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until `wanted` finds something in what it has said.
    async fn wait<T>(
        &mut self,
        else_it: &str,
        wanted: impl Fn(&Heard) -> Option<T>,
    ) -> Result<T, BoxError> {
        let found = timeout(
            PATIENCE,
            self.heard.wait_for(|heard| heard.has_ended || wanted(heard).is_some()),
        );
        let found = found.await.ok().and_then(Result::ok).and_then(|heard| wanted(&heard));
        let log = self.log.display();
        found.ok_or_else(|| format!("{} {else_it}; its log is {log}", self.name).into())
    }

    /// Tells it `line` and waits for its answer.
    pub(crate) async fn ask(&mut self, line: &str) -> Result<String, BoxError> {
        let before = self.heard.borrow().answers.len();
        let input = self.input.as_mut().ok_or("its input is closed")?;
        input.write_all(format!("{line}\n").as_bytes()).await?;
        self.wait(&format!("does not answer `{line}`"), |heard| heard.answers.get(before).cloned())
            .await
    }

    /// Has it end in an orderly way, and returns the last that it said.
    pub(crate) async fn end(mut self) -> Result<Option<String>, BoxError> {
        drop(self.input.take());
        let gone = timeout(PATIENCE, self.child.wait()).await;
        let status = gone.map_err(|_| format!("{} does not end", self.name))??;
        if !status.success() {
            return Err(format!("{} ended with {status}", self.name).into());
        }
        self.wait("has closed nothing", |heard| heard.has_ended.then_some(())).await?;
        Ok(self.heard.borrow().answers.last().cloned())
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) async fn kill(mut self) -> Result<(), BoxError> {
        Ok(self.child.kill().await?)
    }

    /// The lines of its log that hold `text`.
    pub(crate) fn logged(&self, text: &str) -> Vec<String> {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

/// Takes in what a peer says until it ends; what is none of our lines belongs to its log.
async fn hear(output: ChildStdout, told: watch::Sender<Heard>, log: PathBuf) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "ready" => told.send_modify(|heard| heard.ready = Some(rest.to_owned())),
            "notified" => {
                let mut words = rest.split(' ');
                let level = words.next().unwrap_or_default().to_owned();
                let list = words.skip(1).filter_map(Listed::of_url).collect();
                told.send_modify(|heard| drop(heard.lists.insert(level, list)));
            }
            "called" | "invokers" => {
                told.send_modify(|heard| heard.answers.push(line.clone()));
            }
            _ => {
                if let Ok(mut log) = OpenOptions::new().append(true).open(&log) {
                    // The log of a test is not worth its failure.
                    let _ = writeln!(log, "{line}");
                }
            }
        }
    }
    told.send_modify(|heard| heard.has_ended = true);
}
