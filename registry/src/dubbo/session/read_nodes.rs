//! What the nodes of a path mean, each read once, in no more room than they need.
//!
//! Names are long, as that of a provider holds all that it says. So neither names nor values are kept: a node is
//! known again by a hash of its name. It is keyed at random, so that no name can be found that has the hash of
//! another; two of a million have the same with a chance of about one in 10^7.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

use super::super::node_feed::NodeNews;
use super::super::tree::{NodeName, TreeNode};
use crate::sound::{self, UnsoundInstances};

/// What each node of a path means, sorted by the hashes of their names. Lists hold them, too, so they are replaced
/// as a whole.
pub(super) struct ReadNodes<M> {
    pub(super) nodes: Arc<[ReadNode<M>]>,
}

/// A node, and what it means: `M`.
#[derive(Debug, Clone)]
pub(super) struct ReadNode<M> {
    /// The hash of its name.
    name: u64,
    pub(super) meaning: M,
}

/// Why a node should be corrected. As few are so, it takes the room of a pointer where nodes are held.
#[derive(Debug, Clone)]
pub(super) struct MalformedNode(Arc<String>);

/// What hashes names and values: one for all paths, as it takes more room than it is worth for each.
pub(super) fn hasher() -> &'static RandomState {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    &HASHER
}

// === impl MalformedNode ===

impl MalformedNode {
    /// The node at `place` is malformed: `why`.
    pub(super) fn new(place: &str, why: impl fmt::Display) -> Self {
        Self(Arc::new(format!("{}: {why}", sound::plain(place))))
    }

    /// How many of these are left out of lists, and why the first of them is.
    pub(super) fn left_out<'a>(all: impl Iterator<Item = &'a Self>) -> Arc<UnsoundInstances> {
        // Of most paths all can be read, and each list holds this of two of them.
        static NONE: LazyLock<Arc<UnsoundInstances>> = LazyLock::new(Arc::default);
        let mut all = all.map(|Self(why)| why);
        let Some(first) = all.next() else { return Arc::clone(&NONE) };
        Arc::new(UnsoundInstances { count: 1 + all.count(), why: (**first).clone() })
    }
}

// === impl ReadNodes ===

impl<M: Clone> ReadNodes<M> {
    /// How many nodes are passed over to take on `news`: of a long list all, though one has changed.
    pub(super) fn items(&self, news: &NodeNews) -> usize {
        self.nodes.len().max(news.len())
    }

    /// Takes on what has come, changed and gone; says whether there was any of that. `read` says what a node means,
    /// which may be what it meant before: `None`.
    pub(super) fn take_on(
        &mut self,
        news: NodeNews,
        mut read: impl FnMut(&TreeNode, Option<&M>) -> Option<M>,
    ) -> bool {
        let are_all = news.all.is_some();
        let all = news.all.into_iter().flatten().map(|node| (node.name, Some(node.value)));
        let hashed = |(name, value): (NodeName, _)| (hasher().hash_one(&*name), name, value);
        let mut said: Vec<_> = all.chain(news.changes).map(hashed).collect();
        // Of several with one name the last counts, which stays behind the others.
        said.sort_by_key(|(hash, ..)| *hash);
        let mut said = said.into_iter().peekable();
        let (before, mut nodes) = (Arc::clone(&self.nodes), Vec::new());
        let mut before = before.iter().peekable();
        let mut is_news = false;
        while let Some((hash, name, value)) = said.next() {
            if said.peek().is_some_and(|(next, ..)| *next == hash) {
                continue;
            }
            while let Some(other) = before.next_if(|other| other.name < hash) {
                nodes.extend((!are_all).then(|| other.clone()));
                is_news |= are_all;
            }
            let known = before.next_if(|known| known.name == hash);
            let Some(value) = value else {
                is_news |= known.is_some();
                continue;
            };
            let read = read(&TreeNode { name, value }, known.map(|known| &known.meaning));
            is_news |= read.is_some();
            let node = |meaning| ReadNode { name: hash, meaning };
            nodes.extend(read.map(node).or_else(|| known.cloned()));
        }
        is_news |= are_all && before.peek().is_some();
        if is_news {
            nodes.extend(before.filter(|_| !are_all).cloned());
            self.nodes = nodes.into();
        }
        is_news
    }

    /// Replaces what nodes mean; `None` stays. Says whether there was any other.
    pub(super) fn replace(&mut self, mut by: impl FnMut(&M) -> Option<M>) -> bool {
        let other = |(at, node): (_, &ReadNode<M>)| Some((at, by(&node.meaning)?));
        let others: Vec<_> = self.nodes.iter().enumerate().filter_map(other).collect();
        if others.is_empty() {
            return false;
        }
        let nodes = Arc::make_mut(&mut self.nodes);
        for (at, meaning) in others {
            nodes[at].meaning = meaning;
        }
        true
    }
}

impl<M> Default for ReadNodes<M> {
    fn default() -> Self {
        Self { nodes: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_change_of_a_long_list_is_as_much_work_as_the_list() {
        let node =
            |number: usize| TreeNode { name: number.to_string().into(), value: Bytes::new() };
        let mut nodes = ReadNodes::default();
        let all = NodeNews::all((0..1000).map(node).collect());
        assert_eq!(nodes.items(&all), 1000);
        nodes.take_on(all, |_, _| Some(()));
        let mut change = NodeNews::default();
        change.changes.insert("1001".into(), None);
        assert_eq!(nodes.items(&change), 1000);
    }
}
