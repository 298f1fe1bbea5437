//! What lists have in common is held once: instances that did not change from one list to the next, and
//! what instances say alike.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Weak};

use super::{Instance, Snapshot};
use crate::service_key::ServiceKey;

/// How many different services, applications and lists of names an instance is compared with. Most
/// lists have one of each.
const KINDS: usize = 4;

/// Values up to which a [`WeakPool`] does not look for those that nobody holds any more.
const SMALL: usize = 64;

type Metadata = BTreeMap<String, String>;

/// What instances said before, so that others which say the same hold it too instead of a copy: ten
/// thousand instances of a service say the same of themselves but for address and start.
///
/// It holds no metadata itself, and at most four services, applications and lists of names.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// use std::sync::Arc;
///
/// use dubhe::{Instance, InstancePool, ServiceKey};
///
/// let read = |address: &str| Instance {
///     codecs: ["json".to_owned()].into(),
///     ..Instance::new(ServiceKey::new("shop.Stock"), address, "start-1")
/// };
/// let mut pool = InstancePool::default();
/// let [one, other] = ["10.0.0.1:20880", "10.0.0.2:20880"].map(|address| pool.shared(read(address)));
/// assert!(Arc::ptr_eq(&one.codecs, &other.codecs));
/// ```
#[derive(Debug, Default)]
pub struct InstancePool {
    services: Kinds<ServiceKey>,
    applications: Kinds<Arc<str>>,
    protocols: Kinds<Arc<[String]>>,
    codecs: Kinds<Arc<[String]>>,
    metadata: WeakPool<Metadata>,
}

/// Finds a value again that somebody holds, so that it is held once. It holds none itself.
///
/// Of a value that nobody holds any more its own room stays for a while, but not what it held in turn: those values
/// are forgotten each time that the pool has grown by a quarter, and to 64 values at least, or was asked for as many values
/// as it knows. Whoever has a pool and asks it no more drops it.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// use std::sync::Arc;
///
/// use dubhe::WeakPool;
///
/// let mut pool = WeakPool::default();
/// let one = pool.shared(Arc::new("north".to_owned()));
/// assert!(Arc::ptr_eq(&one, &pool.shared(Arc::new("north".to_owned()))));
/// ```
pub struct WeakPool<T> {
    /// By a hash, keyed at random. Where two have the same, only the one that came last is found.
    known: HashMap<u64, Weak<T>>,
    hasher: RandomState,
    /// How many it knew when it looked last for those that nobody holds any more.
    swept_at: usize,
    /// How often it was asked since.
    asked: usize,
}

/// The values that were seen last.
#[derive(Debug)]
struct Kinds<T>(Vec<T>);

// === impl InstancePool ===

impl InstancePool {
    /// The same instance, which holds what others hold that is equal.
    #[must_use]
    pub fn shared(&mut self, instance: Instance) -> Instance {
        Instance {
            service: self.services.shared(&instance.service),
            application: self.applications.shared(&instance.application),
            protocols: self.protocols.shared(&instance.protocols),
            codecs: self.codecs.shared(&instance.codecs),
            metadata: self.metadata.shared(instance.metadata),
            ..instance
        }
    }

    /// How many kinds of metadata it knows.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.metadata.known()
    }
}

// === impl WeakPool ===

impl<T: PartialEq> WeakPool<T> {
    /// The equal value that somebody holds, or else this one.
    #[must_use]
    pub fn shared(&mut self, value: Arc<T>) -> Arc<T>
    where
        T: Hash,
    {
        let place = Arc::clone(&value);
        self.shared_at(&*place, value, |value| value)
    }

    /// The equal value that somebody holds and which came with this `place`, or else this one, as `new` makes it.
    /// It is found by a part of itself, such as its name.
    #[must_use]
    pub fn shared_at(
        &mut self,
        place: impl Hash,
        value: Arc<T>,
        new: impl FnOnce(Arc<T>) -> Arc<T>,
    ) -> Arc<T> {
        let place = self.hasher.hash_one(place);
        self.asked += 1;
        if self.asked >= SMALL.max(self.swept_at) {
            self.sweep();
        }
        if let Some(known) = self.known.get(&place).and_then(Weak::upgrade)
            && known == value
        {
            return known;
        }
        if self.known.len() >= SMALL.max(self.swept_at + self.swept_at / 4) {
            self.sweep();
        }
        let value = new(value);
        self.known.insert(place, Arc::downgrade(&value));
        value
    }

    /// The equal value that somebody holds and which came with this `place`, or else this one. Neither is found there
    /// again: it is for the last who asks.
    #[must_use]
    pub fn shared_last_at(&mut self, place: impl Hash, value: Arc<T>) -> Arc<T> {
        let known = self.known.remove(&self.hasher.hash_one(place));
        // What comes with as many others is given back with them.
        if self.known.len() <= self.known.capacity() / 8 {
            self.sweep();
        }
        known.and_then(|known| known.upgrade()).filter(|known| *known == value).unwrap_or(value)
    }

