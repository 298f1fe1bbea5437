//! Chooses the call that probes whether an endpoint is well again.
//!
//! A copy of a call that may run twice, if there is one: its caller gets the answer of a healthy
//! endpoint and notices nothing. The copy draws on the retry budget; without any it is not sent.
//! Where no such call comes for a second, a call that must not run twice is the probe itself, with
//! the probability of a fair share, so that rare callers do not meet the endpoint more often than
//! by chance.

use std::sync::Arc;

use rpc_core::{AttemptLog, Deadline, Invocation, MethodKind};
use tokio::time::{Instant, timeout_at};

use crate::attempt::Attempt;
use crate::budget::RetryBudget;
use crate::candidates::Candidates;
use crate::dice::Dice;
use crate::endpoint::Endpoint;
use crate::endpoint::ejection::Verdict;
use crate::router::RouterChain;
use crate::shortlist::Shortlist;

/// Probes an endpoint on probation by a copy, if there is one for this attempt; returns the
/// endpoint if the attempt is to be the probe itself.
pub(super) fn choose(
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
    // A stream that nothing reads would not be a copy of the call.
    if invocation.method().is_idempotent() && !invocation.method().kind().is_streaming() {
        send_copy(endpoint, invocation.clone(), budget, *now);
        return None;
    }
    let is_its_turn =
        endpoint.condition().has_waited(*now) && dice.index(candidates.len() + 1) == 0;
    is_its_turn.then(|| endpoint.clone())
}

/// Runs until the call's deadline, as long as an ejection lasts, or until the directory ends; at
/// most one at a time for each endpoint. Without budget nothing is sent.
fn send_copy(
    endpoint: &Arc<Endpoint>,
    mut invocation: Invocation,
    budget: &RetryBudget,
    now: Instant,
) {
    // Asked first, so that calls without budget do not change the endpoint's standing to and fro.
    if budget.available(now) == 0 {
        return;
    }
    let health = endpoint.condition();
    // The probe is not an attempt of the call.
    invocation.extensions.remove::<AttemptLog>();
    let left = invocation.deadline.instant().saturating_duration_since(now);
    invocation.deadline = Deadline::after_from(now, left.min(health.longest()));
    let deadline = invocation.deadline.instant();
    let Some(mut copy) = endpoint.probe_if(invocation, now, || budget.draw_copy(now)) else {
        return;
    };
    let probed = endpoint.clone();
    health.rules().spawn_probe(async move {
        if timeout_at(deadline, &mut copy).await.is_err() {
            // Judged before it is dropped, because a dropped call says nothing about the endpoint.
            probed.condition().end_probe(Verdict::Failure, Instant::now());
        }
    });
}

/// Whether the routers would leave it for this call if it were a candidate.
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
    let left = Shortlist::of(&all, routers, invocation, &mut ());
    left.is_ok_and(|left| left.endpoints().iter().any(|left| Arc::ptr_eq(left, endpoint)))
}
