//! The providers of an interface, as its nodes name them, and the applications that it is mapped to.

use std::mem;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, FutureExt, select};
use rpc_core::{Error, Instance, InstancePool};

use super::super::mapping;
use super::super::node_feed::NodeNews;
use super::super::paths::is_segment;
use super::super::provider_url::{ReadProvider, Unread, read_provider};
use super::super::shared_instances::{SharedTurns, pool_of};
use super::super::tree::{NodeTree, ReadOf, TreeNode};
use super::super::url::DubboUrl;
use super::read_nodes::{MalformedNode, ReadNode, ReadNodes};
use super::shared::KeptEnds;
use crate::off_thread::off_thread_if_long;
use crate::sound::UnsoundInstances;

/// The providers of one interface.
#[derive(Debug, Clone, Default)]
pub(super) struct Providers {
    nodes: Arc<[ReadNode<ProviderNode>]>,
    /// What could not be read.
    pub(super) left_out: Arc<UnsoundInstances>,
}

/// The applications that an interface is mapped to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MappedApplications {
    /// Those whose processes are read.
    pub(super) names: Arc<[String]>,
    /// How many there are beyond those.
    pub(super) left_out: usize,
}

/// What a node of an interface means.
#[derive(Debug, Clone)]
enum ProviderNode {
    Provider(ReadProvider),
    /// Something else.
    Other,
    Malformed(MalformedNode),
}

/// What the nodes of an interface mean, each read once.
pub(super) struct ProviderNodes {
    read: ReadNodes<ProviderNode>,
    shared: Arc<SharedTurns>,
}

// === impl Providers ===

impl Providers {
    /// The providers, in any order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ReadProvider> {
        providers_of(&self.nodes)
    }

    /// What they provide.
    pub(super) fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.iter().map(|provider| &provider.instance)
    }

    /// About how many there are: with nodes that are none.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Whether these are those, read once.
    pub(super) fn are_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.nodes, &other.nodes)
    }
}

// === impl ProviderNodes ===

impl ProviderNodes {
    /// None yet; instances are those of `shared` that are equal.
    pub(super) fn new(shared: &Arc<SharedTurns>) -> Self {
        Self { read: ReadNodes::default(), shared: Arc::clone(shared) }
    }

    /// The providers that `nodes` stand for.
    ///
    /// # Errors
    /// The runtime shuts down.
    pub(super) async fn read(mut self, nodes: Vec<TreeNode>) -> Result<Providers, Error> {
        let (items, news) = (nodes.len(), NodeNews::all(nodes));
        let read = move || {
            self.take_on(news);
            self.providers()
        };
        off_thread_if_long(items, read).await
    }

    /// Keeps the providers at a path read, until its watch ends. Instances are as with [`new`](Self::new).
    pub(super) fn keep(
        shared: &Arc<SharedTurns>,
        (tree, path): (Arc<dyn NodeTree>, Arc<str>),
        ends: KeptEnds<Providers>,
    ) -> impl Future<Output = ()> + use<> {
        let mut nodes = Self::new(shared);
        async move {
            let watching = tree.watch_children(&path, ReadOf::Names, &*ends.feed);
            let reading = pin!(async {
                let mut is_first = true;
                loop {
                    ends.feed.changed().await;
                    // Boxed, it takes no room while nothing changes.
                    if let Err(error) = Box::pin(nodes.read_on(&ends, is_first)).await {
                        return error;
                    }
                    is_first = false;
                }
            });
            ends.end(&ended(watching, reading).await);
        }
    }

    /// Reads what was put, and puts the providers if they may be others.
    ///
    /// # Errors
    /// The runtime shuts down.
    async fn read_on(&mut self, ends: &KeptEnds<Providers>, is_first: bool) -> Result<(), Error> {
        let news = ends.feed.take();
        let (version, items) = (news.version, self.read.items(&news));
        let rest = Self::new(&self.shared);
        let mut nodes = mem::replace(self, rest);
        let read = move || {
            let is_news = nodes.take_on(news) | is_first;
            let providers = is_news.then(|| nodes.providers());
            (nodes, providers)
        };
        let providers;
        (*self, providers) = off_thread_if_long(items, read).await?;
        ends.put(version, providers);
        Ok(())
    }

    /// Reads what is new and forgets what has gone; says whether there was any of that.
    fn take_on(&mut self, news: NodeNews) -> bool {
        let Self { read, shared } = self;
        let mut pool = pool_of(providers_of(&read.nodes).map(|provider| &provider.instance));
        read.take_on(news, |node, known| {
            known.is_none().then(|| read_node(&node.name, &mut pool, shared))
        })
    }

    fn providers(&self) -> Providers {
        let malformed = self.read.nodes.iter().filter_map(|node| match &node.meaning {
            ProviderNode::Malformed(why) => Some(why),
            ProviderNode::Provider(_) | ProviderNode::Other => None,
        });
        let left_out = MalformedNode::left_out(malformed);
        Providers { nodes: Arc::clone(&self.read.nodes), left_out }
    }
}