    /// Forgets what nobody holds any more, and gives its room back.
    fn sweep(&mut self) {
        self.known.retain(|_, value| value.strong_count() > 0);
        (self.swept_at, self.asked) = (self.known.len(), 0);
        // Twice of what there is, so that a pool that grows is not moved each time.
        self.known.shrink_to(SMALL.max(2 * self.swept_at));
    }

    /// How many values it knows, with those that nobody holds any more and which it has not forgotten yet.
    #[must_use]
    pub fn known(&self) -> usize {
        self.known.len()
    }
}

// Derived, it would ask for values that have a default.
impl<T> Default for WeakPool<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), hasher: RandomState::new(), swept_at: 0, asked: 0 }
    }
}

impl<T> fmt::Debug for WeakPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakPool").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

// === impl Kinds ===

impl<T: Clone + PartialEq> Kinds<T> {
    /// The equal value that was seen first, or else this one, which is remembered.
    fn shared(&mut self, value: &T) -> T {
        if let Some(known) = self.0.iter().find(|known| *known == value) {
            return known.clone();
        }
        self.0.truncate(KINDS - 1);
        self.0.insert(0, value.clone());
        value.clone()
    }
}

impl<T> Default for Kinds<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// This list with the instances of `before` in place of equal ones; the others hold once what they
    /// say alike.
    ///
    /// The list is equal, takes less memory, and is compared quickly with the one before.
    #[must_use]
    pub fn sharing(self, before: &Self) -> Self {
        let mut pool = InstancePool::default();
        let mut share = |one: &Arc<Instance>| {
            if let Some(old) = at(before, &one.address).filter(|old| *old == one) {
                return Arc::clone(old);
            }
            let shared = pool.shared(Instance::clone(one));
            // Who holds an instance that shares already would hold a copy beside it.
            if holds_same(one, &shared) { Arc::clone(one) } else { Arc::new(shared) }
        };
        Self { instances: self.instances.iter().map(&mut share).collect(), source: self.source }
    }
}

/// Whether what two equal instances hold is held once.
fn holds_same(one: &Instance, other: &Instance) -> bool {
    one.service.is_held_with(&other.service)
        && Arc::ptr_eq(&one.application, &other.application)
        && Arc::ptr_eq(&one.protocols, &other.protocols)
        && Arc::ptr_eq(&one.codecs, &other.codecs)
        && Arc::ptr_eq(&one.metadata, &other.metadata)
}

