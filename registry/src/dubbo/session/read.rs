//! Lists of services from both levels: followed, and read once.
//!
//! A list needs the providers of its interface, the applications that the interface is mapped to, and the
//! processes of each with their services. Each of these is kept once for all who need it, and a list is
//! put together from what is known of them. The first is put when all of them have been read.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::TryFutureExt;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use rpc_core::{Error, ServiceKey};
use tokio::time::{Instant, sleep_until};

use super::super::layout::Layout;
use super::super::merged::{Merged, Remarks};
use super::super::node_feed::value_node;
use super::super::paths::{TreePaths, is_segment};
use super::super::shared_instances::SharedTurns;
use super::super::tree::{NodeTree, ReadChildren, ReadOf};
use super::applications::{ProcessReader, Processes};
use super::list_maker::{KnownParts, ListMaker};
use super::made_lists::MadeLists;
use super::metadata::MetadataReader;
use super::patience::PatientUpdates;
use super::providers::{
    MappedApplications, ProviderNodes, Providers, applications, keep_applications,
};
use super::shared::{KeptByPath, ReadFollower};
use crate::backend::{Demand, Listing, Updates};

/// The shortest time between two lists of a watch; changes within it are put together.
const SHORTEST_GAP: Duration = Duration::from_millis(100);

/// What each instance adds to that time, so that a long list that changes all the time stays cheap.
const GAP_OF_ONE: Duration = Duration::from_micros(50);

/// The longest such time.
const LONGEST_GAP: Duration = Duration::from_secs(2);

/// How many applications of a service are read at the same time.
const AT_ONCE: usize = 8;

/// What a list is put together from, as it is followed.
struct FollowedParts {
    providers: ReadFollower<Providers>,
    mapping: ReadFollower<MappedApplications>,
    /// By the names of their applications.
    processes: Vec<(String, ReadFollower<Processes>)>,
}

/// Reads lists in one session.
pub(super) struct ListReader {
    pub(super) tree: Arc<dyn NodeTree>,
    pub(super) layout: Arc<Layout>,
    pub(super) paths: Arc<TreePaths>,
    metadata: Arc<MetadataReader>,
    /// How long something that was read need not be read again for whoever checks it.
    check_holds: Duration,
    providers: KeptByPath<Providers>,
    mappings: KeptByPath<MappedApplications>,
    processes: KeptByPath<Processes>,
    /// The instances of all lists, whoever reads them.
    shared: Arc<SharedTurns>,
    made: MadeLists,
    /// Counts lists. One that is put together later knows at least as much.
    lists: AtomicU64,
}

impl ListReader {
    pub(super) fn new(
        tree: &Arc<dyn NodeTree>,
        layout: &Arc<Layout>,
        paths: &Arc<TreePaths>,
        demand: &Demand,
    ) -> Self {
        Self {
            metadata: Arc::new(MetadataReader::new(Arc::clone(tree), Arc::clone(paths))),
            tree: Arc::clone(tree),
            layout: Arc::clone(layout),
            paths: Arc::clone(paths),
            check_holds: demand.check_holds(),
            providers: KeptByPath::default(),
            mappings: KeptByPath::default(),
            processes: KeptByPath::default(),
            shared: Arc::default(),
            made: MadeLists::default(),
            lists: AtomicU64::new(1),
        }
    }

