//! The instances of one interface that somebody holds: one that is read at both levels, or for several
//! lists, is held once.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use rpc_core::{Instance, InstancePool};

use crate::lock::locked;

/// Instances up to which it is not looked for those that nobody holds any more.
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

/// Finds an instance again that is read a second time. It holds none itself.
#[derive(Default)]
pub(crate) struct SharedInstances {
    pub(crate) pool: InstancePool,
    /// By a hash of service and address, keyed at random. Where two have the same, only one is found.
    by_place: HashMap<u64, Weak<Instance>>,
    hasher: RandomState,
    swept_at: usize,
}

impl SharedInstances {
    /// The equal instance that somebody holds, or else this one.
    pub(crate) fn shared(&mut self, instance: Arc<Instance>) -> Arc<Instance> {
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
        self.by_place.insert(place, Arc::downgrade(&instance));
        instance
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
