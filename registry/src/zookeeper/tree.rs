//! The nodes of a ZooKeeper session as [`NodeTree`].

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use rpc_core::Error;
use tokio::time::{Instant, sleep_until};

use super::client::{OpFailure, PathWatches, ReadNames, ZooKeeperClient};
use super::connection::{MAX_ANSWER, RequestFailure};
use super::message::{ANY_VERSION, NewNode, NodeAccess, NodeStat, ServerCode};
use super::watched_list::{GAP, READS, WatchedList, readable};
use crate::dubbo::{
    NodeName, NodeSink, NodeTree, ReadChildren, ReadOf, TreeMark, TreeNode, ValueSink,
};

/// How often a write is begun again because another writer came first.
const TRIES: usize = 10;

/// A session with ZooKeeper.
#[derive(Debug)]
pub(crate) struct ZooKeeperTree {
    client: ZooKeeperClient,
    /// The address of the registry, for people.
    registry: Arc<str>,
    /// In front of every path; empty, or begins with `/` and does not end with it.
    chroot: Arc<str>,
    access: NodeAccess,
}

impl ZooKeeperTree {
    pub(super) fn new(
        client: ZooKeeperClient,
        (registry, chroot): (&Arc<str>, &Arc<str>),
        access: NodeAccess,
    ) -> Self {
        Self { client, registry: Arc::clone(registry), chroot: Arc::clone(chroot), access }
    }

    pub(super) fn client(&self) -> &ZooKeeperClient {
        &self.client
    }

    pub(super) fn full(&self, path: &str) -> Arc<str> {
        format!("{}{path}", self.chroot).into()
    }

    fn node<'a>(&self, path: &'a str, value: &'a [u8], is_owned: bool) -> NewNode<'a> {
        NewNode { path, value, is_owned, access: self.access }
    }

    /// Creates a node, and its parents if it needs them.
    async fn create(&self, node: NewNode<'_>) -> Result<(), OpFailure> {
        match self.client.create(node).await {
            Err(failure) if failure.code() == Some(ServerCode::NoNode) => {
                self.create_parents(node.path).await?;
                self.client.create(node).await
            }
            done => done,
        }
    }

    /// Creates the parents of `path`, from the deepest that is possible on.
    async fn create_parents(&self, path: &str) -> Result<(), OpFailure> {
        let mut missing: Vec<&str> = Vec::new();
        for (end, _) in path.rmatch_indices('/').filter(|(end, _)| *end > 0) {
            let parent = &path[..end];
            match self.client.create(self.node(parent, &[], false)).await {
                Err(failure) if failure.code() == Some(ServerCode::NoNode) => missing.push(parent),
                done => {
                    unless_exists(done)?;
                    break;
                }
            }
        }
        for parent in missing.into_iter().rev() {
            unless_exists(self.client.create(self.node(parent, &[], false)).await)?;
        }
        Ok(())
    }

    async fn put(&self, path: &str, value: &[u8]) -> Result<(), OpFailure> {
        let ours = self.client.session();
        let mut last = None;
        for _ in 0..TRIES {
            let done = match self.client.get(path).await? {
                Some((present, stat)) if stat.owner == ours && *present == *value => return Ok(()),
                Some((_, stat)) if stat.owner == ours => {
                    match self.client.set(path, value, stat.version).await {
                        // Another session has taken it over meanwhile; a new node may have the same version.
                        Ok(stat) if stat.owner != ours => Err(ServerCode::BadVersion.into()),
                        done => done.map(drop),
                    }
                }
                Some(_) => self.client.replace(self.node(path, value, true)).await,
                None => self.create(self.node(path, value, true)).await,
            };
            match done {
                Err(failure) if is_race(failure) => last = Some(failure),
                done => return done,
            }
        }
        last.map_or(Ok(()), Err)
    }

    async fn remove(&self, path: &str) -> Result<(), OpFailure> {
        let ours = self.client.session();
        for _ in 0..TRIES {
            match self.client.get(path).await? {
                Some((_, stat)) if stat.owner == ours => {
                    match self.client.delete(path, stat.version).await {
                        Err(failure) if is_race(failure) => {}
                        done => return done,
                    }
                }
                _ => return Ok(()),
            }
        }
        Err(ServerCode::BadVersion.into())
    }

    async fn try_remove_lasting(&self, path: &str) -> Result<(), OpFailure> {
        match self.client.delete(path, ANY_VERSION).await {
            Err(failure) if failure.code() == Some(ServerCode::NoNode) => Ok(()),
            Err(failure) if failure.code() == Some(ServerCode::NotEmpty) => {
                self.client.set(path, &[], ANY_VERSION).await.map(drop)
            }
            done => done,
        }
    }

