//! A server of trees inside the test: several sessions on one store, and faults on command.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use rpc_core::Error;
use tokio::sync::watch;

use super::memory_nodes::Nodes;
use super::tree::{
    ChangedNode, NodeSink, NodeTree, ReadChildren, ReadOf, TreeMark, TreeNode, ValueSink,
};
use crate::lock::locked;

/// What all sessions share.
#[derive(Default)]
pub(crate) struct MemoryStore {
    state: Mutex<Nodes>,
    /// Wakes the watches.
    changes: watch::Sender<u64>,
}

/// One session with the store.
pub(crate) struct MemoryTree {
    store: Arc<MemoryStore>,
    id: u64,
    is_lost: watch::Sender<bool>,
}

// === impl MemoryStore ===

impl MemoryStore {
    pub(crate) fn open(self: &Arc<Self>) -> Arc<MemoryTree> {
        let mut state = locked(&self.state);
        state.sessions += 1;
        let (id, is_lost) = (state.sessions, watch::Sender::new(false));
        Arc::new(MemoryTree { store: Arc::clone(self), id, is_lost })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Nodes) -> T) -> T {
        let changed = change(&mut locked(&self.state));
        self.changes.send_modify(|count| *count += 1);
        changed
    }

    /// Writes a node as another program would, lasting.
    pub(crate) fn write(&self, path: &str, value: &str) {
        self.change(|state| state.put(path, Bytes::copy_from_slice(value.as_bytes()), None));
    }

    /// Removes a node by hand.
    pub(crate) fn delete(&self, path: &str) {
        self.change(|state| state.by_path.remove(path));
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let state = locked(&self.state);
        let node = state.by_path.get(path)?;
        Some(String::from_utf8(node.value.to_vec()).unwrap())
    }

    /// The names of the children of `path`.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let children = locked(&self.state).children(path, ReadOf::Names);
        children.iter().map(|node| node.name.to_string()).collect()
    }

    /// The session that owns a node.
    pub(crate) fn owner(&self, path: &str) -> Option<u64> {
        locked(&self.state).by_path.get(path)?.owner
    }

    /// The operations since the last time.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.state).log)
    }

    pub(crate) fn watches(&self, path: &str) -> usize {
        locked(&self.state).watched.get(path).copied().unwrap_or(0)
    }

    pub(crate) fn all_watches(&self) -> usize {
        locked(&self.state).watched.values().sum()
    }

    pub(crate) fn fail_reads(&self, path: &str, is_failing: bool) {
        let unreadable = &mut locked(&self.state).unreadable;
        if is_failing {
            unreadable.insert(path.to_owned());
        } else {
            unreadable.remove(path);
        }
    }

    /// Has operations on a path wait, or not any more.
    pub(crate) fn hold(&self, path: &str, is_held: bool) {
        self.change(|state| match is_held {
            true => state.held.insert(path.to_owned()),
            false => state.held.remove(path),
        });
    }

    pub(crate) fn fail_writes(&self, count: usize) {
        locked(&self.state).failing_writes = count;
    }

    /// Watches notice nothing any more, and do not end.
    pub(crate) fn deafen(&self) {
        locked(&self.state).is_deaf = true;
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(locked(&self.state).by_path.keys().map(|path| (path, ()))).finish()
    }
}

// === impl MemoryTree ===

impl MemoryTree {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The session is lost; what it owns stays, as it does until a server notices.
    pub(crate) fn lose(&self) {
        self.is_lost.send_replace(true);
    }

    /// The session ends, and what it owns with it.
    pub(crate) fn expire(&self) {
        self.lose();
        self.store.change(|state| state.by_path.retain(|_, node| node.owner != Some(self.id)));
    }

    /// An operation, unless the session is lost.
    async fn act<T>(
        &self,
        path: &str,
        act: impl FnOnce(&mut Nodes) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // What awaits a server lets others run, and may be dropped here.
        tokio::task::yield_now().await;
        let mut changes = self.store.changes.subscribe();
        let is_free = |_: &u64| !locked(&self.store.state).held.contains(path);
        let _ = changes.wait_for(is_free).await;
        match self.reason() {
            Some(lost) => Err(lost),
            None => act(&mut locked(&self.store.state)),
        }
    }

    /// Puts what `read` finds at once and after each change, until the session is lost.
    async fn follow<T: PartialEq>(
        &self,
        path: &str,
        newest: &watch::Sender<Option<T>>,
        read: impl Fn(&Nodes) -> T,
    ) -> Result<(), Error> {
        self.act(path, |state| state.began("watch", path)).await?;
        let _open = OpenWatch::new(&self.store, path);
        let (mut changes, mut is_lost) = (self.store.changes.subscribe(), self.is_lost.subscribe());
        loop {
            changes.mark_unchanged();
            let found = {
                let state = locked(&self.store.state);
                (!state.is_deaf || newest.borrow().is_none()).then(|| read(&state))
            };
            newest.send_if_modified(|newest| {
                let is_news = found.is_some() && *newest != found;
                if is_news {
                    *newest = found;
                }
                is_news
            });
            tokio::select! {
                _ = changes.changed() => {}
                _ = is_lost.wait_for(|is| *is) => {
                    return Err(Error::closed("the session is lost"));
                }
            }
        }
    }
}

