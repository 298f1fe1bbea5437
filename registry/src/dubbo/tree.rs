//! A server that keeps small values by path, some of which end with the session that wrote them: what
//! ZooKeeper and etcd have in common, as Dubbo's layouts use it.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use rpc_core::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config_center::ConfigUpdates;

/// A child of a path. It may be a part of a server's answer, and hold the memory of all of that: it is to be read and
/// dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeNode {
    /// The last segment of its path, as the server has it: still encoded.
    pub(crate) name: NodeName,
    /// Its value; empty unless it was asked for.
    pub(crate) value: Bytes,
}

/// All children of a path, as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadChildren {
    pub(crate) nodes: Vec<TreeNode>,
    /// What tells later whether they are still so; `None` where the server cannot tell.
    pub(crate) mark: Option<TreeMark>,
}

/// Which reading of children it was. What its numbers are is the tree's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreeMark {
    /// The change at the server up to which it knows all.
    pub(crate) seen: i64,
    /// What other children had another of, as far as `seen` does not tell.
    pub(crate) children: i64,
}

impl TreeMark {
    /// Of a reading that came as these bytes, for a server that tells no changes: others make another one, as surely as
    /// their digests differ.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        // Random, as others write the bytes.
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let mut digest = KEY.build_hasher();
        digest.write(bytes);
        let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        Self { seen: digest.finish().cast_signed(), children: length }
    }
}

/// The name of a node. Those of providers are long, so it need not be copied out of an answer.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeName(Bytes);

impl From<Bytes> for NodeName {
    /// What is no text is made one.
    fn from(name: Bytes) -> Self {
        match str::from_utf8(&name) {
            Ok(_) => Self(name),
            Err(_) => String::from_utf8_lossy(&name).into_owned().into(),
        }
    }
}

impl From<String> for NodeName {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<&str> for NodeName {
    fn from(name: &str) -> Self {
        name.to_owned().into()
    }
}

impl From<Vec<TreeNode>> for ReadChildren {
    fn from(nodes: Vec<TreeNode>) -> Self {
        Self { nodes, mark: None }
    }
}

impl Deref for NodeName {
    type Target = str;

    fn deref(&self) -> &str {
        // It was one when it was made.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// A child that came, changed or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangedNode {
    /// As that of a [`TreeNode`].
    pub(crate) name: NodeName,
    /// Its value, as that of a [`TreeNode`]; `None` if it has gone.
    pub(crate) value: Option<Bytes>,
}

/// Where a watch of children puts what it sees. What is put later is newer.
///
/// A tree keeps neither names nor values of a list: who needs them keeps what they mean.
pub(crate) trait NodeSink: Send + Sync {
    /// All children that there are.
    fn put_all(&self, read: ReadChildren);

    /// Those that came, changed or went since all were put. A child may be put again as it was.
    fn put_changes(&self, changes: Vec<ChangedNode>);

    /// Puts this reading again if it is what was put last, and says whether it is; `false` where that is not known,
    /// which is the default.
    fn confirm(&self, mark: Option<TreeMark>) -> bool {
        let _ = mark;
        false
    }
}

/// The whole list, for those whose lists are short.
impl NodeSink for watch::Sender<Option<Arc<[TreeNode]>>> {
    fn put_all(&self, read: ReadChildren) {
        self.send_replace(Some(read.nodes.into()));
    }

