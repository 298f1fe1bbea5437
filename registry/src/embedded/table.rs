//! Who is registered: the instances of every service, their leases and owners, and lists of them.
//!
//! Plain data in memory without locks, clocks or tasks. What is kept on disk of it is `store.rs`' matter,
//! and which leases end when is decided in `lease.rs`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rpc_core::{Instance, ServiceKey};
use tokio::time::Instant;

use super::settings::ServerConfig;
use super::store::Past;
use super::wire::{Message, Version, frame};

/// Revisions hold the number of the server's life above this many bits, and of the change below.
const LIFE_SHIFT: u32 = 32;

/// Longest service, address and id, in bytes.
const MAX_NAME: usize = 512;

/// Names one instance: service, address, id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) service: ServiceKey,
    pub(crate) address: Arc<str>,
    pub(crate) id: Arc<str>,
}

impl Key {
    pub(crate) fn of(instance: &Instance) -> Self {
        Self {
            service: instance.service.clone(),
            address: Arc::clone(&instance.address),
            id: Arc::clone(&instance.id),
        }
    }

    fn check(&self) -> Result<(), String> {
        let service = self.service.as_str();
        for (what, name) in [("service", service), ("address", &*self.address), ("id", &*self.id)] {
            if name.len() > MAX_NAME {
                let length = name.len();
                return Err(format!("the {what} has {length} bytes and may have {MAX_NAME}"));
            }
        }
        Ok(())
    }
}

/// An instance with its lease.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) instance: Arc<Instance>,
    /// The connection that registered it last.
    pub(crate) owner: u64,
    pub(crate) renewed: Instant,
    pub(crate) expires: Instant,
    /// Whether its owner closed the connection.
    pub(crate) is_closed: bool,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Service {
    entries: BTreeMap<Key, Entry>,
    bytes: usize,
    /// The revision of its last change.
    revision: u64,
    list: Option<Arc<List>>,
}

/// The list of a service at one revision, with its push, which is the same for everybody.
#[derive(Debug)]
pub(crate) struct List {
    service: ServiceKey,
    pub(crate) version: Version,
    push: OnceLock<Bytes>,
}

impl List {
    fn new(service: &ServiceKey, revision: u64, instances: Vec<Arc<Instance>>) -> Self {
        let version = Version { revision, instances };
        Self { service: service.clone(), version, push: OnceLock::new() }
    }

    /// The frame that tells a subscriber; made once, outside the table's lock.
    pub(crate) fn push(&self) -> Bytes {
        let make = || {
            let (service, listing) = (self.service.clone(), self.version.clone());
            frame(&Message::Push { service, listing })
        };
        self.push.get_or_init(make).clone()
    }
}

