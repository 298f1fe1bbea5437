//! The latest value that was sent, for all who wait for changes of it: as [`tokio::sync::watch`], which takes four
//! times the memory, and a consumer of a thousand lists has several for each. Who waits takes no room of its own.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::task::coop::cooperative;

use crate::waiters::Waiters;

/// The sender of a channel that keeps the latest value; a clone is one more.
///
/// As [`tokio::sync::watch`], in a quarter of the memory: one lock, and no room for those who wait until there are.
/// Unlike there a value is sent where nobody reads, too.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use dubhe::Latest;
///
/// let latest = Latest::new("one");
/// let mut reader = latest.subscribe();
/// latest.send("two");
/// latest.send("three");
/// reader.changed().await.unwrap();
/// assert_eq!(*reader.borrow(), "three");
/// drop(latest);
/// assert!(reader.changed().await.is_err());
/// # });
/// ```
pub struct Latest<T>(Arc<Mutex<HeldValue<T>>>);

struct HeldValue<T> {
    value: T,
    /// Counts changes.
    version: u64,
    senders: usize,
    /// Numbers readers, each of which gets the next.
    readers: u64,
    waiting: Waiters,
}

/// Reads the latest value of a [`Latest`], and waits for changes. A clone has seen what this one has.
pub struct LatestReader<T> {
    cell: Arc<Mutex<HeldValue<T>>>,
    /// The version that was seen.
    seen: u64,
    /// Which of the readers it is.
    number: u64,
}

/// The latest value of a [`Latest`], which does not change meanwhile.
///
/// It is a lock: nothing else of the channel can be used in this thread meanwhile, not even a clone or a drop. To be
/// held for no longer than it takes to look.
pub struct LatestRef<'a, T>(MutexGuard<'a, HeldValue<T>>);

/// There will be no other value: all have been dropped who could send one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoLater;

// === impl Latest ===

impl<T> Latest<T> {
    /// One that has this value, which counts as seen by all who subscribe.
    #[must_use]
    pub fn new(value: T) -> Self {
        let waiting = Waiters::default();
        let held = HeldValue { value, version: 0, senders: 1, readers: 0, waiting };
        Self(Arc::new(Mutex::new(held)))
    }

    /// One that has this value, and a reader that has seen it.
    #[must_use]
    pub fn channel(value: T) -> (Self, LatestReader<T>) {
        let latest = Self::new(value);
        let reader = latest.subscribe();
        (latest, reader)
    }

    /// A reader that has seen the present value.
    #[must_use]
    pub fn subscribe(&self) -> LatestReader<T> {
        let seen = locked(&self.0).version;
        LatestReader::new(&self.0, seen)
    }

    /// The value.
    #[must_use]
    pub fn borrow(&self) -> LatestRef<'_, T> {
        LatestRef(locked(&self.0))
    }

    /// Sends a value to all readers, also where there are none.
    pub fn send(&self, value: T) {
        let mut other = value;
        self.send_if_modified(|present| {
            mem::swap(present, &mut other);
            true
        });
        // The one before is dropped here, where no lock is held.
    }

    /// Sends a value unless it is equal to the present one; says whether it was sent. They are compared in the lock of
    /// the channel.
    pub fn send_if_other(&self, value: T) -> bool
    where
        T: PartialEq,
    {
        let mut other = value;
        self.send_if_modified(|present| {
            let is_other = *present != other;
            if is_other {
                mem::swap(present, &mut other);
            }
            is_other
        })
    }

    /// Changes the value; readers see it if `modify` says so, which is returned. It runs in the lock of the channel, as
    /// [`LatestRef`] says.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let mut held = locked(&self.0);
        let is_news = modify(&mut held.value);
        if is_news {
            held.version += 1;
            let waiting = held.waiting.take();
            drop(held);
            waiting.wake();
        }
        is_news
    }
}

// Derived, it would ask for values that are `Clone`.
impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        locked(&self.0).senders += 1;
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
        let mut held = locked(&self.0);
        held.senders -= 1;
        if held.senders == 0 {
            let waiting = held.waiting.take();
            drop(held);
            waiting.wake();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Latest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("Latest", &self.0, f)
    }
}

// === impl LatestReader ===

impl<T> LatestReader<T> {
    fn new(cell: &Arc<Mutex<HeldValue<T>>>, seen: u64) -> Self {
        let number = {
            let mut held = locked(cell);
            held.readers += 1;
            held.readers
        };
        Self { cell: Arc::clone(cell), seen, number }
    }

