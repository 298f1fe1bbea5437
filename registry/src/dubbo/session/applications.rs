//! The processes of an application, with the services of their revisions.
//!
//! A process whose new revision cannot be read keeps the services it had; one that is new is listed
//! without, and both are tried again every ten seconds. So one revision that is missing costs no other
//! process.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rpc_core::Error;
use tokio::time::sleep;

use super::super::metadata_info::MetadataInfo;
use super::super::service_instance::ServiceInstance;
use super::super::tree::{NodeTree, ReadOf, TreeNode};
use super::metadata::MetadataReader;
use super::shared::{KeptEnds, Understood};
use crate::sound::{self, UnsoundInstances};

/// How soon a revision that could not be read is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// A process, and what it serves.
#[derive(Debug, Clone)]
pub(super) struct KnownProcess {
    pub(super) record: Arc<ServiceInstance>,
    /// The services of its revision; `None` if they are in the record, with the process, or missing.
    pub(super) metadata: Option<Arc<MetadataInfo>>,
}

/// The processes of one application.
#[derive(Debug, Clone, Default)]
pub(super) struct Processes {
    pub(super) known: Arc<[KnownProcess]>,
    /// What could not be read.
    pub(super) left_out: Arc<UnsoundInstances>,
}

/// Reads the processes of one application, again and again: what has not changed is not read again.
pub(super) struct ProcessReader {
    application: String,
    metadata: Arc<MetadataReader>,
    by_name: HashMap<Arc<str>, ReadNode>,
}

struct ReadNode {
    value: Bytes,
    /// The record, unless it is none.
    record: Option<Arc<ServiceInstance>>,
    /// Why it is none, if someone should correct it.
    malformed: Option<String>,
    /// The last whose services could be read.
    known: Option<KnownProcess>,
}

// === impl KnownProcess ===

impl KnownProcess {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let metadata = |process: &Self| process.metadata.as_ref().map(Arc::as_ptr);
        Arc::ptr_eq(&self.record, &other.record) && metadata(self) == metadata(other)
    }
}

// === impl ProcessReader ===

impl ProcessReader {
    pub(super) fn new(application: &str, metadata: &Arc<MetadataReader>) -> Self {
        Self {
            application: application.to_owned(),
            metadata: Arc::clone(metadata),
            by_name: HashMap::new(),
        }
    }

    /// Keeps the processes at `path` read; returns why that ended.
    pub(super) async fn keep(
        mut self,
        tree: Arc<dyn NodeTree>,
        path: String,
        ends: KeptEnds<Arc<[TreeNode]>, Processes>,
    ) -> Error {
        let mut newest = ends.raw.subscribe();
        let watching = tree.watch_children(&path, ReadOf::Values, &ends.raw);
        let reading = async {
            let mut is_whole = true;
            loop {
                let is_due = async {
                    match is_whole {
                        true => std::future::pending().await,
                        false => sleep(RETRY).await,
                    }
                };
                tokio::select! {
                    // Its sender is held by the watch.
                    _ = newest.changed() => {}
                    () = is_due => {}
                }
                let nodes = newest.borrow_and_update().clone();
                if let Some(nodes) = nodes {
                    let meaning;
                    (meaning, is_whole) = self.read(&nodes).await;
                    ends.read.send_replace(Some(Understood { from: nodes, meaning }));
                }
            }
        };
        tokio::select! {
            ended = watching => {
                ended.err().unwrap_or_else(|| Error::closed("the watch of an application ended"))
            }
            () = reading => Error::closed("the watch of an application ended"),
        }
    }

    /// The processes that `nodes` stand for, and whether all of their services are known.
    pub(super) async fn read(&mut self, nodes: &[TreeNode]) -> (Processes, bool) {
        let mut before = std::mem::take(&mut self.by_name);
        for node in nodes {
            // Under another root than `dubbo`, revisions lie here too, and none has a port.
            if !node.name.contains(':') {
                continue;
            }
            let old = before.remove(&node.name);
            let read = match old {
                Some(old) if old.value == node.value => old,
                old => ReadNode::new(node, old.and_then(|old| old.known)),
            };
            self.by_name.insert(Arc::clone(&node.name), read);
        }
        let is_whole = self.read_services().await;
        let mut left_out = UnsoundInstances::default();
        for (name, node) in &self.by_name {
            if let Some(why) = &node.malformed {
                let at = sound::plain(format!("{}/{name}", self.application));
                left_out.add(format!("{at}: {why}"));
            }
        }
        let known = self.by_name.values().filter_map(ReadNode::shown);
        (Processes { known: known.collect(), left_out: Arc::new(left_out) }, is_whole)
    }

    /// Reads the services of the revisions that are new; says whether none is missing.
    async fn read_services(&mut self) -> bool {
        let wanted = self.by_name.values().filter(|node| node.is_behind());
        let wanted: HashSet<String> =
            wanted.filter_map(|node| Some(node.record.as_ref()?.revision()?.to_owned())).collect();
        let read = match wanted.is_empty() {
            true => HashMap::new(),
            false => self.metadata.read(&self.application, wanted).await,
        };
        let mut is_whole = true;
        for node in self.by_name.values_mut().filter(|node| node.is_behind()) {
            let Some(record) = &node.record else { continue };
            match record.revision().and_then(|revision| read.get(revision)) {
                Some(metadata) => {
                    let (record, metadata) = (Arc::clone(record), Some(Arc::clone(metadata)));
                    node.known = Some(KnownProcess { record, metadata });
                }
                None => is_whole = false,
            }
        }
        is_whole
    }
}

// === impl ReadNode ===

impl ReadNode {
    /// Reads a node whose process was `known` before.
    fn new(node: &TreeNode, known: Option<KnownProcess>) -> Self {
        let value = node.value.clone();
        let (record, malformed) = match ServiceInstance::from_json(&value) {
            Ok(Some(record)) if record.revision().is_some() => (Some(Arc::new(record)), None),
            // It is switched off, or serves nothing.
            Ok(_) => (None, None),
            Err(why) => (None, Some(why)),
        };
        // What stood there before is another matter once the node says nothing.
        let known = known.filter(|_| record.is_some());
        Self { value, record, malformed, known }
    }

    /// Whether the registry has services for it that are not known.
    fn is_behind(&self) -> bool {
        let Some(record) = &self.record else { return false };
        let knows = |known: &KnownProcess| Arc::ptr_eq(&known.record, record);
        let is_read = self.known.as_ref().is_some_and(knows);
        record.services.is_none() && record.has_remote_metadata() && !is_read
    }

    /// The process as it is listed: as it was before while its new services are missing.
    fn shown(&self) -> Option<KnownProcess> {
        let record = self.record.as_ref()?;
        match &self.known {
            Some(known) if record.has_remote_metadata() => Some(known.clone()),
            _ => Some(KnownProcess { record: Arc::clone(record), metadata: None }),
        }
    }
}