/// All services.
#[derive(Debug)]
pub(crate) struct Table {
    services: HashMap<ServiceKey, Service>,
    owned: HashMap<u64, HashSet<Key>>,
    revision: u64,
    count: usize,
    bytes: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { services: HashMap::new(), owned: HashMap::new(), revision: 1, count: 0, bytes: 0 }
    }

    /// What an earlier life left, with a fresh lease for everybody; and the first number that is no
    /// owner's. Those who came from one process have one owner, until they register again.
    pub(crate) fn restore(past: Past, (now, limits): (Instant, &ServerConfig)) -> (Self, u64) {
        let mut table = Self::new();
        // Above all revisions of earlier lives, however many there were in each.
        table.revision = (past.life << LIFE_SHIFT).max(1);
        let mut owners = HashMap::new();
        let mut left_out = 0;
        for instance in past.instances {
            let next = owners.len() as u64 + 1;
            let process = (Arc::clone(&instance.address), Arc::clone(&instance.id));
            let owner = *owners.entry(process).or_insert(next);
            left_out += usize::from(table.register(instance, owner, (now, limits)).is_err());
        }
        if left_out > 0 {
            tracing::warn!(left_out, "instances past the limits are not restored");
        }
        (table, owners.len() as u64)
    }

    /// How many instances there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn services(&self) -> Vec<ServiceKey> {
        self.services.keys().cloned().collect()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.services.values().flat_map(|service| &service.entries)
    }

    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = (&Key, &mut Entry)> {
        self.services.values_mut().flat_map(|service| &mut service.entries)
    }

    /// The entries that `owner` registered last.
    pub(crate) fn owned_mut(&mut self, owner: u64, mut act: impl FnMut(&mut Entry)) -> usize {
        let mut held = 0;
        for key in self.owned.get(&owner).into_iter().flatten() {
            let service = self.services.get_mut(&key.service);
            if let Some(entry) = service.and_then(|service| service.entries.get_mut(key)) {
                act(entry);
                held += 1;
            }
        }
        held
    }

    /// The whole list of a service.
    pub(crate) fn list(&mut self, key: &ServiceKey) -> Arc<List> {
        let Some(service) = self.services.get_mut(key) else {
            return Arc::new(List::new(key, self.revision, Vec::new()));
        };
        let make = || {
            let entries = service.entries.values();
            let instances = entries.map(|entry| Arc::clone(&entry.instance)).collect();
            Arc::new(List::new(key, service.revision, instances))
        };
        Arc::clone(service.list.get_or_insert_with(make))
    }

    /// Registers `instance` for `owner`, who becomes the owner if there is another. Returns it if the
    /// list has changed.
    ///
    /// # Errors
    /// A limit is reached; the text names it.
    pub(crate) fn register(
        &mut self,
        instance: Instance,
        owner: u64,
        (now, limits): (Instant, &ServerConfig),
    ) -> Result<Option<Arc<Instance>>, String> {
        let key = Key::of(&instance);
        key.check()?;
        let bytes = serde_json::to_vec(&instance).map_or(0, |json| json.len());
        let service = self.services.get(&key.service);
        let old = service.and_then(|service| service.entries.get(&key));
        let (old_bytes, is_new) = (old.map_or(0, |old| old.bytes), old.is_none());
        let is_same = old.is_some_and(|old| *old.instance == instance);
        if is_new && self.count >= limits.max_instances {
            let max = limits.max_instances;
            return Err(format!("the registry holds {max} instances, its limit (max_instances)"));
        }
        if service.map_or(0, |service| service.bytes) + bytes - old_bytes > limits.max_list {
            let max = limits.max_list;
            return Err(format!("the service's list would exceed {max} bytes (max_list)"));
        }
        if self.bytes + bytes - old_bytes > limits.max_bytes {
            let max = limits.max_bytes;
            return Err(format!("the registry's instances would exceed {max} bytes (max_bytes)"));
        }
        let owned = self.owned.entry(owner).or_default();
        if owned.len() >= limits.max_per_connection && !owned.contains(&key) {
            let max = limits.max_per_connection;
            return Err(format!("a connection may register {max} (max_per_connection)"));
        }
        owned.insert(key.clone());
        let instance = Arc::new(instance);
        let entry = Entry {
            instance: Arc::clone(&instance),
            owner,
            renewed: now,
            expires: now + limits.lease,
            is_closed: false,
            bytes,
        };
        self.insert(key, entry, !is_same);
        Ok((!is_same).then_some(instance))
    }

    fn insert(&mut self, key: Key, entry: Entry, is_change: bool) {
        let service = self.services.entry(key.service.clone()).or_default();
        if is_change {
            self.revision += 1;
            service.revision = self.revision;
            service.list = None;
        }
        service.bytes += entry.bytes;
        self.bytes += entry.bytes;
        let owner = entry.owner;
        match service.entries.insert(key.clone(), entry) {
            Some(old) => {
                service.bytes -= old.bytes;
                self.bytes -= old.bytes;
                if old.owner != owner {
                    self.disown(old.owner, &key);
                }
            }
            None => self.count += 1,
        }
    }

    /// Takes an instance off its list; returns whether it was there.
    pub(crate) fn remove(&mut self, key: &Key) -> bool {
        let Some(service) = self.services.get_mut(&key.service) else {
            return false;
        };
        let Some(entry) = service.entries.remove(key) else {
            return false;
        };
        self.revision += 1;
        self.count -= 1;
        service.revision = self.revision;
        service.list = None;
        service.bytes -= entry.bytes;
        self.bytes -= entry.bytes;
        if service.entries.is_empty() {
            self.services.remove(&key.service);
        }
        self.disown(entry.owner, key);
        true
    }

    /// The names of the instances of `service` at `address`.
    pub(crate) fn keys_at(&self, service: &ServiceKey, address: &str) -> Vec<Key> {
        let entries = self.services.get(service).map(|service| service.entries.keys());
        let keys = entries.into_iter().flatten();
        keys.filter(|key| &*key.address == address).cloned().collect()
    }

    fn disown(&mut self, owner: u64, key: &Key) {
        if let Some(owned) = self.owned.get_mut(&owner) {
            owned.remove(key);
            if owned.is_empty() {
                self.owned.remove(&owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_and_too_many_bytes_are_refused_by_the_name_of_the_limit() {
        let limits = ServerConfig { max_bytes: 1000, ..ServerConfig::default() };
        let (mut table, context) = (Table::new(), (Instant::now(), &limits));
        let one = |address: &str| Instance::new(ServiceKey::new("s.S"), address, "id");
        let error = table.register(one(&"a".repeat(513)), 1, context).unwrap_err();
        assert!(error.contains("the address has 513 bytes and may have 512"), "{error}");
        table.register(one(&"a".repeat(500)), 1, context).unwrap();
        table.register(one(&"a".repeat(500)), 2, context).unwrap();
        let error = table.register(one(&"b".repeat(500)), 1, context).unwrap_err();
        assert!(error.contains("max_bytes"), "{error}");
        assert!(table.remove(&Key::of(&one(&"a".repeat(500)))));
        table.register(one(&"b".repeat(500)), 1, context).unwrap();
    }
}
