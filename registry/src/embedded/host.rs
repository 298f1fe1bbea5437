//! The registry itself, apart from its transport: one table, its watchers, and the sweeps.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use rpc_core::{Instance, ServiceKey};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::admission::Admitted;
use super::caller::Registrant;
use super::lease::{Leases, SWEEP_GAP};
use super::settings::RegistryServerConfig;
use super::store::{Batch, Changing, Journal, Opened, SAFE_LIMIT, Unsaved};
use super::table::{InstanceKey, InstanceTable, Past, ServiceList, StoredInstance};
use crate::lock::locked;

/// The present contents of an embedded registry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Open connections.
    pub connections: usize,
    /// Registered instances.
    pub instances: usize,
    /// Services that have an instance or a subscriber.
    pub services: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Whether silent instances are kept at present, because too many fell silent at once.
    pub is_preserving: bool,
    /// How many instances it knew from before its start; 0 without a data folder.
    pub restored: usize,
    /// The reason why the last attempt to save failed; `None` if it did not.
    pub store_error: Option<String>,
}

/// Shared by all connections.
#[derive(Debug)]
pub(crate) struct RegistryHost {
    pub(crate) config: RegistryServerConfig,
    pub(crate) started: Instant,
    /// How many instances it knew from an earlier life; `None` if it had none.
    restored: Option<usize>,
    /// Whether its list was complete when it started, so that an empty list means that there is no
    /// instance.
    pub(crate) is_current: bool,
    inner: Mutex<Inner>,
    /// The way to what is kept on disk, if anything is.
    journal: Option<Arc<Journal>>,
    /// Something changed that may bring the next sweep forward.
    changed: Arc<Notify>,
    is_swept: AtomicBool,
}

/// State behind the lock of the registry.
#[derive(Debug)]
struct Inner {
    table: InstanceTable,
    leases: Leases,
    /// Where connections find the services whose lists they have to push, by connection.
    outboxes: HashMap<u64, Arc<Outbox>>,
    /// Connections that follow a service.
    watchers: HashMap<ServiceKey, HashSet<u64>>,
    next_connection: u64,
    /// Changes that are to be saved; `None` if nothing is kept on disk.
    unsaved: Option<Unsaved>,
}

/// Services whose lists are to be pushed on one connection: names only, so that a slow reader costs
/// nothing.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    dirty: Mutex<BTreeSet<ServiceKey>>,
    pub(crate) filled: Notify,
}

impl Outbox {
    pub(crate) fn mark(&self, service: ServiceKey) {
        locked(&self.dirty).insert(service);
        self.filled.notify_one();
    }

    pub(crate) fn take(&self) -> BTreeSet<ServiceKey> {
        std::mem::take(&mut *locked(&self.dirty))
    }

    fn forget(&self, service: &ServiceKey) {
        locked(&self.dirty).remove(service);
    }

    /// Keeps a service for later without waking the watcher.
    pub(crate) fn put_back(&self, service: ServiceKey) {
        locked(&self.dirty).insert(service);
    }
}

impl RegistryHost {
    /// A registry; its sweeping task ends with the last handle.
    pub(crate) fn start(config: RegistryServerConfig) -> Arc<Self> {
        Self::begin(config, Past::default(), None)
    }

    /// A registry that continues from its stored state with a fresh lease for every instance, and
    /// the task that saves changes. The task ends with the last handle and then lets go of the
    /// store.
    pub(crate) fn restore(
        config: RegistryServerConfig,
        (store, mut past): Opened,
    ) -> (Arc<Self>, JoinHandle<()>) {
        let journal = Arc::new(Journal::new(past.error.take()));
        let host = Self::begin(config, past, Some(Arc::clone(&journal)));
        let keeping = tokio::spawn(journal.keep(store, Arc::downgrade(&host)));
        (host, keeping)
    }

    fn begin(config: RegistryServerConfig, past: Past, journal: Option<Arc<Journal>>) -> Arc<Self> {
        let now = Instant::now();
        let restored = (past.life > 1).then_some(past.records.len());
        let was_current = past.is_current;
        let (table, next_connection) = InstanceTable::restore(past, (now, &config));
        let is_current = was_current && restored.is_none_or(|n| n == table.len());
        let host = Arc::new(Self {
            config,
            started: now,
            restored,
            is_current,
            inner: Mutex::new(Inner {
                table,
                leases: Leases::new(now),
                outboxes: HashMap::new(),
                watchers: HashMap::new(),
                next_connection,
                unsaved: journal.is_some().then(Unsaved::default),
            }),
            journal,
            changed: Arc::new(Notify::new()),
            is_swept: AtomicBool::new(false),
        });
        let status = host.status();
        if status.store_error.is_some() || restored.is_some_and(|n| n != status.instances) {
            // Instances that were left out must not come back with the next life.
            host.save_all();
            if let Some(journal) = &host.journal {
                journal.wake();
            }
        }
        host.keep_sweeping();
        host
    }