    /// The value, which counts as seen.
    pub fn borrow_and_update(&mut self) -> LatestRef<'_, T> {
        let held = locked(&self.cell);
        self.seen = held.version;
        LatestRef(held)
    }

    /// Has the present value count as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = locked(&self.cell).version;
    }

    /// The value, which does not count as seen by this.
    #[must_use]
    pub fn borrow(&self) -> LatestRef<'_, T> {
        LatestRef(locked(&self.cell))
    }

    /// Whether there is a value that was not seen.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        locked(&self.cell).version != self.seen
    }

    /// Waits for a value that was not seen, which then counts as seen. Whoever does so again and again gives way to
    /// other tasks.
    ///
    /// # Errors
    /// [`NoLater`], once all senders have gone and the last value was seen.
    ///
    /// # Cancel safety
    /// What it waits for is not seen if it is dropped.
    pub fn changed(&mut self) -> impl Future<Output = Result<(), NoLater>> {
        cooperative(poll_fn(|cx| self.poll_changed(cx)))
    }

    /// As [`changed`](Self::changed), without giving way to other tasks; whoever polled last is woken.
    ///
    /// # Errors
    /// As there.
    pub fn poll_changed(&mut self, cx: &Context<'_>) -> Poll<Result<(), NoLater>> {
        poll_news(&self.cell, &mut self.seen, self.number, cx)
    }

    /// Waits until the value is as `is_met` says, and counts it as seen. That runs in the lock of the channel, as
    /// [`LatestRef`] says.
    ///
    /// # Errors
    /// [`NoLater`], once all senders have gone and the last value is not so.
    ///
    /// # Cancel safety
    /// Nothing is lost if it is dropped.
    pub async fn wait_for(
        &mut self,
        mut is_met: impl FnMut(&T) -> bool,
    ) -> Result<LatestRef<'_, T>, NoLater> {
        loop {
            {
                let held = locked(&self.cell);
                self.seen = held.version;
                if is_met(&held.value) {
                    return Ok(LatestRef(held));
                }
            }
            let news = poll_fn(|cx| poll_news(&self.cell, &mut self.seen, self.number, cx));
            cooperative(news).await?;
        }
    }
}

/// Locks `mutex`, even if a thread panicked while holding it: who changes the value has panicked then.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows the value, unless it is locked, as by who shows it.
fn debug<T: fmt::Debug>(
    name: &str,
    cell: &Mutex<HeldValue<T>>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match cell.try_lock() {
        Ok(held) => f.debug_tuple(name).field(&held.value).finish(),
        Err(_) => f.debug_tuple(name).field(&format_args!("<locked>")).finish(),
    }
}

/// As [`LatestReader::poll_changed`], of the reader of this number.
fn poll_news<T>(
    cell: &Mutex<HeldValue<T>>,
    seen: &mut u64,
    number: u64,
    cx: &Context<'_>,
) -> Poll<Result<(), NoLater>> {
    let mut held = locked(cell);
    if held.version != *seen {
        *seen = held.version;
        return Poll::Ready(Ok(()));
    }
    if held.senders == 0 {
        return Poll::Ready(Err(NoLater));
    }
    let before = held.waiting.put(number, cx.waker());
    drop(held);
    // A task may end with the last that wakes it, and use the channel then.
    drop(before);
    Poll::Pending
}

impl<T> Clone for LatestReader<T> {
    fn clone(&self) -> Self {
        Self::new(&self.cell, self.seen)
    }
}

impl<T> Drop for LatestReader<T> {
    fn drop(&mut self) {
        let gone = locked(&self.cell).waiting.remove(self.number);
        // As above.
        drop(gone);
    }
}

impl<T: fmt::Debug> fmt::Debug for LatestReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("LatestReader", &self.cell, f)
    }
}

impl<T> Deref for LatestRef<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: fmt::Debug> fmt::Debug for LatestRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

// === impl NoLater ===

impl fmt::Display for NoLater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there will be no other value, as its senders have gone")
    }
}

