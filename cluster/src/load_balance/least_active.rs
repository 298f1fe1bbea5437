//! `leastactive`: the endpoint with the fewest calls in flight; among more than 64, of 16 drawn.
//!
//! Choose it where calls differ much in length, so that their number says more than an average.
//! Ties are drawn by weight, and calls count in proportion to it: an endpoint of half the weight
//! holds half as many. Not the choice where a provider may fail at once: one that does has nothing
//! in flight, and attracts calls. Costs a look at each, at 16 of a long list.

use std::sync::Arc;

use rpc_core::{BuildContext, Error, Extension, Invocation};
use tokio::time::Instant;

use super::least::Compared;
use super::{LoadBalance, SeedConfig};
use crate::candidates::Candidates;
use crate::dice::Dice;

/// Takes the endpoint with the fewest calls in flight.
#[derive(Debug)]
pub struct LeastActive {
    dice: Dice,
}

impl LeastActive {
    /// A balancer whose draws follow from `seed`, or are random without one.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        Self { dice: Dice::new(seed) }
    }
}

fn cost(candidates: &Candidates, index: usize) -> f64 {
    let in_flight = candidates.load(index).in_flight();
    f64::from(in_flight) / candidates.share(index)
}

impl Extension<dyn LoadBalance> for LeastActive {
    const NAME: &'static str = "leastactive";
    type Config = SeedConfig;

    fn build(config: SeedConfig, context: &BuildContext) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self::new(config.seed_in(context))))
    }
}

impl LoadBalance for LeastActive {
    fn select(&self, candidates: &Candidates, _: &Invocation, _: Instant) -> usize {
        Compared::of(candidates, &self.dice).least(1.0, |index| cost(candidates, index))
    }

    fn varies(&self, _: &Candidates) -> bool {
        true
    }

    /// Calls in flight for the share of its weight.
    fn score(
        &self,
        candidates: &Candidates,
        index: usize,
        _: &Invocation,
        _: Instant,
    ) -> Option<f64> {
        (candidates.weight(index) > 0).then(|| cost(candidates, index))
    }

    fn score_unit(&self) -> &'static str {
        "calls in flight, by weight"
    }
}
