//! Durable state of an embedded registry, and how changes get there.
//!
//! The table in memory is the truth; a [`Store`] follows it. Changes are collected while one commit
//! runs and written together by the next, so that many registrations cost few writes; each is
//! answered when it is safe. A store that fails is logged as an error and tried again, and the
//! registry goes on from memory meanwhile: being listed matters more than being written down. Where
//! and how a store keeps things is its own matter (`disk.rs`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rpc_core::Error;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::table::{InstanceKey, InstanceTable, Past, StoredInstance};

/// How long an answer waits for its change to be safe.
pub(crate) const SAFE_LIMIT: Duration = Duration::from_secs(1);

/// After a failed commit the store is left alone for this long.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// More single changes than this are written as the whole table instead.
const MAX_CHANGES: usize = 10_000;

/// A table that is saved while it changes.
pub(crate) trait Changing: Send + Sync {
    /// The changes since the last call; `None` if there are none.
    fn take_unsaved(&self) -> Option<Batch>;

    /// Counts everything as changed.
    fn save_all(&self);
}

/// Keeps the instances of a registry. Its methods may block.
pub(crate) trait Store: fmt::Debug + Send + Sync + 'static {
    /// Makes changes last, all or none; they survive the process's death once it returns.
    fn commit(&self, batch: &Batch) -> Result<(), Error>;

    /// Notes that what is kept is all there was at the end of this life.
    fn finish(&self) -> Result<(), Error>;
}

/// An opened store and what it held.
pub(crate) type Opened = (Arc<dyn Store>, Past);

/// Changes that are committed together.
#[derive(Debug)]
#[cfg_attr(not(feature = "store"), allow(dead_code, reason = "a store reads it"))]
pub(crate) struct Batch {
    number: u64,
    /// Whether `changes` are all there is, and what else is kept is to be forgotten.
    pub(crate) is_whole: bool,
    /// The new record of an instance; `None` if it is gone.
    pub(crate) changes: BTreeMap<InstanceKey, Option<StoredInstance>>,
}

/// Changes of a table that are not safe yet.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    changes: BTreeMap<InstanceKey, Option<StoredInstance>>,
    is_whole: bool,
    /// The number of the last change.
    number: u64,
}

/// How far a store is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Saved {
    number: u64,
    /// Why the last commit failed, if it did.
    pub(crate) error: Option<String>,
}

/// The way from a table to its store.
#[derive(Debug)]
pub(crate) struct Journal {
    filled: Notify,
    saved: watch::Sender<Saved>,
    /// Whether the host ended with everything saved.
    is_current: AtomicBool,
}

// === impl Unsaved ===

impl Unsaved {
    /// Number of the last change.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Notes what has become of an instance.
    pub(crate) fn note(&mut self, key: InstanceKey, record: Option<StoredInstance>) {
        self.number += 1;
        if self.is_whole {
            return;
        }
        self.changes.insert(key, record);
        if self.changes.len() > MAX_CHANGES {
            self.take_all();
        }
    }

    /// Has the whole table written next.
    pub(crate) fn take_all(&mut self) {
        self.changes = BTreeMap::new();
        self.is_whole = true;
    }

    /// The next batch to commit, if there is one.
    pub(crate) fn take(&mut self, table: &InstanceTable) -> Option<Batch> {
        let is_whole = std::mem::take(&mut self.is_whole);
        let mut changes = std::mem::take(&mut self.changes);
        if is_whole {
            let entries = table.entries();
            changes = entries.map(|(k, e)| (k.clone(), Some(e.record.clone()))).collect();
        } else if changes.is_empty() {
            return None;
        }
        Some(Batch { number: self.number, is_whole, changes })
    }
}

// === impl Journal ===

impl Journal {
    pub(crate) fn new(error: Option<String>) -> Self {
        Self {
            filled: Notify::new(),
            saved: watch::Sender::new(Saved { number: 0, error }),
            is_current: AtomicBool::new(false),
        }
    }

    /// Says that there are unsaved changes, or that the host is gone.
    pub(crate) fn wake(&self) {
        self.filled.notify_one();
    }

