//! From the endpoints that are left for a call to those that it would rather go to.

use std::sync::Arc;

use crate::attempt::Attempt;
use crate::candidates::Candidates;
use crate::endpoint::Endpoint;

/// `chosen`, or one whose provider has answered already, if there is such for this call: then a
/// connection to `chosen` is opened, and calls come there once it has answered, too. An address that
/// accepts and hangs, or resets, so costs no call.
pub(crate) fn proven_instead(
    whole: &Candidates,
    chosen: Arc<Endpoint>,
    other: impl FnOnce(&Arc<Candidates>) -> Option<Arc<Endpoint>>,
) -> Arc<Endpoint> {
    match whole.proven_instead_of(&chosen).and_then(other) {
        Some(other) if whole.open(&chosen) => other,
        _ => chosen,
    }
}

pub(crate) fn has_weight(endpoint: &Arc<Endpoint>) -> bool {
    endpoint.weight() > 0
}

pub(crate) fn is_new(attempt: &Attempt) -> impl Fn(&Arc<Endpoint>) -> bool {
    |endpoint| !attempt.excluded.contains(endpoint.address())
}

/// Leaves those that `is` holds for, if there are any.
pub(crate) fn keep(left: &mut Vec<&Arc<Endpoint>>, is: impl Fn(&Arc<Endpoint>) -> bool) -> bool {
    let any = left.iter().any(|endpoint| is(endpoint));
    if any {
        left.retain(|endpoint| is(endpoint));
    }
    any
}

/// Leaves those that an attempt would rather go to: not excluded and with weight, or else not
/// excluded, or else with weight.
pub(crate) fn keep_best(left: &mut Vec<&Arc<Endpoint>>, attempt: &Attempt) {
    let is_new = is_new(attempt);
    if !keep(left, |endpoint| has_weight(endpoint) && is_new(endpoint)) && !keep(left, is_new) {
        keep(left, has_weight);
    }
}
