//! The providers of an interface, as its nodes name them, and the applications that it is mapped to.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use rpc_core::{Error, InstancePool};

use super::super::mapping;
use super::super::paths::is_segment;
use super::super::provider_url::{ReadProvider, Unread, read_provider};
use super::super::tree::{NodeTree, ReadOf, TreeNode};
use super::super::url::DubboUrl;
use super::shared::{KeptEnds, Understood};
use crate::sound::{self, UnsoundInstances};

/// The providers of one interface.
#[derive(Debug, Clone, Default)]
pub(super) struct Providers {
    pub(super) known: Arc<[Arc<ReadProvider>]>,
    /// What could not be read.
    pub(super) left_out: Arc<UnsoundInstances>,
}

/// Reads the names of nodes, each once.
#[derive(Default)]
pub(super) struct ProviderReader {
    by_name: HashMap<Arc<str>, Result<Arc<ReadProvider>, Unread>>,
    pool: InstancePool,
}

impl ProviderReader {
    /// Keeps the providers at `path` read; returns why that ended.
    pub(super) async fn keep(
        mut self,
        tree: Arc<dyn NodeTree>,
        path: String,
        ends: KeptEnds<Arc<[TreeNode]>, Providers>,
    ) -> Error {
        let watching = tree.watch_children(&path, ReadOf::Names, &ends.raw);
        understand(watching, &ends, |nodes| self.read(nodes)).await
    }

    /// The providers that `nodes` stand for.
    pub(super) fn read(&mut self, nodes: &[TreeNode]) -> Providers {
        let mut before = std::mem::take(&mut self.by_name);
        let mut known = Vec::with_capacity(nodes.len());
        let mut left_out = UnsoundInstances::default();
        for TreeNode { name, .. } in nodes {
            let read = before.remove(name).unwrap_or_else(|| self.read_one(name));
            match &read {
                Ok(provider) => known.push(Arc::clone(provider)),
                Err(Unread::Malformed(why)) => {
                    left_out.add(format!("{}: {why}", sound::plain(name)))
                }
                Err(Unread::NotProvided(_)) => {}
            }
            self.by_name.insert(Arc::clone(name), read);
        }
        Providers { known: known.into(), left_out: Arc::new(left_out) }
    }

    fn read_one(&mut self, name: &str) -> Result<Arc<ReadProvider>, Unread> {
        let url = DubboUrl::from_node_name(name).map_err(Unread::Malformed)?;
        read_provider(url, &mut self.pool).map(Arc::new)
    }
}

/// Keeps the applications of an interface read, from the value at `path`; returns why that ended.
pub(super) async fn keep_applications(
    tree: Arc<dyn NodeTree>,
    path: String,
    ends: KeptEnds<Option<Bytes>, Arc<[String]>>,
) -> Error {
    let watching = tree.watch_value(&path, &ends.raw);
    understand(watching, &ends, |value| applications(value.as_deref())).await
}

/// The applications that a mapping names, without those that can be none.
pub(super) fn applications(value: Option<&[u8]>) -> Arc<[String]> {
    let text = String::from_utf8_lossy(value.unwrap_or_default());
    let names = mapping::applications(&text).into_iter().filter(|name| is_segment(name));
    names.map(str::to_owned).collect()
}

/// Puts what each new value means beside it, until the watch ends.
async fn understand<R, T>(
    watching: impl Future<Output = Result<(), Error>>,
    ends: &KeptEnds<R, T>,
    mut read: impl FnMut(&R) -> T,
) -> Error
where
    R: Clone,
{
    let mut newest = ends.raw.subscribe();
    let reading = async {
        // Its sender is held by the watch.
        while newest.changed().await.is_ok() {
            let from = newest.borrow_and_update().clone();
            if let Some(from) = from {
                let meaning = read(&from);
                ends.read.send_replace(Some(Understood { from, meaning }));
            }
        }
    };
    tokio::select! {
        ended = watching => ended.err().unwrap_or_else(|| Error::closed("the watch ended")),
        () = reading => Error::closed("the watch ended"),
    }
}