    /// Says that the host ends after the change of this number.
    pub(crate) fn end(&self, last: u64) {
        let is_current = {
            let saved = self.saved.borrow();
            saved.number >= last && saved.error.is_none()
        };
        self.is_current.store(is_current, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn saved(&self) -> Saved {
        self.saved.borrow().clone()
    }

    /// Waits until the change of this number is safe: until `deadline` at most, and not at all
    /// while the store fails.
    pub(crate) async fn settled(&self, number: u64, deadline: Instant) {
        let mut saved = self.saved.subscribe();
        let safe = saved.wait_for(|saved| saved.number >= number || saved.error.is_some());
        let _ = timeout_at(deadline, safe).await;
    }

    /// Commits what comes; ends, and lets go of the store, when the host is dropped.
    pub(crate) async fn keep(self: Arc<Self>, store: Arc<dyn Store>, host: Weak<impl Changing>) {
        loop {
            self.filled.notified().await;
            let Some(batch) = host.upgrade().map(|host| host.take_unsaved()) else {
                if self.is_current.load(Ordering::SeqCst) {
                    // Without the note the next life is only more careful.
                    let _ = tokio::task::spawn_blocking(move || store.finish()).await;
                }
                return;
            };
            let Some(batch) = batch else {
                continue;
            };
            let (number, writer) = (batch.number, Arc::clone(&store));
            let committed = tokio::task::spawn_blocking(move || writer.commit(&batch)).await;
            let committed = committed.unwrap_or_else(|_| Err(Error::closed("the store broke off")));
            let error = committed.err().map(|error| error.to_string());
            let had_failed = self.saved.borrow().error.is_some();
            match (&error, had_failed) {
                (Some(error), false) => tracing::error!(
                    target: "dubhe::registry::server",
                    error, "registry cannot save, continuing"
                ),
                // Logged because the error was logged, too.
                (None, true) => tracing::warn!(
                    target: "dubhe::registry::server",
                    "registry saves again"
                ),
                _ => {}
            }
            let has_failed = error.is_some();
            self.saved.send_modify(|saved| {
                saved.number = if has_failed { saved.number } else { number };
                saved.error = error;
            });
            if has_failed {
                if let Some(host) = host.upgrade() {
                    host.save_all();
                }
                sleep(RETRY_PAUSE).await;
                self.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;

    use rpc_core::{Instance, ServiceKey};

    use super::super::RegistryServerConfig;
    use super::super::caller::Registrant;
    use super::super::host::RegistryHost;
    use super::*;

    /// Remembers what it was given, and fails as often as told.
    #[derive(Debug, Default)]
    struct Fake {
        rows: Mutex<BTreeMap<InstanceKey, StoredInstance>>,
        failures: AtomicUsize,
        commits: AtomicUsize,
        finished: AtomicBool,
    }

    impl Store for Fake {
        fn commit(&self, batch: &Batch) -> Result<(), Error> {
            if self
                .failures
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok()
            {
                return Err(Error::unreachable("disk full"));
            }
            self.commits.fetch_add(1, Ordering::SeqCst);
            let mut rows = self.rows.lock().unwrap();
            if batch.is_whole {
                rows.clear();
            }
            for (key, change) in &batch.changes {
                match change {
                    Some(record) => rows.insert(key.clone(), record.clone()),
                    None => rows.remove(key),
                };
            }
            Ok(())
        }

        fn finish(&self) -> Result<(), Error> {
            self.finished.store(true, Ordering::SeqCst);
            Ok(())
        }
    }

    fn instance(address: &str) -> Instance {
        Instance::new(ServiceKey::new("shop.Inventory"), address, "id")
    }

    fn record(address: &str) -> StoredInstance {
        let secret = Registrant::numbered(1).secret;
        StoredInstance { instance: instance(address).into(), secret }
    }

    fn start(fake: &Arc<Fake>) -> Arc<RegistryHost> {
        let past = Past { life: 1, ..Past::default() };
        RegistryHost::restore(
            RegistryServerConfig::default(),
            (Arc::clone(fake) as Arc<dyn Store>, past),
        )
        .0
    }

    fn saved(fake: &Fake) -> Vec<String> {
        fake.rows.lock().unwrap().keys().map(|key| key.address.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_saved_when_it_is_answered_and_many_share_a_commit() {
        let (fake, connection) = (Arc::new(Fake::default()), Registrant::numbered(1));
        let host = start(&fake);
        for i in 0..100 {
            host.register(&connection, instance(&format!("a:{i}"))).unwrap();
        }
        host.all_settled().await;
        assert_eq!(saved(&fake).len(), 100);
        assert!(fake.commits.load(Ordering::SeqCst) <= 2);
        host.remove(&InstanceKey::of(&instance("a:7")));
        host.all_settled().await;
        assert_eq!(saved(&fake).len(), 99);
        // The same again changes nothing and costs nothing.
        let commits = fake.commits.load(Ordering::SeqCst);
        host.register(&connection, instance("a:1")).unwrap();
        host.all_settled().await;
        assert_eq!(fake.commits.load(Ordering::SeqCst), commits);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_restore_leaves_out_is_forgotten_on_disk_too() {
        let fake = Arc::new(Fake::default());
        let records = vec![record("a:1"), record("b:1")];
        for one in &records {
            fake.rows.lock().unwrap().insert(InstanceKey::of(&one.instance), one.clone());
        }
        let past = Past { life: 2, records, is_current: true, error: None };
        let config = RegistryServerConfig { max_instances: 1, ..RegistryServerConfig::default() };
        let (host, _keeping) =
            RegistryHost::restore(config, (Arc::clone(&fake) as Arc<dyn Store>, past));
        sleep(Duration::from_millis(100)).await;
        assert_eq!(saved(&fake), ["a:1"]);
        assert!(!host.is_current);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_life_that_has_saved_everything_says_that_it_ended_in_order() {
        for (failures, is_settled) in [(0, true), (0, false), (1, true)] {
            let fake = Arc::new(Fake::default());
            let past = Past { life: 1, ..Past::default() };
            let config = RegistryServerConfig::default();
            let (host, keeping) =
                RegistryHost::restore(config, (Arc::clone(&fake) as Arc<dyn Store>, past));
            fake.failures.store(failures, Ordering::SeqCst);
            host.register(&Registrant::numbered(1), instance("a:1")).unwrap();
            if is_settled {
                host.all_settled().await;
            }
            drop(host);
            keeping.await.unwrap();
            let is_whole = is_settled && failures == 0;
            assert_eq!(fake.finished.load(Ordering::SeqCst), is_whole, "{failures} {is_settled}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_life_that_did_not_end_in_order_a_short_list_may_be_a_gap() {
        for is_current in [true, false] {
            let records = vec![record("a:1")];
            let past = Past { life: 2, records, is_current, error: None };
            let fake = Arc::new(Fake::default()) as Arc<dyn Store>;
            let (host, _keeping) =
                RegistryHost::restore(RegistryServerConfig::default(), (fake, past));
            assert_eq!(host.is_current, is_current);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_restarted_registry_to_which_nobody_comes_back_is_rather_cut_off_itself() {
        let records = (0..10).map(|n| record(&format!("a:{n}"))).collect();
        let past = Past { life: 2, records, is_current: true, error: None };
        let fake = Arc::new(Fake::default()) as Arc<dyn Store>;
        let (host, _keeping) = RegistryHost::restore(RegistryServerConfig::default(), (fake, past));
        sleep(Duration::from_secs(60)).await;
        let status = host.status();
        assert!(status.instances == 10 && status.is_preserving, "{status:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_delays_nobody_and_catches_up_later() {
        let fake = Arc::new(Fake::default());
        let host = start(&fake);
        host.register(&Registrant::numbered(1), instance("a:1")).unwrap();
        host.all_settled().await;
        fake.failures.store(3, Ordering::SeqCst);
        host.remove(&InstanceKey::of(&instance("a:1")));
        host.register(&Registrant::numbered(1), instance("b:1")).unwrap();
        host.all_settled().await;
        assert_eq!(host.status().store_error.unwrap(), "disk full");
        let began = Instant::now();
        host.register(&Registrant::numbered(1), instance("c:1")).unwrap();
        host.all_settled().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(host.list(&ServiceKey::new("shop.Inventory")).version.instances.len(), 2);
        while host.status().store_error.is_some() {
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(saved(&fake), ["b:1", "c:1"]);
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
