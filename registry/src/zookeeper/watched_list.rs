//! A list of children that is followed: only what has changed is read again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::client::{OpFailure, PathWatches};
use super::message::WatchKind;
use crate::dubbo::{ReadOf, TreeNode};

/// Values of one list that are read at the same time.
pub(super) const READS: usize = 64;

/// A list that is followed: what is known of it, and the watches that tell when that is old.
pub(super) struct WatchedList<'a> {
    watching: &'a PathWatches<'a>,
    path: &'a Arc<str>,
    read: ReadOf,
    nodes: HashMap<String, TreeNode>,
}

impl<'a> WatchedList<'a> {
    /// A list of which nothing is known yet.
    pub(super) fn new(watching: &'a PathWatches<'a>, path: &'a Arc<str>, read: ReadOf) -> Self {
        Self { watching, path, read, nodes: HashMap::new() }
    }

    /// The children by name.
    pub(super) fn nodes(&self) -> &HashMap<String, TreeNode> {
        &self.nodes
    }

    /// Reads what has changed, and sets its watches again.
    pub(super) async fn read_again(
        &mut self,
        changes: &HashSet<Arc<str>>,
    ) -> Result<(), OpFailure> {
        let mut stale: Vec<String> = Vec::new();
        if self.read == ReadOf::Values {
            let children = changes.iter().filter_map(|change| change.strip_prefix(&**self.path));
            let names = children.filter_map(|child| child.strip_prefix('/'));
            stale.extend(names.filter(|name| self.nodes.contains_key(*name)).map(str::to_owned));
        }
        if changes.contains(self.path) {
            stale.extend(self.read_names().await?);
        }
        if self.read == ReadOf::Values {
            self.read_values(stale).await?;
        }
        Ok(())
    }

    /// Brings the names up to date, and returns those that are new.
    async fn read_names(&mut self) -> Result<Vec<String>, OpFailure> {
        let mut names = self.watching.children(self.path).await?;
        // There is no node: its coming is awaited, unless it has come meanwhile.
        while names.is_none() && self.watching.exists(self.path).await? {
            names = self.watching.children(self.path).await?;
        }
        let names: HashSet<String> = names.unwrap_or_default().into_iter().collect();
        let gone = self.nodes.extract_if(|name, _| !names.contains(name));
        for (name, _) in gone {
            self.watching.forget(WatchKind::Value, &child(self.path, &name));
        }
        let new: Vec<_> = names.into_iter().filter(|name| !self.nodes.contains_key(name)).collect();
        for name in &new {
            let node = TreeNode { name: name.as_str().into(), value: Bytes::new() };
            self.nodes.insert(name.clone(), node);
        }
        Ok(new)
    }

    async fn read_values(&mut self, names: Vec<String>) -> Result<(), OpFailure> {
        let (watching, path) = (self.watching, self.path);
        let values = stream::iter(names).map(async |name| {
            let value = watching.get(&child(path, &name)).await?;
            Ok::<_, OpFailure>((name, value))
        });
        let values: Vec<_> = values.buffer_unordered(READS).try_collect().await?;
        for (name, value) in values {
            match value {
                Some((value, _)) => {
                    if let Some(node) = self.nodes.get_mut(&name) {
                        node.value = value;
                    }
                }
                // It has gone since its name was read, which the watch of the names tells too.
                None => drop(self.nodes.remove(&name)),
            }
        }
        Ok(())
    }
}

fn child(path: &str, name: &str) -> Arc<str> {
    format!("{path}/{name}").into()
}
