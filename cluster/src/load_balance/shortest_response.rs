//! `shortestresponse`: the endpoint with the shortest expected response; among more than 64, of 16
//! drawn.
//!
//! Expected is the mean latency of the last 30 s x (1 + calls in flight), the calls in proportion
//! to the weight; a failure counts as 5 s. Choose it where providers differ in speed for long; `p2c` reacts faster and
//! costs less. Estimates within a tenth of the shortest count as equal and are drawn by weight:
//! exact means would otherwise send everything to whoever is ahead by a hair. Costs two looks at
//! each, at 16 of a long list.

use std::sync::Arc;

use rpc_core::{Error, Extension, Invocation};
use tokio::time::Instant;

use super::least::Compared;
use super::{LoadBalance, SeedConfig, select_again};
use crate::candidates::Candidates;
use crate::dice::Dice;
use crate::load::Load;

/// What counts as equal to the shortest: up to this many times as long.
const EQUAL: f64 = 1.1;

/// Takes the endpoint with the shortest expected response.
#[derive(Debug)]
pub struct ShortestResponse {
    dice: Dice,
}

impl ShortestResponse {
    /// A balancer that draws the same for the same seed, or otherwise each time for none.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        Self { dice: Dice::new(seed) }
    }
}

/// Begins to keep means of those compared that are new here. They begin with the past of one in the
/// middle: a minute that was hard on all others must not make a newcomer look the best of all.
fn welcome(candidates: &Candidates, compared: &Compared<'_>, now: Instant) {
    let loads = || compared.indices().map(|index| candidates.load(index));
    if loads().all(Load::keeps_means) {
        return;
    }
    // Each is read once: calls that end meanwhile change it, and a sort needs an order that stays.
    let means =
        loads().filter(|load| load.keeps_means()).map(|load| (load.mean_cost(now, 0.0), load));
    let mut known: Vec<(f64, &Load)> = means.filter(|(mean, _)| *mean > 0.0).collect();
    known.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let middle = known.get(known.len() / 2).map(|(_, load)| *load);
    loads().filter(|load| !load.keeps_means()).for_each(|load| load.keep_means(middle));
}

fn cost(candidates: &Candidates, index: usize, now: Instant) -> f64 {
    let load = candidates.load(index);
    load.mean_cost(now, 1.0 / candidates.share(index))
}

impl Extension<dyn LoadBalance> for ShortestResponse {
    const NAME: &'static str = "shortestresponse";
    type Config = SeedConfig;

    fn build(config: SeedConfig) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self::new(config.seed)))
    }
}

impl LoadBalance for ShortestResponse {
    fn select(&self, candidates: &Candidates, _: &Invocation, now: Instant) -> usize {
        let compared = Compared::of(candidates, &self.dice);
        welcome(candidates, &compared, now);
        compared.least(EQUAL, |index| cost(candidates, index, now))
    }

    fn select_left(
        &self,
        candidates: &Candidates,
        invocation: &Invocation,
        now: Instant,
        is_left: &dyn Fn(usize) -> bool,
    ) -> Option<usize> {
        select_again(|| self.select(candidates, invocation, now), is_left)
    }

    /// The expected response in nanoseconds.
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
        "ns to wait: mean latency times calls in flight, by weight"
    }
}
