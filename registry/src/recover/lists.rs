//! The list of a service as a target to follow. One that the registry confirms is written to the disk
//! cache, if it has changed or its copy there has become old; one that changes all the time the more
//! seldom, the longer it is. One that the disk does not take is tried again with pauses that grow, for
//! as long as the registry confirms it: written later, it would look younger than it is.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rpc_core::{Backoff, Error, Instance, ServiceKey, Snapshot};
use tokio::time::Instant;

use super::follow::{Ends, WatchTarget};
use super::link::Link;
use crate::backend::{Listing, Session, Updates};
use crate::cache::REWRITE_AFTER;
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
}

/// How the copy on disk stands to the list.
struct CopyAge {
    /// When it was written last.
    written: Option<Instant>,
    /// Whether the list has changed since.
    is_behind: bool,
    /// When it is tried again, if the disk did not take it the last time.
    retry: Option<Instant>,
    pauses: Backoff,
}

impl ListTarget {
    pub(super) fn new(service: ServiceKey) -> Self {
        Self { service, copy: Mutex::default() }
    }

    /// Writes the copy. What the disk does not take is still to be written, and is told once until it
    /// takes it.
    async fn write(&self, link: &Link, instances: Arc<[Arc<Instance>]>) {
        let Some(cache) = &link.cache else { return };
        let begun = Instant::now();
        let written = cache.write(&self.service, instances).await;
        let (service, path) = (&self.service, cache.path(&self.service));
        let mut copy = locked(&self.copy);
        let has_failed_before = copy.retry.is_some();
        match written {
            Ok(()) => {
                *copy = CopyAge { written: Some(begun), ..CopyAge::default() };
                if has_failed_before {
                    tracing::info!(target: "dubhe::registry::cache", %service, "list cached again");
                }
            }
            Err(error) => {
                let pause = copy.pauses.next_wait();
                copy.retry = Some(Instant::now() + pause);
                if !has_failed_before {
                    let path = path.display();
                    tracing::warn!(
                        target: "dubhe::registry::cache",
                        %service, %path, %error, "list not cached, check the cache folder"
                    );
                }
            }
        }
    }
}

// === impl CopyAge ===

impl CopyAge {
    /// Whether it is to be written now, if the list has so many instances.
    fn is_due(&self, length: usize) -> bool {
        let now = Instant::now();
        match self.retry {
            Some(retry) => retry <= now,
            None => self.is_old() || self.is_behind && self.rested(length) <= now,
        }
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
        Self { written: None, is_behind: false, retry: None, pauses }
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
            let (reader, service) = (Arc::clone(link), self.service.clone());
            let (before, items) = (ends.values.borrow().clone(), listing.instances.len());
            let read = move || {
                let snapshot = reader.snapshot(&service, listing).sharing(&before);
                (snapshot != before).then_some(snapshot)
            };
            // It fails where the runtime ends, and all of this with it.
            let Ok(changed) = off_thread_if_long(items, read).await else { return };
            let is_new = changed.is_some();
            changed.into_iter().for_each(|changed| drop(ends.values.send_replace(changed)));
            ends.confirm();
            let instances = ends.values.borrow().instances.clone();
            let is_due = {
                let mut copy = locked(&self.copy);
                copy.is_behind |= is_new;
                copy.is_due(instances.len())
            };
            if is_due {
                self.write(link, instances).await;
            }
        })
    }

    fn due(&self, ends: &Ends<Snapshot>) -> Option<Instant> {
        let copy = locked(&self.copy);
        let rested = || copy.rested(ends.values.borrow().instances.len());
        // Without a cache nothing is ever written, and nothing fails.
        copy.retry.or_else(|| (copy.is_behind && copy.written.is_some()).then(rested))
    }

    fn catch_up<'a>(&'a self, link: &'a Link, ends: &'a Ends<Snapshot>) -> BoxFuture<'a, ()> {
        let instances = ends.values.borrow().instances.clone();
        Box::pin(self.write(link, instances))
    }
}
