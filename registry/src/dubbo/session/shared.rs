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

use super::super::node_feed::NodeFeed;
use super::super::tree::TreeNode;
use crate::lock::locked;

/// What was read within this time is not read again to check it. All who share it check it, each at a time of
/// its own; it is shorter than the time after which the same one comes again, so that none waits longer.
const FRESH: Duration = Duration::from_secs(20);

/// How long what was read may take to be understood.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// What is read of a tree at one path, and what it means: `T`.
///
/// Its task ends when the last holder drops it.
pub(super) struct KeptRead<T> {
    ends: KeptEnds<T>,
    over: watch::Receiver<Option<Error>>,
    task: AbortHandle,
    /// When it was checked last.
    checked: tokio::sync::Mutex<Option<Instant>>,
}

/// Where its task puts what it finds.
pub(super) struct KeptEnds<T> {
    /// Where the watch puts what it sees.
    pub(super) feed: Arc<NodeFeed>,
    /// What that means.
    meaning: Arc<watch::Sender<Option<T>>>,
    /// The version of the feed that the meaning has.
    understood: Arc<watch::Sender<u64>>,
}

/// What is kept at present, by path.
pub(super) struct KeptByPath<T>(Mutex<HashMap<String, Weak<KeptRead<T>>>>);

// === impl KeptRead ===

impl<T> KeptRead<T>
where
    T: Clone + Send + Sync + 'static,
{
    /// Has `work` done by a task; its error is the end.
    fn start<F>(work: impl FnOnce(KeptEnds<T>) -> F) -> Arc<Self>
    where
        F: Future<Output = Error> + Send + 'static,
    {
        let ends = KeptEnds {
            feed: Arc::default(),
            meaning: Arc::new(watch::Sender::new(None)),
            understood: Arc::default(),
        };
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
    pub(super) fn follow(self: &Arc<Self>) -> ReadFollower<T> {
        ReadFollower { meaning: self.ends.meaning.subscribe(), kept: Arc::clone(self) }
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
        read: impl Future<Output = Result<Vec<TreeNode>, Error>>,
    ) -> Result<T, Error> {
        let KeptEnds { feed, meaning, understood } = &self.ends;
        let version = {
            let mut checked = self.checked.lock().await;
            match checked.is_none_or(|at| at.elapsed() >= FRESH) {
                true => {
                    let before = feed.version();
                    let version = feed.repair(before, read.await?);
                    *checked = Some(Instant::now());
                    version
                }
                false => feed.version(),
            }
        };
        let mut newest = understood.subscribe();
        let settled = async {
            tokio::select! {
                // It holds a sender itself, so this is no error.
                _ = newest.wait_for(|newest| *newest >= version) => {
                    meaning.borrow().clone().ok_or_else(ended)
                }
                error = self.over() => Err(error),
            }
        };
        let late = || Error::unreachable("the registry answers too slowly");
        timeout(SETTLE_LIMIT, settled).await.unwrap_or_else(|_| Err(late()))
    }
}

// === impl KeptEnds ===

impl<T> KeptEnds<T> {
    /// Hands on what the feed means at `version`; `None` if that is what it meant before.
    pub(super) fn put(&self, version: u64, meaning: Option<T>) {
        if let Some(meaning) = meaning {
            self.meaning.send_replace(Some(meaning));
        }
        self.understood.send_replace(version);
    }
}

fn ended() -> Error {
    Error::closed("the runtime of the watch has ended")
}

impl<T> Drop for KeptRead<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// Derived, it would ask for meanings that are `Clone`.
impl<T> Clone for KeptEnds<T> {
    fn clone(&self) -> Self {
        Self {
            feed: Arc::clone(&self.feed),
            meaning: Arc::clone(&self.meaning),
            understood: Arc::clone(&self.understood),
        }
    }
}

// === impl KeptByPath ===

impl<T> KeptByPath<T>
where
    T: Clone + Send + Sync + 'static,
{
    /// What is kept of `path`, if somebody needs it.
    pub(super) fn find(&self, path: &str) -> Option<Arc<KeptRead<T>>> {
        let kept = locked(&self.0).get(path).and_then(Weak::upgrade)?;
        (!kept.is_over()).then_some(kept)
    }

    /// What is kept of `path`, from now on if it was not.
    pub(super) fn keep<F>(
        &self,
        path: &str,
        work: impl FnOnce(KeptEnds<T>) -> F,
    ) -> Arc<KeptRead<T>>
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

impl<T> Default for KeptByPath<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> fmt::Debug for KeptByPath<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(locked(&self.0).keys()).finish()
    }
}

/// Follows what is kept.
pub(super) struct ReadFollower<T> {
    meaning: watch::Receiver<Option<T>>,
    kept: Arc<KeptRead<T>>,
}

impl<T> ReadFollower<T>
where
    T: Clone + Send + Sync + 'static,
{
    /// What it means now, unless it has not been read yet.
    pub(super) fn latest(&mut self) -> Option<T> {
        self.meaning.borrow_and_update().clone()
    }

    /// Waits for a change since [`latest`](Self::latest).
    ///
    /// # Errors
    /// Why it is not kept any more.
    pub(super) async fn changed(&mut self) -> Result<(), Error> {
        tokio::select! {
            _ = self.meaning.changed() => Ok(()),
            error = self.kept.over() => Err(error),
        }
    }
}
