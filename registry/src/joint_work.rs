//! Work that several want at the same time, done once for all who came before it began: so what comes of it is no
//! older than the question of anybody who gets it, and a thousand who ask at once cost little more than one.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Mutex as AsyncMutex;

use crate::lock::locked;

/// Work by what it is about. What came of it is held while somebody waits for it.
pub(crate) struct JointWork<T>(Mutex<HashMap<String, Arc<JointTurns<T>>>>);

/// Turns at work about one thing.
struct JointTurns<T> {
    /// Counts who has come.
    came: AtomicU64,
    /// What came of the last, and who had come when it began.
    last: AsyncMutex<Option<(u64, T)>>,
}

/// Somebody who wants what comes of it.
struct JointWaiter<'a, T> {
    work: &'a JointWork<T>,
    about: &'a str,
    turns: Arc<JointTurns<T>>,
}

// === impl JointWork ===

impl<T: Clone> JointWork<T> {
    /// What comes of `work`: ours, or that of another about the same that began after this was called.
    ///
    /// Nothing here limits how long it takes: one piece of work of another may come before ours.
    ///
    /// # Cancel safety
    /// If this is dropped in the middle of its work, who comes next begins anew.
    pub(crate) async fn join(&self, about: &str, work: impl Future<Output = T>) -> T {
        let waiter = self.enter(about);
        let turns = &waiter.turns;
        let number = turns.came.fetch_add(1, Ordering::AcqRel) + 1;
        let mut last = turns.last.lock().await;
        if let Some((came, outcome)) = &*last
            && *came >= number
        {
            return outcome.clone();
        }
        let came = turns.came.load(Ordering::Acquire);
        let outcome = work.await;
        *last = Some((came, outcome.clone()));
        outcome
    }

    fn enter<'a>(&'a self, about: &'a str) -> JointWaiter<'a, T> {
        let mut present = locked(&self.0);
        let new = || Arc::new(JointTurns { came: AtomicU64::new(0), last: AsyncMutex::new(None) });
        let turns = Arc::clone(present.entry(about.to_owned()).or_insert_with(new));
        JointWaiter { work: self, about, turns }
    }
}

impl<T> Drop for JointWaiter<'_, T> {
    fn drop(&mut self) {
        let mut present = locked(&self.work.0);
        // It is in the table, and here.
        if Arc::strong_count(&self.turns) <= 2 {
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
            let work = async {
                let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
                self.permits.acquire().await.unwrap().forget();
                number
            };
            self.joint.join(about, work).await
        }
    }

    #[tokio::test]
    async fn who_comes_while_it_is_done_has_it_done_once_more_together() {
        let counted = Counted::new();
        let first = tokio::spawn(Arc::clone(&counted).join("a"));
        tokio::task::yield_now().await;
        let later: Vec<_> =
            (0..100).map(|_| tokio::spawn(Arc::clone(&counted).join("a"))).collect();
        tokio::task::yield_now().await;
        assert_eq!(counted.begun.load(Ordering::Relaxed), 1);
        counted.permits.add_permits(2);
        assert_eq!(first.await.unwrap(), 1, "it began for the first alone");
        assert!(join_all(later).await.into_iter().all(|number| number.unwrap() == 2));
        assert!(locked(&counted.joint.0).is_empty(), "nothing is held");
    }

    #[tokio::test]
    async fn who_is_dropped_in_its_middle_leaves_it_to_the_next() {
        let counted = Counted::new();
        let first = tokio::spawn(Arc::clone(&counted).join("a"));
        tokio::task::yield_now().await;
        let (second, other) =
            (Arc::clone(&counted).join("a"), Arc::clone(&counted).join("another"));
        let (second, other) = (tokio::spawn(second), tokio::spawn(other));
        tokio::task::yield_now().await;
        first.abort();
        counted.permits.add_permits(2);
        let mut numbers = [second.await.unwrap(), other.await.unwrap()];
        numbers.sort_unstable();
        assert_eq!(numbers, [2, 3], "each has its own, and none waits for the other");
        assert!(locked(&counted.joint.0).is_empty(), "nothing is held");
    }
}
