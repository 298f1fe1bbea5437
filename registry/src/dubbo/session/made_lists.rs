//! What the lists of watches were made of: a check that finds the same makes no list.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rpc_core::{LatestReader, ServiceKey};

use super::super::merged::Remarks;
use super::list_maker::KnownParts;
use crate::backend::{Listing, Updates};
use crate::lock::locked;
use crate::newest::WatchNews;

/// What the newest list of each service that is watched was made of.
#[derive(Default)]
pub(super) struct MadeLists {
    by_service: Mutex<HashMap<ServiceKey, Arc<MadeList>>>,
    /// Counts watches.
    watches: AtomicU64,
}

/// A list that was put for a watch, and what it was made of. The list itself stays where it was put.
#[derive(Clone)]
pub(super) struct MadeList {
    watch: u64,
    newest: LatestReader<WatchNews<Listing>>,
    /// That of the list.
    revision: u64,
    known: Arc<KnownParts>,
    remarks: Option<Arc<Remarks>>,
}

/// Notes the lists of a watch, and forgets the last when it ends.
pub(super) struct MadeGuard<'a> {
    lists: &'a MadeLists,
    service: &'a ServiceKey,
    last: MadeList,
}

// === impl MadeLists ===

impl MadeLists {
    /// A watch of `service` begins, which puts its lists into `updates`.
    pub(super) fn guard<'a>(&'a self, service: &'a ServiceKey, updates: &Updates) -> MadeGuard<'a> {
        let last = MadeList {
            watch: self.watches.fetch_add(1, Ordering::Relaxed),
            newest: updates.as_ref().subscribe(),
            revision: 0,
            known: Arc::default(),
            remarks: None,
        };
        MadeGuard { lists: self, service, last }
    }

    /// The list that was put for the watch of `service`, with its revision, and what there is to say of it, if it was
    /// made of these parts.
    pub(super) fn find(
        &self,
        service: &ServiceKey,
        known: &KnownParts,
    ) -> Option<(Listing, Option<Arc<Remarks>>)> {
        let made = locked(&self.by_service).get(service).cloned()?;
        if !made.known.are_same(known) {
            return None;
        }
        let newest = made.newest.borrow();
        let listing = newest.value.as_ref().filter(|newest| newest.revision == made.revision)?;
        Some((listing.clone(), made.remarks.clone()))
    }

    /// A check has made the list of `revision`, which is put for the watch of `service` if there is one.
    pub(super) fn note_checked(
        &self,
        service: &ServiceKey,
        revision: u64,
        known: Arc<KnownParts>,
        remarks: Option<Arc<Remarks>>,
    ) {
        let mut by_service = locked(&self.by_service);
        let made = by_service.get_mut(service).filter(|made| made.revision < revision);
        let old = made.map(|made| {
            let new = MadeList { revision, known, remarks, ..MadeList::clone(made) };
            mem::replace(made, Arc::new(new))
        });
        // It may be the last to hold a long list.
        drop(by_service);
        drop(old);
    }
}

impl fmt::Debug for MadeLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(locked(&self.by_service).keys()).finish()
    }
}

// === impl MadeGuard ===

impl MadeGuard<'_> {
    /// The revision of the last list; 0 before the first.
    pub(super) fn revision(&self) -> u64 {
        self.last.revision
    }

    /// The list of `revision` is the last.
    pub(super) fn put(&mut self, revision: u64, remarks: Option<Arc<Remarks>>) {
        (self.last.revision, self.last.remarks) = (revision, remarks);
    }

    /// The last list is what `known` means, too.
    pub(super) fn note(&mut self, known: Arc<KnownParts>) {
        self.last.known = known;
        let mut by_service = locked(&self.lists.by_service);
        let present = by_service.get(self.service);
        // A check was ahead of it.
        let is_ahead = |made: &Arc<MadeList>| {
            made.watch == self.last.watch && made.revision > self.last.revision
        };
        let new = (!present.is_some_and(is_ahead)).then(|| Arc::new(self.last.clone()));
        let old = new.and_then(|new| by_service.insert(self.service.clone(), new));
        // As above.
        drop(by_service);
        drop(old);
    }
}