fn providers_of(nodes: &[ReadNode<ProviderNode>]) -> impl Iterator<Item = &ReadProvider> {
    nodes.iter().filter_map(|node| match &node.meaning {
        ProviderNode::Provider(provider) => Some(provider),
        ProviderNode::Other | ProviderNode::Malformed(_) => None,
    })
}

/// What the node of this name means.
fn read_node(name: &str, pool: &mut InstancePool, shared: &SharedTurns) -> ProviderNode {
    let url = DubboUrl::from_node_name(name).map_err(Unread::Malformed);
    match url.and_then(|url| read_provider(url, pool)) {
        Ok(mut provider) => {
            shared.take().share_of_provider(&mut provider.instance);
            ProviderNode::Provider(provider)
        }
        Err(Unread::Malformed(why)) => ProviderNode::Malformed(MalformedNode::new(name, why)),
        Err(Unread::NotProvided(_)) => ProviderNode::Other,
    }
}

/// Keeps the applications of an interface read, from the value at `path`, until its watch ends.
#[expect(clippy::manual_async_fn, reason = "that of an async function holds its arguments twice")]
pub(super) fn keep_applications(
    tree: Arc<dyn NodeTree>,
    path: Arc<str>,
    ends: KeptEnds<MappedApplications>,
) -> impl Future<Output = ()> {
    async move {
        let watching = tree.watch_value(&path, &*ends.feed);
        let reading = pin!(async {
            let mut known = None;
            loop {
                ends.feed.changed().await;
                let news = ends.feed.take();
                let value = news.all.as_deref().and_then(<[_]>::first);
                let names =
                    news.all.is_some().then(|| applications(value.map(|node| &*node.value)));
                // A check that finds the same is no news.
                let names = names.filter(|names| known.as_ref() != Some(names));
                known = names.clone().or(known);
                ends.put(news.version, names);
            }
        });
        ends.end(&ended(watching, reading).await);
    }
}

/// The applications that a mapping names, without those that can be none.
pub(super) fn applications(value: Option<&[u8]>) -> MappedApplications {
    let text = String::from_utf8_lossy(value.unwrap_or_default());
    let names = mapping::applications(&text).into_iter().filter(|name| is_segment(name));
    let names = names.map(str::to_owned).collect();
    MappedApplications { names, left_out: mapping::left_out(&text) }
}

/// Why a watch ended that is read beside it, or its reading. Both are pinned, as a future that is moved into
/// another takes its room twice.
pub(super) fn ended(
    watching: impl Future<Output = Result<(), Error>> + Unpin,
    reading: impl Future<Output = Error> + Unpin,
) -> impl Future<Output = Error> {
    select(watching, reading).map(|first| match first {
        Either::Left((ended, _)) => ended.err().unwrap_or_else(|| Error::closed("the watch ended")),
        Either::Right((error, _)) => error,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::super::super::provider_url::provider_url;
    use super::*;

    /// A name of one of 20 nodes, of which every fourth is malformed.
    fn name(number: u32) -> String {
        match number % 4 {
            0 => format!("nonsense-{number}"),
            _ => {
                let service = rpc_core::ServiceKey::new("a.B");
                let address = format!("10.0.0.{number}:1");
                provider_url(&Instance::new(service, &address, "1")).to_node_name()
            }
        }
    }

    fn node(number: u32) -> TreeNode {
        TreeNode { name: name(number).into(), value: Bytes::new() }
    }

    #[test]
    fn whatever_comes_and_goes_what_is_there_is_known_and_nothing_else() {
        let mut random = StdRng::seed_from_u64(7);
        let mut nodes = ProviderNodes::new(&Arc::default());
        let mut there = BTreeSet::new();
        for _ in 0..2000 {
            let before = there.clone();
            let mut news = NodeNews::default();
            if random.random_bool(0.3) {
                there = (0..20).filter(|_| random.random()).collect();
                news.all = Some(there.iter().copied().map(node).collect());
            }
            for _ in 0..random.random_range(0..4) {
                let number = random.random_range(0..20);
                let value = random.random::<bool>().then(Bytes::new);
                match value {
                    Some(_) => there.insert(number),
                    None => there.remove(&number),
                };
                news.changes.insert(name(number).into(), value);
            }
            let may_be_news = nodes.take_on(news);
            assert!(may_be_news || there == before);
            let providers = nodes.providers();
            let known = providers.iter().map(|known| known.instance.address.to_string());
            let good = there.iter().filter(|number| *number % 4 != 0);
            let expected: BTreeSet<_> = good.map(|number| format!("10.0.0.{number}:1")).collect();
            assert_eq!(known.collect::<BTreeSet<_>>(), expected);
            assert_eq!(providers.iter().count(), expected.len());
            assert_eq!(providers.left_out.count, there.len() - expected.len());
        }
    }
}