    /// Has leases looked after, in the runtime here if that has ended in which it was done.
    pub(crate) fn keep_sweeping(self: &Arc<Self>) {
        if !self.is_swept.swap(true, Ordering::AcqRel) {
            let sweeping = Sweeping(Arc::downgrade(self));
            tokio::spawn(sweep(sweeping, Arc::clone(&self.changed)));
        }
    }

    /// Admits a connection, unless there are too many.
    pub(crate) fn admit(&self) -> Option<(u64, Arc<Outbox>)> {
        let mut inner = locked(&self.inner);
        if inner.outboxes.len() >= self.config.max_connections {
            return None;
        }
        inner.next_connection += 1;
        let (id, outbox) = (inner.next_connection, Arc::new(Outbox::default()));
        inner.outboxes.insert(id, Arc::clone(&outbox));
        Some((id, outbox))
    }

    /// How many connections there are.
    pub(crate) fn clients(&self) -> usize {
        locked(&self.inner).outboxes.len()
    }

    /// Forgets a connection. If the other side closed it, little is left of its leases.
    pub(crate) fn leave(&self, connection: u64, was_closed: bool) {
        let mut inner = locked(&self.inner);
        inner.outboxes.remove(&connection);
        inner.watchers.retain(|_, watchers| {
            watchers.remove(&connection);
            !watchers.is_empty()
        });
        if was_closed {
            inner.table.close(connection, Instant::now() + self.config.closed_lease);
            self.changed.notify_one();
        }
    }

