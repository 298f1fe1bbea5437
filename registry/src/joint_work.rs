//! Work that several want at the same time, done once for all who came before it began: so what comes of it is no
//! older than the question of anybody who gets it, and a thousand who ask at once cost little more than one.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, FutureExt, Shared};
use rpc_core::Error;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::{JoinSet, yield_now};

use crate::lock::locked;

/// Work by what it is about. What came of it is held while somebody waits for it.
pub(crate) struct JointWork<T>(Mutex<HashMap<String, JointTurns<T>>>);

/// Work about one thing, for those who wait.
struct JointTurns<T> {
    waiting: usize,
    /// Held by what is done.
    turn: Arc<AsyncMutex<()>>,
    newest: JointRound<T>,
}

/// Work that is done once.
struct JointRound<T> {
    /// Whether it is too late to have it, too.
    has_begun: Arc<AtomicBool>,
    outcome: JointOutcome<T>,
}

/// What comes of it. Its task ends when nobody has this any more.
type JointOutcome<T> = Shared<BoxFuture<'static, Result<T, Error>>>;

/// Somebody who wants what comes of it.
struct JointWaiter<'a, T> {
    work: &'a JointWork<T>,
    about: &'a str,
}

// === impl JointWork ===

impl<T: Clone + Send + Sync + 'static> JointWork<T> {
    /// What comes of `work`, or of that of another about the same that began after this was called.
    ///
    /// Nothing here limits how long it takes: one piece of work that began before may come first.
    ///
    /// # Errors
    /// That of the work, or it panics, or the runtime that it runs in shuts down.
    ///
    /// # Cancel safety
    /// If this is dropped, the work goes on for the others who wait for it. If there are none, it is dropped.
    pub(crate) async fn join(
        &self,
        about: &str,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (_waiter, outcome) = self.enter(about, work);
        outcome.await
    }

    fn enter<'a>(
        &'a self,
        about: &'a str,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> (JointWaiter<'a, T>, JointOutcome<T>) {
        let mut present = locked(&self.0);
        let outcome = match present.get_mut(about) {
            Some(turns) => {
                turns.waiting += 1;
                if turns.newest.has_begun.load(Ordering::Acquire) {
                    turns.newest = JointRound::new(&turns.turn, work);
                }
                turns.newest.outcome.clone()
            }
            None => {
                let turn = Arc::default();
                let newest = JointRound::new(&turn, work);
                let outcome = newest.outcome.clone();
                present.insert(about.to_owned(), JointTurns { waiting: 1, turn, newest });
                outcome
            }
        };
        (JointWaiter { work: self, about }, outcome)
    }

    #[cfg(test)]
    fn waiting(&self, about: &str) -> usize {
        locked(&self.0).get(about).map_or(0, |turns| turns.waiting)
    }
}

// === impl JointRound ===

impl<T: Clone + Send + Sync + 'static> JointRound<T> {
    fn new(
        turn: &Arc<AsyncMutex<()>>,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        let (has_begun, turn) = (Arc::new(AtomicBool::new(false)), Arc::clone(turn));
        let begins = Arc::clone(&has_begun);
        let task = async move {
            let _turn = turn.lock().await;
            // Who comes at the same time comes before it.
            yield_now().await;
            begins.store(true, Ordering::Release);
            work.await
        };
        // A task of its own, as who waits may leave, and is woken only once.
        let outcome = async move {
            let mut tasks = JoinSet::new();
            tasks.spawn(task);
            let ended = || Error::closed("what was under way has ended early");
            tasks.join_next().await.and_then(Result::ok).unwrap_or_else(|| Err(ended()))
        };
        Self { has_begun, outcome: outcome.boxed().shared() }
    }
}

impl<T> Drop for JointWaiter<'_, T> {
    fn drop(&mut self) {
        let mut present = locked(&self.work.0);
        let Some(turns) = present.get_mut(self.about) else { return };
        turns.waiting -= 1;
        if turns.waiting == 0 {
            present.remove(self.about);
        }
    }
}