    async fn try_edit(
        &self,
        path: &str,
        edit: &(dyn for<'a> Fn(Option<&'a [u8]>) -> Option<Bytes> + Send + Sync),
    ) -> Result<(), OpFailure> {
        let mut last = None;
        for _ in 0..TRIES {
            let present = self.client.get(path).await?;
            let Some(value) = edit(present.as_ref().map(|(value, _)| &value[..])) else {
                return Ok(());
            };
            let done = match present {
                Some((_, stat)) => self.client.set(path, &value, stat.version).await.map(drop),
                None => self.create(self.node(path, &value, false)).await,
            };
            match done {
                Err(failure) if is_race(failure) => last = Some(failure),
                done => return done,
            }
        }
        last.map_or(Ok(()), Err)
    }

    /// The children of `path` as they are now, values included, unless they are those of `known`. Who lost the right
    /// to read the names meanwhile, or a value that is as it was, is not told.
    async fn read(
        &self,
        path: &str,
        read: ReadOf,
        known: Option<TreeMark>,
    ) -> Result<Option<ReadChildren>, OpFailure> {
        // Names may be long, those with values are short.
        if let (ReadOf::Names, Some(known)) = (read, known) {
            let stat = self.client.stat(path).await?;
            let none = ReadNames::none().mark.children;
            if stat.map_or(none, |stat| stat.names_changed) == known.children {
                return Ok(None);
            }
        }
        let read_names = self.client.children(path).await?;
        let ReadNames { names, mark } = read_names.unwrap_or_else(ReadNames::none);
        match (read, known) {
            (ReadOf::Names, _) => {
                let node = |name| TreeNode { name, value: Bytes::new() };
                let nodes = names.into_iter().map(node).collect();
                Ok(Some(ReadChildren { nodes, mark: Some(mark) }))
            }
            (ReadOf::Values, Some(known))
                if known.children == mark.children
                    && self.are_old(path, &names, known.seen).await? =>
            {
                Ok(None)
            }
            (ReadOf::Values, _) => {
                let (nodes, is_whole) = self.read_values(path, names).await?;
                Ok(Some(ReadChildren { nodes, mark: is_whole.then_some(mark) }))
            }
        }
    }

    /// Whether all these children are there, and none has changed since.
    async fn are_old(&self, path: &str, names: &[NodeName], seen: i64) -> Result<bool, OpFailure> {
        let is_as_old = |stat: &Option<NodeStat>| stat.is_some_and(|stat| stat.changed <= seen);
        for names in names.chunks(READS) {
            let paths = names.iter().map(|name| format!("{path}/{name}"));
            if !self.client.stats(paths).await?.iter().all(is_as_old) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// These children with their values, and whether there is none that we may not read.
    async fn read_values(
        &self,
        path: &str,
        names: Vec<NodeName>,
    ) -> Result<(Vec<TreeNode>, bool), OpFailure> {
        let values = stream::iter(names).map(async |name| {
            let value = self.client.get(&format!("{path}/{name}")).await;
            (name, value)
        });
        let read = readable(values.buffer_unordered(READS).collect().await, true)?;
        // One that has gone meanwhile is left out.
        let node = |(name, value): (_, Option<Bytes>)| Some(TreeNode { name, value: value? });
        Ok((read.values.into_iter().filter_map(node).collect(), read.is_whole))
    }

    async fn watch_list(
        &self,
        path: &Arc<str>,
        read: ReadOf,
        sink: &dyn NodeSink,
    ) -> Result<(), OpFailure> {
        let watching = self.client.watching(path);
        let mut list = WatchedList::new(&watching, path, read);
        let first = BTreeSet::from([Arc::clone(path)]);
        // Boxed, as what is done at a change takes no room between two of them.
        let mut next = Box::pin(list.put_changes(first, sink)).await?;
        loop {
            let mut changes = watching.changed().await?;
            rest_until(next).await;
            changes.extend(watching.take_changes());
            next = Box::pin(list.put_changes(changes, sink)).await?;
        }
    }

    async fn watch_one(&self, path: &Arc<str>, sink: &dyn ValueSink) -> Result<(), OpFailure> {
        let watching = self.client.watching(path);
        loop {
            let next = Box::pin(read_one(&watching, sink)).await?;
            watching.changed().await?;
            rest_until(next).await;
            watching.take_changes();
        }
    }

    /// What went wrong and what helps, for people.
    fn error(&self, path: &str, failure: OpFailure) -> Error {
        let registry = &self.registry;
        let path = path.escape_debug();
        let why = match failure {
            OpFailure::Request(RequestFailure::Code(ServerCode::NoAuth)) => {
                return Error::refused(format!(
                    "registry {registry}: no permission at {path}: check user and password, \
                     and who made the node"
                ));
            }
            OpFailure::Request(RequestFailure::Code(ServerCode::AuthFailed)) => {
                return Error::refused(format!(
                    "registry {registry}: it refuses our credentials: check user and password"
                ));
            }
            OpFailure::Request(RequestFailure::Code(code)) => {
                format!("{path}: {}", code.told())
            }
            OpFailure::Request(RequestFailure::TooLong(bytes)) => format!(
                "{path}: the answer has {bytes} bytes and may have {MAX_ANSWER}: \
                 too much is listed under one path"
            ),
            OpFailure::Request(RequestFailure::Lost) => {
                self.client.end().unwrap_or_else(|| "the connection is lost".to_owned())
            }
            // It will be no smaller the next time.
            OpFailure::TooLarge(bytes) => {
                return Error::invalid_config(format!(
                    "registry {registry}: {path}: a request of {bytes} bytes is more than ZooKeeper takes \
                     (jute.maxbuffer, 1 MiB): register less under one name"
                ));
            }
            OpFailure::Unreadable => format!("{path}: the answer is not ZooKeeper's protocol"),
        };
        Error::unreachable(format!("registry {registry}: {why}"))
    }
}

/// Puts a value as it is now; returns when it may be read again.
async fn read_one(watching: &PathWatches<'_>, sink: &dyn ValueSink) -> Result<Instant, OpFailure> {
    let value = loop {
        match watching.get().await? {
            Some((value, _)) => break Some(value),
            // It came in between.
            None if watching.exists().await? => {}
            None => break None,
        }
    };
    let next = Instant::now() + GAP;
    sink.put_value(value);
    Ok(next)
}

/// Waits until then; the first change after a quiet time is read at once.
async fn rest_until(next: Instant) {
    if next > Instant::now() {
        Box::pin(sleep_until(next)).await;
    }
}

/// Whether another writer came first.
fn is_race(failure: OpFailure) -> bool {
    matches!(
        failure.code(),
        Some(ServerCode::NoNode | ServerCode::NodeExists | ServerCode::BadVersion)
    )
}

fn unless_exists(done: Result<(), OpFailure>) -> Result<(), OpFailure> {
    match done {
        Err(failure) if failure.code() == Some(ServerCode::NodeExists) => Ok(()),
        done => done,
    }
}

#[async_trait]
impl NodeTree for ZooKeeperTree {
    async fn put_owned(&self, path: &str, value: Bytes) -> Result<(), Error> {
        let done = self.put(&self.full(path), &value).await;
        done.map_err(|failure| self.error(path, failure))
    }

    async fn remove_owned(&self, path: &str) -> Result<(), Error> {
        let done = self.remove(&self.full(path)).await;
        done.map_err(|failure| self.error(path, failure))
    }

    async fn edit(
        &self,
        path: &str,
        edit: &(dyn for<'a> Fn(Option<&'a [u8]>) -> Option<Bytes> + Send + Sync),
    ) -> Result<(), Error> {
        let done = self.try_edit(&self.full(path), edit).await;
        done.map_err(|failure| self.error(path, failure))
    }

    async fn remove_lasting(&self, path: &str) -> Result<(), Error> {
        let done = self.try_remove_lasting(&self.full(path)).await;
        done.map_err(|failure| self.error(path, failure))
    }

    async fn value(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let value = self.client.get(&self.full(path)).await;
        let value = value.map_err(|failure| self.error(path, failure))?;
        Ok(value.map(|(value, _)| value))
    }

    async fn children_since(
        &self,
        path: &str,
        read: ReadOf,
        mark: Option<TreeMark>,
    ) -> Result<Option<ReadChildren>, Error> {
        let children = self.read(&self.full(path), read, mark).await;
        children.map_err(|failure| self.error(path, failure))
    }

    async fn count(&self, path: &str) -> Result<usize, Error> {
        let stat = self.client.stat(&self.full(path)).await;
        let children = |stat: NodeStat| usize::try_from(stat.children).unwrap_or(0);
        stat.map(|stat| stat.map_or(0, children)).map_err(|failure| self.error(path, failure))
    }

    async fn watch_children(
        &self,
        path: &str,
        read: ReadOf,
        sink: &dyn NodeSink,
    ) -> Result<(), Error> {
        let ended = self.watch_list(&self.full(path), read, sink).await;
        ended.map_err(|failure| self.error(path, failure))
    }

    async fn watch_value(&self, path: &str, sink: &dyn ValueSink) -> Result<(), Error> {
        let ended = self.watch_one(&self.full(path), sink).await;
        ended.map_err(|failure| self.error(path, failure))
    }

    async fn end(&self) {
        self.client.end_session().await;
    }

    async fn closed(&self) {
        self.client.ended().await;
    }

    fn reason(&self) -> Option<Error> {
        let why = self.client.end()?;
        Some(Error::unreachable(format!("registry {}: {why}", self.registry)))
    }
}
