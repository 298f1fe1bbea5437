//! The list of a service as a target to follow. One that the registry confirms is written to the disk
//! cache, if it has changed or its copy there has become old; one that changes all the time the more
//! seldom, the longer it is. One that the disk does not take is tried again with pauses that grow, for
//! as long as the registry confirms it: written later, it would look younger than it is.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rpc_core::{Backoff, Error, Instance, ServiceKey, Snapshot};
use tokio::time::Instant;

use super::follow::{Ends, WatchTarget};
use super::link::Link;
use crate::backend::{Listing, Session, Updates};
use crate::cache::REWRITE_AFTER;
use crate::disk_turns::DiskFailure;
use crate::lock::locked;
use crate::off_thread::off_thread_if_long;

/// How long a list that changes is not written again for each of its instances: a hundred times as long
/// as writing takes.
const REST_OF_ONE: Duration = Duration::from_millis(1);

/// The first pause after the disk did not take a list; it grows up to [`REWRITE_AFTER`].
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The list of one service.
pub(super) struct ListTarget {
    service: ServiceKey,
    copy: Mutex<CopyAge>,
    /// The revision of the list that the present watch has brought last; 0 for one that has no such number, or of
    /// which something was left out and is to be told again.
    brought: AtomicU64,
}

/// How the copy on disk stands to the list.
struct CopyAge {
    /// When it was written last.
    written: Option<Instant>,
    /// Whether the list has changed since.
    is_behind: bool,
    /// Whether the registry has confirmed a list that is to be written now.
    is_due: bool,
    /// Whether the present list is being written.
    is_begun: bool,
    /// When it is tried again, if the disk did not take it the last time.
    retry: Option<Instant>,
    pauses: Backoff,
}

impl ListTarget {
    pub(super) fn new(service: ServiceKey) -> Self {
        Self { service, copy: Mutex::default(), brought: AtomicU64::new(0) }
    }

    /// Hands a list to the listeners unless they have an equal one, and says whether they had not.
    ///
    /// # Errors
    /// The runtime ends.
    async fn bring(
        &self,
        link: &Arc<Link>,
        listing: Listing,
        ends: &Ends<Snapshot>,
    ) -> Result<bool, Error> {
        let (reader, service) = (Arc::clone(link), self.service.clone());
        let (before, items) = (ends.values.borrow().clone(), listing.instances.len());
        let revision = listing.revision;
        let read = move || {
            let (snapshot, is_whole) = reader.snapshot(&service, listing);
            let snapshot = snapshot.sharing(&before);
            ((snapshot != before).then_some(snapshot), is_whole)
        };
        let (changed, is_whole) = off_thread_if_long(items, read).await?;
        self.brought.store(if is_whole { revision } else { 0 }, Ordering::Relaxed);
        let is_new = changed.is_some();
        changed.into_iter().for_each(|changed| ends.values.send(changed));
        Ok(is_new)
    }

    /// Writes the copy. What the disk does not take is still to be written, and is told once until it
    /// takes it.
    async fn write(&self, link: &Link, instances: Arc<[Arc<Instance>]>) {
        let Some(cache) = &link.cache else { return };
        let begun = Instant::now();
        locked(&self.copy).begin();
        let written = cache.write(&self.service, instances).await;
        let has_failed_before = locked(&self.copy).end(begun, written.is_ok());
        let service = &self.service;
        match written {
            Ok(()) if has_failed_before => {
                tracing::info!(target: "dubhe::registry::cache", %service, "list cached again");
            }
            Ok(()) | Err(DiskFailure::Hangs) => {}
            Err(error) if !has_failed_before => {
                let path = cache.path(service);
                let path = path.display();
                tracing::warn!(
                    target: "dubhe::registry::cache",
                    %service, %path, %error, "list not cached, check the cache folder"
                );
            }
            Err(_) => {}
        }
    }
}

// === impl CopyAge ===

impl CopyAge {
    /// The registry has confirmed a list of so many instances, which may be news.
    fn confirm(&mut self, is_new: bool, length: usize) {
        self.is_behind |= is_new;
        self.is_begun &= !is_new;
        self.is_due = match self.retry {
            Some(retry) => retry <= Instant::now(),
            None => self.is_old() || self.is_behind && self.rested(length) <= Instant::now(),
        };
    }

    /// When it is to be written, if the list has so many instances.
    fn due(&self, length: usize) -> Option<Instant> {
        if self.is_due {
            return Some(Instant::now());
        }
        let rested = || self.rested(length);
        self.retry.or_else(|| (self.is_behind && self.written.is_some()).then(rested))
    }

    /// The present list is being written; what comes from now on is news.
    fn begin(&mut self) {
        (self.is_begun, self.is_due) = (true, false);
    }

