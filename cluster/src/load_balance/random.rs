//! `random`: each call goes to an endpoint drawn with the probability of its weight.
//!
//! Dubbo's default. Choose it where latency says nothing, or where a share of traffic must follow
//! the weights exactly. Costs one draw; with differing weights also a binary search.

use std::sync::Arc;

use rpc_core::{BuildContext, Error, Extension, Invocation};
use tokio::time::Instant;

use super::{LoadBalance, SeedConfig};
use crate::candidates::Candidates;
use crate::dice::Dice;

/// Draws an endpoint by weight.
#[derive(Debug)]
pub struct Random {
    dice: Dice,
}

impl Random {
    /// A balancer whose draws follow from `seed`, or are random without one.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        Self { dice: Dice::new(seed) }
    }
}

impl Extension<dyn LoadBalance> for Random {
    const NAME: &'static str = "random";
    type Config = SeedConfig;

    fn build(config: SeedConfig, context: &BuildContext) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self::new(config.seed_in(context))))
    }
}

impl LoadBalance for Random {
    fn select(&self, candidates: &Candidates, _: &Invocation, _: Instant) -> usize {
        candidates.draw(&self.dice)
    }

    fn varies(&self, _: &Candidates) -> bool {
        true
    }
}
