//! The endpoint of the least cost: what `leastactive` and `shortestresponse` have in common.
//!
//! Of a short list, the least of all. Of a long one, the least of a few drawn by weight: the least of
//! ten thousand costs a call a hundred microseconds, and all consumers would send theirs to the same
//! one. Sixteen draws leave a busy endpoint out nearly as surely: the best of them is on average
//! among the best 6 % of all.

use crate::candidates::{Candidates, MANY};
use crate::dice::{Dice, Rolls};

/// How many of a long list are drawn.
const DRAWN: usize = 16;

/// The endpoints that are compared for one call.
pub(super) struct Compared<'a> {
    candidates: &'a Candidates,
    rolls: Rolls,
    /// `None`: all.
    drawn: Option<[usize; DRAWN]>,
}

impl<'a> Compared<'a> {
    pub(super) fn of(candidates: &'a Candidates, dice: &Dice) -> Self {
        let mut rolls = dice.fork();
        let is_long = candidates.len() > MANY;
        let drawn = is_long.then(|| [(); DRAWN].map(|()| candidates.drawn_by(rolls.roll())));
        Self { candidates, rolls, drawn }
    }

    /// Their indices; one drawn twice comes twice.
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let drawn = self.drawn;
        let count = if drawn.is_some() { DRAWN } else { self.candidates.len() };
        (0..count).map(move |at| drawn.map_or(at, |drawn| drawn[at]))
    }

    /// The index of the least cost. Of those that cost up to `equal` times as much, one is drawn by
    /// weight. Endpoints without weight take no part while there are others.
    pub(super) fn least(mut self, equal: f64, cost: impl Fn(usize) -> f64) -> usize {
        let (candidates, is_drawn) = (self.candidates, self.drawn.is_some());
        let indices = self.indices();
        // Each is asked once: calls that begin and end meanwhile change the answer.
        let (mut costs, mut lowest) = ([f64::INFINITY; MANY], f64::INFINITY);
        for (own, index) in costs.iter_mut().zip(indices.clone()) {
            if candidates.weight(index) > 0 {
                *own = cost(index);
                lowest = lowest.min(*own);
            }
        }
        // Each of them replaces the one before with the probability of its weight among those so
        // far. Those that were drawn were drawn by weight.
        let (mut best, mut weight) = (0, 0);
        for (_, index) in costs.iter().zip(indices).filter(|(cost, _)| **cost <= lowest * equal) {
            let more = if is_drawn { 1 } else { candidates.weight(index) };
            weight += more;
            if weight == more || self.rolls.below(weight) < more {
                best = index;
            }
        }
        best
    }
}
