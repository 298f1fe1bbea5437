//! The live set of a service: follows the snapshots of a registry, keeps endpoints across them.
//!
//! Snapshots are complete; the differences are computed here. An endpoint whose address and id stay
//! keeps its load and its connection. Empty and suddenly shrunken lists are not believed for a
//! bounded time (see [`rpc_core::hold`]). Losing the registry changes nothing.
//!
//! A task follows the subscription and ends with the directory; if its runtime ends before, the
//! next call starts it again in its own. Readers never wait for it: they read immutable lists by an
//! `Arc` swap.

mod around;
mod broken;
mod follower;
mod following;
mod life;
mod options;
mod shared;
mod state;
mod uncallable;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::{ArcSwap, Guard};
use rpc_core::{Connector, Deadline, Instance, ServiceKey, Source, Subscription};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use self::follower::Follower;
use self::following::Following;
use self::life::FollowerLife;
pub use self::options::{DISABLED, DirectoryOptions, Overrides, publishes_disabled};
use self::shared::{Around, DirectoryShared, EndpointList};
pub use self::state::DirectoryState;
use crate::candidates::{Candidates, Members};
use crate::endpoint::Endpoint;
use crate::endpoint::ejection::SharedEjection;

/// The endpoints of one service; dropping it ends the subscription.
///
/// Calls read it through a [`Picker`](crate::Picker) without a lock. An endpoint stays the same,
/// with its connection, load and health, as long as its address and id are listed; other data of
/// its instance may change meanwhile.
#[derive(Debug)]
pub struct Directory {
    shared: Arc<DirectoryShared>,
    following: Following,
}

impl Directory {
    /// A directory that follows `subscription` and opens channels by `connector`; made outside of a
    /// tokio runtime, it follows from the first call on.
    #[must_use]
    pub fn follow(
        service: ServiceKey,
        subscription: Subscription,
        connector: Arc<dyn Connector>,
        options: DirectoryOptions,
    ) -> Self {
        let empty = EndpointList {
            version: 0,
            endpoints: Vec::new(),
            members: Members::of(&[]),
            held: 0,
            disabled: Arc::default(),
            broken: 0,
            left_out: Arc::default(),
            source: Source::Pending,
            received: Instant::now(),
        };
        let DirectoryOptions { layers, overrides, .. } = options.clone();
        let shared = Arc::new(DirectoryShared {
            around: ArcSwap::from_pointee(Around { version: 0, layers, overrides }),
            changed: Notify::new(),
            applied: watch::Sender::new(0),
            outdated: Notify::new(),
            service,
            connector,
            ejection: Arc::new(SharedEjection::new(options.ejection, options.ejections.clone())),
            options,
            list: ArcSwap::from_pointee(empty),
            version: AtomicU64::new(0),
            candidates: ArcSwap::from_pointee(Candidates::new(Vec::new())),
            life: FollowerLife::default(),
            heard: watch::Sender::new(false),
            registry: subscription.registry().clone(),
            trouble: subscription.watch_trouble(),
        });
        let follower = Follower::new(shared.clone(), subscription);
        Self { following: Following::new(shared.clone(), follower), shared }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &ServiceKey {
        &self.shared.service
    }

    /// All endpoints, in the order of their addresses, whatever their state.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.shared.list.load().endpoints.clone()
    }

    /// The instances that its overrides disable, as the registry lists them.
    #[must_use]
    pub fn disabled(&self) -> Arc<[Arc<Instance>]> {
        self.shared.list.load().disabled.clone()
    }

    /// The endpoints that calls may go to now. Made anew only after a change of the list, of a
    /// weight, of a connection or of the standing of an endpoint, and when one is full no more.
    pub(crate) fn candidates(&self) -> Guard<Arc<Candidates>> {
        let shared = &*self.shared;
        if shared.life.is_away() {
            self.following.resume();
        }
        let made_of = shared.made_of();
        let cached = shared.candidates.load();
        let Some(of) = cached.made_of() else { return shared.refresh(made_of) };
        if of == made_of && !cached.have_lapsed() {
            return cached;
        }
        // Those of a later list were stored just now, a moment before its version.
        if of.version < made_of.version {
            return shared.refresh(made_of);
        }
        // While thousands connect, each change would cost a walk over all of them.
        let now = Instant::now();
        if cached.is_young(now) {
            return cached;
        }
        if cached.is_used_meanwhile(now) {
            shared.outdated.notify_one();
            return cached;
        }
        shared.refresh(made_of)
    }

    /// After `endpoint` was selected of `candidates`: those of now, if these are out of date and it
    /// is less fit by now than they were.
    pub(crate) fn instead_of(
        &self,
        candidates: &Candidates,
        endpoint: &Endpoint,
    ) -> Option<Guard<Arc<Candidates>>> {
        if !candidates.may_be_old() {
            return None;
        }
        let made_of = self.shared.made_of();
        let is_old = candidates.made_of() != Some(made_of);
        (is_old && !candidates.still_has(endpoint)).then(|| self.shared.refresh(made_of))
    }

    /// Waits until the registry has said something; `false` if `deadline` passes first.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn wait_ready(&self, deadline: Deadline) -> bool {
        if self.shared.life.is_away() {
            self.following.resume();
        }
        let mut heard = self.shared.heard.subscribe();
        let waited = timeout_at(deadline.instant(), heard.wait_for(|heard| *heard)).await;
        matches!(waited, Ok(Ok(_)))
    }

    /// Whether no task follows the registry because its runtime has ended; reading the candidates
    /// starts one again.
    pub(crate) fn is_left(&self) -> bool {
        self.shared.life.is_away()
    }

    /// Whether the registry is being followed anew and has not said yet whether the list holds.
    pub(crate) fn is_confirming(&self) -> bool {
        self.shared.life.is_confirming()
    }

    /// Whether nothing was heard of the registry yet.
    pub(crate) fn is_pending(&self) -> bool {
        !*self.shared.heard.borrow()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.shared.ejection.stop_probes();
    }
}
