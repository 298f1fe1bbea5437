//! The endpoints a balancer may choose from, with their weights prepared.
//!
//! Immutable and shared by all calls until the list, a weight, the state of a connection or the
//! standing of an endpoint changes, so that a choice costs no work proportional to their number.

use std::borrow::Cow;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use rpc_core::ChannelState;

use crate::dice::Dice;
use crate::ejection::Ejector;
use crate::endpoint::{Endpoint, Vitals};
use crate::load::Load;

/// Endpoints and their weights at one time.
#[derive(Debug)]
pub struct Candidates {
    endpoints: Vec<Arc<Endpoint>>,
    /// What calls change of each endpoint. Beside them, so that both are fetched at once: behind
    /// the endpoint, which is cold among thousands, there would be two waits for the memory.
    vitals: Vec<Arc<Vitals>>,
    weights: Weights,
    /// Those that would be among `endpoints`, had they any weight.
    weightless: Vec<Arc<Endpoint>>,
    /// Those that wait for a call to find out whether they are well again; none of `endpoints`.
    probation: Vec<Arc<Endpoint>>,
    /// What it was made from, if it is all that a directory offers.
    made_from: Option<(u64, u64)>,
    /// What a router or a re-send left these of.
    whole: Option<Arc<Self>>,
    fingerprint: OnceLock<u64>,
}

/// Shares of traffic.
#[derive(Debug)]
enum Weights {
    /// All have the same.
    Equal,
    /// Sums of the weights up to and with each endpoint, and the greatest weight.
    Varied { sums: Box<[u64]>, heaviest: u32 },
}

impl Candidates {
    /// These endpoints, with the weights they have now.
    #[must_use]
    pub fn new(mut endpoints: Vec<Arc<Endpoint>>) -> Self {
        // A directory's are in order already; a router may have mixed them up.
        endpoints.sort_by(|a, b| a.address().cmp(b.address()));
        Self {
            weights: Weights::of(&endpoints),
            vitals: endpoints.iter().map(|endpoint| endpoint.vitals().clone()).collect(),
            endpoints,
            weightless: Vec::new(),
            probation: Vec::new(),
            made_from: None,
            whole: None,
            fingerprint: OnceLock::new(),
        }
    }

    /// Some of the endpoints of `whole`, in its order, with the weights they have now.
    pub(crate) fn part(whole: &Arc<Self>, endpoints: Vec<Arc<Endpoint>>) -> Self {
        Self { whole: Some(whole.clone()), ..Self::new(endpoints) }
    }

    /// All of `listed` that are fit to be called, made from this version and epoch.
    ///
    /// Connected and unused ones come first. One that is connecting makes callers wait, one that
    /// is ejected has failed them, one that is down or draining turns them away, a stale one does
    /// not have the service: each is a candidate only if there are no better ones. If too many of
    /// the connected ones are ejected, all of these are called: never the last one is left out.
    /// One without weight comes after all that have some and are well or connecting.
    pub(crate) fn fit(
        listed: &[Arc<Endpoint>],
        ejector: &Ejector,
        version: u64,
        epoch: u64,
    ) -> Self {
        let counts = |e: &&Arc<Endpoint>| is_connected(e) && !e.is_stale();
        let connected = listed.iter().filter(counts).count();
        let ejected = listed.iter().filter(counts).filter(|e| e.condition().is_out()).count();
        let is_open = ejector.is_too_many(ejected, connected);
        let ranks: Vec<u8> = listed.iter().map(|endpoint| rank(endpoint, is_open)).collect();
        let best = ranks.iter().min().copied().unwrap_or(0);
        let ranked = || listed.iter().zip(&ranks);
        let fit = ranked().filter(|(_, rank)| **rank == best);
        let probation = ranked().filter(|(endpoint, rank)| {
            let turns_away =
                matches!(endpoint.channel().state(), ChannelState::Down | ChannelState::Draining);
            let is_called = endpoint.weight() > 0 || is_weightless(best);
            **rank != best && endpoint.condition().is_on_probation() && !turns_away && is_called
        });
        let weightless = ranked().filter(|(_, rank)| weightless_beside(best).contains(*rank));
        Self {
            made_from: Some((version, epoch)),
            weightless: weightless.map(|(endpoint, _)| endpoint.clone()).collect(),
            probation: probation.map(|(endpoint, _)| endpoint.clone()).collect(),
            ..Self::new(fit.map(|(endpoint, _)| endpoint.clone()).collect())
        }
    }

    pub(crate) fn is_made_from(&self, version: u64, epoch: u64) -> bool {
        self.made_from == Some((version, epoch))
    }

