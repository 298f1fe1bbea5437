//! What is known of one path, kept by one task for all who need it: a thousand services of one application
//! watch its processes once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rpc_core::Error;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::lock::locked;

/// What was read within this time is not read again to check it.
const FRESH: Duration = Duration::from_secs(1);

/// How long what was read may take to be understood.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// A value that is read of a tree, and what it means: `R` and `T`.
///
/// Its task ends when the last holder drops it.
pub(super) struct KeptRead<R, T> {
    ends: KeptEnds<R, T>,
    over: watch::Receiver<Option<Error>>,
    task: AbortHandle,
    /// When it was checked last.
    checked: tokio::sync::Mutex<Option<Instant>>,
}

/// Where its task puts what it finds.
pub(super) struct KeptEnds<R, T> {
    /// The newest that was read.
    pub(super) raw: Arc<watch::Sender<Option<R>>>,
    /// What it means, with what it was read from.
    pub(super) read: Arc<watch::Sender<Option<Understood<R, T>>>>,
}

/// What a value means.
#[derive(Debug, Clone)]
pub(super) struct Understood<R, T> {
    pub(super) from: R,
    pub(super) meaning: T,
}

/// The values that are kept at present, by path.
pub(super) struct KeptByPath<R, T>(Mutex<HashMap<String, Weak<KeptRead<R, T>>>>);

// === impl KeptRead ===

impl<R, T> KeptRead<R, T>
where
    R: Clone + PartialEq + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Has `work` done by a task; its error is the end.
    fn start<F>(work: impl FnOnce(KeptEnds<R, T>) -> F) -> Arc<Self>
    where
        F: Future<Output = Error> + Send + 'static,
    {
        let ends = KeptEnds { raw: Arc::default(), read: Arc::default() };
        let (ending, over) = watch::channel(None);
        let work = work(ends.clone());
        let task = tokio::spawn(async move {
            let error = work.await;
            ending.send_replace(Some(error));
        });
        Arc::new(Self {
            ends,
            over,
            task: task.abort_handle(),
            checked: tokio::sync::Mutex::default(),
        })
    }

    /// Its meanings, from now on.
    pub(super) fn follow(self: &Arc<Self>) -> ReadFollower<R, T> {
        ReadFollower { read: self.ends.read.subscribe(), kept: Arc::clone(self) }
    }

    fn is_over(&self) -> bool {
        self.over.borrow().is_some() || self.over.has_changed().is_err()
    }

    /// Waits until it is not kept any more, and says why.
    async fn over(&self) -> Error {
        match self.over.clone().wait_for(Option::is_some).await {
            Ok(error) => error.clone().unwrap_or_else(ended),
            Err(_) => ended(),
        }
    }

    /// Reads it again with `read` unless that was done just now, in case a change was missed, and returns
    /// what it means. What the watch has brought meanwhile is newer, and stands.
    pub(super) async fn checked(
        &self,
        read: impl Future<Output = Result<R, Error>>,
    ) -> Result<T, Error> {
        {
            let mut checked = self.checked.lock().await;
            if checked.is_none_or(|at| at.elapsed() >= FRESH) {
                let before = self.ends.raw.borrow().clone();
                let found = read.await?;
                self.ends.raw.send_if_modified(|now| {
                    let is_news = *now == before && now.as_ref() != Some(&found);
                    if is_news {
                        *now = Some(found);
                    }
                    is_news
                });
                *checked = Some(Instant::now());
            }
        }
        let mut read = self.ends.read.subscribe();
        let settled = async {
            loop {
                let now = read.borrow_and_update().clone();
                if let Some(now) = now
                    && self.ends.raw.borrow().as_ref() == Some(&now.from)
                {
                    return Ok(now.meaning);
                }
                tokio::select! {
                    // It holds a sender itself, so this is no error.
                    _ = read.changed() => {}
                    error = self.over() => return Err(error),
                }
            }
        };
        let late = || Error::unreachable("the registry answers too slowly");
        timeout(SETTLE_LIMIT, settled).await.unwrap_or_else(|_| Err(late()))
    }
}

fn ended() -> Error {
    Error::closed("the runtime of the watch has ended")
}

impl<R, T> Drop for KeptRead<R, T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<R, T> Clone for KeptEnds<R, T> {
    fn clone(&self) -> Self {
        Self { raw: Arc::clone(&self.raw), read: Arc::clone(&self.read) }
    }
}

// === impl KeptByPath ===

impl<R, T> KeptByPath<R, T>
where
    R: Clone + PartialEq + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// What is kept of `path`, if somebody needs it.
    pub(super) fn find(&self, path: &str) -> Option<Arc<KeptRead<R, T>>> {
        let kept = locked(&self.0).get(path).and_then(Weak::upgrade)?;
        (!kept.is_over()).then_some(kept)
    }

    /// What is kept of `path`, from now on if it was not.
    pub(super) fn keep<F>(
        &self,
        path: &str,
        work: impl FnOnce(KeptEnds<R, T>) -> F,
    ) -> Arc<KeptRead<R, T>>
    where
        F: Future<Output = Error> + Send + 'static,
    {
        let mut by_path = locked(&self.0);
        if let Some(kept) = by_path.get(path).and_then(Weak::upgrade)
            && !kept.is_over()
        {
            return kept;
        }
        by_path.retain(|_, kept| kept.strong_count() > 0);
        let kept = KeptRead::start(work);
        by_path.insert(path.to_owned(), Arc::downgrade(&kept));
        kept
    }
}

impl<R, T> Default for KeptByPath<R, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<R, T> fmt::Debug for KeptByPath<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(locked(&self.0).keys()).finish()
    }
}

/// Follows what is kept.
pub(super) struct ReadFollower<R, T> {
    read: watch::Receiver<Option<Understood<R, T>>>,
    kept: Arc<KeptRead<R, T>>,
}

impl<R, T> ReadFollower<R, T>
where
    R: Clone + PartialEq + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// What it means now, unless it has not been read yet.
    pub(super) fn latest(&mut self) -> Option<T> {
        self.read.borrow_and_update().as_ref().map(|read| read.meaning.clone())
    }

    /// Waits for a change since [`latest`](Self::latest).
    ///
    /// # Errors
    /// Why it is not kept any more.
    pub(super) async fn changed(&mut self) -> Result<(), Error> {
        tokio::select! {
            _ = self.read.changed() => Ok(()),
            error = self.kept.over() => Err(error),
        }
    }
}
