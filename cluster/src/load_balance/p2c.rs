//! `p2c`, the default: of two endpoints drawn at random, the one with the lower expected wait.
//!
//! Power of two choices (Mitzenmacher 2001) on Finagle's peak EWMA: latency x (1 + calls in
//! flight). It follows slow and overloaded providers within a few calls and costs the same for any
//! number of them: two draws and two readings.
//!
//! Weights: endpoints are drawn by weight, their calls in flight count in proportion to it, and
//! the second is taken only if it is clearly (twice) better. At even load the shares are those of
//! the weights exactly; uneven load overrides them.

use std::sync::Arc;

use rpc_core::{Error, Extension, Invocation};
use tokio::time::Instant;

use super::{LoadBalance, SeedConfig};
use crate::candidates::Candidates;
use crate::dice::Dice;

/// How often another second endpoint is drawn if it is the first again.
const REDRAWS: usize = 3;

/// Takes the better of two drawn endpoints.
#[derive(Debug)]
pub struct P2c {
    dice: Dice,
}

impl P2c {
    /// A balancer that draws the same for the same seed, or otherwise each time for none.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        Self { dice: Dice::new(seed) }
    }

    fn select_equal(&self, candidates: &Candidates, now: Instant) -> usize {
        let first = self.dice.index(candidates.len());
        // Of the others: skipping the first makes every pair as likely as any other.
        let other = self.dice.index(candidates.len() - 1);
        let second = other + usize::from(other >= first);
        if cost(candidates, second, now) < cost(candidates, first, now) { second } else { first }
    }

    fn select_weighted(&self, candidates: &Candidates, now: Instant) -> usize {
        let first = candidates.draw(&self.dice);
        let mut others = (0..REDRAWS).map(|_| candidates.draw(&self.dice));
        match others.find(|other| *other != first) {
            Some(second) if 2.0 * cost(candidates, second, now) < cost(candidates, first, now) => {
                second
            }
            _ => first,
        }
    }
}

fn cost(candidates: &Candidates, index: usize, now: Instant) -> f64 {
    let load = candidates.endpoints()[index].load();
    load.cost(now, 1.0 / candidates.share(index))
}

impl Extension<dyn LoadBalance> for P2c {
    const NAME: &'static str = "p2c";
    type Config = SeedConfig;

    fn build(config: SeedConfig) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self::new(config.seed)))
    }
}

impl LoadBalance for P2c {
    fn select(&self, candidates: &Candidates, _: &Invocation, now: Instant) -> usize {
        if candidates.len() < 2 {
            0
        } else if candidates.is_equally_weighted() {
            self.select_equal(candidates, now)
        } else {
            self.select_weighted(candidates, now)
        }
    }
}
