//! The latest value that was sent, for all who wait for changes of it: as [`tokio::sync::watch`], which takes three
//! times the memory, and a consumer of a thousand lists has several for each.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::lock::locked;

/// Where values are sent.
pub(crate) struct Latest<T>(Arc<LatestCell<T>>);

struct LatestCell<T> {
    held: Mutex<HeldValue<T>>,
    news: Notify,
}

struct HeldValue<T> {
    value: T,
    /// Counts changes.
    version: u64,
    senders: usize,
}

/// Reads the latest value, and waits for changes.
pub(crate) struct LatestReader<T> {
    cell: Arc<LatestCell<T>>,
    /// The version that was seen.
    seen: u64,
}

/// The latest value, which does not change meanwhile.
pub(crate) struct LatestRef<'a, T>(MutexGuard<'a, HeldValue<T>>);

/// There will be no other value: all have been dropped who could send one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoLater;

// === impl Latest ===

impl<T> Latest<T> {
    pub(crate) fn new(value: T) -> Self {
        let held = Mutex::new(HeldValue { value, version: 0, senders: 1 });
        Self(Arc::new(LatestCell { held, news: Notify::new() }))
    }

    /// A reader that has seen the present value.
    pub(crate) fn subscribe(&self) -> LatestReader<T> {
        let seen = locked(&self.0.held).version;
        LatestReader { cell: Arc::clone(&self.0), seen }
    }

    /// How many readers there are.
    #[cfg(feature = "nacos")]
    pub(crate) fn readers(&self) -> usize {
        // Each sender has the cell, and so has each reader.
        let held = locked(&self.0.held);
        Arc::strong_count(&self.0).saturating_sub(held.senders)
    }

    pub(crate) fn borrow(&self) -> LatestRef<'_, T> {
        LatestRef(locked(&self.0.held))
    }

    pub(crate) fn send(&self, value: T) {
        self.send_if_modified(|present| {
            *present = value;
            true
        });
    }

    /// Changes the value; readers see it if `modify` says so.
    pub(crate) fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) {
        let mut held = locked(&self.0.held);
        if modify(&mut held.value) {
            held.version += 1;
            drop(held);
            self.0.news.notify_waiters();
        }
    }
}

// Derived, it would ask for values that are `Clone`.
impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        locked(&self.0.held).senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for Latest<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Drop for Latest<T> {
    fn drop(&mut self) {
        locked(&self.0.held).senders -= 1;
        self.0.news.notify_waiters();
    }
}

impl<T: fmt::Debug> fmt::Debug for Latest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Latest").field(&*self.borrow()).finish()
    }
}

// === impl LatestCell ===

impl<T> LatestCell<T> {
    async fn changed(&self, seen: &mut u64) -> Result<(), NoLater> {
        loop {
            // Made before the look, so that no change is lost between the two.
            let news = self.news.notified();
            {
                let held = locked(&self.held);
                if held.version != *seen {
                    *seen = held.version;
                    return Ok(());
                }
                if held.senders == 0 {
                    return Err(NoLater);
                }
            }
            news.await;
        }
    }
}

// === impl LatestReader ===

impl<T> LatestReader<T> {
    /// The value, which counts as seen.
    pub(crate) fn borrow_and_update(&mut self) -> LatestRef<'_, T> {
        let held = locked(&self.cell.held);
        self.seen = held.version;
        LatestRef(held)
    }

    /// Has the present value count as seen.
    #[cfg(any(test, feature = "nacos"))]
    pub(crate) fn mark_unchanged(&mut self) {
        self.seen = locked(&self.cell.held).version;
    }

    /// The value, without a look that counts.
    #[cfg(any(test, feature = "_dubbo"))]
    pub(crate) fn borrow(&self) -> LatestRef<'_, T> {
        LatestRef(locked(&self.cell.held))
    }

    /// Whether there is a value that was not seen.
    pub(crate) fn has_changed(&self) -> bool {
        locked(&self.cell.held).version != self.seen
    }

    /// Waits for a value that was not seen, which then counts as seen.
    ///
    /// # Cancel safety
    /// What it waits for is not seen if it is dropped.
    pub(crate) fn changed(&mut self) -> impl Future<Output = Result<(), NoLater>> {
        self.cell.changed(&mut self.seen)
    }

    /// Waits until the value is as `is_met` says, and counts it as seen.
    ///
    /// # Cancel safety
    /// Nothing is lost if it is dropped.
    pub(crate) async fn wait_for(
        &mut self,
        mut is_met: impl FnMut(&T) -> bool,
    ) -> Result<LatestRef<'_, T>, NoLater> {
        loop {
            {
                let held = locked(&self.cell.held);
                self.seen = held.version;
                if is_met(&held.value) {
                    return Ok(LatestRef(held));
                }
            }
            self.cell.changed(&mut self.seen).await?;
        }
    }
}

impl<T> Clone for LatestReader<T> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell), seen: self.seen }
    }
}

impl<T: fmt::Debug> fmt::Debug for LatestReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LatestReader").field(&locked(&self.cell.held).value).finish()
    }
}

impl<T> Deref for LatestRef<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn each_reader_sees_a_change_once_and_the_latest_value() {
        let latest = Latest::new(0);
        let (mut one, mut two) = (latest.subscribe(), latest.subscribe());
        assert!(!one.has_changed() && one.changed().now_or_never().is_none());
        latest.send(1);
        latest.clone().send_if_modified(|value| {
            *value += 1;
            true
        });
        for reader in [&mut one, &mut two] {
            reader.changed().await.unwrap();
            assert!(!reader.has_changed());
            assert_eq!(*reader.borrow(), 2);
        }
        latest.send_if_modified(|_| false);
        assert!(one.changed().now_or_never().is_none());
        latest.send(3);
        assert!(two.has_changed());
        assert_eq!(*two.borrow_and_update(), 3);
        assert!(!two.has_changed());
        assert!(!latest.subscribe().has_changed());
        drop(latest);
        assert_eq!(one.changed().await, Ok(()));
        assert_eq!((one.changed().await, two.changed().await), (Err(NoLater), Err(NoLater)));
        assert!(two.wait_for(|value| *value == 4).await.is_err());
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_what_is_sent_from_elsewhere() {
        let latest = Latest::new(0);
        let mut readers = [latest.subscribe(), latest.subscribe()];
        let [one, two] = &mut readers;
        let sending = tokio::task::spawn_blocking({
            let latest = latest.clone();
            move || (1..=1000).for_each(|value| latest.send(value))
        });
        let last = |value: &i32| *value == 1000;
        tokio::join!(async { drop(one.wait_for(last).await.unwrap()) }, async {
            while *two.borrow_and_update() < 1000 {
                two.changed().await.unwrap();
            }
        });
        assert!(!one.has_changed() && !two.has_changed());
        sending.await.unwrap();
    }
}
