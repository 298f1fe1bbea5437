//! What lists have in common is held once: instances that did not change from one list to the next, and
//! what the instances of a list publish alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Instance, Snapshot};

/// How many different sets of metadata are compared with those of an instance. Most lists have one for
/// each version of an application.
const KINDS: usize = 4;

/// The metadata that instances of a list published last, so that others which publish the same hold
/// it too instead of a copy.
#[derive(Debug, Default)]
pub struct MetadataPool(Vec<Arc<BTreeMap<String, String>>>);

impl MetadataPool {
    /// Has `instance` hold what others hold that is equal.
    pub fn share(&mut self, instance: &mut Instance) {
        instance.metadata = self.shared(&instance.metadata);
    }

    /// The equal metadata that was seen first, or else this one, which is remembered.
    fn shared(
        &mut self,
        metadata: &Arc<BTreeMap<String, String>>,
    ) -> Arc<BTreeMap<String, String>> {
        if let Some(known) = self.0.iter().find(|known| *known == metadata) {
            return Arc::clone(known);
        }
        self.0.truncate(KINDS - 1);
        self.0.insert(0, Arc::clone(metadata));
        Arc::clone(metadata)
    }
}

impl Snapshot {
    /// This list with the instances of `before` in place of equal ones, and with the metadata of one
    /// instance in place of that of others that publish the same.
    ///
    /// The list is equal, takes less memory, and is compared quickly with the one before.
    #[must_use]
    pub fn sharing(self, before: &Self) -> Self {
        let mut pool = MetadataPool::default();
        let mut share = |one: &Arc<Instance>| {
            if let Some(old) = at(before, &one.address).filter(|old| *old == one) {
                return Arc::clone(old);
            }
            let metadata = pool.shared(&one.metadata);
            // Whoever holds it already would hold a copy beside it.
            if Arc::ptr_eq(&metadata, &one.metadata) {
                return Arc::clone(one);
            }
            Arc::new(Instance { metadata, ..Instance::clone(one) })
        };
        Self { instances: self.instances.iter().map(&mut share).collect(), source: self.source }
    }
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
        let metadata = Arc::new([("zone".to_owned(), zone.to_owned())].into());
        Instance { metadata, ..Instance::new(ServiceKey::new("shop.Stock"), address, "start-1") }
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
    fn equal_metadata_is_held_once_for_each_kind() {
        let zones = ["a", "b", "c", "d", "e", "e", "d", "a"];
        let shared = list(&zones).sharing(&Snapshot::pending());
        assert_eq!(shared, list(&zones));
        let metadata = |at: usize| &shared.instances[at].metadata;
        assert!(Arc::ptr_eq(metadata(4), metadata(5)) && Arc::ptr_eq(metadata(3), metadata(6)));
        assert!(!Arc::ptr_eq(metadata(0), metadata(7)), "four kinds are remembered");
    }

    #[test]
    fn an_instance_that_shares_already_is_not_copied() {
        let mut pool = MetadataPool::default();
        let (mut one, mut other) = (instance("a:1", "north"), instance("b:1", "north"));
        pool.share(&mut one);
        pool.share(&mut other);
        assert!(Arc::ptr_eq(&one.metadata, &other.metadata));
        let list = Snapshot::new(vec![one, other], Source::Live);
        let shared = list.clone().sharing(&Snapshot::pending());
        assert!(list.instances.iter().zip(&*shared.instances).all(|(a, b)| Arc::ptr_eq(a, b)));
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
