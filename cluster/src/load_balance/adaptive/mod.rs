//! `adaptive`: of two endpoints drawn at random, the one whose provider is less loaded.
//!
//! Dubbo's formula over the provider's own load of its processors, latency, calls in flight and
//! successes (`report.rs`). Choose it where machines differ or do other work besides. Now and then
//! a call asks for the provider's load, and its answer reports it. If one of the two has reported
//! nothing, the one with fewer calls in flight is taken, and at a tie the first drawn. Costs two
//! draws, a few short locks, and some metadata five times a second.

mod report;

use std::sync::Arc;
use std::time::Duration;

use rpc_core::{BuildContext, Error, Extension, Invocation};
use tokio::time::Instant;

use self::report::LoadReport;
use super::two_choices::better_of_two;
use super::{LoadBalance, SeedConfig};
use crate::candidates::Candidates;
use crate::dice::Dice;

/// Takes the less loaded of two drawn endpoints.
#[derive(Debug)]
pub struct Adaptive {
    dice: Dice,
}

impl Adaptive {
    /// A balancer whose draws follow from `seed`, or are random without one.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        Self { dice: Dice::new(seed) }
    }
}

/// Calls in flight in proportion to the weight.
fn in_flight(candidates: &Candidates, index: usize) -> f64 {
    f64::from(candidates.load(index).in_flight()) / candidates.share(index)
}

fn load(candidates: &Candidates, index: usize, now: Instant, timeout: Duration) -> Option<f64> {
    let report = candidates.states(index).get_or_init(LoadReport::default);
    report.load(now, timeout, in_flight(candidates, index))
}

fn time_left(invocation: &Invocation, now: Instant) -> Duration {
    invocation.deadline.remaining_from(now)
}

impl Extension<dyn LoadBalance> for Adaptive {
    const NAME: &'static str = "adaptive";
    type Config = SeedConfig;

    fn build(config: SeedConfig, context: &BuildContext) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self::new(config.seed_in(context))))
    }
}

impl LoadBalance for Adaptive {
    fn select(&self, candidates: &Candidates, invocation: &Invocation, now: Instant) -> usize {
        let timeout = time_left(invocation, now);
        better_of_two(&self.dice, candidates, |first, second| {
            let both = [first, second];
            match both.map(|index| load(candidates, index, now, timeout)) {
                [Some(one), Some(two)] => [one, two],
                _ => both.map(|index| 1.0 + in_flight(candidates, index)),
            }
        })
    }

    fn varies(&self, _: &Candidates) -> bool {
        true
    }

    /// The load by Dubbo's formula; `None` while the provider has reported nothing.
    fn score(
        &self,
        candidates: &Candidates,
        index: usize,
        invocation: &Invocation,
        now: Instant,
    ) -> Option<f64> {
        if candidates.weight(index) == 0 {
            return None;
        }
        let known = candidates.states(index).known::<LoadReport>()?;
        known.load(now, time_left(invocation, now), in_flight(candidates, index))
    }

    fn score_unit(&self) -> &'static str {
        "load by Dubbo's formula"
    }
}
