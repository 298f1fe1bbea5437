//! Providers at the application level: one record for each process, with all services that it provides.
//!
//! Services are registered one by one and published together: whoever comes first waits a moment for the
//! others and writes for all of them, and each returns once what it wants has been written. Nobody can find
//! a record before what it leads to, so the services of the revision are written first, then the mapping of
//! interfaces, then the record.
//!
//! Every service checks the record that it shares, each at a time of its own, and one check is enough for all: it is
//! looked at when one of them comes that has come before since it was looked at last. So it is as often as a record
//! of one service, however long services wait between two checks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use rpc_core::{Error, Instance, ServiceKey};
use tokio::time::sleep;

use super::super::application::application_entry;
use super::super::layout::{Layout, RecordForm};
use super::super::mapping;
use super::super::params;
use super::super::paths::{TreePaths, is_segment};
use super::super::service_instance::ServiceInstance;
use super::super::tree::NodeTree;
use crate::lock::locked;

/// How long the first waits for others that register at the same time.
const GATHER: Duration = Duration::from_millis(20);

/// How many interfaces are mapped at the same time.
const AT_ONCE: usize = 16;

/// The records of this process in one session.
#[derive(Debug)]
pub(super) struct ApplicationLevel {
    tree: Arc<dyn NodeTree>,
    layout: Arc<Layout>,
    paths: Arc<TreePaths>,
    /// By application and address; as many as this process has ports.
    records: Mutex<HashMap<RecordName, Arc<OwnRecord>>>,
}

/// Application and address.
type RecordName = (Arc<str>, Arc<str>);

/// Service and start: one process may have two of them at an address, and the younger counts.
type InstanceName = (ServiceKey, Arc<str>);

/// One record: a process, or a port of it.
#[derive(Debug)]
struct OwnRecord {
    path: String,
    wanted: Mutex<WantedServices>,
    /// Held by the one who publishes.
    published: tokio::sync::Mutex<Published>,
}

#[derive(Debug, Clone, Default)]
struct WantedServices {
    /// Counts calls, so that each knows whether what was published has its own.
    calls: u64,
    instances: BTreeMap<InstanceName, Instance>,
    /// Those that were registered, or checked, since the last publication.
    asked: BTreeSet<InstanceName>,
    /// Interfaces whose mapping is to be checked.
    to_map: BTreeSet<String>,
}

#[derive(Debug)]
struct Published {
    /// The last call that it has.
    calls: u64,
    outcome: Result<(), Error>,
    record: Option<Bytes>,
    /// Who has come since it was found in order last; `None` if it may not be.
    since_check: Option<BTreeSet<InstanceName>>,
}

// === impl ApplicationLevel ===

impl ApplicationLevel {
    pub(super) fn new(
        tree: &Arc<dyn NodeTree>,
        layout: &Arc<Layout>,
        paths: &Arc<TreePaths>,
    ) -> Self {
        Self {
            tree: Arc::clone(tree),
            layout: Arc::clone(layout),
            paths: Arc::clone(paths),
            records: Mutex::default(),
        }
    }

    /// Has `instance` in the record of its process; returns when a publication has it.
    pub(super) async fn register(&self, instance: &Instance) -> Result<(), Error> {
        let record = self.record_of(instance);
        let call = {
            let mut wanted = locked(&record.wanted);
            wanted.instances.insert(name_of(instance), instance.clone());
            wanted.asked.insert(name_of(instance));
            wanted.to_map.insert(instance.service.interface().to_owned());
            wanted.count()
        };
        self.publish(&record, call).await
    }

    /// Takes `instance` out of the record of its process; the last takes the record along.
    pub(super) async fn unregister(&self, instance: &Instance) -> Result<(), Error> {
        let record = self.record_of(instance);
        let call = {
            let mut wanted = locked(&record.wanted);
            wanted.instances.remove(&name_of(instance));
            wanted.count()
        };
        self.publish(&record, call).await
    }

    fn record_of(&self, instance: &Instance) -> Arc<OwnRecord> {
        let key = (Arc::clone(&instance.application), Arc::clone(&instance.address));
        let new = || {
            let entry = application_entry(std::slice::from_ref(instance));
            let id = entry.map_or_else(String::new, |entry| entry.record.id());
            let path = format!("{}/{id}", self.paths.processes(&instance.application));
            let (wanted, published) = (Mutex::default(), tokio::sync::Mutex::default());
            Arc::new(OwnRecord { path, wanted, published })
        };
        Arc::clone(locked(&self.records).entry(key).or_insert_with(new))
    }

