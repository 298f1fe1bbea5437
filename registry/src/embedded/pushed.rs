//! Lists that a registry pushes again and again, of which little changes: an instance whose text was read
//! before is not read again.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use rpc_core::{Instance, InstancePool};

use super::wire::RawVersion;
use crate::backend::Listing;
use crate::sound::{self, UnsoundInstances};

/// The instances of the last list, by a hash of their text.
///
/// The hash is keyed at random, so that no text can be found that has the hash of another; two of a
/// million texts have the same with a chance of about one in 10^7.
#[derive(Debug, Default)]
pub(crate) struct PushedList {
    seen: HashMap<u64, Arc<Instance>>,
    hasher: RandomState,
    pool: InstancePool,
}

impl PushedList {
    /// The list of `version`; its instances that the last one had too are the same ones.
    pub(crate) fn read(&mut self, version: &RawVersion<'_>) -> (Listing, UnsoundInstances) {
        let mut left_out = UnsoundInstances::default();
        let mut seen = HashMap::with_capacity(version.instances.len());
        let mut instances = Vec::with_capacity(version.instances.len());
        for text in version.instances.iter().map(|text| text.get()) {
            let hash = self.hasher.hash_one(text);
            let read = match self.seen.get(&hash) {
                Some(instance) => Ok(Arc::clone(instance)),
                None => sound::read_one(text, &mut self.pool).map(Arc::new),
            };
            match read {
                Ok(instance) => {
                    seen.insert(hash, Arc::clone(&instance));
                    instances.push(instance);
                }
                Err(why) => left_out.add(why),
            }
        }
        self.seen = seen;
        (Listing { revision: version.revision, instances }, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(addresses: &[&str]) -> String {
        let one = |at: &&str| format!(r#"{{"service":"a","address":"{at}","id":"1"}}"#);
        let all = addresses.iter().map(one).collect::<Vec<_>>().join(",");
        format!(r#"{{"revision":7,"instances":[{all}]}}"#)
    }

    #[test]
    fn what_did_not_change_is_not_read_again() {
        let mut list = PushedList::default();
        let mut read = |addresses: &[&str]| {
            let text = text(addresses);
            list.read(&serde_json::from_str(&text).unwrap())
        };
        let (first, _) = read(&["a:1", "b:1"]);
        let (second, left_out) = read(&["b:1", "nowhere", "c:1"]);
        assert_eq!((second.revision, second.instances.len(), left_out.count), (7, 2, 1));
        assert!(Arc::ptr_eq(&first.instances[1], &second.instances[0]));
        // What left the list is forgotten.
        let (third, _) = read(&["a:1"]);
        assert_eq!(third.instances, [first.instances[0].clone()]);
        assert!(!Arc::ptr_eq(&first.instances[0], &third.instances[0]));
    }
}
