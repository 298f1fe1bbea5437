//! Work on a disk that may hang, as one on the network does when its server is away.
//!
//! One piece is at work at a time, on a thread of its own, and nobody waits for that piece longer than
//! [`DISK_LIMIT`]. So a disk that hangs keeps one thread, and whoever comes later is told at once. Neither
//! a list nor the end of a runtime waits for that thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fmt, io, thread};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

/// How long the disk may take for one piece of work.
pub(crate) const DISK_LIMIT: Duration = Duration::from_secs(2);

/// Why a piece of work was not done.
#[derive(Debug)]
pub(crate) enum DiskFailure {
    /// The disk does not answer; that is logged already, and it may still do the work.
    Hangs,
    /// The disk was at the work of others for [`DISK_LIMIT`].
    Busy,
    /// The work itself failed.
    Failed(io::Error),
}

/// Turns at one folder.
#[derive(Debug, Clone)]
pub(crate) struct DiskTurns {
    folder: Arc<Path>,
    /// What is not done to lists while it hangs, such as `read`.
    what: &'static str,
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
    pub(crate) fn new(folder: &Path, what: &'static str) -> Self {
        Self {
            folder: folder.into(),
            what,
            free: Arc::new(Semaphore::new(1)),
            now: watch::Sender::new(AtDisk::default()),
        }
    }

    /// Does `work` in its turn; `None` where the runtime shuts down.
    ///
    /// Dropped before its turn, it does nothing; later, the work goes on unobserved.
    ///
    /// # Errors
    /// That of the work; [`DiskFailure::Hangs`] if the disk does not answer within [`DISK_LIMIT`], or
    /// has not answered somebody else by now. That is logged once until it answers.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<Option<T>, DiskFailure> {
        let mut now = self.now.subscribe();
        let held = tokio::select! {
            biased;
            _ = now.wait_for(|now| now.hangs) => return Err(DiskFailure::Hangs),
            // Nobody closes it.
            held = Arc::clone(&self.free).acquire_owned() => held.map_err(io::Error::other)?,
        };
        let turn = self.begin(held);
        let waiting = tokio::task::spawn_blocking(move || turn.work(work));
        match waiting.await {
            Ok(done) => done.map(Some),
            Err(ended) if ended.is_cancelled() => Ok(None),
            Err(ended) => Err(DiskFailure::Failed(ended.into())),
        }
    }

    /// As [`run`](Self::run), for at most [`DISK_LIMIT`] together with the turns of those before.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`DiskFailure::Busy`] if several turns took that time, which is not logged.
    pub(crate) async fn run_in_time<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<Option<T>, DiskFailure> {
        let first = {
            let now = self.now.borrow();
            now.turn + u64::from(!now.is_at_work)
        };
        match timeout(DISK_LIMIT, self.run(work)).await {
            Ok(done) => done,
            // It was at the same piece all the time.
            Err(_) if self.give_up(first) => Err(DiskFailure::Hangs),
            Err(_) => Err(DiskFailure::Busy),
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

    /// The turn is waited for no longer, unless it has ended; says whether it has not. That is told once.
    fn give_up(&self, number: u64) -> bool {
        let (mut hangs, mut is_news) = (false, false);
        self.now.send_if_modified(|now| {
            hangs = now.turn == number && now.is_at_work;
            is_news = hangs && !now.hangs;
            now.hangs |= hangs;
            is_news
        });
        if is_news {
            tracing::warn!(
                target: "dubhe::registry::cache",
                folder = %self.folder.display(), limit = ?DISK_LIMIT,
                "the disk does not answer, check the cache folder: lists are not {} until it does",
                self.what
            );
        }
        hangs
    }
}

// === impl DiskFailure ===

impl fmt::Display for DiskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hangs => write!(f, "the disk does not answer within {DISK_LIMIT:?}"),
            Self::Busy => {
                write!(f, "the disk takes longer than {DISK_LIMIT:?} for what comes before")
            }
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for DiskFailure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

// === impl Turn ===

impl Turn {
    /// Has the work done by a thread, which may hang, and waits for that; for a thread that may not.
    fn work<T: Send + 'static>(
        self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, DiskFailure> {
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
            Ok(done) => Ok(done?),
            Err(RecvTimeoutError::Disconnected) => {
                Err(io::Error::other("the work panicked").into())
            }
            Err(RecvTimeoutError::Timeout) => {
                turns.give_up(number);
                Err(DiskFailure::Hangs)
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

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Work that takes until the sender goes.
    fn held(
        turns: &DiskTurns,
    ) -> (mpsc::Sender<()>, impl Future<Output = Result<Option<()>, DiskFailure>> + use<>) {
        let (held, ends) = mpsc::channel::<()>();
        let turns = turns.clone();
        let work = move || {
            // It fails when the sender goes.
            let _ = ends.recv();
            Ok(())
        };
        (held, async move { turns.run_in_time(work).await })
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_takes_its_time_for_others_does_not_hang() {
        let turns = DiskTurns::new(Path::new("/nowhere"), "read");
        let ((first, of_first), (second, of_second)) = (held(&turns), held(&turns));
        let of_first = tokio::spawn(of_first);
        let mut now = turns.now.subscribe();
        now.wait_for(|now| now.turn == 1).await.unwrap();
        let of_second = tokio::spawn(of_second);
        tokio::task::yield_now().await;
        let late = tokio::spawn({
            let turns = turns.clone();
            async move { turns.run_in_time(|| Ok(())).await }
        });
        tokio::task::yield_now().await;
        advance(DISK_LIMIT / 2).await;
        drop(first);
        of_first.await.unwrap().unwrap();
        now.wait_for(|now| now.turn == 2).await.unwrap();
        advance(DISK_LIMIT).await;
        assert!(matches!(late.await.unwrap(), Err(DiskFailure::Busy)));
        assert!(matches!(of_second.await.unwrap(), Err(DiskFailure::Busy)));
        // Now it is at the same piece all the time, and whoever comes after does not even wait.
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.run_in_time(|| Ok(())).await }
        });
        tokio::task::yield_now().await;
        advance(DISK_LIMIT).await;
        let hung = waiting.await.unwrap();
        assert!(matches!(hung, Err(DiskFailure::Hangs)), "{hung:?}");
        assert!(matches!(turns.run(|| Ok(())).await, Err(DiskFailure::Hangs)));
        drop(second);
        now.wait_for(|now| !now.is_at_work).await.unwrap();
        turns.run_in_time(|| Ok(())).await.unwrap();
    }

    #[tokio::test]
    async fn a_time_out_of_the_file_system_is_its_error() {
        let turns = DiskTurns::new(Path::new("/nowhere"), "read");
        let work = || Err::<(), _>(io::ErrorKind::TimedOut.into());
        let failed = turns.run_in_time(work).await;
        assert!(matches!(failed, Err(DiskFailure::Failed(_))), "{failed:?}");
    }
}
