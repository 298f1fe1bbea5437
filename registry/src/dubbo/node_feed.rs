//! What a watch has seen of the children of a path, until its reader takes it: so a reader that takes its
//! time holds up no watch, and nothing is held that has been read.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Mutex;
use std::task::{Poll, Waker};

use bytes::Bytes;

use super::tree::{ChangedNode, NodeName, NodeSink, ReadChildren, TreeMark, TreeNode, ValueSink};
use crate::lock::locked;

/// Between the watch of a path and its only reader. There is one for each path, so it takes little memory.
#[derive(Debug, Default)]
pub(crate) struct NodeFeed(Mutex<FedNews>);

#[derive(Debug, Default)]
struct FedNews {
    /// What was put and not taken, if anything was; mostly nothing is.
    put: Option<Box<NodeNews>>,
    /// Grows with everything that is put.
    version: u64,
    /// Of which reading it is, if nothing was put since all were.
    mark: Option<TreeMark>,
    /// The reader, where it waits.
    reader: Option<Waker>,
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
    /// Waits until there is something to be taken.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            let mut fed = locked(&self.0);
            if fed.put.is_some() {
                return Poll::Ready(());
            }
            fed.reader = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    /// The version of what was put last, and of which reading it is, if it is one.
    pub(crate) fn known(&self) -> (u64, Option<TreeMark>) {
        let fed = locked(&self.0);
        (fed.version, fed.mark)
    }

    /// Takes what was put.
    pub(crate) fn take(&self) -> NodeNews {
        let (put, version) = {
            let mut fed = locked(&self.0);
            (fed.put.take(), fed.version)
        };
        NodeNews { version, ..put.map_or_else(NodeNews::default, |put| *put) }
    }

    /// Puts all children as they were read while `version` was the newest, unless something was put since,
    /// which is newer; returns the version that has them.
    pub(crate) fn repair(&self, version: u64, read: ReadChildren) -> u64 {
        self.count(|fed| {
            let is_newest = fed.version == version;
            if is_newest {
                fed.replace(read);
            }
            is_newest
        })
    }

    /// Counts what `put` puts, if it does, and returns the newest version.
    fn count(&self, put: impl FnOnce(&mut FedNews) -> bool) -> u64 {
        let mut fed = locked(&self.0);
        if !put(&mut fed) {
            return fed.version;
        }
        fed.version += 1;
        let (version, reader) = (fed.version, fed.reader.take());
        drop(fed);
        reader.into_iter().for_each(Waker::wake);
        version
    }
}

impl NodeSink for NodeFeed {
    fn put_all(&self, read: ReadChildren) {
        self.count(|fed| {
            fed.replace(read);
            true
        });
    }

    fn put_changes(&self, changes: Vec<ChangedNode>) {
        self.count(|fed| {
            let changes = changes.into_iter().map(|changed| (changed.name, changed.value));
            fed.put.get_or_insert_default().changes.extend(changes);
            // A change may come late, and be older than what was read.
            fed.mark = None;
            true
        });
    }

    fn confirm(&self, mark: Option<TreeMark>) -> bool {
        let mut is_so = false;
        // It counts as put: what was read before it is older, and the reader is to know its version.
        self.count(|fed| {
            is_so = mark.is_some() && fed.mark == mark;
            if is_so {
                fed.put.get_or_insert_default();
            }
            is_so
        });
        is_so
    }
}

/// The value is the only child; one that is absent is none.
impl ValueSink for NodeFeed {
    fn put_value(&self, value: Option<Bytes>) {
        self.put_all(value_node(value));
    }
}

/// A value as the only child of its path; none if it is absent.
pub(crate) fn value_node(value: Option<Bytes>) -> ReadChildren {
    let none = TreeMark { seen: 0, children: -1 };
    let mark = value.as_deref().map_or(none, TreeMark::of_bytes);
    let node = value.map(|value| TreeNode { name: NodeName::default(), value });
    ReadChildren { nodes: node.into_iter().collect(), mark: Some(mark) }
}

// === impl FedNews ===

impl FedNews {
    fn replace(&mut self, ReadChildren { nodes, mark }: ReadChildren) {
        // What changed before counts no more.
        self.put = Some(Box::new(NodeNews::all(nodes)));
        self.mark = mark;
    }
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
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use futures_util::FutureExt;

    use super::*;

    fn nodes(names: &[&str]) -> ReadChildren {
        let node = |name: &&str| TreeNode { name: (*name).into(), value: Bytes::new() };
        names.iter().map(node).collect::<Vec<_>>().into()
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
        let (before, _) = feed.known();
        feed.put_changes(vec![changed("b", Some(""))]);
        assert_eq!(feed.repair(before, nodes(&["a"])), 2);
        assert_eq!(feed.take().changes.len(), 1);
        assert_eq!(feed.repair(2, nodes(&["a", "b", "c"])), 3);
        assert_eq!((feed.take().len(), feed.known()), (3, (3, None)));
    }

    #[test]
    fn a_reading_is_known_by_its_mark_until_something_else_is_put() {
        let feed = NodeFeed::default();
        let [first, second] = [1, 2].map(|seen| Some(TreeMark { seen, children: 7 }));
        feed.put_all(ReadChildren { mark: first, ..nodes(&["a"]) });
        assert_eq!((feed.take().len(), feed.known()), (1, (1, first)));
        assert_eq!(feed.repair(1, ReadChildren { mark: second, ..nodes(&["b"]) }), 2);
        assert_eq!(feed.known(), (2, second));
        assert_eq!(feed.repair(1, ReadChildren { mark: first, ..nodes(&["a"]) }), 2);
        assert_eq!(feed.known(), (2, second));
        // What a check reads while it is confirmed is older.
        drop(feed.take());
        assert_eq!([first, None].map(|mark| feed.confirm(mark)), [false; 2]);
        assert!(feed.changed().now_or_never().is_none());
        assert!(feed.confirm(second) && feed.changed().now_or_never().is_some());
        assert_eq!((feed.take().version, feed.known()), (3, (3, second)));
        assert_eq!(feed.repair(2, ReadChildren { mark: first, ..nodes(&["a"]) }), 3);
        assert_eq!(feed.known(), (3, second));
        // Whatever it says: it may be older than what was read.
        feed.put_changes(Vec::new());
        assert_eq!(feed.known(), (4, None));
        assert!(!feed.confirm(second) && !feed.confirm(None));
    }

    #[test]
    fn a_value_is_marked_by_what_it_is_and_so_is_none() {
        let texts = [None, Some(""), Some("a"), Some("b")];
        let marks = || {
            texts.map(|text| {
                let TreeMark { seen, children } = value_node(text.map(Bytes::from)).mark.unwrap();
                (seen, children)
            })
        };
        assert_eq!(marks(), marks());
        assert_eq!(HashSet::from(marks()).len(), 4);
    }
}
