//! Sends attempts: an attempt in, the reply of one endpoint out.
//!
//! Candidates of the directory, narrowed by the routers, without those tried, one selected by the
//! balancer, called. Policies are layers over this; it never sends anything twice. It is not a
//! service of attempts itself, because a policy asks it for more, such as which endpoints are left.

mod choose;
mod probe;
mod send;

use std::sync::{Arc, Weak};
use std::time::Duration;

use rpc_core::{Invocation, Status};
use tokio::time::Instant;

use crate::backlog::Backlog;
use crate::budget::RetryBudget;
use crate::dice::Dice;
use crate::directory::Directory;
use crate::endpoint::Endpoint;
use crate::load_balance::LoadBalance;
use crate::router::RouterChain;
use crate::shortlist::Shortlist;

/// The endpoints that are left for a call to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// How many endpoints it may go to.
    pub endpoints: usize,
    /// Whether one of them was not tried yet.
    pub untried: bool,
    /// Whether one of those is not known to be full.
    pub has_room: bool,
}

/// The parts of a [`Picker`]; one is made for each method that is configured apart.
#[derive(Debug, Clone)]
pub struct PickerParts {
    /// The source of endpoints; the methods of a service share it.
    pub directory: Arc<Directory>,
    /// The routers that narrow them.
    pub routers: RouterChain,
    /// The balancer that selects one of them; the method's own.
    pub balancer: Arc<dyn LoadBalance>,
    /// The budget that bounds re-sends; the whole consumer shares it.
    pub budget: Arc<RetryBudget>,
    /// The store of failed calls that wait to be sent again; the whole consumer shares it, and
    /// alone keeps it alive.
    pub backlog: Arc<Backlog>,
    /// The seed of pauses between attempts, for reproducible runs; `None` for random ones.
    pub seed: Option<u64>,
}

/// Sends attempts to endpoints of its choice; a clone is one atomic increment.
///
/// It never sends anything twice: what happens after a failure is a policy's decision. A policy
/// that only wants one endpoint uses [`attempt`](Self::attempt); one that chooses itself splits
/// that into [`choose`](Self::choose), [`choose_other`](Self::choose_other), [`first`](Self::first)
/// or [`everyone`](Self::everyone), and [`attempt_at`](Self::attempt_at).
///
/// A [`ClusterPolicy`](crate::policy::ClusterPolicy) is a tower layer over it:
/// `ServiceBuilder::new().layer(Failover::default()).service(picker)` is a service of invocations.
#[derive(Debug, Clone)]
pub struct Picker(pub(crate) Arc<Parts>);

/// The parts of a picker, shared by its clones.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) directory: Arc<Directory>,
    pub(crate) routers: RouterChain,
    pub(crate) balancer: Arc<dyn LoadBalance>,
    budget: Arc<RetryBudget>,
    /// Weak, because what waits there holds a picker.
    backlog: Weak<Backlog>,
    dice: Dice,
}

impl Picker {
    /// A picker of these parts.
    #[must_use]
    pub fn new(parts: PickerParts) -> Self {
        let PickerParts { directory, routers, balancer, budget, backlog, seed } = parts;
        let (backlog, dice) = (Arc::downgrade(&backlog), Dice::new(seed));
        Self(Arc::new(Parts { directory, routers, balancer, budget, backlog, dice }))
    }

    /// The budget that bounds the re-sends of the whole consumer.
    #[must_use]
    pub fn budget(&self) -> &RetryBudget {
        &self.0.budget
    }

    /// The store of failed calls that wait to be sent again; `None` once their consumer has ended.
    #[must_use]
    pub fn backlog(&self) -> Option<Arc<Backlog>> {
        self.0.backlog.upgrade()
    }

    /// How many endpoints this call may go to now, and whether one of them is not in `tried`; for
    /// policies that decide whether to try again. Looks at no more endpoints than were tried,
    /// unless there are routers.
    #[must_use]
    pub fn left(&self, invocation: &Invocation, tried: &[Arc<str>]) -> Left {
        let candidates = self.0.directory.candidates();
        let now = Instant::now();
        let is_untried = |endpoint: &Arc<Endpoint>| !tried.contains(endpoint.address());
        let has_room =
            |e: &Arc<Endpoint>| !candidates.are_full() && is_untried(e) && !e.is_full(now);
        if self.0.routers.is_empty() {
            let all = candidates.endpoints();
            let (untried, has_room) = (all.iter().any(is_untried), all.iter().any(has_room));
            return Left { endpoints: all.len(), untried, has_room };
        }
        let all = candidates.with_weightless();
        let left = self.routed(&all, invocation).map(|left| left.with_weight(&mut ()));
        let left = left.as_ref().map_or(&[][..], Shortlist::endpoints);
        Left {
            endpoints: left.len(),
            untried: left.iter().copied().any(is_untried),
            has_room: left.iter().copied().any(has_room),
        }
    }

    /// Every endpoint that routers leave for this call, whatever its weight and the state of its
    /// connection, in the order of addresses.
    ///
    /// # Errors
    /// `unavailable`, not sent, naming the router that left none.
    pub fn everyone(&self, invocation: &Invocation) -> Result<Vec<Arc<Endpoint>>, Status> {
        let all = self.0.directory.endpoints();
        Ok(self.routed(&all, invocation)?.to_vec())
    }

    /// A random time from half of `longest` up to it, for policies that pause.
    #[must_use]
    pub fn jitter(&self, longest: Duration) -> Duration {
        self.0.dice.jitter(longest)
    }

    /// The endpoints of `all` that routers leave.
    pub(super) fn routed<'a>(
        &self,
        all: &'a [Arc<Endpoint>],
        invocation: &Invocation,
    ) -> Result<Shortlist<'a>, Status> {
        Shortlist::of(all, &self.0.routers, invocation, &mut ())
    }
}
