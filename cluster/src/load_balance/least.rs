//! The endpoint of the least cost: what `leastactive` and `shortestresponse` have in common.
//!
//! Two passes over the candidates: by definition it is the least of all, so there is no shortcut
//! that keeps the promise. Where that costs too much, `p2c` is the answer.

use crate::candidates::Candidates;
use crate::dice::Dice;

/// The index of the least cost. Of those that cost up to `equal` times as much, one is drawn by
/// weight. Endpoints without weight take no part while there are others.
pub(super) fn least(
    dice: &Dice,
    candidates: &Candidates,
    equal: f64,
    cost: impl Fn(usize) -> f64,
) -> usize {
    let weighed = || (0..candidates.len()).filter(|index| candidates.weight(*index) > 0);
    let (mut best, mut lowest) = (0, f64::INFINITY);
    for index in weighed() {
        let cost = cost(index);
        if cost < lowest {
            (best, lowest) = (index, cost);
        }
    }
    // Each of them replaces the one before with the probability of its weight among those so far.
    // Costs may have changed since; if nobody is that cheap any more, the cheapest then stays.
    let (own, mut weight) = (dice.fork(), 0);
    for index in weighed().filter(|index| cost(*index) <= lowest * equal) {
        let more = candidates.weight(index);
        weight += more;
        if own.below(weight) < more {
            best = index;
        }
    }
    best
}
