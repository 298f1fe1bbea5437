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
use crate::endpoint::Endpoint;
use crate::picker::Attempt;
use crate::router::RouterChain;

/// Probes an endpoint on probation by a copy, if there is one for this attempt; returns the
/// endpoint if the attempt is to be the probe itself.
pub(crate) fn choose(
    candidates: &Candidates,
    attempt: &Attempt,
    routers: &RouterChain,
    budget: &RetryBudget,
    dice: &Dice,
) -> Option<Arc<Endpoint>> {
    let waiting = candidates.probation();
    let endpoint = waiting.get(dice.index(waiting.len()))?;
    let Attempt { invocation, number, now, .. } = attempt;
    let is_fit = *number == 1
        && invocation.method().kind() != MethodKind::OneWay
        && endpoint.condition().is_on_probation()
        && is_routed(candidates, endpoint, invocation, routers);
    if !is_fit {
        return None;
    }
    if invocation.method().is_idempotent() && budget.draw(*now) {
        send_copy(endpoint, invocation.clone(), *now);
        return None;
    }
    let is_its_turn =
        endpoint.condition().has_waited(*now) && dice.index(candidates.len() + 1) == 0;
    is_its_turn.then(|| endpoint.clone())
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
