//! The processes of an application, with the services of their revisions.
//!
//! A process whose new revision cannot be read keeps the services it had; one that is new is listed
//! without, and both are tried again every ten seconds. So one revision that is missing costs no other
//! process.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::hash::BuildHasher;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use rpc_core::Error;
use tokio::time::sleep;

use super::super::metadata_info::MetadataInfo;
use super::super::node_feed::NodeNews;
use super::super::process_record::{ProcessRecord, RecordPool};
use super::super::service_instance::ServiceInstance;
use super::super::tree::{NodeTree, ReadOf, TreeNode};
use super::metadata::MetadataReader;
use super::providers::ended;
use super::read_nodes::{MalformedNode, ReadNode, ReadNodes, hasher};
use super::shared::KeptEnds;
use crate::off_thread::off_thread_if_long;
use crate::sound::UnsoundInstances;

/// How soon a revision that could not be read is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// A process, and what it serves.
#[derive(Debug, Clone)]
pub(super) struct KnownProcess {
    pub(super) record: ProcessRecord,
    /// The services of its revision; `None` if they are in the record, with the process, or missing.
    pub(super) metadata: Option<Arc<MetadataInfo>>,
}

/// The processes of one application.
#[derive(Debug, Clone, Default)]
pub(super) struct Processes {
    nodes: Arc<[ReadNode<ProcessNode>]>,
    /// What could not be read.
    pub(super) left_out: Arc<UnsoundInstances>,
}

/// Reads the processes of one application, again and again: what has not changed is not read again.
pub(super) struct ProcessReader {
    application: Arc<str>,
    metadata: Arc<MetadataReader>,
    nodes: ProcessNodes,
    /// The version of the feed that these have.
    version: u64,
    /// Revisions that could not be read. Only a retry reads them again: each may take long, and changes of other
    /// processes would wait for it.
    missing: HashSet<String>,
}

/// The services of revisions, by their names.
type ReadRevisions = HashMap<String, Arc<MetadataInfo>>;

/// A step of reading again what is missing.
enum RetryStep {
    /// It is time to.
    Due,
    /// This could be read.
    Read(ReadRevisions),
}

/// Comes to the next step while changes are taken on. Boxed, what is seldom done takes no room in the meantime.
type Retry = BoxFuture<'static, RetryStep>;

/// What the nodes of an application mean, each read once.
#[derive(Default)]
struct ProcessNodes {
    read: ReadNodes<ProcessNode>,
}

/// What a node of an application means.
#[derive(Debug, Clone)]
struct ProcessNode {
    /// The hash of its value.
    value: u64,
    meaning: ProcessMeaning,
}

#[derive(Debug, Clone)]
enum ProcessMeaning {
    /// A process, of which all is known that the registry has.
    Whole(KnownProcess),
    /// None, or one of which something is missing; few are so, and each takes the room of all.
    Other(Option<Box<PartProcess>>),
}

/// A process of which something is not known.
#[derive(Debug, Clone)]
enum PartProcess {
    /// The services of its record, which is this. It is listed as it was before, or without, by this reading.
    Services { record: ProcessRecord, reading: u64, shown: KnownProcess },
    /// All.
    Record(MalformedNode),
}

// === impl Processes ===

impl Processes {
    /// The processes, in any order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &KnownProcess> {
        self.readings().map(|(_, process)| process)
    }

    /// As [`iter`](Self::iter), each with a number that only those have, of all that were read in the session, which
    /// say the same: a hash that is keyed at random.
    pub(super) fn readings(&self) -> impl Iterator<Item = (u64, &KnownProcess)> {
        self.nodes.iter().filter_map(|node| node.meaning.shown())
    }

    /// Whether these are those, read once.
    pub(super) fn are_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.nodes, &other.nodes) && Arc::ptr_eq(&self.left_out, &other.left_out)
    }

    /// About how many there are: with nodes that are none.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }
}

// === impl ProcessReader ===