    /// Puts the list of `service` into `updates` at once and after each change.
    pub(super) async fn watch(&self, service: &ServiceKey, updates: &Updates) -> Result<(), Error> {
        let mut parts = FollowedParts {
            providers: self.follow_providers(service),
            mapping: self.follow_mapping(service.interface()),
            processes: Vec::new(),
        };
        let (mut maker, mut made) = (ListMaker::default(), self.made.guard(service, updates));
        let mut updates = PatientUpdates::new(updates, self.tree.complete_from());
        let (mut next_list, mut gap) = (None, SHORTEST_GAP);
        loop {
            let revision = self.lists.fetch_add(1, Ordering::AcqRel);
            if let Some(known) = self.known(service, &mut parts, next_list.is_none()) {
                // Of a thousand services of an application most are not concerned by a change.
                let is_wanted = !updates.has(made.revision());
                let making = Box::pin(maker.make(service, &known, is_wanted));
                if let Some(merged) = making.await? {
                    gap = gap_of(merged.instances.len());
                    let (listing, remarks) = self.listing(service, revision, &known, merged);
                    updates.put(listing);
                    made.put(revision, remarks);
                }
                made.note(known);
                next_list = Some(Instant::now() + gap);
            }
            tokio::select! {
                changed = parts.changed() => changed?,
                () = updates.wait() => {}
            }
            if let Some(next_list) = next_list {
                // Boxed, it takes no room while nothing changes.
                Box::pin(sleep_until(next_list)).await;
            }
        }
    }

    /// What is known of a service by now, of whose applications those are followed that are named; the first time,
    /// only once all of it is known. Later, an application that comes to the service is waited for by nobody.
    fn known(
        &self,
        service: &ServiceKey,
        parts: &mut FollowedParts,
        is_first: bool,
    ) -> Option<Arc<KnownParts>> {
        let applications = parts.mapping.latest();
        let followed = &mut parts.processes;
        if let Some(MappedApplications { names, left_out }) = &applications {
            self.layout.told.long_mapping(&self.layout.address, service, *left_out);
            followed.retain(|(name, _)| names.contains(name));
            for name in &**names {
                if followed.iter().all(|(followed, _)| followed != name) {
                    // Most services have one.
                    followed.reserve_exact(1);
                    followed.push((name.clone(), self.follow_processes(name)));
                }
            }
        }
        let read: Vec<_> = followed.iter_mut().map(|(_, followed)| followed.latest()).collect();
        let is_whole = applications.is_some() && read.iter().all(Option::is_some);
        let providers = parts.providers.latest().filter(|_| is_whole || !is_first)?;
        let processes = read.into_iter().flatten().collect();
        Some(Arc::new(KnownParts { providers, processes, shared: Arc::clone(&self.shared) }))
    }

    /// The list of `service` from the tree itself. What is watched is checked by it; where nothing has changed, it is
    /// the list that the watch has put.
    pub(super) async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error> {
        let revision = self.lists.fetch_add(1, Ordering::AcqRel);
        let (providers, applications) = tokio::try_join!(
            self.read_providers(service),
            self.read_mapping(service.interface()),
        )?;
        self.layout.told.long_mapping(&self.layout.address, service, applications.left_out);
        let reads = applications.names.iter().map(|name| self.read_processes(name.clone()));
        let reads: Vec<_> = reads.collect();
        let processes = stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
        let shared = Arc::clone(&self.shared);
        let known = Arc::new(KnownParts { providers, processes, shared });
        if let Some((listing, remarks)) = self.made.find(service, &known) {
            self.tell(service, &known, remarks.as_deref());
            return Ok(listing);
        }
        let merged = ListMaker::default().make(service, &known, true).await?;
        let (listing, remarks) =
            self.listing(service, revision, &known, merged.unwrap_or_default());
        self.made.note_checked(service, revision, known, remarks);
        Ok(listing)
    }

    /// The list that was merged of what is known, and what there is to say of it, which is said.
    fn listing(
        &self,
        service: &ServiceKey,
        revision: u64,
        known: &KnownParts,
        merged: Merged,
    ) -> (Listing, Option<Arc<Remarks>>) {
        let Merged { instances, remarks } = merged;
        let remarks = (remarks != Remarks::default()).then(|| Arc::new(remarks));
        self.tell(service, known, remarks.as_deref());
        (Listing { revision, instances }, remarks)
    }

    /// Says what is wrong with a list, once in a while as long as it is so.
    fn tell(&self, service: &ServiceKey, known: &KnownParts, remarks: Option<&Remarks>) {
        let (told, address) = (&self.layout.told, &self.layout.address);
        let of_nodes = known.left_out().map(|left_out| &**left_out);
        for left_out in of_nodes.chain(remarks.map(|remarks| &remarks.left_out)) {
            told.malformed(address, service, left_out);
        }
        if let Some(remarks) = remarks {
            told.notes(address, service, &remarks.notes);
        }
    }