impl Drop for MadeGuard<'_> {
    fn drop(&mut self) {
        let mut by_service = locked(&self.lists.by_service);
        let is_ours =
            by_service.get(self.service).is_some_and(|made| made.watch == self.last.watch);
        let old = is_ours.then(|| by_service.remove(self.service));
        drop(by_service);
        drop(old);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use rpc_core::Instance;
    use tokio::time::Instant;

    use super::super::super::tree::TreeNode;
    use super::super::patience::PatientUpdates;
    use super::super::providers::ProviderNodes;
    use super::*;

    /// What was read once, so that no other is the same.
    async fn parts() -> Arc<KnownParts> {
        let node = TreeNode { name: "nonsense".to_owned().into(), value: Bytes::new() };
        let providers = ProviderNodes::new(&Arc::default()).read(vec![node]).await.unwrap();
        Arc::new(KnownParts { providers, ..KnownParts::default() })
    }

    fn list(revision: u64) -> Listing {
        let instance = Instance::new(ServiceKey::new("shop.Stock"), "10.0.0.1:1", "id");
        Listing { revision, ..Listing::new(0, [instance]) }
    }

    #[tokio::test]
    async fn a_list_is_found_by_its_parts_while_it_is_the_newest() {
        let (lists, service) = (MadeLists::default(), ServiceKey::new("shop.Stock"));
        let (updates, _newest) = Updates::new(0);
        let found = |known: &KnownParts| lists.find(&service, known).map(|(list, _)| list.revision);
        let (one, two) = (parts().await, parts().await);
        let mut guard = lists.guard(&service, &updates);
        lists.note_checked(&service, 1, Arc::clone(&two), None);
        assert_eq!(found(&two), None, "there is no list yet");
        updates.put(list(3));
        guard.put(3, None);
        guard.note(Arc::clone(&one));
        assert_eq!((found(&one), found(&two)), (Some(3), None));
        // What a check has made counts once it is put, and the watch is behind it until it has a newer one.
        lists.note_checked(&service, 4, Arc::clone(&two), None);
        assert_eq!((found(&one), found(&two)), (None, None));
        updates.put(list(4));
        guard.note(Arc::clone(&one));
        lists.note_checked(&service, 2, one, None);
        assert_eq!(found(&two), Some(4));
        let three = parts().await;
        updates.put(list(5));
        guard.put(5, None);
        guard.note(Arc::clone(&three));
        assert_eq!((found(&two), found(&three)), (None, Some(5)));
        drop(guard);
        assert_eq!(found(&three), None);
    }

    #[tokio::test]
    async fn a_watch_that_ends_forgets_no_list_of_the_next() {
        let (lists, service) = (MadeLists::default(), ServiceKey::new("shop.Stock"));
        let ((updates, _one), (later, _two)) = (Updates::new(0), Updates::new(0));
        let (before, known) = (parts().await, parts().await);
        let mut ending = lists.guard(&service, &updates);
        ending.put(9, None);
        ending.note(before);
        let mut next = lists.guard(&service, &later);
        later.put(list(1));
        next.put(1, None);
        next.note(Arc::clone(&known));
        drop(ending);
        assert_eq!(lists.find(&service, &known).unwrap().0, list(1));
        drop(next);
        assert!(lists.find(&service, &known).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_is_kept_back_is_found_once_it_is_believed() {
        let (lists, service) = (MadeLists::default(), ServiceKey::new("shop.Stock"));
        let (updates, _newest) = Updates::new(4);
        let (known, mut guard) = (parts().await, lists.guard(&service, &updates));
        let complete_from = Some(Instant::now() + Duration::from_secs(1));
        let mut patient = PatientUpdates::new(&updates, complete_from);
        patient.put(list(1));
        guard.put(1, None);
        guard.note(Arc::clone(&known));
        assert!(lists.find(&service, &known).is_none());
        patient.wait().await;
        assert_eq!(lists.find(&service, &known).unwrap().0, list(1));
    }
}
