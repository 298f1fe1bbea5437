//! Work on a disk that may hang, as one on the network does when its server is away.
//!
//! One piece is at work at a time, on a thread of its own, and nobody waits for that piece longer than
//! [`DISK_LIMIT`]. So a disk that hangs keeps one thread, and whoever comes later is told at once. Neither
//! a list nor the end of a runtime waits for that thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{io, thread};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How long the disk may take for one piece of work.
pub(crate) const DISK_LIMIT: Duration = Duration::from_secs(2);

/// Turns at one folder.
#[derive(Debug, Clone)]
pub(crate) struct DiskTurns {
    folder: Arc<Path>,
    free: Arc<Semaphore>,
    now: watch::Sender<AtDisk>,
}

/// Who is at work.
#[derive(Debug, Clone, Copy, Default)]
struct AtDisk {
    /// Counts turns.
    turn: u64,
    is_at_work: bool,
    /// Whether it is waited for no longer.
    hangs: bool,
}

/// The turn of one piece of work; dropped with its thread.
struct Turn {
    of: DiskTurns,
    number: u64,
    _held: OwnedSemaphorePermit,
}

impl DiskTurns {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.into(),
            free: Arc::new(Semaphore::new(1)),
            now: watch::Sender::new(AtDisk::default()),
        }
    }

    /// Does `work` in its turn; `None` where the runtime shuts down.
    ///
    /// Dropped before its turn, it does nothing; later, the work goes on unobserved.
    ///
    /// # Errors
    /// That of the work; [`io::ErrorKind::TimedOut`] if the disk does not answer within [`DISK_LIMIT`], or
    /// has not answered somebody else by now. That is logged once until it answers.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<Option<T>> {
        let mut now = self.now.subscribe();
        let held = tokio::select! {
            biased;
            _ = now.wait_for(|now| now.hangs) => return Err(hung()),
            // Nobody closes it.
            held = Arc::clone(&self.free).acquire_owned() => held.map_err(io::Error::other)?,
        };
        let turn = self.begin(held);
        let waiting = tokio::task::spawn_blocking(move || turn.work(work));
        match waiting.await {
            Ok(done) => done.map(Some),
            Err(ended) if ended.is_cancelled() => Ok(None),
            Err(ended) => Err(ended.into()),
        }
    }

    fn begin(&self, held: OwnedSemaphorePermit) -> Turn {
        let mut number = 0;
        self.now.send_modify(|now| {
            number = now.turn + 1;
            *now = AtDisk { turn: number, is_at_work: true, hangs: false };
        });
        Turn { of: self.clone(), number, _held: held }
    }

    /// The turn is waited for no longer, unless it has just ended.
    fn give_up(&self, number: u64) {
        let hangs = self.now.send_if_modified(|now| {
            let hangs = now.turn == number && now.is_at_work;
            now.hangs |= hangs;
            hangs
        });
        if hangs {
            tracing::warn!(
                target: "dubhe::registry::cache",
                folder = %self.folder.display(), limit = ?DISK_LIMIT,
                "the disk does not answer, check the cache folder: lists are not kept until it does"
            );
        }
    }
}

fn hung() -> io::Error {
    let why = format!("the disk does not answer within {DISK_LIMIT:?}");
    io::Error::new(io::ErrorKind::TimedOut, why)
}

// === impl Turn ===

impl Turn {
    /// Has the work done by a thread, which may hang, and waits for that; for a thread that may not.
    fn work<T: Send + 'static>(
        self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (turns, number) = (self.of.clone(), self.number);
        let (done, outcome) = mpsc::sync_channel(1);
        thread::Builder::new().name("dubhe-disk".to_owned()).spawn(move || {
            let result = work();
            // First: whoever learns of the outcome finds that the turn has ended.
            drop(self);
            // An error says that nobody waits any more.
            let _ = done.send(result);
        })?;
        match outcome.recv_timeout(DISK_LIMIT) {
            Ok(done) => done,
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the work panicked")),
            Err(RecvTimeoutError::Timeout) => {
                turns.give_up(number);
                Err(hung())
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut has_hung = false;
        self.of.now.send_modify(|now| {
            has_hung = now.hangs;
            (now.is_at_work, now.hangs) = (false, false);
        });
        if has_hung {
            tracing::info!(
                target: "dubhe::registry::cache",
                folder = %self.of.folder.display(), "the disk answers again"
            );
        }
    }
}
