//! The service most tests call: a shop that says who answered and notes every execution.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dubhe::prelude::*;

#[dubhe::service(name = "test.Shop")]
pub trait Shop {
    /// Reads only.
    #[rpc(idempotent)]
    async fn look(&self, id: u64) -> Result<Answer>;

    /// Changes something.
    async fn buy(&self, id: u64) -> Result<Answer>;

    /// Reads only, and takes its time.
    #[rpc(idempotent)]
    async fn ponder(&self, id: u64, millis: u64) -> Result<Answer>;

    /// Changes something, and takes its time.
    async fn build(&self, id: u64, millis: u64) -> Result<Answer>;

    /// Notes something that may be noted twice, and takes its time.
    #[rpc(idempotent)]
    async fn mark(&self, id: u64, millis: u64) -> Result<()>;

    /// Notes something that must not be noted twice, and takes its time.
    async fn note(&self, id: u64, millis: u64) -> Result<()>;

    /// Fails with the code of this number.
    #[rpc(idempotent)]
    async fn fail(&self, code: u32) -> Result<()>;

    /// Gives the text back.
    #[rpc(idempotent)]
    async fn echo(&self, text: String) -> Result<String>;

    /// Panics.
    async fn panic(&self) -> Result<()>;
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub id: u64,
    pub who: String,
}

/// How much longer a slow shop takes.
pub const SLOWNESS: Duration = Duration::from_millis(150);

/// A shop of this name.
pub struct Clerk {
    name: String,
    ledger: Option<File>,
    broken: Option<PathBuf>,
    slow: Option<PathBuf>,
    executed: AtomicU64,
    delay: Duration,
}

impl Clerk {
    pub fn new(name: &str) -> Self {
        let (executed, delay) = (AtomicU64::new(0), Duration::ZERO);
        Self { name: name.to_owned(), ledger: None, broken: None, slow: None, executed, delay }
    }

    /// A shop that takes so much longer wherever it takes its time.
    pub fn slower_by(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// A shop that notes every execution in a file that outlives its process.
    pub fn with_ledger(name: &str, path: &Path) -> Self {
        let ledger = OpenOptions::new().create(true).append(true).open(path).unwrap();
        Self { ledger: Some(ledger), ..Self::new(name) }
    }

    /// The same shop, which fails every call while there is a file at `path`.
    pub fn broken_while(self, path: &Path) -> Self {
        Self { broken: Some(path.to_owned()), ..self }
    }

    /// The same shop, which takes [`SLOWNESS`] longer while there is a file at `path`.
    pub fn slow_while(self, path: &Path) -> Self {
        Self { slow: Some(path.to_owned()), ..self }
    }

    /// Takes so many milliseconds, and however much longer it was told to take.
    async fn work(&self, millis: u64) {
        let is_slow = self.slow.as_ref().is_some_and(|path| path.exists());
        let slowness = if is_slow { SLOWNESS } else { Duration::ZERO };
        tokio::time::sleep(Duration::from_millis(millis) + self.delay + slowness).await;
    }

    /// How many calls have begun.
    pub fn executed(&self) -> u64 {
        self.executed.load(Ordering::Acquire)
    }

    fn try_begin(&self, id: u64) -> Result<Answer> {
        let answer = self.begin(id);
        match &self.broken {
            Some(path) if path.exists() => Err(Status::unavailable("the shop is on fire")),
            _ => Ok(answer),
        }
    }

    fn begin(&self, id: u64) -> Answer {
        self.executed.fetch_add(1, Ordering::AcqRel);
        if let Some(mut ledger) = self.ledger.as_ref() {
            // One write each, to the end: whole lines also when the process dies between two.
            ledger.write_all(format!("{id}\n").as_bytes()).unwrap();
        }
        Answer { id, who: self.name.clone() }
    }
}

/// The ids of every execution noted at `path`.
pub fn read_ledger(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

impl Shop for Clerk {
    async fn look(&self, id: u64) -> Result<Answer> {
        self.try_begin(id)
    }

    async fn buy(&self, id: u64) -> Result<Answer> {
        self.try_begin(id)
    }

    async fn ponder(&self, id: u64, millis: u64) -> Result<Answer> {
        let answer = self.try_begin(id)?;
        self.work(millis).await;
        Ok(answer)
    }

    async fn build(&self, id: u64, millis: u64) -> Result<Answer> {
        let answer = self.try_begin(id)?;
        self.work(millis).await;
        Ok(answer)
    }

    async fn mark(&self, id: u64, millis: u64) -> Result<()> {
        self.build(id, millis).await.map(drop)
    }

    async fn note(&self, id: u64, millis: u64) -> Result<()> {
        self.build(id, millis).await.map(drop)
    }

    async fn fail(&self, code: u32) -> Result<()> {
        self.begin(0);
        let code = u8::try_from(code).map_or(Code::Unknown, Code::from_number);
        Err(Status::new(code, "as you asked"))
    }

    async fn echo(&self, text: String) -> Result<String> {
        self.begin(0);
        Ok(text)
    }

    async fn panic(&self) -> Result<()> {
        self.begin(0);
        panic!("as you asked");
    }
}
