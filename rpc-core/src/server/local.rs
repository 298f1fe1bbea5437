//! The servers that can be called inside this process, without a socket, and what they serve.
//!
//! No registry is involved: the holder of the table finds them. Its entries have the form of a
//! registry's list, so that calls inside the process take the path of all calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::state::ServerState;
use crate::discovery::{Instance, Snapshot, Source, Subscription};
use crate::latest::Latest;
use crate::service_key::ServiceKey;

/// The servers of this process that share a table; clones share it.
#[derive(Clone, Default)]
pub struct LocalServers(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    next: u64,
    servers: Vec<Entry>,
    /// One for each service that was asked for.
    lists: HashMap<ServiceKey, Latest<Snapshot>>,
}

struct Entry {
    address: Arc<str>,
    state: Weak<ServerState>,
    instances: Vec<Instance>,
}

/// Keeps a server in the table; dropping it takes it out.
#[must_use = "the server leaves the table when this is dropped"]
pub struct LocalGuard {
    table: LocalServers,
    address: Arc<str>,
}

impl LocalServers {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a server. `instances` is what it serves; their addresses become one of this table.
    pub fn add(&self, state: &Arc<ServerState>, mut instances: Vec<Instance>) -> LocalGuard {
        let mut table = self.lock();
        table.next += 1;
        let address: Arc<str> = format!("injvm:{}", table.next).into();
        instances.iter_mut().for_each(|instance| instance.address = address.clone());
        let state = Arc::downgrade(state);
        table.servers.push(Entry { address: address.clone(), state, instances });
        table.publish();
        LocalGuard { table: self.clone(), address }
    }

    /// The server at `address`, while it is in the table.
    #[must_use]
    pub fn server(&self, address: &str) -> Option<Arc<ServerState>> {
        let table = self.lock();
        table.servers.iter().find(|entry| &*entry.address == address)?.state.upgrade()
    }

    /// Follows the instances of `service`.
    #[must_use]
    pub fn subscribe(&self, service: &ServiceKey) -> Subscription {
        let mut table = self.lock();
        let list = table.list(service);
        let sender = table.lists.entry(service.clone());
        let receiver = sender.or_insert_with(|| Latest::new(list)).subscribe();
        let untroubled = Latest::new(None).subscribe();
        Subscription::new(receiver, self.clone()).of_registry("of this process", untroubled)
    }

    /// Whether it has another holder.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn list(&self, service: &ServiceKey) -> Snapshot {
        let instances = self.servers.iter().flat_map(|entry| &entry.instances);
        let served = instances.filter(|instance| instance.service == *service).cloned();
        Snapshot::new(served.collect(), Source::Live)
    }

    fn publish(&self) {
        for (service, sender) in &self.lists {
            sender.send(self.list(service));
        }
    }
}

impl Drop for LocalGuard {
    fn drop(&mut self) {
        let mut table = self.table.lock();
        table.servers.retain(|entry| entry.address != self.address);
        table.publish();
    }
}

impl fmt::Debug for LocalServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.lock();
        f.debug_list().entries(table.servers.iter().map(|entry| &entry.address)).finish()
    }
}

impl fmt::Debug for LocalGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalGuard").field(&self.address).finish()
    }
}