    pub(crate) fn register(&self, caller: &Registrant, instance: Instance) -> Result<(), String> {
        let mut inner = locked(&self.inner);
        let is_first = inner.table.len() == 0;
        let (key, context) = (InstanceKey::of(&instance), (Instant::now(), &self.config));
        let Admitted { removed, news } = inner.table.register(instance, caller, context)?;
        for gone in removed {
            let (service, address) = (&gone.service, &gone.address);
            tracing::info!(
                target: "dubhe::registry::server",
                %service, %address, "its client is gone and it gives way to another"
            );
            inner.tell(service);
            self.note(&mut inner, gone, None);
        }
        if news.is_some() {
            inner.tell(&key.service);
            self.note(&mut inner, key, news);
        }
        if is_first {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Takes an instance off its list for `caller`; fine if it is not there.
    pub(crate) fn unregister(&self, caller: &Registrant, key: &InstanceKey) -> Result<(), String> {
        let mut inner = locked(&self.inner);
        if inner.table.unregister(key, caller)? {
            inner.tell(&key.service);
            self.note(&mut inner, key.clone(), None);
        }
        Ok(())
    }

    /// Takes an instance off its list, whosever it is; returns whether it was there.
    pub(crate) fn remove(&self, key: &InstanceKey) -> bool {
        let mut inner = locked(&self.inner);
        let removed = inner.table.remove(key);
        if removed {
            inner.tell(&key.service);
            self.note(&mut inner, key.clone(), None);
        }
        removed
    }

    /// Takes every instance at `address` off the list of `service`.
    pub(crate) fn remove_at(&self, service: &ServiceKey, address: &str) -> bool {
        let keys = locked(&self.inner).table.keys_at(service, address);
        keys.iter().filter(|key| self.remove(key)).count() > 0
    }

    /// Extends the leases of a connection; returns how many it holds.
    pub(crate) fn renew(&self, connection: u64) -> usize {
        let now = Instant::now();
        locked(&self.inner).table.owned_mut(connection, |entry| {
            entry.renewed = now;
            entry.expires = now + self.config.lease;
        })
    }

    pub(crate) fn subscribe(&self, connection: u64, service: &ServiceKey) {
        let mut inner = locked(&self.inner);
        inner.watchers.entry(service.clone()).or_default().insert(connection);
        if let Some(outbox) = inner.outboxes.get(&connection) {
            outbox.mark(service.clone());
        }
    }

    pub(crate) fn unsubscribe(&self, connection: u64, service: &ServiceKey) {
        let mut inner = locked(&self.inner);
        if let Some(watchers) = inner.watchers.get_mut(service) {
            watchers.remove(&connection);
            if watchers.is_empty() {
                inner.watchers.remove(service);
            }
        }
        // Else the names of all that a connection ever asked for gather while it goes on asking.
        if let Some(outbox) = inner.outboxes.get(&connection) {
            outbox.forget(service);
        }
    }

    pub(crate) fn list(&self, service: &ServiceKey) -> Arc<ServiceList> {
        locked(&self.inner).table.list(service)
    }

    /// Has a change saved, if anything is.
    fn note(&self, inner: &mut Inner, key: InstanceKey, record: Option<StoredInstance>) {
        if let (Some(unsaved), Some(journal)) = (&mut inner.unsaved, &self.journal) {
            unsaved.note(key, record);
            journal.wake();
        }
    }

    /// Number of the last change that is to be saved; `None` if nothing is saved.
    pub(crate) fn last_change(&self) -> Option<u64> {
        locked(&self.inner).unsaved.as_ref().map(Unsaved::number)
    }

    /// Waits until the change of this number survives a crash, until `deadline` at most.
    pub(crate) async fn settled(&self, change: u64, deadline: Instant) {
        if let Some(journal) = &self.journal {
            journal.settled(change, deadline).await;
        }
    }

    /// Waits until the changes made so far survive a crash, at most a second.
    pub(crate) async fn all_settled(&self) {
        if let Some(change) = self.last_change() {
            self.settled(change, Instant::now() + SAFE_LIMIT).await;
        }
    }

    pub(crate) fn services(&self) -> Vec<ServiceKey> {
        locked(&self.inner).table.services()
    }

    pub(crate) fn status(&self) -> ServerStatus {
        let inner = locked(&self.inner);
        let services: HashSet<ServiceKey> = inner.table.services().into_iter().collect();
        let only_watched = inner.watchers.keys().filter(|key| !services.contains(key));
        ServerStatus {
            connections: inner.outboxes.len(),
            instances: inner.table.len(),
            services: services.len() + only_watched.count(),
            subscriptions: inner.watchers.values().map(HashSet::len).sum(),
            is_preserving: inner.leases.is_preserving(),
            restored: self.restored.unwrap_or(0),
            store_error: self.journal.as_ref().and_then(|journal| journal.saved().error),
        }
    }

    /// One sweep; returns when the next is due.
    fn sweep(&self) -> Option<Instant> {
        let now = Instant::now();
        let inner = &mut *locked(&self.inner);
        let context = (now, &mut rand::rng());
        let evicted = inner.leases.sweep(&mut inner.table, &self.config, context);
        let services: HashSet<ServiceKey> = evicted.iter().map(|key| key.service.clone()).collect();
        for service in &services {
            tracing::info!(
                target: "dubhe::registry::server",
                %service, "leases ran out, instances evicted"
            );
            inner.tell(service);
        }
        for key in evicted {
            self.note(inner, key, None);
        }
        inner.leases.schedule(&inner.table, now)
    }
}

impl Changing for RegistryHost {
    fn take_unsaved(&self) -> Option<Batch> {
        let Inner { table, unsaved, .. } = &mut *locked(&self.inner);
        unsaved.as_mut()?.take(table)
    }

    fn save_all(&self) {
        if let Some(unsaved) = &mut locked(&self.inner).unsaved {
            unsaved.take_all();
        }
    }
}

impl Drop for RegistryHost {
    fn drop(&mut self) {
        self.changed.notify_one();
        if let (Some(journal), Some(last)) = (&self.journal, self.last_change()) {
            journal.end(last);
        }
    }
}

impl Inner {
    /// Marks the list of `service` as changed for all its watchers.
    fn tell(&self, service: &ServiceKey) {
        let watchers = self.watchers.get(service).into_iter().flatten();
        for outbox in watchers.filter_map(|id| self.outboxes.get(id)) {
            outbox.mark(service.clone());
        }
    }
}

/// Notes the end of the sweeping task, even if it never began.
struct Sweeping(Weak<RegistryHost>);

impl Drop for Sweeping {
    fn drop(&mut self) {
        if let Some(host) = self.0.upgrade() {
            host.is_swept.store(false, Ordering::Release);
        }
    }
}

/// Sweeps when a sweep is due; ends when the host is dropped.
async fn sweep(sweeping: Sweeping, changed: Arc<Notify>) {
    while let Some(due) = sweeping.0.upgrade().map(|host| host.sweep()) {
        // Each sweep may evict its share, so what a connection changes does not bring it forward at
        // once.
        let earliest = Instant::now() + SWEEP_GAP;
        match due {
            Some(due) => tokio::select! {
                () = sleep_until(due) => {}
                () = changed.notified() => {}
            },
            None => changed.notified().await,
        }
        sleep_until(earliest).await;
    }
}
