//! `p2c`, the default: of two endpoints drawn at random, the one with the lower expected wait.
//!
//! Power of two choices on Finagle's peak EWMA: latency x (1 + calls in flight). It follows slow
//! and overloaded providers within a few calls and costs the same for any number of them. With
//! differing weights, calls in flight count in proportion to them. An endpoint of which nothing is
//! known is taken to be like the first one it is drawn with (as gRPC's weighted round robin takes
//! it to be like the average), so that a newcomer gets its share and no more.

use std::sync::Arc;

use rpc_core::{BuildContext, Error, Extension, Invocation};
use tokio::time::Instant;

use super::two_choices::better_of_two;
use super::{LoadBalance, SeedConfig};
use crate::candidates::Candidates;
use crate::dice::Dice;

/// Takes the better of two drawn endpoints.
#[derive(Debug)]
pub struct P2c {
    dice: Dice,
}

impl P2c {
    /// A balancer whose draws follow from `seed`, or are random without one.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        Self { dice: Dice::new(seed) }
    }
}

fn cost(candidates: &Candidates, index: usize, now: Instant) -> f64 {
    let load = candidates.load(index);
    load.cost(now, 1.0 / candidates.share(index))
}

impl Extension<dyn LoadBalance> for P2c {
    const NAME: &'static str = "p2c";
    type Config = SeedConfig;

    fn build(config: SeedConfig, context: &BuildContext) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self::new(config.seed_in(context))))
    }
}

impl LoadBalance for P2c {
    fn select(&self, candidates: &Candidates, _: &Invocation, now: Instant) -> usize {
        better_of_two(&self.dice, candidates, |first, second| {
            let [one, two] = [first, second].map(|index| candidates.load(index));
            one.learn_from(two, now);
            two.learn_from(one, now);
            let [at_one, at_two] = one.nanos_of_both(two, now);
            let scales = [first, second].map(|index| 1.0 / candidates.share(index));
            [one.cost_at(at_one, scales[0]), two.cost_at(at_two, scales[1])]
        })
    }

    fn varies(&self, _: &Candidates) -> bool {
        true
    }

    /// The expected wait in nanoseconds.
    fn score(
        &self,
        candidates: &Candidates,
        index: usize,
        _: &Invocation,
        now: Instant,
    ) -> Option<f64> {
        (candidates.weight(index) > 0).then(|| cost(candidates, index, now))
    }

    fn score_unit(&self) -> &'static str {
        "ns to wait: latency times calls in flight, by weight"
    }
}
