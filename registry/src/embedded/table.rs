//! The registered instances of every service, their leases and owners, and lists of them.
//!
//! Plain data in memory without locks, clocks or tasks. What may be registered is `admission.rs`'
//! matter, what is kept on disk of it `store.rs`', and which leases end when is decided in
//! `lease.rs`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use rpc_core::{Error, Instance, ServiceKey};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::caller::Registrant;
use super::secret::ClientSecret;
use super::settings::RegistryServerConfig;
use super::wire::{ServerMessage, Version, frame};
use crate::off_thread::off_thread_if_long;

/// The instances from an earlier life of a registry.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// How often the store was opened, this time included.
    pub(crate) life: u64,
    pub(crate) records: Vec<StoredInstance>,
    /// Whether that life ended in order, with everything saved.
    pub(crate) is_current: bool,
    /// Why nothing can be read or saved at present, if so.
    pub(crate) error: Option<String>,
}

/// Revisions hold the number of the server's life above this many bits, and of the change below.
const LIFE_SHIFT: u32 = 32;

/// Names one instance: service, address, id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct InstanceKey {
    pub(crate) service: ServiceKey,
    pub(crate) address: Arc<str>,
    pub(crate) id: Arc<str>,
}

impl InstanceKey {
    pub(crate) fn of(instance: &Instance) -> Self {
        Self {
            service: instance.service.clone(),
            address: Arc::clone(&instance.address),
            id: Arc::clone(&instance.id),
        }
    }
}

/// An instance, and the secret of the client that registered it, which no list shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredInstance {
    #[serde(flatten)]
    pub(crate) instance: Arc<Instance>,
    /// Empty in what was kept before there were any.
    #[serde(default)]
    pub(crate) secret: ClientSecret,
}

/// An instance with its lease.
#[derive(Debug)]
pub(crate) struct LeasedInstance {
    pub(crate) record: StoredInstance,
    /// The connection that registered it last.
    pub(crate) owner: u64,
    pub(crate) renewed: Instant,
    pub(crate) expires: Instant,
    /// Whether its owner closed the connection.
    pub(crate) is_closed: bool,
    pub(super) bytes: usize,
}

impl LeasedInstance {
    /// Whether its owner has renewed it when it should.
    pub(crate) fn is_in_time(&self, now: Instant, config: &RegistryServerConfig) -> bool {
        self.renewed + config.longest_silence() > now
    }
}

/// The instances of one service.
#[derive(Debug, Default)]
struct Service {
    entries: BTreeMap<InstanceKey, LeasedInstance>,
    bytes: usize,
    /// The revision of its last change.
    revision: u64,
    /// The present list in the form that is sent, made when it is first asked for.
    list: Option<Arc<ServiceList>>,
}

/// The instances of one connection.
#[derive(Debug, Default)]
pub(super) struct Owned {
    pub(super) keys: HashSet<InstanceKey>,
    pub(super) bytes: usize,
    is_closed: bool,
}

/// The list of a service at one revision, with its push, which all subscribers share.
#[derive(Debug)]
pub(crate) struct ServiceList {
    service: ServiceKey,
    pub(crate) version: Version,
    push: OnceCell<Bytes>,
}

impl ServiceList {
    fn new(service: &ServiceKey, revision: u64, instances: Vec<Arc<Instance>>) -> Self {
        let version = Version { revision, instances, ..Version::default() };
        Self { service: service.clone(), version, push: OnceCell::new() }
    }

    /// The frame for subscribers. One of those who want it first has it made, that of a long list off
    /// the runtime's threads, and the others wait without holding a thread.
    ///
    /// # Errors
    /// The runtime shuts down.
    ///
    /// # Cancel safety
    /// May be dropped at any time: who waits next has it made.
    pub(crate) async fn push(&self) -> Result<Bytes, Error> {
        let make = || {
            let (service, listing) = (self.service.clone(), self.version.clone());
            let make = move || frame(&ServerMessage::Push { service, listing });
            off_thread_if_long(self.version.instances.len(), make)
        };
        self.push.get_or_try_init(make).await.cloned()
    }
}

/// All services.
#[derive(Debug)]
pub(crate) struct InstanceTable {
    services: HashMap<ServiceKey, Service>,
    owned: HashMap<u64, Owned>,
    revision: u64,
    count: usize,
    bytes: usize,
}

impl InstanceTable {
    pub(crate) fn new() -> Self {
        Self { services: HashMap::new(), owned: HashMap::new(), revision: 1, count: 0, bytes: 0 }
    }

    /// Takes over the instances of an earlier life, each with a fresh lease, and returns the first
    /// unused number of an owner. Instances of one process have one owner until they register
    /// again.
    pub(crate) fn restore(
        past: Past,
        (now, limits): (Instant, &RegistryServerConfig),
    ) -> (Self, u64) {
        let mut table = Self::new();
        // Above all revisions of earlier lives, however many there were in each.
        table.revision = (past.life << LIFE_SHIFT).max(1);
        let mut owners = HashMap::new();
        let mut left_out = 0;
        for StoredInstance { instance, secret } in past.records {
            let next = owners.len() as u64 + 1;
            let process = (Arc::clone(&instance.address), Arc::clone(&instance.id));
            let connection = *owners.entry(process).or_insert(next);
            let (instance, caller) =
                (Arc::unwrap_or_clone(instance), Registrant { connection, secret });
            left_out += usize::from(table.register(instance, &caller, (now, limits)).is_err());
        }
        if left_out > 0 {
            tracing::warn!(
                target: "dubhe::registry::server",
                left_out, "instances past the limits are not restored"
            );
        }
        (table, owners.len() as u64)
    }