// Derived, it would ask for outcomes that have a default.
impl<T> Default for JointWork<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> fmt::Debug for JointWork<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(locked(&self.0).keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicU64;
    use std::thread;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// Work that counts how often it was done, and waits for a permit.
    struct Counted {
        joint: JointWork<u64>,
        begun: AtomicU64,
        permits: Semaphore,
    }

    impl Counted {
        fn new() -> Arc<Self> {
            let (joint, begun) = (JointWork::default(), AtomicU64::new(0));
            Arc::new(Self { joint, begun, permits: Semaphore::new(0) })
        }

        async fn join(self: Arc<Self>, about: &'static str) -> u64 {
            let counted = Arc::clone(&self);
            let work = async move {
                let number = counted.begun.fetch_add(1, Ordering::Relaxed) + 1;
                counted.permits.acquire().await.unwrap().forget();
                Ok(number)
            };
            self.joint.join(about, work).await.unwrap()
        }

        async fn has_begun(&self, times: u64) {
            while self.begun.load(Ordering::Relaxed) < times {
                yield_now().await;
            }
        }

        fn is_forgotten(&self) -> bool {
            locked(&self.joint.0).is_empty()
        }
    }

    #[tokio::test]
    async fn who_comes_at_the_same_time_has_it_done_once() {
        let counted = Counted::new();
        counted.permits.add_permits(100);
        let numbers = join_all((0..100).map(|_| Arc::clone(&counted).join("a"))).await;
        assert_eq!(numbers, [1; 100]);
        assert!(counted.is_forgotten());
    }

    #[tokio::test]
    async fn who_comes_while_it_is_done_has_it_done_once_more_together() {
        let counted = Counted::new();
        let first = tokio::spawn(Arc::clone(&counted).join("a"));
        counted.has_begun(1).await;
        let later: Vec<_> =
            (0..100).map(|_| tokio::spawn(Arc::clone(&counted).join("a"))).collect();
        while counted.joint.waiting("a") < 101 {
            yield_now().await;
        }
        assert_eq!(counted.begun.load(Ordering::Relaxed), 1);
        counted.permits.add_permits(2);
        assert_eq!(first.await.unwrap(), 1, "it began before the others came");
        assert!(join_all(later).await.into_iter().all(|number| number.unwrap() == 2));
        assert!(counted.is_forgotten());
    }

    #[tokio::test]
    async fn who_leaves_takes_it_from_none_of_the_others() {
        let counted = Counted::new();
        let [first, second, other] =
            ["a", "a", "another"].map(|about| tokio::spawn(Arc::clone(&counted).join(about)));
        counted.has_begun(2).await;
        first.abort();
        counted.permits.add_permits(2);
        let mut numbers = [second.await.unwrap(), other.await.unwrap()];
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2], "none was begun again, and none waits for that about another");
        assert!(counted.is_forgotten());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_left() {
        let counted = Counted::new();
        let first = tokio::spawn(Arc::clone(&counted).join("a"));
        counted.has_begun(1).await;
        first.abort();
        first.await.unwrap_err();
        assert!(counted.is_forgotten());
        while Arc::strong_count(&counted) > 1 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_ends_early_is_an_error_for_all_who_wait() {
        let joint = JointWork::<()>::default();
        let end = || joint.join("a", async { panic!("as this test wants") });
        for ended in join_all([end(), end()]).await {
            assert!(ended.unwrap_err().is_closed());
        }
        assert!(locked(&joint.0).is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_last_who_leave_at_once_leave_nothing() {
        let counted = Counted::new();
        for _ in 0..2000 {
            let mut waiting = [(); 2].map(|()| Box::pin(Arc::clone(&counted).join("a")));
            for one in &mut waiting {
                assert!(one.now_or_never().is_none());
            }
            let gate = Barrier::new(waiting.len());
            thread::scope(|scope| {
                for one in waiting {
                    let gate = &gate;
                    scope.spawn(move || {
                        gate.wait();
                        drop(one);
                    });
                }
            });
            assert!(counted.is_forgotten());
        }
    }
}
