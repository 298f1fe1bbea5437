//! A list of children that is followed: only what has changed is read again, and nothing is kept but the
//! watches.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use rpc_core::Turns;

use super::client::{OpFailure, PathWatches};
use super::message::{NodeStat, ServerCode};
use super::name_set::NameSet;
use crate::dubbo::{ChangedNode, NodeName, ReadOf, TreeNode};

/// Values of one list that are read at the same time.
pub(super) const READS: usize = 64;

/// A list that is followed, and the watches that tell when what was read is old.
pub(super) struct WatchedList<'a> {
    watching: &'a PathWatches<'a>,
    path: &'a Arc<str>,
    read: ReadOf,
    /// How many names there were last; `None` before the first reading.
    count: Option<usize>,
}

/// What was read.
pub(super) enum ListSeen {
    All(Vec<TreeNode>),
    Changes(Vec<ChangedNode>),
}

/// A node that was read by its name, if it is there.
type ReadChild = (NodeName, Result<Option<(Bytes, NodeStat)>, OpFailure>);

/// The values of children. One that we may not read has an empty one, so that it costs no other; if we may read
/// none of all, that is for us to mend.
pub(super) fn readable(
    children: Vec<ReadChild>,
    are_all: bool,
) -> Result<Vec<(NodeName, Option<Bytes>)>, OpFailure> {
    let is_refused = |failure: &OpFailure| failure.code() == Some(ServerCode::NoAuth);
    let is_closed = |(_, read): &ReadChild| read.as_ref().is_err_and(is_refused);
    if are_all && !children.is_empty() && children.iter().all(is_closed) {
        return Err(ServerCode::NoAuth.into());
    }
    let value = |(name, read): ReadChild| match read {
        Err(failure) if is_refused(&failure) => Ok((name, Some(Bytes::new()))),
        read => Ok((name, read?.map(|(value, _)| value))),
    };
    children.into_iter().map(value).collect()
}

impl<'a> WatchedList<'a> {
    /// A list of which nothing has been read yet.
    pub(super) fn new(watching: &'a PathWatches<'a>, path: &'a Arc<str>, read: ReadOf) -> Self {
        Self { watching, path, read, count: None }
    }

    /// How many children there were when they were read last.
    pub(super) fn len(&self) -> usize {
        self.count.unwrap_or(0)
    }

    /// Reads what has changed, and sets its watches again.
    pub(super) async fn read_again(
        &mut self,
        changes: HashSet<Arc<str>>,
    ) -> Result<ListSeen, OpFailure> {
        let is_first = self.count.is_none();
        let names = match changes.contains(self.path) {
            true => Some(self.read_names().await?),
            false => None,
        };
        self.count = names.as_ref().map(Vec::len).or(self.count);
        if self.read == ReadOf::Names {
            let Some(names) = names else { return Ok(ListSeen::Changes(Vec::new())) };
            let node = |name| TreeNode { name, value: Bytes::new() };
            return Ok(ListSeen::All(names.into_iter().map(node).collect()));
        }
        let (gone, new) = match names {
            Some(names) => self.compare(names).await,
            None => (NameSet::default(), Vec::new()),
        };
        let changed = changes.iter().filter_map(|change| self.watching.name_of(change));
        let mut stale: HashSet<String> =
            changed.filter(|name| self.watching.has_child(name)).map(str::to_owned).collect();
        stale.extend(new);
        let gone = gone.iter().map(|name| ChangedNode { name: name.into(), value: None });
        let mut seen: Vec<_> = gone.collect();
        seen.extend(self.read_values(stale, is_first).await?);
        Ok(match is_first {
            true => {
                let node =
                    |node: ChangedNode| Some(TreeNode { name: node.name, value: node.value? });
                ListSeen::All(seen.into_iter().filter_map(node).collect())
            }
            false => ListSeen::Changes(seen),
        })
    }

    async fn read_names(&self) -> Result<Vec<NodeName>, OpFailure> {
        let mut names = self.watching.children().await?;
        // There is no node: its coming is awaited, unless it has come meanwhile.
        while names.is_none() && self.watching.exists().await? {
            names = self.watching.children().await?;
        }
        Ok(names.unwrap_or_default())
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
    ) -> Result<Vec<ChangedNode>, OpFailure> {
        if names.is_empty() {
            return Ok(Vec::new());
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
        let read = readable(read, are_all)?;
        // One that has gone since its name was read is told by the watch of the names, too.
        Ok(read.into_iter().map(|(name, value)| ChangedNode { name, value }).collect())
    }
}
