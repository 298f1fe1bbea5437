//! Why a call goes where it goes: every endpoint, who left it out, and how the balancer sees it.
//!
//! The same steps a call takes, looked at instead of taken: nothing is sent, counted or selected.
//! The names of settings and who set them are the facade's to add.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{ChannelState, Instance, Invocation};
use tokio::time::Instant;

use crate::candidates::Candidates;
use crate::directory::DirectoryState;
use crate::endpoint::Endpoint;
use crate::endpoint::ejection::EndpointHealth;
use crate::narrow::{has_weight, keep};
use crate::picker::Picker;
use crate::policy::Choice;
use crate::router::ChosenRouter;

/// What there is to choose from for one call at one time, and what narrowed it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explanation {
    /// Where the list comes from and how old it is.
    pub directory: DirectoryState,
    /// Every endpoint there is, in the order of their addresses.
    pub endpoints: Vec<ExplainedEndpoint>,
    /// What each router did, in their order.
    pub routers: Vec<RouterStep>,
    /// Which of those that are left the policy sends it to.
    pub choice: Choice,
    /// What the scores count, in words; empty where the balancer does not say.
    pub score_unit: &'static str,
}

/// One endpoint as a call sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExplainedEndpoint {
    /// What the registry says of it.
    pub instance: Instance,
    /// What its connection can do now.
    pub state: ChannelState,
    /// How its calls have gone of late, and whether it is ejected for that.
    pub health: EndpointHealth,
    /// Its weight now: less than its instance's while it warms up.
    pub weight: u32,
    /// Calls of this consumer in flight.
    pub in_flight: u32,
    /// The latency to expect; `None` until a call of this consumer has ended.
    pub latency: Option<Duration>,
    /// Why the call cannot go there; `None` if it can.
    pub dropped: Option<Dropped>,
    /// What the balancer compares, the lower the better, in its own unit; `None` where it compares
    /// nothing.
    pub score: Option<f64>,
}

/// Why a call cannot go to an endpoint.
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

/// What one router left.
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
        let mut dropped: HashMap<Arc<str>, Dropped> = HashMap::new();
        let fit_or_all = fit.with_weightless();
        let all = if choice == Choice::Everyone { &listed[..] } else { &fit_or_all[..] };
        let mut left: Vec<&Arc<Endpoint>> = all.iter().collect();
        mark(&mut dropped, &listed.iter().collect::<Vec<_>>(), &left, |_| Dropped::Unfit);
        let mut routers = Vec::new();
        for ChosenRouter { router, name, .. } in self.0.routers.routers() {
            let before = left.clone();
            router.narrow(&mut left, invocation);
            let name = name.to_string();
            routers.push(RouterStep {
                router: name.clone(),
                before: before.len(),
                after: left.len(),
            });
            mark(&mut dropped, &before, &left, |endpoint| Dropped::Router {
                name: name.clone(),
                why: router.why(endpoint, invocation),
            });
        }
        if choice != Choice::Everyone {
            let before = left.clone();
            keep(&mut left, has_weight);
            mark(&mut dropped, &before, &left, |_| Dropped::Weightless);
        }
        // Of others nothing is compared.
        let scores = match choice {
            Choice::Balanced => self.scores(&fit, &left, invocation, now),
            Choice::First | Choice::Everyone => HashMap::new(),
        };
        let endpoints = listed.iter().map(|endpoint| {
            let address = endpoint.address();
            let score = scores.get(address).copied();
            explained(endpoint, dropped.remove(address), score, now)
        });
        Explanation {
            endpoints: endpoints.collect(),
            directory: self.0.directory.state(),
            routers,
            choice,
            score_unit: self.0.balancer.score_unit(),
        }
    }

    /// What the balancer thinks of those that are `left`, by address.
    fn scores(
        &self,
        whole: &Arc<Candidates>,
        left: &[&Arc<Endpoint>],
        invocation: &Invocation,
        now: Instant,
    ) -> HashMap<Arc<str>, f64> {
        let part;
        let candidates = if left.len() == whole.len() && whole.weightless().is_empty() {
            whole
        } else {
            part = Candidates::part(whole, left.iter().copied().cloned().collect());
            &part
        };
        let scored = candidates.endpoints().iter().enumerate().filter_map(|(index, endpoint)| {
            let score = self.0.balancer.score(candidates, index, invocation, now)?;
            Some((endpoint.address().clone(), score))
        });
        scored.collect()
    }
}

/// Notes `why` for those that were there `before` and are not `left`.
fn mark(
    dropped: &mut HashMap<Arc<str>, Dropped>,
    before: &[&Arc<Endpoint>],
    left: &[&Arc<Endpoint>],
    why: impl Fn(&Endpoint) -> Dropped,
) {
    let left: HashSet<&Arc<str>> = left.iter().map(|endpoint| endpoint.address()).collect();
    for endpoint in before.iter().filter(|endpoint| !left.contains(endpoint.address())) {
        dropped.entry(endpoint.address().clone()).or_insert_with(|| why(endpoint));
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
        dropped,
        score,
    }
}