/// What is to be told to whoever knows `before`.
fn changes(before: &[TreeNode], after: &[TreeNode]) -> Vec<ChangedNode> {
    let gone = before.iter().filter(|node| !after.iter().any(|other| other.name == node.name));
    let gone = gone.map(|node| ChangedNode { name: node.name.clone(), value: None });
    let put = after.iter().filter(|node| !before.contains(node));
    let put =
        put.map(|node| ChangedNode { name: node.name.clone(), value: Some(node.value.clone()) });
    gone.chain(put).collect()
}

/// Counts an open watch.
struct OpenWatch(Arc<MemoryStore>, String);

impl OpenWatch {
    fn new(store: &Arc<MemoryStore>, path: &str) -> Self {
        *locked(&store.state).watched.entry(path.to_owned()).or_default() += 1;
        Self(Arc::clone(store), path.to_owned())
    }
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        if let Some(count) = locked(&self.0.state).watched.get_mut(&self.1) {
            *count -= 1;
        }
    }
}

impl fmt::Debug for MemoryTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryTree").field(&self.id).finish()
    }
}

#[async_trait]
impl NodeTree for MemoryTree {
    async fn put_owned(&self, path: &str, value: Bytes) -> Result<(), Error> {
        let is_ours = self.act(path, |state| {
            state.began("get", path)?;
            let node = state.by_path.get(path);
            Ok(node.is_some_and(|node| node.owner == Some(self.id) && node.value == value))
        });
        if is_ours.await? {
            return Ok(());
        }
        self.act(path, |state| state.writes("put", path)).await?;
        self.store.change(|state| state.put(path, value, Some(self.id)));
        Ok(())
    }

    async fn remove_owned(&self, path: &str) -> Result<(), Error> {
        self.act(path, |state| state.writes("remove", path)).await?;
        self.store.change(|state| {
            if state.by_path.get(path).is_some_and(|node| node.owner == Some(self.id)) {
                state.by_path.remove(path);
            }
        });
        Ok(())
    }

    async fn edit(
        &self,
        path: &str,
        edit: &(dyn for<'a> Fn(Option<&'a [u8]>) -> Option<Bytes> + Send + Sync),
    ) -> Result<(), Error> {
        let present = self.value(path).await?;
        let Some(edited) = edit(present.as_deref()) else { return Ok(()) };
        self.act(path, |state| state.writes("edit", path)).await?;
        self.store.change(|state| {
            // No other comes between here.
            let present = state.by_path.get(path).map(|node| node.value.clone());
            let edited = edit(present.as_deref()).unwrap_or(edited);
            state.put(path, edited, None);
        });
        Ok(())
    }

    async fn remove_lasting(&self, path: &str) -> Result<(), Error> {
        self.act(path, |state| state.writes("remove", path)).await?;
        self.store.change(|state| state.by_path.remove(path));
        Ok(())
    }

    async fn value(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let read = |state: &mut Nodes| {
            state.began("get", path)?;
            Ok(state.by_path.get(path).map(|node| node.value.clone()))
        };
        self.act(path, read).await
    }

    async fn children_since(
        &self,
        path: &str,
        read: ReadOf,
        mark: Option<TreeMark>,
    ) -> Result<Option<ReadChildren>, Error> {
        let list = |state: &mut Nodes| {
            if let Some(mark) = mark {
                state.began("check", path)?;
                if state.are_marked(path, mark) {
                    return Ok(None);
                }
            }
            state.began("list", path)?;
            Ok(Some(state.marked_children(path, read)))
        };
        self.act(path, list).await
    }

    async fn watch_children(
        &self,
        path: &str,
        read: ReadOf,
        sink: &dyn NodeSink,
    ) -> Result<(), Error> {
        let newest = watch::Sender::<Option<ReadChildren>>::new(None);
        let mut found = newest.subscribe();
        let putting = async {
            let (mut known, mut is_whole) = (Vec::new(), true);
            loop {
                // Its sender is held here.
                let _ = found.changed().await;
                let Some(read) = found.borrow_and_update().clone() else { continue };
                let nodes = read.nodes.clone();
                // Some servers tell all, some what has changed.
                match is_whole {
                    true => sink.put_all(read),
                    false => sink.put_changes(changes(&known, &nodes)),
                }
                (known, is_whole) = (nodes, !is_whole);
            }
        };
        tokio::select! {
            biased;
            () = putting => Ok(()),
            ended = self.follow(path, &newest, |state| state.marked_children(path, read)) => ended,
        }
    }

    async fn watch_value(&self, path: &str, sink: &dyn ValueSink) -> Result<(), Error> {
        let newest = watch::Sender::new(None);
        let mut found = newest.subscribe();
        let putting = async {
            loop {
                // Its sender is held here.
                let _ = found.changed().await;
                let value = found.borrow_and_update().clone();
                value.into_iter().for_each(|value| sink.put_value(value));
            }
        };
        let read = |state: &Nodes| state.by_path.get(path).map(|node| node.value.clone());
        tokio::select! {
            biased;
            () = putting => Ok(()),
            ended = self.follow(path, &newest, read) => ended,
        }
    }

    async fn closed(&self) {
        let _ = self.is_lost.subscribe().wait_for(|is| *is).await;
    }

    fn reason(&self) -> Option<Error> {
        self.is_lost.borrow().then(|| Error::closed("the session is lost"))
    }
}