    fn put_changes(&self, changes: Vec<ChangedNode>) {
        self.send_modify(|present| {
            let present_nodes = present.iter().flat_map(|nodes| nodes.iter().cloned());
            let mut nodes: BTreeMap<NodeName, Bytes> =
                present_nodes.map(|TreeNode { name, value }| (name, value)).collect();
            for ChangedNode { name, value } in changes {
                match value {
                    Some(value) => nodes.insert(name, value),
                    None => nodes.remove(&name),
                };
            }
            let node = |(name, value)| TreeNode { name, value };
            *present = Some(nodes.into_iter().map(node).collect());
        });
    }
}

/// Where a watch of a value puts it, or its absence. What is put later is newer.
pub(crate) trait ValueSink: Send + Sync {
    /// The value as it is now.
    fn put_value(&self, value: Option<Bytes>);
}

/// The outer `None` is "not read yet".
impl ValueSink for watch::Sender<Option<Option<Bytes>>> {
    fn put_value(&self, value: Option<Bytes>) {
        self.send_replace(Some(value));
    }
}

impl ValueSink for ConfigUpdates {
    fn put_value(&self, value: Option<Bytes>) {
        self.put(value);
    }
}

/// What is read of the children of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadOf {
    /// Their names. A change of a value alone need not be noticed.
    Names,
    /// Their names and values.
    Values,
}

/// One session with a server that keeps values by path.
///
/// Paths begin with `/` and do not end with it; their segments are encoded already. An operation makes
/// the parents that it needs. It never retries: it fails and says why, and is called again in this
/// session or the next.
///
/// # Cancel safety
/// Every future may be dropped at any time; an operation that writes may then have written or not.
#[async_trait]
pub(crate) trait NodeTree: fmt::Debug + Send + Sync + 'static {
    /// Puts a value that ends with this session. A node of an older session or of another process is
    /// replaced, so that it does not vanish with that; one that this session owns and that has this
    /// value is left alone, and costs a read.
    async fn put_owned(&self, path: &str, value: Bytes) -> Result<(), Error>;

    /// Removes a node if this session owns it; succeeds if another does, or there is none.
    async fn remove_owned(&self, path: &str) -> Result<(), Error>;

    /// Changes a value that outlives sessions. `edit` is given the present value, if there is one, and
    /// returns the new one, or `None` to leave it; if another writer comes first, it is asked again, at
    /// most ten times.
    async fn edit(
        &self,
        path: &str,
        edit: &(dyn for<'a> Fn(Option<&'a [u8]>) -> Option<Bytes> + Send + Sync),
    ) -> Result<(), Error>;

    /// Removes a value that outlives sessions; succeeds if there is none. One that has children becomes
    /// empty.
    async fn remove_lasting(&self, path: &str) -> Result<(), Error>;

    /// The value at `path`, if there is a node.
    async fn value(&self, path: &str) -> Result<Option<Bytes>, Error>;

    /// The children of `path`, in any order; none if it does not exist. One that we may not read beside others
    /// has no value.
    async fn children(&self, path: &str, read: ReadOf) -> Result<Vec<TreeNode>, Error> {
        let read = self.children_since(path, read, None).await?;
        Ok(read.map_or_else(Vec::new, |read| read.nodes))
    }

    /// As [`children`](Self::children), unless they are those of which `mark` is; then `None`, and they do
    /// not come over the wire where the server can tell. `read` is what it was for them.
    async fn children_since(
        &self,
        path: &str,
        read: ReadOf,
        mark: Option<TreeMark>,
    ) -> Result<Option<ReadChildren>, Error>;

    /// How many children `path` has, of which none has children itself, as is so of owned nodes; none if it
    /// does not exist.
    async fn count(&self, path: &str) -> Result<usize, Error> {
        Ok(self.children(path, ReadOf::Names).await?.len())
    }

    /// Puts the children of `path` into `sink` at once, and what changes of them, until the watch or the
    /// session is lost. Changes that come fast may be put together. A path that does not exist has no
    /// children, and is watched all the same.
    async fn watch_children(
        &self,
        path: &str,
        read: ReadOf,
        sink: &dyn NodeSink,
    ) -> Result<(), Error>;

    /// Puts the value at `path`, or its absence, into `sink` at once and after each change, until the
    /// watch or the session is lost.
    async fn watch_value(&self, path: &str, sink: &dyn ValueSink) -> Result<(), Error>;

    /// Ends the session, so that what it owns is gone at once; the server forgets the rest of it where that fails.
    async fn end(&self) {}

    /// Waits until the session is lost.
    async fn closed(&self);

    /// Why the session was lost, if it was and the reason is known.
    fn reason(&self) -> Option<Error>;

    /// When lists are complete, if the server may have forgotten what others have registered and they need
    /// time to do that again; `None`, the default, if it keeps that.
    fn complete_from(&self) -> Option<Instant> {
        None
    }
}