impl ProcessReader {
    pub(super) fn new(application: &str, metadata: &Arc<MetadataReader>) -> Self {
        let (application, metadata) = (application.into(), Arc::clone(metadata));
        let (nodes, missing) = (ProcessNodes::default(), HashSet::new());
        Self { application, metadata, nodes, version: 0, missing }
    }

    /// Keeps the processes at `path` read, until its watch ends.
    #[expect(
        clippy::manual_async_fn,
        reason = "that of an async function holds its arguments twice"
    )]
    pub(super) fn keep(
        mut self,
        tree: Arc<dyn NodeTree>,
        path: Arc<str>,
        ends: KeptEnds<Processes>,
    ) -> impl Future<Output = ()> {
        async move {
            let watching = tree.watch_children(&path, ReadOf::Values, &*ends.feed);
            let reading = pin!(async {
                let (mut retry, mut is_first) = (None, true);
                loop {
                    let read = tokio::select! {
                        biased;
                        () = ends.feed.changed() => {
                            // Boxed, it takes no room while nothing changes.
                            let read = Box::pin(self.read_on(&ends, is_first)).await;
                            is_first = false;
                            read
                        }
                        step = retried(&mut retry) => match step {
                            RetryStep::Due => {
                                retry = Some(self.read_missing());
                                Ok(())
                            }
                            RetryStep::Read(services) => {
                                Box::pin(self.read_more(&ends, services)).await
                            }
                        },
                    };
                    if let Err(error) = read {
                        return error;
                    }
                    if self.missing.is_empty() {
                        retry = None;
                    } else {
                        retry.get_or_insert_with(wait_for_retry);
                    }
                }
            });
            ends.end(&ended(watching, reading).await);
        }
    }

    /// Reads what was put, and puts the processes if they are others.
    ///
    /// # Errors
    /// The runtime shuts down.
    async fn read_on(&mut self, ends: &KeptEnds<Processes>, is_first: bool) -> Result<(), Error> {
        let news = ends.feed.take();
        self.version = news.version;
        let processes = self.take_on(news, is_first).await?;
        ends.put(self.version, processes);
        Ok(())
    }

    /// Takes on what a retry has read, and puts the processes if they are others.
    ///
    /// # Errors
    /// The runtime shuts down.
    async fn read_more(
        &mut self,
        ends: &KeptEnds<Processes>,
        services: ReadRevisions,
    ) -> Result<(), Error> {
        let nodes = std::mem::take(&mut self.nodes);
        let processes = self.settle(nodes, services, false).await?;
        ends.put(self.version, processes);
        Ok(())
    }

    /// Reads what is missing at present.
    fn read_missing(&self) -> Retry {
        let (metadata, missing) = (Arc::clone(&self.metadata), self.missing.clone());
        let application = Arc::clone(&self.application);
        async move { RetryStep::Read(metadata.read(&application, missing).await) }.boxed()
    }

    /// The processes that `nodes` stand for.
    ///
    /// # Errors
    /// The runtime shuts down.
    pub(super) async fn read(mut self, nodes: Vec<TreeNode>) -> Result<Processes, Error> {
        let processes = self.take_on(NodeNews::all(nodes), true).await?;
        Ok(processes.unwrap_or_default())
    }

    /// Reads what is new, with the services of its revisions, and forgets what has gone; the processes, if they are
    /// others than before.
    ///
    /// # Errors
    /// The runtime shuts down.
    async fn take_on(
        &mut self,
        news: NodeNews,
        is_first: bool,
    ) -> Result<Option<Processes>, Error> {
        let (items, application) = (self.nodes.read.items(&news), Arc::clone(&self.application));
        let (mut nodes, missing) =
            (std::mem::take(&mut self.nodes), std::mem::take(&mut self.missing));
        let read = move || {
            let is_news = nodes.take_on(&application, news);
            let mut wanted = nodes.wanted();
            wanted.retain(|revision| !missing.contains(revision));
            (nodes, is_news, wanted)
        };
        let (nodes, is_news, wanted) = off_thread_if_long(items, read).await?;
        let services = match wanted.is_empty() {
            true => HashMap::new(),
            false => self.metadata.read(&self.application, wanted).await,
        };
        self.settle(nodes, services, is_first || is_news).await
    }

    /// Takes on services of revisions, and notes what is missing; the processes, if they are others than before.
    ///
    /// # Errors
    /// The runtime shuts down.
    async fn settle(
        &mut self,
        mut nodes: ProcessNodes,
        services: ReadRevisions,
        is_news: bool,
    ) -> Result<Option<Processes>, Error> {
        let items = nodes.read.nodes.len();
        let settle = move || {
            let has_more = nodes.settle(&services);
            let processes = (is_news || has_more).then(|| nodes.processes());
            let missing = nodes.wanted();
            (nodes, processes, missing)
        };
        let processes;
        (self.nodes, processes, self.missing) = off_thread_if_long(items, settle).await?;
        Ok(processes)
    }
}

