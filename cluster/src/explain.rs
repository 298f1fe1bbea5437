//! Why a call goes where it goes: every endpoint, the reason if it is left out, and its score.
//!
//! It looks at the steps of a call without taking them: nothing is sent, counted or selected. The
//! facade adds the settings and their sources.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{ChannelState, Instance, Invocation};
use tokio::time::Instant;

use crate::candidates::Candidates;
use crate::directory::DirectoryState;
use crate::endpoint::Endpoint;
use crate::endpoint::ejection::EndpointHealth;
use crate::picker::Picker;
use crate::policy::Choice;
use crate::router::ChosenRouter;
use crate::shortlist::{Shortlist, Step, Trace};

/// The endpoints that one call can choose from at one time, and the steps that narrowed them.
///
/// [`Picker::explain`] makes it without sending, counting or selecting anything; `dubhe explain`
/// prints it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explanation {
    /// The source and the age of the list.
    pub directory: DirectoryState,
    /// Every endpoint there is, in the order of their addresses.
    pub endpoints: Vec<ExplainedEndpoint>,
    /// The instances that get no call because this consumer disables them.
    pub disabled: Arc<[Arc<Instance>]>,
    /// The effect of each router, in their order.
    pub routers: Vec<RouterStep>,
    /// Which of those that are left the policy sends it to.
    pub choice: Choice,
    /// The unit of the scores, in words; empty if the balancer has none.
    pub score_unit: &'static str,
}

/// One endpoint as a call sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExplainedEndpoint {
    /// The instance as the registry lists it.
    pub instance: Instance,
    /// The state of its connection.
    pub state: ChannelState,
    /// How its calls have gone of late, and whether it is ejected for that.
    pub health: EndpointHealth,
    /// Its weight now: less than its instance's while it warms up.
    pub weight: u32,
    /// Calls of this consumer in flight.
    pub in_flight: u32,
    /// The latency to expect; `None` until a call of this consumer has ended.
    pub latency: Option<Duration>,
    /// How long it is still ranked last because it was full; `None` if it is not.
    pub full: Option<Duration>,
    /// The reason why the call cannot go there; `None` if it can.
    pub dropped: Option<Dropped>,
    /// The figure that the balancer compares, in its own unit; lower is better. `None` if it
    /// compares nothing.
    pub score: Option<f64>,
}

/// The reason why a call cannot go to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dropped {
    /// Others are better: connected, not ejected, not stale.
    Unfit,
    /// Its weight is 0, and others have some.
    Weightless,
    /// A router removed it.
    Router {
        /// Its name in the configuration.
        name: String,
        /// Why, where it says.
        why: Option<String>,
    },
}

/// The effect of one router.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterStep {
    /// Its name in the configuration.
    pub router: String,
    /// How many endpoints it was given.
    pub before: usize,
    /// How many it left.
    pub after: usize,
}

impl Picker {
    /// How a call made now would be sent by a policy of this `choice`. Changes nothing.
    #[must_use]
    pub fn explain(&self, invocation: &Invocation, choice: Choice) -> Explanation {
        let listed = self.0.directory.endpoints();
        let fit = self.0.directory.candidates().clone();
        let now = Instant::now();
        let fit_or_all = fit.with_weightless();
        let all = if choice == Choice::Everyone { &listed[..] } else { &fit_or_all[..] };
        let mut seen = Seen { invocation, dropped: HashMap::new(), routers: Vec::new() };
        let everybody: Vec<&Arc<Endpoint>> = listed.iter().collect();
        seen.mark(&everybody, &all.iter().collect::<Vec<_>>(), |_| Dropped::Unfit);
        // If a router leaves no endpoint, the call ends, and later routers are not asked.
        let left = Shortlist::of(all, &self.0.routers, invocation, &mut seen).ok();
        let left = left.map(|left| match choice {
            Choice::Everyone => left,
            Choice::Balanced | Choice::First => left.with_weight(&mut seen),
        });
        // Of others nothing is compared.
        let scores = match (choice, left) {
            (Choice::Balanced, Some(left)) => self.scores(&fit, &left, invocation, now),
            _ => HashMap::new(),
        };
        let Seen { mut dropped, routers, .. } = seen;
        let endpoints = listed.iter().map(|endpoint| {
            let address = endpoint.address();
            let score = scores.get(address).copied();
            explained(endpoint, dropped.remove(address), score, now)
        });
        Explanation {
            endpoints: endpoints.collect(),
            disabled: self.0.directory.disabled(),
            directory: self.0.directory.state(),
            routers,
            choice,
            score_unit: self.0.balancer.score_unit(),
        }
    }

    /// The balancer's scores of the endpoints that are `left`, by address.
    fn scores(
        &self,
        whole: &Arc<Candidates>,
        left: &Shortlist<'_>,
        invocation: &Invocation,
        now: Instant,
    ) -> HashMap<Arc<str>, f64> {
        let part = left.part_of(whole);
        let candidates = part.as_ref().unwrap_or(whole);
        let scored = candidates.endpoints().iter().enumerate().filter_map(|(index, endpoint)| {
            let score = self.0.balancer.score(candidates, index, invocation, now)?;
            Some((endpoint.address().clone(), score))
        });
        scored.collect()
    }
}

// === impl Seen ===

/// The endpoints that the steps of a shortlist have removed, and why.
struct Seen<'a> {
    invocation: &'a Invocation,
    dropped: HashMap<Arc<str>, Dropped>,
    routers: Vec<RouterStep>,
}

impl Seen<'_> {
    /// Notes `why` for those that were there `before` and are not `left`.
    fn mark(
        &mut self,
        before: &[&Arc<Endpoint>],
        left: &[&Arc<Endpoint>],
        why: impl Fn(&Endpoint) -> Dropped,
    ) {
        let left: HashSet<&Arc<str>> = left.iter().map(|endpoint| endpoint.address()).collect();
        for endpoint in before.iter().filter(|endpoint| !left.contains(endpoint.address())) {
            let dropped = self.dropped.entry(endpoint.address().clone());
            dropped.or_insert_with(|| why(endpoint));
        }
    }
}

impl Trace for Seen<'_> {
    fn take<'a>(
        &mut self,
        step: Step<'_>,
        left: &mut Vec<&'a Arc<Endpoint>>,
        narrow: impl FnOnce(&mut Vec<&'a Arc<Endpoint>>),
    ) {
        let before = left.clone();
        narrow(left);
        let Step::Router(ChosenRouter { router, name, .. }) = step else {
            return self.mark(&before, left, |_| Dropped::Weightless);
        };
        let (router_name, invocation) = (name.to_string(), self.invocation);
        self.mark(&before, left, |endpoint| Dropped::Router {
            name: router_name.clone(),
            why: router.why(endpoint, invocation),
        });
        let (before, after) = (before.len(), left.len());
        self.routers.push(RouterStep { router: router_name, before, after });
    }
}

fn explained(
    endpoint: &Endpoint,
    dropped: Option<Dropped>,
    score: Option<f64>,
    now: Instant,
) -> ExplainedEndpoint {
    ExplainedEndpoint {
        instance: endpoint.instance().clone(),
        state: endpoint.channel().state(),
        health: endpoint.health(),
        weight: endpoint.weight(),
        in_flight: endpoint.load().in_flight(),
        latency: endpoint.load().latency(now),
        full: endpoint.full_until(now).map(|until| until.saturating_duration_since(now)),
        dropped,
        score,
    }
}
