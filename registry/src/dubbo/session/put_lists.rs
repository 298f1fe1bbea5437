//! The lists that watches have put, and what they were made of: a check that finds the same makes no list.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use rpc_core::ServiceKey;

use super::list_maker::KnownParts;
use crate::backend::{Listing, Updates};
use crate::latest::LatestReader;
use crate::lock::locked;

/// The lists that are watched, by service. They stay where the watches have put them.
#[derive(Default)]
pub(super) struct PutLists(Mutex<HashMap<ServiceKey, PutList>>);

/// What a watch has put last.
struct PutList {
    newest: LatestReader<Option<Listing>>,
    /// That of the list.
    revision: u64,
    known: Arc<KnownParts>,
}

/// Forgets the list of a watch that ends.
pub(super) struct PutGuard<'a> {
    lists: &'a PutLists,
    service: &'a ServiceKey,
    updates: &'a Updates,
}

// === impl PutLists ===

impl PutLists {
    /// A watch of `service` begins, which puts its lists into `updates`.
    pub(super) fn guard<'a>(
        &'a self,
        service: &'a ServiceKey,
        updates: &'a Updates,
    ) -> PutGuard<'a> {
        PutGuard { lists: self, service, updates }
    }

    /// The list that its watch has put, with its revision, if it is of these parts.
    pub(super) fn find(&self, service: &ServiceKey, known: &KnownParts) -> Option<Listing> {
        let (newest, revision) = {
            let lists = locked(&self.0);
            let put = lists.get(service).filter(|put| put.known.are_same(known))?;
            (put.newest.clone(), put.revision)
        };
        let newest = newest.borrow();
        newest.as_ref().filter(|newest| newest.revision == revision).cloned()
    }
}

impl fmt::Debug for PutLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(locked(&self.0).keys()).finish()
    }
}

// === impl PutGuard ===

impl PutGuard<'_> {
    /// The list of `revision` is what `known` means.
    pub(super) fn note(&self, revision: u64, known: Arc<KnownParts>) {
        let newest = self.updates.as_ref().values.subscribe();
        let put = PutList { newest, revision, known };
        locked(&self.lists.0).insert(self.service.clone(), put);
    }
}

impl Drop for PutGuard<'_> {
    fn drop(&mut self) {
        locked(&self.lists.0).remove(self.service);
    }
}
