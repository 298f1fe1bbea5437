//! The instances that somebody holds: one that is read at both levels, or for several lists, is held once, and so
//! is what they say alike.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use rpc_core::{Instance, InstancePool};

use crate::lock::locked;

/// Instances, or kinds of metadata, up to which it is not looked for those that nobody holds any more.
const SMALL: usize = 64;

/// What lists that are made at the same time share. They take turns at it, one for each entry, so that a long one
/// holds up no other.
#[derive(Debug, Default)]
pub(crate) struct SharedTurns {
    /// Held by the one who comes next. A mutex alone goes on to whoever asks first, which is who had it.
    next: Mutex<()>,
    shared: Mutex<SharedInstances>,
}

impl SharedTurns {
    /// The turn of one entry, after that of whoever waits already.
    pub(crate) fn take(&self) -> MutexGuard<'_, SharedInstances> {
        let _next = locked(&self.next);
        locked(&self.shared)
    }
}

/// What instances say of themselves beside what has a field.
type Metadata = BTreeMap<String, String>;

/// How many instances a pool is begun with. Most lists have one of each kind of what they say alike.
const SEEDS: usize = 4;

/// Finds an instance again that is read a second time. It holds none itself.
#[derive(Default)]
pub(crate) struct SharedInstances {
    /// By a hash of service and address, keyed at random. Where two have the same, only one is found.
    by_place: HashMap<u64, Weak<Instance>>,
    hasher: RandomState,
    swept_at: usize,
    /// That of the providers of an application is the same in all lists.
    metadata: HashSet<Arc<Metadata>>,
    metadata_swept_at: usize,
}

/// What knows what these instances of a list say alike, so that others which are read share it.
pub(crate) fn pool_of<'a>(held: impl Iterator<Item = &'a Arc<Instance>>) -> InstancePool {
    let mut pool = InstancePool::default();
    for instance in held.take(SEEDS) {
        let _ = pool.shared(Instance::clone(instance));
    }
    pool
}

impl SharedInstances {
    /// The equal instance that somebody holds, or else this one, with the equal metadata that somebody holds.
    pub(crate) fn shared(&mut self, mut instance: Arc<Instance>) -> Arc<Instance> {
        let place = self.hasher.hash_one((&instance.service, &instance.address));
        if let Some(known) = self.by_place.get(&place).and_then(Weak::upgrade)
            && known == instance
        {
            return known;
        }
        // What nobody holds any more adds at most a quarter.
        if self.by_place.len() >= SMALL.max(self.swept_at + self.swept_at / 4) {
            self.by_place.retain(|_, instance| instance.strong_count() > 0);
            self.swept_at = self.by_place.len();
        }
        if let Some(own) = Arc::get_mut(&mut instance) {
            own.metadata = self.metadata(&own.metadata);
        }
        self.by_place.insert(place, Arc::downgrade(&instance));
        instance
    }

    fn metadata(&mut self, metadata: &Arc<Metadata>) -> Arc<Metadata> {
        if let Some(known) = self.metadata.get(metadata) {
            return Arc::clone(known);
        }
        if self.metadata.len() >= SMALL.max(self.metadata_swept_at + self.metadata_swept_at / 4) {
            self.metadata.retain(|metadata| Arc::strong_count(metadata) > 1);
            self.metadata_swept_at = self.metadata.len();
        }
        self.metadata.insert(Arc::clone(metadata));
        Arc::clone(metadata)
    }
}

impl fmt::Debug for SharedInstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedInstances")
            .field("places", &self.by_place.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use rpc_core::ServiceKey;

    use super::*;

    fn instance(address: &str, weight: u32) -> Arc<Instance> {
        Arc::new(Instance { weight, ..Instance::new(ServiceKey::new("a.B"), address, "1") })
    }

    #[test]
    fn an_instance_that_is_read_again_is_held_once() {
        let mut shared = SharedInstances::default();
        let first = shared.shared(instance("a:1", 1));
        assert!(Arc::ptr_eq(&first, &shared.shared(instance("a:1", 1))));
        let changed = shared.shared(instance("a:1", 2));
        assert!(changed.weight == 2 && Arc::ptr_eq(&changed, &shared.shared(instance("a:1", 2))));
        assert!(!Arc::ptr_eq(&changed, &shared.shared(instance("b:1", 2))));
    }

    #[test]
    fn metadata_that_lists_say_alike_is_held_once_and_no_longer_than_it_is_held() {
        let mut shared = SharedInstances::default();
        let mut read = |service: &str, zone: String| {
            let metadata = Arc::new([("zone".to_owned(), zone)].into());
            let service = ServiceKey::new(service);
            shared.shared(Arc::new(Instance { metadata, ..Instance::new(service, "a:1", "1") }))
        };
        let (one, other) = (read("a.B", "north".to_owned()), read("a.C", "north".to_owned()));
        assert!(Arc::ptr_eq(&one.metadata, &other.metadata));
        (0..10_000).for_each(|number| drop(read("a.D", number.to_string())));
        assert!(shared.metadata.len() <= SMALL, "{}", shared.metadata.len());
    }

    #[test]
    fn a_pool_knows_what_instances_that_are_held_say_alike() {
        let held = [instance("a:1", 1)];
        let read = pool_of(held.iter()).shared(Instance::clone(&instance("b:1", 1)));
        assert!(Arc::ptr_eq(&read.application, &held[0].application));
    }

    #[test]
    fn who_has_many_entries_gives_others_their_turns_between() {
        let (turns, many, is_over) =
            (SharedTurns::default(), AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let mut shared = turns.take();
                    many.fetch_add(1, Ordering::Relaxed);
                    for number in 0..100 {
                        drop(shared.shared(instance(&format!("a:{number}"), 1)));
                    }
                }
            });
            let mut before_turns = Vec::new();
            for _ in 0..200 {
                let before = many.load(Ordering::Relaxed);
                drop(turns.take());
                before_turns.push(many.load(Ordering::Relaxed) - before);
                // The other one is back at work.
                while many.load(Ordering::Relaxed) < before + 2 {
                    std::thread::yield_now();
                }
            }
            is_over.store(true, Ordering::Relaxed);
            before_turns.sort_unstable();
            // Some are asked for late, by a thread that had no processor; thousands pass without turns.
            assert!(before_turns[180] < 100, "{before_turns:?}");
        });
    }

    #[test]
    fn what_nobody_holds_any_more_is_forgotten() {
        let mut shared = SharedInstances::default();
        for number in 0..10_000 {
            drop(shared.shared(instance(&format!("a:{number}"), 1)));
        }
        assert!(shared.by_place.len() <= SMALL, "{shared:?}");
    }
}
