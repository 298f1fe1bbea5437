//! Load balancers choose one of the candidates of a call.
//!
//! One is built for each method, so what it keeps is the method's own.

mod adaptive;
mod consistent_hash;
mod least;
mod least_active;
mod p2c;
mod random;
mod ring;
mod rings;
mod round_robin;
mod shortest_response;
mod two_choices;

use std::fmt;

use rpc_core::{BuildContext, Error, ExtensionPoint, Invocation, Method};
use serde::Deserialize;
use tokio::time::Instant;

pub use self::adaptive::Adaptive;
pub use self::consistent_hash::{ConsistentHash, ConsistentHashConfig};
pub use self::least_active::LeastActive;
pub use self::p2c::P2c;
pub use self::random::Random;
pub use self::round_robin::RoundRobin;
pub use self::shortest_response::ShortestResponse;
use crate::candidates::Candidates;

/// How often another endpoint is selected that may be the same again.
const REDRAWS: usize = 3;

/// Chooses one of the candidates of a call.
///
/// One balancer is built for each method, so its state is the method's own. State of an endpoint
/// belongs into [`Endpoint::state`](crate::Endpoint::state), which outlives changes of settings.
///
/// ```
/// use std::sync::Arc;
///
/// use dubhe_cluster::Candidates;
/// use dubhe_cluster::load_balance::LoadBalance;
/// use rpc_core::{BuildContext, Error, Extension, Invocation, NoConfig};
/// use tokio::time::Instant;
///
/// /// Takes the endpoint that has the fewest calls of this consumer for its weight.
/// #[derive(Debug)]
/// struct Emptiest;
///
/// impl LoadBalance for Emptiest {
///     fn select(&self, candidates: &Candidates, call: &Invocation, now: Instant) -> usize {
///         let cost = |index: &usize| self.score(candidates, *index, call, now);
///         let all = 0..candidates.endpoints().len();
///         all.min_by(|a, b| cost(a).partial_cmp(&cost(b)).unwrap()).unwrap_or(0)
///     }
///
///     fn score(&self, of: &Candidates, index: usize, _: &Invocation, _: Instant) -> Option<f64> {
///         let endpoint = &of.endpoints()[index];
///         Some(f64::from(endpoint.load().in_flight()) / f64::from(endpoint.weight().max(1)))
///     }
///
///     fn score_unit(&self) -> &'static str {
///         "calls in flight for each unit of weight"
///     }
/// }
///
/// impl Extension<dyn LoadBalance> for Emptiest {
///     const NAME: &'static str = "emptiest";
///     type Config = NoConfig;
///
///     fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn LoadBalance>, Error> {
///         Ok(Arc::new(Self))
///     }
/// }
///
/// # fn main() -> Result<(), Error> {
/// let balancers = dubhe_cluster::load_balance::builtin().with::<Emptiest>();
/// balancers.build("emptiest", Default::default())?;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(note = "a balancer implements `Debug` and `LoadBalance::select`")]
pub trait LoadBalance: fmt::Debug + Send + Sync + 'static {
    /// The index of the endpoint to call; `candidates` holds at least two. Runs for each attempt
    /// of each call at the time `now`, so it does no I/O and no work it can do without.
    fn select(&self, candidates: &Candidates, invocation: &Invocation, now: Instant) -> usize;

    /// Whether calling [`select`](Self::select) again may return another endpoint, as with random and
    /// round-robin choices, without work that grows with their number. The default is `false`.
    fn varies(&self, candidates: &Candidates) -> bool {
        let _ = candidates;
        false
    }

    /// Selects among the candidates for which `is_left` holds, for a re-send or a copy, without work
    /// that grows with the list; `None` if it cannot, so that it is asked to select from a shorter
    /// list instead. Called only if there are more than 64 candidates. By default a balancer that
    /// [varies](Self::varies) selects up to three times, and any other returns `None`.
    fn select_left(
        &self,
        candidates: &Candidates,
        invocation: &Invocation,
        now: Instant,
        is_left: &dyn Fn(usize) -> bool,
    ) -> Option<usize> {
        let redraws = if self.varies(candidates) { REDRAWS } else { 0 };
        let mut drawn = (0..redraws).map(|_| self.select(candidates, invocation, now));
        drawn.find(|index| is_left(*index))
    }

    /// Checks that it can balance calls of `methods`. Called when a client is made, before any call,
    /// with all methods of a service that one setting gives to this balancer. Accepts all by default.
    ///
    /// # Errors
    /// What the methods lack, naming them, and the remedy.
    fn check(&self, methods: &[&Method]) -> Result<(), Error> {
        let _ = methods;
        Ok(())
    }

    /// The figure by which it compares the endpoint at `index`, for explanations; lower is better.
    /// Each balancer has its own unit. `None`, the default, if it compares nothing, and for an endpoint
    /// without weight beside others. It changes nothing and may cost more than a selection.
    fn score(
        &self,
        candidates: &Candidates,
        index: usize,
        invocation: &Invocation,
        now: Instant,
    ) -> Option<f64> {
        let _ = (candidates, index, invocation, now);
        None
    }

    /// The unit of a [`score`](Self::score), for people, such as `ns to wait`; empty if it has none.
    fn score_unit(&self) -> &'static str {
        ""
    }
}

/// The parameters of balancers that choose at random.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeedConfig {
    /// The seed of the draws, for reproducible tests and simulations; without it they differ from
    /// run to run.
    pub seed: Option<u64>,
}

impl SeedConfig {
    /// Its own seed, or else that of the context.
    fn seed_in(self, context: &BuildContext) -> Option<u64> {
        self.seed.or_else(|| context.seed())
    }
}

/// The balancers that come with Dubhe.
///
/// ```
/// let names: Vec<_> = dubhe_cluster::load_balance::builtin().names().collect();
/// assert!(names.contains(&"p2c") && names.contains(&"consistenthash"), "{names:?}");
/// ```
#[must_use]
pub fn builtin() -> ExtensionPoint<dyn LoadBalance> {
    ExtensionPoint::new("loadbalance")
        .with::<P2c>()
        .with::<Random>()
        .with::<RoundRobin>()
        .with::<LeastActive>()
        .with::<ShortestResponse>()
        .with::<ConsistentHash>()
        .with::<Adaptive>()
}
