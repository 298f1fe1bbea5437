//! A part of the measurement that runs as a process of its own: it is told what to do by lines, and
//! answers each with one.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Duration, timeout};

use crate::BoxError;

/// Longest time for which an answer is waited for.
const LIMIT: Duration = Duration::from_secs(600);

/// A running part; killed when it is dropped.
pub(crate) struct Role {
    name: &'static str,
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Role {
    pub(crate) fn start(name: &'static str, url: Option<&str>) -> Result<Self, BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(name).args(url).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let input = input.ok_or("a child has no input")?;
        let output = BufReader::new(output.ok_or("a child has no output")?).lines();
        Ok(Self { name, _child: child, input, output })
    }

    pub(crate) async fn answer(&mut self) -> Result<String, BoxError> {
        let line = timeout(LIMIT, self.output.next_line()).await;
        let line =
            line.map_err(|_| format!("{} does not answer within {LIMIT:?}", self.name))??;
        line.ok_or_else(|| format!("{} has ended", self.name).into())
    }

    pub(crate) async fn tell(&mut self, line: &str) -> Result<(), BoxError> {
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(())
    }

    /// Tells it `line` and waits for the answer.
    pub(crate) async fn ask(&mut self, line: &str) -> Result<String, BoxError> {
        self.tell(line).await?;
        self.answer().await
    }
}

/// What a part is told, one line after the other; `None` at the end.
pub(crate) struct Orders(Lines<BufReader<tokio::io::Stdin>>);

impl Orders {
    pub(crate) fn new() -> Self {
        Self(BufReader::new(tokio::io::stdin()).lines())
    }

    /// The next order: its word and its numbers.
    pub(crate) async fn next(&mut self) -> Result<Option<(String, Vec<usize>)>, BoxError> {
        let Some(line) = self.0.next_line().await? else { return Ok(None) };
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or_default().to_owned();
        Ok(Some((word, words.map(str::parse).collect::<Result<_, _>>()?)))
    }
}