fn wait_for_retry() -> Retry {
    sleep(RETRY).map(|()| RetryStep::Due).boxed()
}

/// Waits for the step of a retry, which is then no more; without end if there is none.
///
/// # Cancel safety
/// Nothing is lost if it is dropped.
async fn retried(retry: &mut Option<Retry>) -> RetryStep {
    let Some(waiting) = retry else { return pending().await };
    let step = waiting.await;
    *retry = None;
    step
}

// === impl ProcessNodes ===

impl ProcessNodes {
    /// Reads what is new and forgets what has gone; says whether there was any of that.
    fn take_on(&mut self, application: &str, mut news: NodeNews) -> bool {
        if let Some(nodes) = &mut news.all {
            nodes.retain(|node| is_process(&node.name));
        }
        news.changes.retain(|name, _| is_process(name));
        let held = self.read.nodes.iter().filter_map(|node| node.meaning.record());
        let mut pool = RecordPool::of(held);
        self.read.take_on(news, |node, known| {
            let value = hasher().hash_one((application, &*node.value));
            let is_new = known.is_none_or(|known| known.value != value);
            is_new.then(|| ProcessNode::read(application, node, value, known, &mut pool))
        })
    }

    /// The revisions whose services are to be read.
    fn wanted(&self) -> HashSet<String> {
        let behind = self.read.nodes.iter().filter_map(|node| node.meaning.behind());
        behind.filter_map(|record| Some(record.revision()?.to_owned())).collect()
    }

    /// Takes on services that were read; says whether there was one.
    fn settle(&mut self, services: &ReadRevisions) -> bool {
        self.read.replace(|node| {
            let record = node.behind()?;
            let metadata = record.revision().and_then(|revision| services.get(revision)).cloned();
            let known = KnownProcess { record: record.clone(), metadata: Some(metadata?) };
            Some(ProcessNode { value: node.value, meaning: ProcessMeaning::Whole(known) })
        })
    }

    fn processes(&self) -> Processes {
        let parts = self.read.nodes.iter().filter_map(|node| node.meaning.part());
        let malformed = parts.filter_map(|part| match part {
            PartProcess::Record(why) => Some(why),
            PartProcess::Services { .. } => None,
        });
        let left_out = MalformedNode::left_out(malformed);
        Processes { nodes: Arc::clone(&self.read.nodes), left_out }
    }
}

/// Under another root than `dubbo`, revisions lie beside processes, and none has a port.
fn is_process(name: &str) -> bool {
    name.contains(':')
}

// === impl ProcessNode ===

impl ProcessNode {
    /// Reads a node whose value has this hash, and which was `known` with another.
    fn read(
        application: &str,
        node: &TreeNode,
        value: u64,
        known: Option<&Self>,
        pool: &mut RecordPool,
    ) -> Self {
        let part = |part| ProcessMeaning::Other(Some(Box::new(part)));
        let meaning = match ServiceInstance::from_json(&node.value) {
            Ok(Some(record)) if record.revision().is_some() => {
                let record = ProcessRecord::new(record, pool);
                let alone = KnownProcess { record: record.clone(), metadata: None };
                if record.has_services() || !record.has_remote_metadata() {
                    ProcessMeaning::Whole(alone)
                } else {
                    let before = known.and_then(Self::shown);
                    let before = before.filter(|(_, before)| before.metadata.is_some());
                    let before = before.map(|(reading, before)| (reading, before.clone()));
                    // Without its services it is another reading than with them.
                    let (reading, shown) = before.unwrap_or((!value, alone));
                    part(PartProcess::Services { record, reading, shown })
                }
            }
            // It is switched off, or serves nothing.
            Ok(_) => ProcessMeaning::Other(None),
            Err(why) => {
                let place = format!("{application}/{}", node.name);
                part(PartProcess::Record(MalformedNode::new(&place, why)))
            }
        };
        Self { value, meaning }
    }

