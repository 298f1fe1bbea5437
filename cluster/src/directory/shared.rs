//! State of a directory that its task writes and calls read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};
use rpc_core::{Connector, Instance, LatestReader, ServiceKey, Source, Trouble, Turns};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::life::FollowerLife;
use super::options::{DirectoryOptions, Overrides};
use crate::candidates::{Candidates, MadeOf, Members};
use crate::endpoint::ejection::SharedEjection;
use crate::endpoint::{AttemptLayers, Endpoint};

/// State that the follower writes and calls read.
#[derive(Debug)]
pub(super) struct DirectoryShared {
    pub(super) service: ServiceKey,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) options: DirectoryOptions,
    /// Layers and overrides in force, and that there are others.
    pub(super) around: ArcSwap<Around>,
    pub(super) changed: Notify,
    /// The version of those that the list was made with.
    pub(super) applied: watch::Sender<u64>,
    /// The candidates of a long list are out of date.
    pub(super) outdated: Notify,
    pub(super) list: ArcSwap<EndpointList>,
    /// The version of `list`, readable without touching it.
    pub(super) version: AtomicU64,
    pub(super) candidates: ArcSwap<Candidates>,
    pub(super) life: FollowerLife,
    pub(super) ejection: Arc<SharedEjection>,
    /// Whether the registry has said anything, or never will.
    pub(super) heard: watch::Sender<bool>,
    /// Address of the registry, for people.
    pub(super) registry: Arc<str>,
    /// The reason why the registry does not confirm the list, if any.
    pub(super) trouble: LatestReader<Option<Trouble>>,
}

/// Layers and overrides in force.
#[derive(Debug)]
pub(super) struct Around {
    /// Grows with each.
    pub(super) version: u64,
    pub(super) layers: AttemptLayers,
    pub(super) overrides: Overrides,
}

/// All endpoints at one time.
#[derive(Debug)]
pub(super) struct EndpointList {
    pub(super) version: u64,
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    pub(super) members: Arc<Members>,
    pub(super) held: usize,
    /// Instances that the overrides disable.
    pub(super) disabled: Arc<[Arc<Instance>]>,
    /// For how many an endpoint could not be made, or not made anew.
    pub(super) broken: usize,
    /// Listed instances that speak no protocol of this consumer.
    pub(super) left_out: Arc<[Arc<Instance>]>,
    pub(super) source: Source,
    pub(super) received: Instant,
}

impl DirectoryShared {
    /// Read before the states, so that a change meanwhile makes a list of them out of date.
    pub(super) fn made_of(&self) -> MadeOf {
        let changes = self.ejection.changes().count();
        MadeOf { version: self.version.load(Ordering::Acquire), changes }
    }

    pub(super) fn refresh(&self, made_of: MadeOf) -> Guard<Arc<Candidates>> {
        let list = self.list.load();
        let EndpointList { endpoints, members, version, .. } = &**list;
        let made_of = MadeOf { version: *version, ..made_of };
        let fresh = Arc::new(Candidates::fit(endpoints, members, &self.ejection, made_of));
        self.candidates.store(fresh.clone());
        Guard::from_inner(fresh)
    }

    /// As [`refresh`](Self::refresh), by the follower, so that no call does the work.
    pub(super) async fn refresh_in_turns(&self) {
        let (made_of, list) = (self.made_of(), self.list.load_full());
        let made_of = MadeOf { version: list.version, ..made_of };
        let fresh = self.candidates_of(&list, made_of, &mut Turns::new()).await;
        self.candidates.store(Arc::new(fresh));
    }

    /// Replaces the list, together with the candidates: calls find them made.
    pub(super) async fn publish(&self, list: EndpointList, mut turns: Turns) {
        let (version, made_of) = (list.version, self.made_of());
        let fresh = match made_of.version == version {
            true => None,
            false => {
                let made_of = MadeOf { version, ..made_of };
                Some(self.candidates_of(&list, made_of, &mut turns).await)
            }
        };
        self.list.store(Arc::new(list));
        fresh.into_iter().for_each(|fresh| self.candidates.store(Arc::new(fresh)));
        // Last: who reads it finds candidates that are as new.
        self.version.store(version, Ordering::Release);
    }

    async fn candidates_of(
        &self,
        list: &EndpointList,
        made_of: MadeOf,
        turns: &mut Turns,
    ) -> Candidates {
        let EndpointList { endpoints, members, .. } = list;
        Candidates::fit_in_turns(endpoints, members, &self.ejection, made_of, turns).await
    }
}