    /// What has begun then is written, or is tried again later; says whether it failed before, too.
    fn end(&mut self, begun: Instant, is_written: bool) -> bool {
        let has_failed_before = self.retry.is_some();
        // What was confirmed meanwhile was judged by the time of the copy before.
        self.is_due = false;
        if is_written {
            (self.written, self.retry) = (Some(begun), None);
            self.is_behind &= !self.is_begun;
            self.pauses.reset();
        } else {
            self.retry = Some(Instant::now() + self.pauses.next_wait());
        }
        has_failed_before
    }

    /// Whether it is to be written again although it is the same.
    fn is_old(&self) -> bool {
        self.written.is_none_or(|at| at.elapsed() > REWRITE_AFTER)
    }

    /// When it may be written again, if it is of so many instances.
    fn rested(&self, length: usize) -> Instant {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let rest = REST_OF_ONE.saturating_mul(length).min(REWRITE_AFTER);
        self.written.map_or_else(Instant::now, |at| at + rest)
    }
}

impl Default for CopyAge {
    fn default() -> Self {
        let pauses = Backoff::new(FIRST_RETRY, REWRITE_AFTER);
        Self {
            written: None,
            is_behind: false,
            is_due: false,
            is_begun: false,
            retry: None,
            pauses,
        }
    }
}

impl fmt::Display for ListTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.service.fmt(f)
    }
}

impl WatchTarget for ListTarget {
    type Update = Listing;
    type Updates = Updates;
    type Value = Snapshot;

    fn updates(&self, present: &Snapshot) -> Updates {
        // Each session counts for itself.
        self.brought.store(0, Ordering::Relaxed);
        Updates::new(present.instances.len()).0
    }

    fn put(updates: &Updates, listing: Listing) {
        updates.put(listing);
    }

    fn watch<'a>(
        &'a self,
        session: &'a dyn Session,
        updates: &'a Updates,
    ) -> BoxFuture<'a, Result<(), Error>> {
        session.watch(&self.service, updates)
    }

    fn read<'a>(&'a self, session: &'a dyn Session) -> BoxFuture<'a, Result<Listing, Error>> {
        session.fetch(&self.service)
    }

    fn publish<'a>(
        &'a self,
        link: &'a Arc<Link>,
        listing: Listing,
        ends: &'a Ends<Snapshot>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let is_brought = self.brought.load(Ordering::Relaxed) == listing.revision;
            let is_new = match is_brought && listing.revision != 0 {
                true => false,
                false => match self.bring(link, listing, ends).await {
                    Ok(is_new) => is_new,
                    // The runtime ends, and all of this with it.
                    Err(_) => return,
                },
            };
            ends.confirm();
            if link.cache.is_some() {
                let length = ends.values.borrow().instances.len();
                locked(&self.copy).confirm(is_new, length);
            }
        })
    }

    fn due(&self, ends: &Ends<Snapshot>) -> Option<Instant> {
        let length = ends.values.borrow().instances.len();
        locked(&self.copy).due(length)
    }

    fn catch_up(
        self: Arc<Self>,
        link: &Arc<Link>,
        ends: &Ends<Snapshot>,
    ) -> BoxFuture<'static, ()> {
        let (link, instances) = (Arc::clone(link), ends.values.borrow().instances.clone());
        Box::pin(async move { self.write(&link, instances).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_between_tries_grow_and_begin_anew_once_the_disk_takes_a_list() {
        let mut copy = CopyAge::default();
        copy.confirm(true, 1);
        assert_eq!(copy.due(1), Some(Instant::now()));
        let mut seconds = FIRST_RETRY.as_secs_f64();
        for _ in 0..30 {
            copy.begin();
            copy.confirm(true, 1);
            copy.end(Instant::now(), false);
            // The registry confirms it meanwhile, which is no reason to try sooner.
            copy.confirm(true, 1);
            let pause = copy.due(1).unwrap() - Instant::now();
            let ratio = pause.as_secs_f64() / seconds;
            assert!((0.79..=1.21).contains(&ratio), "{pause:?} is not {seconds} s");
            seconds = (seconds * 1.6).min(REWRITE_AFTER.as_secs_f64());
            tokio::time::advance(pause).await;
        }
        copy.begin();
        assert!(copy.end(Instant::now(), true));
        assert_eq!(copy.due(1), None);
        copy.begin();
        assert!(!copy.end(Instant::now(), false));
        assert!(copy.due(1).unwrap() - Instant::now() <= FIRST_RETRY.mul_f64(1.21));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_while_a_list_is_written_is_written_after_its_rest() {
        let mut copy = CopyAge::default();
        copy.confirm(true, 1000);
        copy.begin();
        copy.confirm(true, 1000);
        let begun = Instant::now();
        copy.end(begun, true);
        assert_eq!(copy.due(1000), Some(begun + 1000 * REST_OF_ONE));
    }
}