impl std::error::Error for NoLater {}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::task::{Wake, Waker};

    use futures_util::FutureExt;

    use super::*;

    /// A value or a waker that notes what becomes of it, and whether the channel can be used then.
    struct NotesItsFate {
        cell: Weak<Mutex<HeldValue<Option<Self>>>>,
        notes: Arc<Mutex<Vec<&'static str>>>,
    }

    impl NotesItsFate {
        fn note(&self, open: &'static str, locked: &'static str) {
            // What goes with its channel cannot use it.
            let Some(cell) = self.cell.upgrade() else { return };
            let note = if cell.try_lock().is_ok() { open } else { locked };
            self.notes.lock().unwrap().push(note);
        }
    }

    impl Wake for NotesItsFate {
        fn wake(self: Arc<Self>) {
            self.note("woken", "woken in the lock");
        }
    }

    impl Drop for NotesItsFate {
        fn drop(&mut self) {
            self.note("dropped", "dropped in the lock");
        }
    }

    impl PartialEq for NotesItsFate {
        fn eq(&self, other: &Self) -> bool {
            Weak::ptr_eq(&self.cell, &other.cell)
        }
    }

    /// A channel, what makes values and wakers for it, and what takes their notes.
    fn noted()
    -> (Latest<Option<NotesItsFate>>, impl Fn() -> NotesItsFate, impl Fn() -> Vec<&'static str>)
    {
        let (latest, notes) = (Latest::new(None), Arc::<Mutex<Vec<_>>>::default());
        let (cell, taken) = (Arc::downgrade(&latest.0), Arc::clone(&notes));
        let new = move || NotesItsFate { cell: Weak::clone(&cell), notes: Arc::clone(&notes) };
        (latest, new, move || mem::take(&mut *taken.lock().unwrap()))
    }

    /// Has it wait with a waker that nothing else holds.
    fn wait_with(waker: NotesItsFate, reader: &mut LatestReader<Option<NotesItsFate>>) {
        let waker = Waker::from(Arc::new(waker));
        assert!(reader.poll_changed(&Context::from_waker(&waker)).is_pending());
    }

    #[test]
    fn values_that_are_replaced_or_refused_may_use_the_channel() {
        let (latest, new, notes) = noted();
        latest.send(Some(new()));
        assert!(!latest.send_if_other(Some(new())));
        assert_eq!(notes(), ["dropped"], "it is equal");
        assert!(latest.send_if_other(None));
        assert_eq!(notes(), ["dropped"]);
        latest.send(Some(new()));
        latest.send(None);
        assert_eq!(notes(), ["dropped"]);
    }

    #[test]
    fn wakers_may_use_the_channel_that_holds_them() {
        let (latest, new, notes) = noted();
        let mut reader = latest.subscribe();
        wait_with(new(), &mut reader);
        wait_with(new(), &mut reader);
        assert_eq!(notes(), ["dropped"], "another has taken its place");
        latest.send(None);
        assert_eq!(notes(), ["woken", "dropped"]);
        reader.mark_unchanged();
        wait_with(new(), &mut reader);
        drop(reader);
        assert_eq!(notes(), ["dropped"], "its reader has gone");
    }

    #[test]
    fn the_last_sender_that_goes_wakes_who_waits() {
        let (latest, new, notes) = noted();
        let (mut reader, last) = (latest.subscribe(), latest.clone());
        wait_with(new(), &mut reader);
        drop(latest);
        assert_eq!(notes(), [""; 0], "there is another");
        drop(last);
        assert_eq!(notes(), ["woken", "dropped"]);
        assert_eq!(reader.changed().now_or_never(), Some(Err(NoLater)));
    }

    #[test]
    fn a_clone_of_a_reader_waits_beside_it() {
        let (latest, new, notes) = noted();
        let mut one = latest.subscribe();
        let mut two = one.clone();
        wait_with(new(), &mut one);
        wait_with(new(), &mut two);
        assert_eq!(notes(), [""; 0], "neither takes the place of the other");
        latest.send(None);
        assert_eq!(notes(), ["woken", "dropped", "woken", "dropped"]);
    }

    #[test]
    fn what_counts_as_seen_is_no_news_and_what_came_last_is_also_without_senders() {
        let (latest, mut reader) = Latest::channel(0);
        latest.send(1);
        assert!(reader.wait_for(|value| *value == 1).now_or_never().is_some());
        assert!(!reader.has_changed(), "it was waited for");
        latest.send(2);
        assert!(reader.has_changed());
        reader.mark_unchanged();
        assert!(!reader.has_changed() && reader.changed().now_or_never().is_none());
        latest.send(3);
        drop(latest);
        assert!(reader.has_changed());
        assert_eq!(reader.changed().now_or_never(), Some(Ok(())));
        assert!(!reader.has_changed());
    }

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
        assert!(!latest.send_if_other(2));
        assert!(one.changed().now_or_never().is_none());
        assert!(latest.send_if_other(3));
        assert!(two.has_changed());
        assert_eq!(*two.borrow_and_update(), 3);
        assert!(!two.has_changed());
        assert!(!latest.subscribe().has_changed());
        drop(latest);
        assert_eq!(one.changed().await, Ok(()));
        assert_eq!((one.changed().await, two.changed().await), (Err(NoLater), Err(NoLater)));
        assert!(two.wait_for(|value| *value == 4).await.is_err());
    }

    #[test]
    fn a_value_that_is_looked_at_can_be_shown() {
        let (latest, reader) = Latest::channel(3);
        assert_eq!(format!("{latest:?} {reader:?}"), "Latest(3) LatestReader(3)");
        let look = reader.borrow();
        assert_eq!(format!("{look:?} {reader:?}"), "3 LatestReader(<locked>)");
    }

    #[test]
    fn nothing_is_held_of_a_reader_that_has_waited_and_gone() {
        let latest = Latest::new(0);
        let (mut one, mut two) = (latest.subscribe(), latest.subscribe());
        let mut third = two.clone();
        for reader in [&mut one, &mut two, &mut third] {
            assert!(reader.changed().now_or_never().is_none());
        }
        drop((one, two, third));
        let waiting = locked(&latest.0).waiting.take();
        assert!(matches!(waiting, Waiters::Several(several) if several.is_empty()));
    }

    #[tokio::test]
    async fn who_finds_news_again_and_again_gives_way_to_other_tasks() {
        let latest = Latest::new(0);
        let reader = latest.subscribe();
        latest.send(1);
        tokio::spawn(async move { latest.send(2) });
        for _ in 0..10_000 {
            // Each has not seen the value yet.
            reader.clone().changed().await.unwrap();
        }
        assert_eq!(*reader.borrow(), 2);
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
