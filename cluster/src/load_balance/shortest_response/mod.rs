//! `shortestresponse`: the endpoint with the shortest expected response; among more than 64, of 16
//! drawn.
//!
//! Expected is the mean latency of the last 30 s x (1 + calls in flight), the calls in proportion
//! to the weight; a failure counts as 5 s. Choose it where providers differ in speed for long;
//! `p2c` reacts faster and costs less. Estimates within a tenth of the shortest count as equal and
//! are drawn by weight: exact means would otherwise send everything to an endpoint that is ahead by
//! a hair. Costs two looks at each, at 16 of a long list.

mod window;

use std::sync::Arc;

use rpc_core::{BuildContext, Error, Extension, Invocation};
use tokio::time::Instant;

use self::window::LatencyWindow;
use super::least::Compared;
use super::{LoadBalance, SeedConfig};
use crate::candidates::Candidates;
use crate::dice::Dice;
use crate::endpoint::state::States;

/// Estimates up to this many times the shortest count as equal to it.
const EQUAL: f64 = 1.1;

/// Takes the endpoint with the shortest expected response.
#[derive(Debug)]
pub struct ShortestResponse {
    dice: Dice,
}

impl ShortestResponse {
    /// A balancer whose draws follow from `seed`, or are random without one.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        Self { dice: Dice::new(seed) }
    }
}

/// Begins to keep means of those compared that are new here. They begin with the past of one in the
/// middle: a minute that was hard on all others must not make a newcomer look the best of all.
fn welcome(candidates: &Candidates, compared: &Compared<'_>, now: Instant) {
    let all = || compared.indices().map(|index| candidates.states(index));
    if all().all(|states| states.known::<LatencyWindow>().is_some()) {
        return;
    }
    let windows = || all().filter_map(States::known::<LatencyWindow>);
    // Each is read once: calls that end meanwhile change it, and a sort needs an order that stays.
    let means = windows().filter_map(|window| Some((window.mean(now)?, window)));
    let mut known: Vec<(f64, &LatencyWindow)> = means.collect();
    known.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let middle = known.get(known.len() / 2).map(|(_, window)| *window);
    for index in compared.indices() {
        begin_with(candidates.states(index), middle, candidates.load(index).origin());
    }
}

/// Keeps means from now on, if none are kept, beginning with the past of `peer`, if there is one.
fn begin_with(states: &States, peer: Option<&LatencyWindow>, origin: Instant) {
    let new = || LatencyWindow::new(origin);
    states.get_or_init(|| peer.map_or_else(new, LatencyWindow::as_of_peer));
}

fn cost(candidates: &Candidates, index: usize, now: Instant) -> f64 {
    let window = candidates.states(index).known::<LatencyWindow>();
    let mean = window.and_then(|window| window.mean(now)).unwrap_or(0.0);
    candidates.load(index).expected_wait(mean, 1.0 / candidates.share(index))
}

impl Extension<dyn LoadBalance> for ShortestResponse {
    const NAME: &'static str = "shortestresponse";
    type Config = SeedConfig;

    fn build(config: SeedConfig, context: &BuildContext) -> Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self::new(config.seed_in(context))))
    }
}

impl LoadBalance for ShortestResponse {
    fn select(&self, candidates: &Candidates, _: &Invocation, now: Instant) -> usize {
        let compared = Compared::of(candidates, &self.dice);
        welcome(candidates, &compared, now);
        compared.least(EQUAL, |index| cost(candidates, index, now))
    }

    fn varies(&self, _: &Candidates) -> bool {
        true
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::endpoint::state::EndedCall;

    #[test]
    fn means_of_a_newcomer_begin_with_those_of_a_peer() {
        let now = Instant::now();
        let end = |states: &States, millis| {
            let latency = Some(Duration::from_millis(millis));
            let call = EndedCall { outcome: None, is_failure: false, latency, now };
            states.all().for_each(|state| state.end(&call));
        };
        let mean = |states: &States| states.known::<LatencyWindow>().unwrap().mean(now);
        let [newcomer, peer] = [(); 2].map(|()| States::default());
        begin_with(&peer, None, now);
        end(&peer, 60);
        begin_with(&newcomer, peer.known(), now);
        assert_eq!(mean(&newcomer), Some(60e6));
        end(&newcomer, 20);
        assert_eq!(mean(&newcomer), Some(40e6));
        assert_eq!(mean(&peer), Some(60e6));
    }
}
