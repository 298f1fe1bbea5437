//! A list of children that is followed: only what has changed is read again, and nothing is kept but the
//! watches.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use rpc_core::Turns;
use tokio::time::Instant;

use super::client::{OpFailure, PathWatches, ReadNames};
use super::message::{NodeStat, ServerCode};
use super::name_set::NameSet;
use crate::dubbo::{ChangedNode, NodeName, NodeSink, ReadChildren, ReadOf, TreeNode};

/// Nodes of one list that are read, or asked whether they have changed, at the same time.
pub(super) const READS: usize = 64;

/// The least time between two reads of a list that changes, and as much again for each
/// [`PER_GAP`] children.
pub(super) const GAP: Duration = Duration::from_millis(100);
const PER_GAP: usize = 1000;

/// A list that is followed, and the watches that tell when what was read is old.
pub(super) struct WatchedList<'a> {
    watching: &'a PathWatches<'a>,
    path: &'a Arc<str>,
    read: ReadOf,
    /// How many names there were last; `None` before the first reading.
    count: Option<usize>,
}

/// What was read.
enum ListSeen {
    All(ReadChildren),
    Changes(Vec<ChangedNode>),
}

/// The values of children, by name; `None` has gone.
pub(super) struct ReadValues {
    pub(super) values: Vec<(NodeName, Option<Bytes>)>,
    /// Whether there is none that we may not read. The right to read one changes without a change of the node, so
    /// what was refused is to be asked for again.
    pub(super) is_whole: bool,
}

/// A node that was read by its name, if it is there.
type ReadChild = (NodeName, Result<Option<(Bytes, NodeStat)>, OpFailure>);

/// The values of children. One that we may not read has an empty one, so that it costs no other; if we may read
/// none of all, that is for us to mend.
pub(super) fn readable(children: Vec<ReadChild>, are_all: bool) -> Result<ReadValues, OpFailure> {
    let is_refused = |failure: &OpFailure| failure.code() == Some(ServerCode::NoAuth);
    let is_closed = |(_, read): &ReadChild| read.as_ref().is_err_and(is_refused);
    if are_all && !children.is_empty() && children.iter().all(is_closed) {
        return Err(ServerCode::NoAuth.into());
    }
    let is_whole = !children.iter().any(is_closed);
    let value = |(name, read): ReadChild| match read {
        Err(failure) if is_refused(&failure) => Ok((name, Some(Bytes::new()))),
        read => Ok((name, read?.map(|(value, _)| value))),
    };
    let values = children.into_iter().map(value).collect::<Result<_, OpFailure>>()?;
    Ok(ReadValues { values, is_whole })
}

impl<'a> WatchedList<'a> {
    /// A list of which nothing has been read yet.
    pub(super) fn new(watching: &'a PathWatches<'a>, path: &'a Arc<str>, read: ReadOf) -> Self {
        Self { watching, path, read, count: None }
    }

    /// Puts what has changed into `sink`, and sets its watches again; returns when it may be read again.
    pub(super) async fn put_changes(
        &mut self,
        changes: BTreeSet<Arc<str>>,
        sink: &dyn NodeSink,
    ) -> Result<Instant, OpFailure> {
        let seen = self.read_again(changes).await?;
        let gaps = 1 + self.count.unwrap_or(0) / PER_GAP;
        let next = Instant::now() + GAP * u32::try_from(gaps).unwrap_or(u32::MAX);
        match seen {
            ListSeen::All(read) => sink.put_all(read),
            ListSeen::Changes(nodes) => sink.put_changes(nodes),
        }
        Ok(next)
    }

    async fn read_again(&mut self, changes: BTreeSet<Arc<str>>) -> Result<ListSeen, OpFailure> {
        let is_first = self.count.is_none();
        let names = match changes.contains(self.path) {
            true => Some(self.read_names().await?),
            false => None,
        };
        self.count = names.as_ref().map(|read| read.names.len()).or(self.count);
        let mark = names.as_ref().map(|read| read.mark);
        if self.read == ReadOf::Names {
            let Some(ReadNames { names, .. }) = names else {
                return Ok(ListSeen::Changes(Vec::new()));
            };
            let node = |name| TreeNode { name, value: Bytes::new() };
            let nodes = names.into_iter().map(node).collect();
            return Ok(ListSeen::All(ReadChildren { nodes, mark }));
        }
        let (gone, new) = match names {
            Some(read) => self.compare(read.names).await,
            None => (NameSet::default(), Vec::new()),
        };
        let changed = changes.iter().filter_map(|change| self.watching.name_of(change));
        let mut stale: HashSet<String> =
            changed.filter(|name| self.watching.has_child(name)).map(str::to_owned).collect();
        stale.extend(new);
        let gone = gone.iter().map(|name| ChangedNode { name: name.into(), value: None });
        let mut seen: Vec<_> = gone.collect();
        let ReadValues { values, is_whole } = self.read_values(stale, is_first).await?;
        // One that has gone since its name was read is told by the watch of the names, too.
        seen.extend(values.into_iter().map(|(name, value)| ChangedNode { name, value }));
        Ok(match is_first {
            true => {
                let node =
                    |node: ChangedNode| Some(TreeNode { name: node.name, value: node.value? });
                let nodes = seen.into_iter().filter_map(node).collect();
                ListSeen::All(ReadChildren { nodes, mark: mark.filter(|_| is_whole) })
            }
            false => ListSeen::Changes(seen),
        })
    }

    async fn read_names(&self) -> Result<ReadNames, OpFailure> {
        let mut names = self.watching.children().await?;
        // There is no node: its coming is awaited, unless it has come meanwhile.
        while names.is_none() && self.watching.exists().await? {
            names = self.watching.children().await?;
        }
        Ok(names.unwrap_or_else(ReadNames::none))
    }

    /// Those whose values are watched and which are not among `names`, whose watches end, and those that
    /// are new there.
    async fn compare(&self, names: Vec<NodeName>) -> (NameSet, Vec<String>) {
        let names: HashSet<String> = names.iter().map(ToString::to_string).collect();
        let gone = self.watching.forget_children(|name| !names.contains(name));
        let (mut new, mut turns) = (Vec::new(), Turns::new());
        for name in names {
            turns.next().await;
            if !self.watching.has_child(&name) {
                new.push(name);
            }
        }
        (gone, new)
    }

    /// The values of these children, which may be all; none of one that has gone.
    async fn read_values(
        &self,
        names: HashSet<String>,
        are_all: bool,
    ) -> Result<ReadValues, OpFailure> {
        if names.is_empty() {
            return readable(Vec::new(), are_all);
        }
        self.watching.enter_children(names.iter().map(String::as_str));
        let values = stream::iter(names).map(async |name| {
            let value = self.watching.get_child(&name).await;
            (name.into(), value)
        });
        let read: Vec<ReadChild> = values.buffer_unordered(READS).collect().await;
        let unread = read.iter().filter(|(_, value)| !matches!(value, Ok(Some(_))));
        let unread: HashSet<&str> = unread.map(|(name, _)| &**name).collect();
        if !unread.is_empty() {
            self.watching.forget_children(|name| unread.contains(name));
        }
        readable(read, are_all)
    }
}