    fn part(&self) -> Option<&PartProcess> {
        match &self.meaning {
            ProcessMeaning::Other(part) => part.as_deref(),
            ProcessMeaning::Whole(_) => None,
        }
    }

    /// The process as it is listed, and which reading that is.
    fn shown(&self) -> Option<(u64, &KnownProcess)> {
        match (&self.meaning, self.part()) {
            (ProcessMeaning::Whole(known), _) => Some((self.value, known)),
            (_, Some(PartProcess::Services { reading, shown, .. })) => Some((*reading, shown)),
            (_, Some(PartProcess::Record(_)) | None) => None,
        }
    }

    /// Its record, if it has one.
    fn record(&self) -> Option<&ProcessRecord> {
        match (&self.meaning, self.part()) {
            (ProcessMeaning::Whole(known), _) => Some(&known.record),
            (_, Some(PartProcess::Services { record, .. })) => Some(record),
            (_, Some(PartProcess::Record(_)) | None) => None,
        }
    }

    /// Its record, if the registry has services for it that are not known.
    fn behind(&self) -> Option<&ProcessRecord> {
        match self.part() {
            Some(PartProcess::Services { record, .. }) => Some(record),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// The values of a node: two records, one that is switched off, and two that are none.
    const VALUES: [&str; 5] = [
        r#"{"host":"h","port":1,"metadata":{"dubbo.metadata.revision":"r1","dubhe.id":"x"}}"#,
        r#"{"host":"h","port":1,"metadata":{"dubbo.metadata.revision":"r2","dubhe.id":"y"}}"#,
        r#"{"host":"h","port":1,"enable":false}"#,
        "{",
        "",
    ];

    #[test]
    fn whatever_comes_changes_and_goes_what_is_there_is_known_and_nothing_else() {
        let mut random = StdRng::seed_from_u64(7);
        let mut nodes = ProcessNodes::default();
        let mut there = BTreeMap::new();
        for _ in 0..2000 {
            let before = there.clone();
            let mut news = NodeNews::default();
            let value = |random: &mut StdRng| random.random_range(0..VALUES.len());
            let bytes = |value: usize| Bytes::from_static(VALUES[value].as_bytes());
            if random.random_bool(0.3) {
                there = (0..10).map(|number| (format!("h:{number}"), value(&mut random))).collect();
                there.retain(|_, _| random.random());
                let node = |(name, value): (&String, &usize)| TreeNode {
                    name: (&**name).into(),
                    value: bytes(*value),
                };
                news.all = Some(there.iter().map(node).collect());
            }
            for _ in 0..random.random_range(0..4) {
                let name = format!("h:{}", random.random_range(0..10));
                let value = random.random::<bool>().then(|| value(&mut random));
                news.changes.insert((&*name).into(), value.map(bytes));
                match value {
                    Some(value) => there.insert(name, value),
                    None => there.remove(&name),
                };
            }
            assert!(nodes.take_on("shop", news) || there == before);
            let processes = nodes.processes();
            let known = processes.iter().map(|known| known.record.revision());
            let mut known: Vec<_> = known.map(Option::unwrap).collect();
            known.sort_unstable();
            let values = || there.values().copied();
            let mut expected: Vec<_> =
                values().filter(|value| *value < 2).map(|value| ["r1", "r2"][value]).collect();
            expected.sort_unstable();
            assert_eq!(known, expected);
            assert_eq!(processes.left_out.count, values().filter(|value| *value > 2).count());
        }
    }
}
