//! What is known of one path, kept by one task for all who need it: a thousand services of one application
//! watch its processes once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rpc_core::{Error, Latest, LatestReader};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::super::node_feed::NodeFeed;
use super::super::tree::{ReadChildren, TreeMark};
use crate::lock::locked;

/// What is read of a tree at one path, and what it means: `T`.
///
/// Its task ends when the last holder drops it.
pub(super) struct KeptRead<T> {
    feed: Arc<NodeFeed>,
    state: Latest<KeptState<T>>,
    task: AbortHandle,
    /// When it was checked last.
    checked: tokio::sync::Mutex<Option<Instant>>,
}

/// Where its task puts what it finds. Dropped, it says that it is not kept any more, also where the task ends with its
/// runtime.
pub(super) struct KeptEnds<T> {
    /// Where the watch puts what it sees.
    pub(super) feed: Arc<NodeFeed>,
    state: Latest<KeptState<T>>,
}

/// What has come of that. It is one channel, as there are three of these for each list.
struct KeptState<T> {
    meaning: Option<T>,
    /// Counts meanings.
    meanings: u64,
    /// The version of the feed that the meaning has.
    understood: u64,
    /// Why it is not kept any more.
    over: Option<Error>,
}

/// What is kept at present, by path.
pub(super) struct KeptByPath<T>(Mutex<HashMap<Arc<str>, Weak<KeptRead<T>>>>);

// === impl KeptRead ===

impl<T> KeptRead<T>
where
    T: Clone + Send + Sync + 'static,
{
    /// Has `work` done by a task.
    fn start<F>(work: impl FnOnce(KeptEnds<T>) -> F) -> Arc<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (feed, state) = (Arc::default(), Latest::default());
        let ends = KeptEnds { feed: Arc::clone(&feed), state: state.clone() };
        let task = tokio::spawn(work(ends)).abort_handle();
        Arc::new(Self { feed, state, task, checked: tokio::sync::Mutex::default() })
    }

    /// Its meanings, from now on.
    pub(super) fn follow(self: &Arc<Self>) -> ReadFollower<T> {
        let state = self.state.subscribe();
        ReadFollower { state, seen: 0, _kept: Arc::clone(self) }
    }

    fn is_over(&self) -> bool {
        self.state.borrow().over.is_some()
    }

    /// Reads it again with `read`, in case a change was missed, and returns what it means. That is not done again for as
    /// long as a check `holds`, as all who share it check it, each at a time of its own. `read` is given of which reading
    /// that is, and finds nothing where it is so still. What the watch has brought meanwhile is newer, and stands.
    pub(super) async fn checked<R>(
        &self,
        holds: Duration,
        read: impl FnOnce(Option<TreeMark>) -> R,
    ) -> Result<T, Error>
    where
        R: Future<Output = Result<Option<ReadChildren>, Error>>,
    {
        let Self { feed, state, .. } = self;
        let version = {
            let mut checked = self.checked.lock().await;
            match checked.is_none_or(|at| at.elapsed() >= holds) {
                true => {
                    let (before, mark) = feed.known();
                    let read = read(mark).await?;
                    *checked = Some(Instant::now());
                    read.map_or(before, |read| feed.repair(before, read))
                }
                false => feed.known().0,
            }
        };
        let mut newest = state.subscribe();
        let is_settled = |state: &KeptState<T>| state.understood >= version;
        // The request that this is part of has a limit, which ends in an error that names the registry.
        let settled = newest.wait_for(|state| is_settled(state) || state.over.is_some()).await;
        // It holds a sender itself.
        let state = settled.map_err(|_| ended())?;
        match &state.over {
            Some(error) if !is_settled(&state) => Err(error.clone()),
            _ => state.meaning.clone().ok_or_else(ended),
        }
    }
}

// === impl KeptEnds ===

impl<T> KeptEnds<T> {
    /// Hands on what the feed means at `version`; `None` if that is what it meant before.
    pub(super) fn put(&self, version: u64, meaning: Option<T>) {
        self.state.send_if_modified(|state| {
            if let Some(meaning) = meaning {
                state.meaning = Some(meaning);
                state.meanings += 1;
            }
            state.understood = version;
            true
        });
    }

    /// It is not kept any more, for this reason; the first counts.
    pub(super) fn end(&self, error: &Error) {
        self.state.send_if_modified(|state| {
            state.over.get_or_insert_with(|| error.clone());
            true
        });
    }
}

impl<T> Drop for KeptEnds<T> {
    fn drop(&mut self) {
        self.end(&ended());
    }
}

// === impl KeptState ===

// Derived, it would ask for meanings that have a default.
impl<T> Default for KeptState<T> {
    fn default() -> Self {
        Self { meaning: None, meanings: 0, understood: 0, over: None }
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
        path: &Arc<str>,
        work: impl FnOnce(KeptEnds<T>) -> F,
    ) -> Arc<KeptRead<T>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut by_path = locked(&self.0);
        if let Some(kept) = by_path.get(path).and_then(Weak::upgrade)
            && !kept.is_over()
        {
            return kept;
        }
        by_path.retain(|_, kept| kept.strong_count() > 0);
        let kept = KeptRead::start(work);
        by_path.insert(Arc::clone(path), Arc::downgrade(&kept));
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
    state: LatestReader<KeptState<T>>,
    /// The number of the meaning that was seen last.
    seen: u64,
    _kept: Arc<KeptRead<T>>,
}

impl<T> ReadFollower<T>
where
    T: Clone + Send + Sync + 'static,
{
    /// What it means now, unless it has not been read yet.
    pub(super) fn latest(&mut self) -> Option<T> {
        let state = self.state.borrow_and_update();
        self.seen = state.meanings;
        state.meaning.clone()
    }

    /// Ready once there was a change since [`latest`](Self::latest).
    ///
    /// # Errors
    /// Why it is not kept any more.
    pub(super) fn poll_changed(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            {
                let state = self.state.borrow_and_update();
                match &state.over {
                    _ if state.meanings != self.seen => return Poll::Ready(Ok(())),
                    Some(error) => return Poll::Ready(Err(error.clone())),
                    None => {}
                }
            }
            // What is kept holds a sender itself.
            ready!(self.state.poll_changed(cx)).map_err(|_| ended())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{poll_fn, ready};

    use super::super::super::tree::NodeSink as _;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_confirmed_is_checked_as_what_was_put() {
        let kept = KeptRead::start(async |ends: KeptEnds<usize>| {
            loop {
                ends.feed.changed().await;
                let news = ends.feed.take();
                ends.put(news.version, news.all.map(|nodes| nodes.len()));
            }
        });
        let mark = Some(TreeMark { seen: 1, children: 0 });
        let mut follower = kept.follow();
        kept.feed.put_all(ReadChildren { nodes: Vec::new(), mark });
        poll_fn(|cx| follower.poll_changed(cx)).await.unwrap();
        for _ in 0..2 {
            assert!(kept.feed.confirm(mark));
            let read = |known| {
                assert_eq!(known, mark);
                ready(Ok(None))
            };
            assert_eq!(kept.checked(Duration::ZERO, read).await.unwrap(), 0);
        }
    }
}