/// The instance at `address`.
fn at<'a>(list: &'a Snapshot, address: &str) -> Option<&'a Arc<Instance>> {
    let by_address = |one: &Arc<Instance>| (*one.address).cmp(address);
    list.instances.get(list.instances.binary_search_by(by_address).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ServiceKey, Source};

    fn instance(address: &str, zone: &str) -> Instance {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Instance {
            application: "shop".into(),
            protocols: names(&["dubbo", "json"]),
            codecs: names(&["protobuf"]),
            metadata: Arc::new([("zone".to_owned(), zone.to_owned())].into()),
            ..Instance::new(ServiceKey::new("shop.Stock"), address, "start-1")
        }
    }

    fn list(zones: &[&str]) -> Snapshot {
        let one = |(at, zone): (usize, &&str)| instance(&format!("10.0.0.{at}:1"), zone);
        Snapshot::new(zones.iter().enumerate().map(one).collect(), Source::Live)
    }

    #[test]
    fn what_did_not_change_is_held_once() {
        let before = list(&["north", "south", "south"]).sharing(&Snapshot::pending());
        let after = list(&["north", "north", "south"]).sharing(&before);
        assert_eq!(after, list(&["north", "north", "south"]));
        let is_one = |at: usize| Arc::ptr_eq(&before.instances[at], &after.instances[at]);
        assert_eq!([is_one(0), is_one(1), is_one(2)], [true, false, true]);
    }

    #[test]
    fn what_instances_say_alike_is_held_once() {
        let zones = ["a", "b", "c", "d", "e", "e", "d", "a"];
        let shared = list(&zones).sharing(&Snapshot::pending());
        assert_eq!(shared, list(&zones));
        let [first, others @ ..] = &*shared.instances else { panic!() };
        for other in others {
            let metadata = Arc::ptr_eq(&first.metadata, &other.metadata);
            let is_alike = first.metadata == other.metadata;
            assert_eq!((metadata, holds_same(first, other)), (is_alike, is_alike), "{other:?}");
            assert!(Arc::ptr_eq(&first.codecs, &other.codecs));
        }
    }

    #[test]
    fn an_instance_that_shares_already_is_not_copied() {
        let mut pool = InstancePool::default();
        let one = pool.shared(instance("a:1", "north"));
        let other = pool.shared(instance("b:1", "north"));
        assert!(holds_same(&one, &other));
        let list = Snapshot::new(vec![one, other], Source::Live);
        let shared = list.clone().sharing(&Snapshot::pending());
        assert!(list.instances.iter().zip(&*shared.instances).all(|(a, b)| Arc::ptr_eq(a, b)));
    }

    #[test]
    fn what_nobody_holds_any_more_is_forgotten() {
        let mut pool = InstancePool::default();
        for number in 0..10_000 {
            let mut gone = instance("a:1", &format!("zone-{number}"));
            gone.application = format!("application-{number}").into();
            drop(pool.shared(gone));
        }
        assert!(pool.kinds() <= SMALL && pool.applications.0.len() <= KINDS, "{pool:?}");
        let held: Vec<_> =
            (0..1000).map(|n| pool.shared(instance("a:1", &format!("zone-{n}")))).collect();
        let again = pool.shared(instance("b:1", "zone-0"));
        assert!(Arc::ptr_eq(&held[0].metadata, &again.metadata), "what is held is known");
    }

    #[test]
    fn the_room_of_what_nobody_holds_any_more_is_given_back() {
        let mut pool = WeakPool::default();
        let read = |pool: &mut WeakPool<u32>, values: std::ops::Range<u32>| -> Vec<_> {
            values.map(|value| pool.shared(Arc::new(value))).collect()
        };
        let mut held = read(&mut pool, 0..10_000);
        held.truncate(10);
        // They are those that are held: none comes that is new.
        for _ in 0..2000 {
            assert_eq!(read(&mut pool, 0..10), held);
        }
        let room = pool.known.capacity();
        assert!(pool.known() == 10 && room < 4 * SMALL, "{pool:?} has room for {room}");
    }

    #[test]
    fn what_is_known_is_no_longer_held_than_others_hold_it() {
        let mut pool = InstancePool::default();
        let one = pool.shared(instance("a:1", "north"));
        let metadata = Arc::downgrade(&one.metadata);
        drop(one);
        assert!(metadata.upgrade().is_none(), "nobody else holds it");
    }

    #[test]
    fn a_value_is_found_by_its_place_only_if_it_is_equal() {
        let mut pool = WeakPool::default();
        let mut read = |value: &str| pool.shared_at("place", Arc::new(value.to_owned()), |new| new);
        let (one, other) = (read("one"), read("other"));
        assert_eq!((&**one, &**other), ("one", "other"));
        assert!(Arc::ptr_eq(&other, &read("other")) && !Arc::ptr_eq(&one, &read("one")));
    }

    #[test]
    fn the_last_who_asks_leaves_nothing_behind() {
        let mut pool = WeakPool::default();
        let value = |value: &str| Arc::new(value.to_owned());
        let one = pool.shared_at("place", value("one"), |new| new);
        assert!(!Arc::ptr_eq(&one, &pool.shared_last_at("elsewhere", value("one"))));
        assert!(Arc::ptr_eq(&one, &pool.shared_last_at("place", value("one"))));
        assert_eq!(*pool.shared_last_at("place", value("other")), "other");
        assert_eq!(pool.known(), 0);

        let values: Vec<_> = (0..10_000).map(Arc::new).collect();
        let mut pool = WeakPool::default();
        for one in &values {
            let _ = pool.shared(Arc::clone(one));
        }
        for one in &values[1..] {
            assert!(Arc::ptr_eq(one, &pool.shared_last_at(**one, Arc::clone(one))));
        }
        let room = pool.known.capacity();
        assert!(pool.known() == 1 && room < 4 * SMALL, "{pool:?} has room for {room}");
    }

    #[test]
    fn the_last_who_asks_is_given_no_other_value() {
        let mut pool = WeakPool::default();
        let value = |value: &str| Arc::new(value.to_owned());
        let one = pool.shared_at("place", value("one"), |new| new);
        let other = pool.shared_last_at("place", value("other"));
        assert_eq!((&**one, &**other, pool.known()), ("one", "other", 0));
    }

    #[test]
    fn a_list_keeps_its_own_source_and_length() {
        let before = list(&["north", "south"]);
        let age = std::time::Duration::from_secs(9);
        let one = Snapshot::new(vec![instance("10.0.0.1:1", "south")], Source::Cache { age });
        let shared = one.clone().sharing(&before);
        assert_eq!(shared, one);
        assert!(Arc::ptr_eq(&shared.instances[0], &before.instances[1]));
    }
}
