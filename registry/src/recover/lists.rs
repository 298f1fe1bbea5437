//! The list of a service as a target to follow. One that the registry confirms is written to the disk
//! cache, if it has changed or its copy there has become old.

use std::fmt;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use rpc_core::{Error, ServiceKey, Snapshot};
use tokio::time::Instant;

use super::follow::{Ends, WatchTarget};
use super::link::Link;
use crate::backend::{Listing, Session, Updates};
use crate::cache::REWRITE_AFTER;
use crate::lock::locked;

/// The list of one service.
pub(super) struct ListTarget {
    service: ServiceKey,
    /// When the cache was written last.
    written: Mutex<Option<Instant>>,
}

impl ListTarget {
    pub(super) fn new(service: ServiceKey) -> Self {
        Self { service, written: Mutex::new(None) }
    }

    /// Whether the copy on disk is to be written again although it is the same.
    fn is_copy_old(&self) -> bool {
        locked(&self.written).is_none_or(|at| at.elapsed() > REWRITE_AFTER)
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
        link: &'a Link,
        listing: Listing,
        ends: &'a Ends<Snapshot>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let snapshot = link.snapshot(&self.service, listing);
            let snapshot = snapshot.sharing(&ends.values.borrow());
            let is_new = ends.values.send_if_modified(|current| {
                let is_new = *current != snapshot;
                if is_new {
                    *current = snapshot.clone();
                }
                is_new
            });
            ends.confirm();
            if let Some(cache) = link.cache.as_ref().filter(|_| is_new || self.is_copy_old()) {
                *locked(&self.written) = Some(Instant::now());
                cache.write(&self.service, snapshot.instances).await;
            }
        })
    }
}
