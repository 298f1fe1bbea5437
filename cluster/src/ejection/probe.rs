//! Which call finds out whether an endpoint is well again.
//!
//! A copy of a call that may run twice, if there is one: its caller gets the answer of a healthy
//! endpoint and notices nothing. The copy draws on the retry budget. Where no such call comes for
//! a second, a call that must not run twice is the probe itself, with the probability of a fair
//! share, so that those who call little do not meet the endpoint more often than by chance.

use std::sync::Arc;

use rpc_core::{Invocation, MethodKind};
use tokio::time::{Instant, timeout_at};

use crate::budget::RetryBudget;
use crate::candidates::Candidates;
use crate::dice::Dice;
use crate::endpoint::{Endpoint, EndpointFuture};
use crate::picker::Attempt;
use crate::router::RouterChain;

/// What a probe is chosen by.
#[derive(Debug)]
pub(crate) struct Probes<'a> {
    pub(crate) candidates: &'a Candidates,
    pub(crate) routers: &'a RouterChain,
    pub(crate) budget: &'a RetryBudget,
    pub(crate) dice: &'a Dice,
}

impl Probes<'_> {
    /// Sends a copy of the call of `attempt` to an endpoint on probation, if there is one and the
    /// call may run twice. Says whether that was possible.
    pub(crate) fn send_copy(&self, attempt: &Attempt) -> bool {
        let Attempt { invocation, now, .. } = attempt;
        let endpoint = self.endpoint(attempt);
        match endpoint {
            Some(endpoint) if invocation.method().is_idempotent() && self.budget.draw(*now) => {
                send_copy(endpoint, invocation.clone(), *now);
                true
            }
            _ => false,
        }
    }

    /// Starts `attempt` at an endpoint on probation, if there is one that has waited in vain for a
    /// call of which a copy can be sent, and if it is this call's turn.
    pub(crate) fn send_itself(&self, attempt: &Attempt) -> Option<EndpointFuture> {
        let endpoint = self.endpoint(attempt)?;
        let (fair, now) = (self.candidates.len() + 1, attempt.now);
        let is_its_turn = endpoint.condition().has_waited(now) && self.dice.index(fair) == 0;
        is_its_turn.then(|| endpoint.probe(attempt.invocation.clone(), now)).flatten()
    }

    /// One that this attempt may probe.
    fn endpoint(&self, attempt: &Attempt) -> Option<&Arc<Endpoint>> {
        let waiting = self.candidates.probation();
        let endpoint = waiting.get(self.dice.index(waiting.len()))?;
        let invocation = &attempt.invocation;
        let is_fit = attempt.number == 1
            && invocation.method().kind() != MethodKind::OneWay
            && endpoint.condition().is_on_probation()
            && is_routed(self.candidates, endpoint, invocation, self.routers);
        is_fit.then_some(endpoint)
    }
}

/// Runs until the call's deadline at the latest; at most one at a time for each endpoint.
fn send_copy(endpoint: &Arc<Endpoint>, mut invocation: Invocation, now: Instant) {
    // It is no attempt of the call.
    invocation.attempts = None;
    let deadline = invocation.deadline.instant();
    if let Some(copy) = endpoint.probe(invocation, now) {
        tokio::spawn(timeout_at(deadline, copy));
    }
}

/// Whether the routers would leave it to this call, had it been among the candidates.
fn is_routed(
    candidates: &Candidates,
    endpoint: &Arc<Endpoint>,
    invocation: &Invocation,
    routers: &RouterChain,
) -> bool {
    if routers.is_empty() {
        return true;
    }
    let all: Vec<Arc<Endpoint>> =
        candidates.endpoints().iter().chain([endpoint]).cloned().collect();
    let left = routers.narrow(&all, invocation);
    left.is_ok_and(|left| left.iter().any(|left| Arc::ptr_eq(left, endpoint)))
}