    /// How many instances there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The bytes of all instances together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes of the instances of `service` together.
    pub(super) fn list_bytes(&self, service: &ServiceKey) -> usize {
        self.services.get(service).map_or(0, |service| service.bytes)
    }

    pub(crate) fn services(&self) -> Vec<ServiceKey> {
        self.services.keys().cloned().collect()
    }

    pub(super) fn entry(&self, key: &InstanceKey) -> Option<&LeasedInstance> {
        self.services.get(&key.service)?.entries.get(key)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&InstanceKey, &LeasedInstance)> {
        self.services.values().flat_map(|service| &service.entries)
    }

    pub(crate) fn entries_mut(
        &mut self,
    ) -> impl Iterator<Item = (&InstanceKey, &mut LeasedInstance)> {
        self.services.values_mut().flat_map(|service| &mut service.entries)
    }

    /// The instances of `service` at `address`.
    pub(super) fn at(
        &self,
        service: &ServiceKey,
        address: &Arc<str>,
    ) -> impl Iterator<Item = (&InstanceKey, &LeasedInstance)> {
        let first = InstanceKey {
            service: service.clone(),
            address: Arc::clone(address),
            id: Arc::default(),
        };
        let entries = self.services.get(service).map(|service| service.entries.range(&first..));
        entries.into_iter().flatten().take_while(move |(key, _)| key.address == first.address)
    }

    /// Entries whose owners have closed their connections.
    pub(super) fn closed(&self) -> impl Iterator<Item = (&InstanceKey, &LeasedInstance)> {
        let keys =
            self.owned.values().filter(|owned| owned.is_closed).flat_map(|owned| &owned.keys);
        keys.filter_map(|key| Some((key, self.entry(key)?)))
    }

    /// The instances of this connection, if it has any.
    pub(super) fn owned_by(&self, owner: u64) -> Option<&Owned> {
        self.owned.get(&owner)
    }

    /// The entries that `owner` registered last.
    pub(crate) fn owned_mut(
        &mut self,
        owner: u64,
        mut act: impl FnMut(&mut LeasedInstance),
    ) -> usize {
        let mut held = 0;
        for key in self.owned.get(&owner).into_iter().flat_map(|owned| &owned.keys) {
            let service = self.services.get_mut(&key.service);
            if let Some(entry) = service.and_then(|service| service.entries.get_mut(key)) {
                act(entry);
                held += 1;
            }
        }
        held
    }

    /// Notes that `owner` has closed its connection, and ends its leases by `until`.
    pub(crate) fn close(&mut self, owner: u64, until: Instant) {
        self.owned_mut(owner, |entry| {
            entry.is_closed = true;
            entry.expires = entry.expires.min(until);
        });
        if let Some(owned) = self.owned.get_mut(&owner) {
            owned.is_closed = true;
        }
    }

    /// The whole list of a service.
    pub(crate) fn list(&mut self, key: &ServiceKey) -> Arc<ServiceList> {
        let Some(service) = self.services.get_mut(key) else {
            return Arc::new(ServiceList::new(key, self.revision, Vec::new()));
        };
        let make = || {
            let entries = service.entries.values();
            let instances = entries.map(|entry| Arc::clone(&entry.record.instance)).collect();
            Arc::new(ServiceList::new(key, service.revision, instances))
        };
        Arc::clone(service.list.get_or_insert_with(make))
    }

    /// Puts `entry` in the place of the one there was, if there was one. Only a new record changes
    /// the list.
    pub(super) fn insert(&mut self, key: InstanceKey, entry: LeasedInstance) {
        let old = self.take(&key);
        let is_news = old.is_none_or(|old| old.record != entry.record);
        let owned = self.owned.entry(entry.owner).or_default();
        owned.bytes += entry.bytes;
        owned.keys.insert(key.clone());
        self.count += 1;
        self.bytes += entry.bytes;
        let service = self.services.entry(key.service.clone()).or_default();
        service.bytes += entry.bytes;
        if is_news {
            self.revision += 1;
            service.revision = self.revision;
            service.list = None;
        }
        service.entries.insert(key, entry);
    }

    /// Takes an instance off its list; returns whether it was there.
    pub(crate) fn remove(&mut self, key: &InstanceKey) -> bool {
        if self.take(key).is_none() {
            return false;
        }
        self.revision += 1;
        if let Some(service) = self.services.get_mut(&key.service) {
            service.revision = self.revision;
            service.list = None;
            if service.entries.is_empty() {
                self.services.remove(&key.service);
            }
        }
        true
    }

    /// Takes an entry out of all accounts; its list is the caller's matter.
    fn take(&mut self, key: &InstanceKey) -> Option<LeasedInstance> {
        let service = self.services.get_mut(&key.service)?;
        let entry = service.entries.remove(key)?;
        service.bytes -= entry.bytes;
        self.bytes -= entry.bytes;
        self.count -= 1;
        if let Some(owned) = self.owned.get_mut(&entry.owner) {
            owned.bytes -= entry.bytes;
            owned.keys.remove(key);
            if owned.keys.is_empty() {
                self.owned.remove(&entry.owner);
            }
        }
        Some(entry)
    }

    /// The names of the instances of `service` at `address`.
    pub(crate) fn keys_at(&self, service: &ServiceKey, address: &str) -> Vec<InstanceKey> {
        self.at(service, &address.into()).map(|(key, _)| key.clone()).collect()
    }
}
