//! The instances that somebody holds: one that is read at both levels, or for several lists, is held once, and so
//! is what they say alike.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use rpc_core::{Instance, InstancePool, ServiceKey, WeakPool};

use crate::lock::locked;

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

/// How many instances a pool is begun with. Most lists have one of each kind of what they say alike.
const SEEDS: usize = 4;

/// Finds an instance of a record again that is read a second time, and what instances say alike. It holds neither
/// itself.
#[derive(Debug, Default)]
pub(crate) struct SharedInstances {
    /// Those of records that no provider has been found to have yet, by service and address. So it is as good as empty
    /// where both levels tell all: it takes a tenth of the memory of an instance for each.
    instances: WeakPool<Instance>,
    /// That of the providers of an application is the same in all lists.
    metadata: WeakPool<BTreeMap<String, String>>,
}

/// Instances of one list, by service and address.
pub(crate) struct PlacedInstances<'a>(HashMap<(&'a ServiceKey, &'a str), &'a Arc<Instance>>);

impl<'a> PlacedInstances<'a> {
    pub(crate) fn of(instances: impl Iterator<Item = &'a Arc<Instance>>) -> Self {
        Self(instances.map(|one| ((&one.service, &*one.address), one)).collect())
    }

    /// The one that is equal.
    pub(crate) fn equal(&self, instance: &Instance) -> Option<&'a Arc<Instance>> {
        let there = self.0.get(&(&instance.service, &*instance.address));
        there.copied().filter(|there| ***there == *instance)
    }
}

/// What knows what these instances of a list say alike, so that others which are read share it.
pub(crate) fn pool_of<'a>(held: impl Iterator<Item = &'a Arc<Instance>>) -> InstancePool {
    let mut pool = InstancePool::default();
    for instance in held.take(SEEDS) {
        let _ = pool.shared(Instance::clone(instance));
    }
    pool
}

/// Where an instance is found again.
fn place_of(instance: &Instance) -> impl Hash + use<> {
    (instance.service.clone(), Arc::clone(&instance.address))
}

impl SharedInstances {
    /// Replaces what a record says by the equal instance of another record that somebody holds; if nobody does, its
    /// metadata by the equal one.
    pub(crate) fn share_of_record(&mut self, instance: &mut Arc<Instance>) {
        self.share_metadata(instance);
        *instance = self.instances.shared_at(place_of(instance), Arc::clone(instance), |new| new);
    }

    /// The same for a provider. Records that are read after it find it by themselves, as they are read for lists that
    /// have it.
    pub(crate) fn share_of_provider(&mut self, instance: &mut Arc<Instance>) {
        self.share_metadata(instance);
        *instance = self.instances.shared_last_at(place_of(instance), Arc::clone(instance));
    }

    /// To be done before another has it, from when on it cannot be changed.
    fn share_metadata(&mut self, instance: &mut Arc<Instance>) {
        if let Some(own) = Arc::get_mut(instance) {
            own.metadata = self.metadata.shared(Arc::clone(&own.metadata));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    fn instance(address: &str, weight: u32) -> Arc<Instance> {
        Arc::new(Instance { weight, ..Instance::new(ServiceKey::new("a.B"), address, "1") })
    }

    fn of_record(shared: &mut SharedInstances, mut instance: Arc<Instance>) -> Arc<Instance> {
        shared.share_of_record(&mut instance);
        instance
    }

    fn of_provider(shared: &mut SharedInstances, mut instance: Arc<Instance>) -> Arc<Instance> {
        shared.share_of_provider(&mut instance);
        instance
    }

    #[test]
    fn an_instance_that_is_read_again_is_held_once() {
        let mut held = SharedInstances::default();
        let mut read = |address, weight| of_record(&mut held, instance(address, weight));
        let first = read("a:1", 1);
        assert!(Arc::ptr_eq(&first, &read("a:1", 1)));
        let changed = read("a:1", 2);
        assert!(changed.weight == 2 && Arc::ptr_eq(&changed, &read("a:1", 2)));
        assert!(!Arc::ptr_eq(&changed, &read("b:1", 2)));
    }

    #[test]
    fn a_provider_is_the_record_that_was_read_before_and_both_are_sought_no_more() {
        let mut held = SharedInstances::default();
        let record = of_record(&mut held, instance("a:1", 1));
        assert!(Arc::ptr_eq(&record, &of_provider(&mut held, instance("a:1", 1))));
        let other = of_provider(&mut held, instance("b:1", 1));
        assert_eq!((other.weight, held.instances.known()), (1, 0));
    }

    #[test]
    fn what_lists_say_alike_is_held_once_and_no_longer_than_they_hold_it() {
        let mut held = SharedInstances::default();
        let mut read = |service: &str, zone: String| {
            let metadata = Arc::new([("zone".to_owned(), zone)].into());
            let service = ServiceKey::new(service);
            let read = Instance { metadata, ..Instance::new(service, "a:1", "1") };
            of_provider(&mut held, Arc::new(read))
        };
        let (one, other) = (read("a.B", "north".to_owned()), read("a.C", "north".to_owned()));
        assert!(Arc::ptr_eq(&one.metadata, &other.metadata));
        let (instance, metadata) = (Arc::downgrade(&one), Arc::downgrade(&one.metadata));
        drop((one, other));
        assert!(instance.upgrade().is_none() && metadata.upgrade().is_none());
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
                    let mut held = turns.take();
                    many.fetch_add(1, Ordering::Relaxed);
                    for number in 0..100 {
                        drop(of_record(&mut held, instance(&format!("a:{number}"), 1)));
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
}