    fn follow_providers(&self, service: &ServiceKey) -> ReadFollower<Providers> {
        let path = self.paths.providers(service).into();
        let tree = Arc::clone(&self.tree);
        let keep = |ends| ProviderNodes::keep(&self.shared, (tree, Arc::clone(&path)), ends);
        self.providers.keep(&path, keep).follow()
    }

    fn follow_mapping(&self, interface: &str) -> ReadFollower<MappedApplications> {
        let path = self.paths.mapping(interface).into();
        let tree = Arc::clone(&self.tree);
        let keep = |ends| keep_applications(tree, Arc::clone(&path), ends);
        self.mappings.keep(&path, keep).follow()
    }

    fn follow_processes(&self, application: &str) -> ReadFollower<Processes> {
        let path = self.paths.processes(application).into();
        let tree = Arc::clone(&self.tree);
        let reader = ProcessReader::new(application, &self.metadata);
        self.processes.keep(&path, |ends| reader.keep(tree, Arc::clone(&path), ends)).follow()
    }

    async fn read_providers(&self, service: &ServiceKey) -> Result<Providers, Error> {
        let path = self.paths.providers(service);
        match self.providers.find(&path) {
            Some(kept) => {
                let read = |mark| self.tree.children_since(&path, ReadOf::Names, mark);
                kept.checked(self.check_holds, read).await
            }
            None => {
                let nodes = self.tree.children(&path, ReadOf::Names).await?;
                ProviderNodes::new(&self.shared).read(nodes).await
            }
        }
    }

    async fn read_mapping(&self, interface: &str) -> Result<MappedApplications, Error> {
        let path = self.paths.mapping(interface);
        match self.mappings.find(&path) {
            Some(kept) => {
                let read = |mark| {
                    let is_news = move |read: &ReadChildren| read.mark != mark;
                    self.tree
                        .value(&path)
                        .map_ok(move |value| Some(value_node(value)).filter(is_news))
                };
                kept.checked(self.check_holds, read).await
            }
            None => Ok(applications(self.tree.value(&path).await?.as_deref())),
        }
    }

    /// The processes of an application.
    pub(super) async fn read_processes(&self, application: String) -> Result<Processes, Error> {
        if !is_segment(&application) {
            return Ok(Processes::default());
        }
        let path = self.paths.processes(&application);
        match self.processes.find(&path) {
            Some(kept) => {
                let read = |mark| self.tree.children_since(&path, ReadOf::Values, mark);
                kept.checked(self.check_holds, read).await
            }
            None => {
                let nodes = self.tree.children(&path, ReadOf::Values).await?;
                ProcessReader::new(&application, &self.metadata).read(nodes).await
            }
        }
    }
}

// === impl FollowedParts ===

impl FollowedParts {
    /// Waits for a change of what is known since that was taken.
    ///
    /// # Errors
    /// Why something of it is not kept any more.
    async fn changed(&mut self) -> Result<(), Error> {
        poll_fn(|cx| {
            let processes = self.processes.iter_mut();
            let processes = processes.map(|(_, followed)| followed.poll_changed(cx));
            let mut all = [self.providers.poll_changed(cx), self.mapping.poll_changed(cx)]
                .into_iter()
                .chain(processes);
            all.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }
}

/// The time between two lists of this many instances.
fn gap_of(instances: usize) -> Duration {
    let instances = u32::try_from(instances).unwrap_or(u32::MAX);
    GAP_OF_ONE.saturating_mul(instances).clamp(SHORTEST_GAP, LONGEST_GAP)
}

impl fmt::Debug for ListReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListReader")
            .field("tree", &self.tree)
            .field("providers", &self.providers)
            .field("mappings", &self.mappings)
            .field("processes", &self.processes)
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}
