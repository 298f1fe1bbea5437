//! What a watch has seen of the children of a path, until its reader takes it: so a reader that takes its
//! time holds up no watch, and nothing is held that has been read.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::Notify;

use super::tree::{ChangedNode, NodeName, NodeSink, TreeNode, ValueSink};
use crate::lock::locked;

/// Between the watch of a path and its only reader. There is one for each path, so it takes little memory.
#[derive(Debug, Default)]
pub(crate) struct NodeFeed {
    waiting: Mutex<NodeNews>,
    put: Notify,
}

/// What was put since the last was taken.
#[derive(Debug, Default)]
pub(crate) struct NodeNews {
    /// All children, if they were put; what was taken before counts no more.
    pub(crate) all: Option<Vec<TreeNode>>,
    /// What changed since, by name; `None` is gone.
    pub(crate) changes: HashMap<NodeName, Option<Bytes>>,
    /// Grows with everything that is put.
    pub(crate) version: u64,
}

// === impl NodeFeed ===

impl NodeFeed {
    /// Waits until something has been put since this returned last.
    pub(crate) async fn changed(&self) {
        self.put.notified().await;
    }

    /// The version of what was put last.
    pub(crate) fn version(&self) -> u64 {
        locked(&self.waiting).version
    }

    /// Takes what was put.
    pub(crate) fn take(&self) -> NodeNews {
        let mut waiting = locked(&self.waiting);
        let version = waiting.version;
        let taken = std::mem::take(&mut *waiting);
        waiting.version = version;
        taken
    }

    /// Puts all children as they were read while `version` was the newest, unless something was put since,
    /// which is newer; returns the version that has them.
    pub(crate) fn repair(&self, version: u64, nodes: Vec<TreeNode>) -> u64 {
        self.count(|waiting| {
            let is_newest = waiting.version == version;
            if is_newest {
                waiting.replace(nodes);
            }
            is_newest
        })
    }

    /// Counts what `put` puts, if it does, and returns the newest version.
    fn count(&self, put: impl FnOnce(&mut NodeNews) -> bool) -> u64 {
        let mut waiting = locked(&self.waiting);
        if put(&mut waiting) {
            waiting.version += 1;
            self.put.notify_one();
        }
        waiting.version
    }
}

impl NodeSink for NodeFeed {
    fn put_all(&self, nodes: Vec<TreeNode>) {
        self.count(|waiting| {
            waiting.replace(nodes);
            true
        });
    }

    fn put_changes(&self, changes: Vec<ChangedNode>) {
        self.count(|waiting| {
            let changes = changes.into_iter().map(|changed| (changed.name, changed.value));
            waiting.changes.extend(changes);
            true
        });
    }
}

/// The value is the only child; one that is absent is none.
impl ValueSink for NodeFeed {
    fn put_value(&self, value: Option<Bytes>) {
        self.put_all(value_node(value));
    }
}

/// A value as the only child of its path; none if it is absent.
pub(crate) fn value_node(value: Option<Bytes>) -> Vec<TreeNode> {
    value.map(|value| TreeNode { name: NodeName::default(), value }).into_iter().collect()
}

// === impl NodeNews ===

impl NodeNews {
    /// All of these nodes.
    pub(crate) fn all(nodes: Vec<TreeNode>) -> Self {
        Self { all: Some(nodes), ..Self::default() }
    }

    /// How many nodes there are to be read.
    pub(crate) fn len(&self) -> usize {
        self.all.as_ref().map_or(0, Vec::len) + self.changes.len()
    }

    fn replace(&mut self, nodes: Vec<TreeNode>) {
        self.all = Some(nodes);
        self.changes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[&str]) -> Vec<TreeNode> {
        let node = |name: &&str| TreeNode { name: (*name).into(), value: Bytes::new() };
        names.iter().map(node).collect()
    }

    fn changed(name: &str, value: Option<&'static str>) -> ChangedNode {
        let value = value.map(|text| Bytes::from_static(text.as_bytes()));
        ChangedNode { name: name.into(), value }
    }

    #[test]
    fn what_was_put_is_taken_once_and_the_newest_of_each_name_counts() {
        let feed = NodeFeed::default();
        feed.put_changes(vec![changed("x", Some("old"))]);
        feed.put_all(nodes(&["a", "b"]));
        feed.put_changes(vec![changed("a", Some("1")), changed("b", None)]);
        feed.put_changes(vec![changed("a", None), changed("b", Some("2"))]);
        let news = feed.take();
        assert_eq!((news.all.clone().unwrap().len(), news.version, news.len()), (2, 4, 4));
        assert_eq!(
            (&news.changes[&"a".into()], &news.changes[&"b".into()]),
            (&None, &Some(Bytes::from_static(b"2")))
        );
        assert_eq!((feed.take().len(), feed.take().version), (0, 4));
    }

    #[test]
    fn what_was_read_before_a_change_repairs_nothing() {
        let feed = NodeFeed::default();
        feed.put_all(nodes(&["a"]));
        let before = feed.version();
        feed.put_changes(vec![changed("b", Some(""))]);
        assert_eq!(feed.repair(before, nodes(&["a"])), 2);
        assert_eq!(feed.take().changes.len(), 1);
        assert_eq!(feed.repair(feed.version(), nodes(&["a", "b", "c"])), 3);
        assert_eq!((feed.take().len(), feed.version()), (3, 3));
    }
}