    /// Returns when what was wanted at `call` is published, or could not be.
    async fn publish(&self, record: &OwnRecord, call: u64) -> Result<(), Error> {
        let mut published = record.published.lock().await;
        if published.calls >= call {
            return published.outcome.clone();
        }
        sleep(GATHER).await;
        let wanted = {
            let mut wanted = locked(&record.wanted);
            let asked = std::mem::take(&mut wanted.asked);
            WantedServices { asked, ..wanted.clone() }
        };
        let (calls, to_map) = (wanted.calls, wanted.to_map.clone());
        let outcome = self.write(&record.path, &mut published, wanted).await;
        if outcome.is_ok() {
            locked(&record.wanted).to_map.retain(|interface| !to_map.contains(interface));
        }
        (published.calls, published.outcome) = (calls, outcome.clone());
        outcome
    }

    async fn write(
        &self,
        path: &str,
        published: &mut Published,
        wanted: WantedServices,
    ) -> Result<(), Error> {
        let WantedServices { instances, asked, to_map, .. } = wanted;
        // Of two starts at one address, the younger is the one that is there.
        let start = |instance: &Instance| (instance.started_ms, Arc::clone(&instance.id));
        let Some(youngest) = instances.values().map(start).max() else {
            return self.remove(path, published).await;
        };
        let instances: Vec<Instance> =
            instances.into_values().filter(|instance| start(instance) == youngest).collect();
        let Some(entry) = application_entry(&instances) else {
            return self.remove(path, published).await;
        };
        let application = &entry.record.application;
        let json = match self.layout.record {
            RecordForm::Curator => entry.record.to_curator_json(),
            RecordForm::Go => entry.record.to_go_json(),
        };
        let content = Bytes::from(json);
        let is_known = published.record.as_ref() == Some(&content);
        let since_check =
            published.since_check.take().filter(|since| is_known && since.is_disjoint(&asked));
        if since_check.is_none() {
            let metadata = Bytes::from(entry.metadata.to_json());
            for path in self.paths.metadata(application, &entry.metadata.revision) {
                let metadata = &metadata;
                let replace =
                    |present: Option<&[u8]>| (present != Some(metadata)).then(|| metadata.clone());
                self.tree.edit(&path, &replace).await?;
            }
        }
        self.map(application, &to_map).await?;
        if let Some(mut since) = since_check {
            since.extend(asked);
            published.since_check = Some(since);
            return Ok(());
        }
        self.check_owner(published, path, &youngest).await?;
        // Noted before it is written: it may have been when that fails, or is dropped.
        published.record = Some(content.clone());
        self.tree.put_owned(path, content).await?;
        // Of a new one, everybody's next check is the first.
        let all = || instances.iter().map(name_of).collect();
        published.since_check = Some(if is_known { asked } else { all() });
        Ok(())
    }

    /// Removes the record, also one that an earlier session here has written and the server's goes on with.
    async fn remove(&self, path: &str, published: &mut Published) -> Result<(), Error> {
        published.since_check = None;
        self.tree.remove_owned(path).await?;
        published.record = None;
        Ok(())
    }

    /// Maps the interfaces to the application, where that does not keep others out.
    async fn map(&self, application: &str, interfaces: &BTreeSet<String>) -> Result<(), Error> {
        let edits = interfaces.iter().filter(|interface| is_segment(interface)).map(|interface| {
            let (tree, path) = (&self.tree, self.paths.mapping(interface));
            let append = |present: Option<&[u8]>| {
                if present.is_none() && !self.layout.begins_mappings() {
                    return None;
                }
                let present = present.map(String::from_utf8_lossy);
                mapping::with_application(present.as_deref(), application).map(Bytes::from)
            };
            async move { tree.edit(&path, &append).await }
        });
        let edits: Vec<_> = edits.collect();
        stream::iter(edits).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Fails if a younger start of a process holds the record: it would be overwritten in turn.
    async fn check_owner(
        &self,
        published: &Published,
        path: &str,
        ours: &(u64, Arc<str>),
    ) -> Result<(), Error> {
        let Some(value) = self.tree.value(path).await? else { return Ok(()) };
        if published.record.as_ref() == Some(&value) {
            return Ok(());
        }
        // What is no record is nobody's.
        let Ok(Some(listed)) = ServiceInstance::from_json(&value) else { return Ok(()) };
        let id = listed.metadata.get(params::ID).map_or("", String::as_str);
        if (listed.started_ms(), id) > (ours.0, &*ours.1) {
            let address = listed.id();
            return Err(Error::unreachable(format!(
                "{address} is listed by a process that started later and still answers: it stays \
                 listed until that one goes, or give one of them another provider.advertise"
            )));
        }
        Ok(())
    }
}

// === impl WantedServices ===

impl WantedServices {
    fn count(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }
}

impl Default for Published {
    fn default() -> Self {
        Self { calls: 0, outcome: Ok(()), record: None, since_check: None }
    }
}

fn name_of(instance: &Instance) -> InstanceName {
    (instance.service.clone(), Arc::clone(&instance.id))
}