    /// Whether these are all that a directory offers, rather than a part that a router or a
    /// re-send has left.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole.is_none()
    }

    /// What these are a part of: all that a directory offers; `None` if they are no part.
    #[must_use]
    pub fn part_of(&self) -> Option<&Self> {
        self.whole.as_deref()
    }

    /// A number that other addresses would not have; computed once, when it is first asked for.
    pub(crate) fn fingerprint(&self) -> u64 {
        *self.fingerprint.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            self.endpoints.len().hash(&mut hasher);
            self.endpoints.iter().for_each(|endpoint| endpoint.address().hash(&mut hasher));
            hasher.finish()
        })
    }

    /// The endpoints, in the order of their addresses.
    #[must_use]
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// How loaded the endpoint at `index` is; sooner known than by way of the endpoint.
    pub(crate) fn load(&self, index: usize) -> &Load {
        self.vitals[index].load()
    }

    /// Has the cache lines fetched that a call to the endpoint at `index` changes, all at once. A
    /// change waits for its line, and what comes after it waits for the change: one after the
    /// other they would cost several times as much, among thousands of endpoints.
    pub(crate) fn touch(&self, index: usize) {
        black_box(Arc::strong_count(&self.endpoints[index]));
        self.vitals[index].touch();
    }

    /// Those that would be among the endpoints, had they any weight.
    pub(crate) fn weightless(&self) -> &[Arc<Endpoint>] {
        &self.weightless
    }

    /// The endpoints and those without weight beside them, in the order of their addresses: whom
    /// routers are asked about, as they may leave none with weight.
    pub(crate) fn with_weightless(&self) -> Cow<'_, [Arc<Endpoint>]> {
        if self.weightless.is_empty() {
            return Cow::Borrowed(&self.endpoints);
        }
        let mut all = [&*self.endpoints, &*self.weightless].concat();
        all.sort_by(|a, b| a.address().cmp(b.address()));
        Cow::Owned(all)
    }

    /// Those that wait for a call to find out whether they are well again.
    pub(crate) fn probation(&self) -> &[Arc<Endpoint>] {
        &self.probation
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// Whether all have the same weight; also if all have 0.
    #[must_use]
    pub fn is_equally_weighted(&self) -> bool {
        matches!(self.weights, Weights::Equal)
    }

    /// The share of the endpoint at `index`; the heaviest has 1. All have 1 if all are equal.
    #[must_use]
    pub fn share(&self, index: usize) -> f64 {
        match &self.weights {
            Weights::Equal => 1.0,
            Weights::Varied { sums, heaviest } => {
                weight_at(sums, index) as f64 / f64::from(*heaviest)
            }
        }
    }

    /// The weight of the endpoint at `index`; 1 if all are equal.
    #[must_use]
    pub fn weight(&self, index: usize) -> u64 {
        match &self.weights {
            Weights::Equal => 1,
            Weights::Varied { sums, .. } => weight_at(sums, index),
        }
    }

    /// An index drawn with the probability of its weight.
    pub(crate) fn draw(&self, dice: &Dice) -> usize {
        match &self.weights {
            Weights::Equal => dice.index(self.endpoints.len()),
            Weights::Varied { sums, .. } => {
                let point = dice.below(sums.last().copied().unwrap_or(0));
                sums.partition_point(|sum| *sum <= point)
            }
        }
    }
}

impl Weights {
    fn of(endpoints: &[Arc<Endpoint>]) -> Self {
        let weights: Vec<u32> = endpoints.iter().map(|e| e.weight()).collect();
        if weights.iter().all(|weight| *weight == weights[0]) {
            return Self::Equal;
        }
        let heaviest = weights.iter().max().copied().unwrap_or(1);
        let running = weights.iter().scan(0_u64, |sum, weight| {
            *sum += u64::from(*weight);
            Some(*sum)
        });
        Self::Varied { sums: running.collect(), heaviest }
    }
}

fn weight_at(sums: &[u64], index: usize) -> u64 {
    let before = index.checked_sub(1).map_or(0, |previous| sums[previous]);
    sums[index] - before
}

/// The lower, the fitter for a new call; `is_open` if ejections do not count.
fn rank(endpoint: &Endpoint, is_open: bool) -> u8 {
    let weightless = u8::from(endpoint.weight() == 0);
    if endpoint.is_stale() {
        return 8 + weightless;
    }
    match endpoint.channel().state() {
        ChannelState::Down | ChannelState::Draining => 6 + weightless,
        _ if endpoint.condition().is_out() && !is_open => 4 + weightless,
        ChannelState::Connecting => 1 + 2 * weightless,
        ChannelState::Ready | ChannelState::Idle => 2 * weightless,
    }
}

/// Whether endpoints of this rank have no weight.
const fn is_weightless(rank: u8) -> bool {
    matches!(rank, 2 | 3 | 5 | 7 | 9)
}

/// The ranks of those that are as fit as those of `rank`, but for their weight.
fn weightless_beside(rank: u8) -> RangeInclusive<u8> {
    match rank {
        0 | 1 => 2..=3,
        4 | 6 | 8 => rank + 1..=rank + 1,
        _ => RangeInclusive::new(1, 0),
    }
}

fn is_connected(endpoint: &Endpoint) -> bool {
    matches!(endpoint.channel().state(), ChannelState::Ready | ChannelState::Idle)
}
