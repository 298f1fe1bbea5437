//! The nodes of a [`MemoryStore`](super::memory_tree::MemoryStore), and the faults that were ordered.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rpc_core::Error;

use super::tree::{ReadChildren, ReadOf, TreeMark, TreeNode};

#[derive(Default)]
pub(super) struct Nodes {
    pub(super) by_path: BTreeMap<String, MemoryNode>,
    pub(super) sessions: u64,
    /// Counts what was put.
    pub(super) puts: i64,
    /// Every operation since the log was taken, as `put /a/b`.
    pub(super) log: Vec<String>,
    /// How many watches are open, by path.
    pub(super) watched: BTreeMap<String, usize>,
    /// Reads of these paths fail.
    pub(super) unreadable: BTreeSet<String>,
    /// How many of the next writes fail.
    pub(super) failing_writes: usize,
    /// Operations on these paths wait.
    pub(super) held: BTreeSet<String>,
    /// Watches notice nothing any more, and do not say so.
    pub(super) is_deaf: bool,
}

pub(super) struct MemoryNode {
    pub(super) value: Bytes,
    pub(super) owner: Option<u64>,
    /// Which of all that were put it is.
    pub(super) put: i64,
}

impl Nodes {
    pub(super) fn put(&mut self, path: &str, value: Bytes, owner: Option<u64>) {
        self.puts += 1;
        let put = self.puts;
        let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        for parent in ends.map(|at| path[..at].to_owned()) {
            let empty = || MemoryNode { value: Bytes::new(), owner: None, put };
            self.by_path.entry(parent).or_insert_with(empty);
        }
        self.by_path.insert(path.to_owned(), MemoryNode { value, owner, put });
    }

    /// The names and nodes directly below `path`.
    pub(super) fn below(&self, path: &str) -> impl Iterator<Item = (&str, &MemoryNode)> {
        let prefix = format!("{path}/");
        let below = self.by_path.range(prefix.clone()..);
        let below = below.map_while(move |(path, node)| Some((path.strip_prefix(&prefix)?, node)));
        below.filter(|(name, _)| !name.contains('/'))
    }

    pub(super) fn children(&self, path: &str, read: ReadOf) -> Vec<TreeNode> {
        let node = |(name, node): (&str, &MemoryNode)| {
            let value = match read {
                ReadOf::Names => Bytes::new(),
                ReadOf::Values => node.value.clone(),
            };
            TreeNode { name: name.into(), value }
        };
        self.below(path).map(node).collect()
    }

    /// The children, marked by which of them was put last and how many they are.
    pub(super) fn marked_children(&self, path: &str, read: ReadOf) -> ReadChildren {
        let nodes = self.children(path, read);
        let seen = self.below(path).map(|(_, node)| node.put).max().unwrap_or(0);
        let mark = Some(TreeMark { seen, children: i64::try_from(nodes.len()).unwrap() });
        ReadChildren { nodes, mark }
    }

    pub(super) fn are_marked(&self, path: &str, mark: TreeMark) -> bool {
        let is_old = |(_, node): (&str, &MemoryNode)| node.put <= mark.seen;
        self.below(path).all(is_old) && i64::try_from(self.below(path).count()) == Ok(mark.children)
    }

    pub(super) fn began(&mut self, what: &str, path: &str) -> Result<(), Error> {
        self.log.push(format!("{what} {path}"));
        match self.unreadable.contains(path) {
            true => Err(Error::unreachable(format!("{path} cannot be read"))),
            false => Ok(()),
        }
    }

    pub(super) fn writes(&mut self, what: &str, path: &str) -> Result<(), Error> {
        self.log.push(format!("{what} {path}"));
        if self.failing_writes > 0 {
            self.failing_writes -= 1;
            return Err(Error::unreachable(format!("{path} cannot be written")));
        }
        Ok(())
    }
}
