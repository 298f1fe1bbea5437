//! What this process has written into a tree, remembered beyond a session: a server's session may go on
//! in the next one here, and with it what this process does not want any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use rpc_core::{Instance, ServiceKey};

use crate::lock::locked;

/// The newest [`OwnNodes::started_ms`].
static LAST_START: AtomicU64 = AtomicU64::new(0);

/// The nodes that may be there.
#[derive(Debug)]
pub(super) struct OwnNodes {
    /// When this process began to use the registry, in milliseconds since 1970; no two uses in one process
    /// have the same, so that each has nodes of its own.
    pub(super) started_ms: u64,
    /// Of each instance; two while its content changes.
    providers: Mutex<BTreeMap<InstanceName, BTreeSet<String>>>,
    /// Of each service that is watched, the address of this machine that its node names.
    consumers: Mutex<BTreeMap<ServiceKey, Arc<str>>>,
}

/// Service, address and start.
type InstanceName = (ServiceKey, Arc<str>, Arc<str>);

impl OwnNodes {
    /// None yet.
    pub(super) fn new() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(started.as_millis()).unwrap_or(0);
        let next = |last: u64| Some(now_ms.max(last + 1));
        let last = LAST_START.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let started_ms = last.map_or(now_ms, |last| now_ms.max(last + 1));
        Self { started_ms, providers: Mutex::default(), consumers: Mutex::default() }
    }

    pub(super) fn add_provider(&self, instance: &Instance, path: &str) {
        let mut providers = locked(&self.providers);
        providers.entry(name_of(instance)).or_default().insert(path.to_owned());
    }

    pub(super) fn remove_provider(&self, instance: &Instance, path: &str) {
        let (name, mut providers) = (name_of(instance), locked(&self.providers));
        if let Some(paths) = providers.get_mut(&name) {
            paths.remove(path);
            if paths.is_empty() {
                providers.remove(&name);
            }
        }
    }

    /// Every node of an instance.
    pub(super) fn of_provider(&self, instance: &Instance) -> Vec<String> {
        let providers = locked(&self.providers);
        providers.get(&name_of(instance)).into_iter().flatten().cloned().collect()
    }

    pub(super) fn add_consumer(&self, service: &ServiceKey, host: &Arc<str>) {
        locked(&self.consumers).insert(service.clone(), Arc::clone(host));
    }

    pub(super) fn remove_consumer(&self, service: &ServiceKey) {
        locked(&self.consumers).remove(service);
    }

    /// The address of this machine in every node of a consumer, by service.
    pub(super) fn of_consumers(&self) -> BTreeMap<ServiceKey, Arc<str>> {
        locked(&self.consumers).clone()
    }
}

fn name_of(instance: &Instance) -> InstanceName {
    let Instance { service, address, id, .. } = instance;
    (service.clone(), Arc::clone(address), Arc::clone(id))
}
