//! The endpoints a balancer may choose from, with their weights prepared.
//!
//! Immutable and shared by all calls until the list, a weight, the state of a connection or the
//! standing of an endpoint changes, so that a choice costs no work proportional to their number.

use std::hint::black_box;
use std::sync::Arc;

use rpc_core::ChannelState;

use crate::dice::{Dice, scale};
use crate::ejection::Ejector;
use crate::endpoint::{Endpoint, Vitals};
use crate::load::Load;
use crate::members::Members;

/// Endpoints and their weights at one time.
#[derive(Debug)]
pub struct Candidates {
    endpoints: Vec<Arc<Endpoint>>,
    /// What calls change of each endpoint. Beside them, so that both are fetched at once: behind
    /// the endpoint, which is cold among thousands, there would be two waits for the memory.
    vitals: Vec<Arc<Vitals>>,
    weights: Weights,
    /// Those that wait for a call to find out whether they are well again; none of `endpoints`.
    probation: Vec<Arc<Endpoint>>,
    /// What it was made from, if it is all that a directory offers.
    made_from: Option<(u64, u64)>,
    /// What a router or a re-send left these of.
    whole: Option<Arc<Self>>,
    /// The list that these are of, fit or not.
    members: Arc<Members>,
    places: Places,
}

/// Where the candidates are among the members.
#[derive(Debug)]
enum Places {
    /// They are the members.
    Same,
    /// The place of each.
    At(Box<[u32]>),
    /// To be found by address.
    Unknown,
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
        endpoints.sort_by(|a, b| a.address().cmp(b.address()));
        let members = Members::of(&endpoints);
        Self::of(endpoints, members, Places::Same)
    }

    fn of(endpoints: Vec<Arc<Endpoint>>, members: Arc<Members>, places: Places) -> Self {
        Self {
            weights: Weights::of(&endpoints),
            vitals: endpoints.iter().map(|endpoint| endpoint.vitals().clone()).collect(),
            endpoints,
            probation: Vec::new(),
            made_from: None,
            whole: None,
            members,
            places,
        }
    }

    /// Some of the endpoints of `whole`, with the weights they have now.
    pub(crate) fn part(whole: &Arc<Self>, mut endpoints: Vec<Arc<Endpoint>>) -> Self {
        // A router may have mixed them up.
        endpoints.sort_by(|a, b| a.address().cmp(b.address()));
        let part = Self::of(endpoints, whole.members.clone(), Places::Unknown);
        Self { whole: Some(whole.clone()), ..part }
    }

    /// All of `listed`, the endpoints of `members`, that are fit to be called, made from this
    /// version and epoch.
    ///
    /// Connected and unused ones come first. One that is connecting makes callers wait, one that
    /// is ejected has failed them, one that is down or draining turns them away, a stale one does
    /// not have the service: each is a candidate only if there are no better ones. If too many of
    /// the connected ones are ejected, all of these are called: never the last one is left out.
    pub(crate) fn fit(
        listed: &[Arc<Endpoint>],
        members: &Arc<Members>,
        ejector: &Ejector,
        version: u64,
        epoch: u64,
    ) -> Self {
        // Each is looked at once: endpoints that are ejected meanwhile must not add to those that
        // were counted.
        let seen: Vec<Seen> = listed.iter().map(|endpoint| Seen::of(endpoint)).collect();
        let counted = || seen.iter().filter(|seen| seen.is_connected() && !seen.is_stale);
        let ejected = counted().filter(|seen| seen.is_out).count();
        let is_open = ejector.is_too_many(ejected, counted().count());
        let ranks: Vec<u8> = seen.iter().map(|seen| seen.rank(is_open)).collect();
        let best = ranks.iter().min().copied().unwrap_or(0);
        let waits = |(rank, seen): (&u8, &Seen)| {
            *rank != best && seen.is_on_probation && !seen.turns_away()
        };
        let probation = listed.iter().zip(ranks.iter().zip(&seen)).filter(|(_, seen)| waits(*seen));
        let fit: Vec<Arc<Endpoint>> = (listed.iter().zip(&ranks))
            .filter(|(_, rank)| **rank == best)
            .map(|(endpoint, _)| endpoint.clone())
            .collect();
        let places = match fit.len() == listed.len() {
            true => Places::Same,
            false => {
                let fit = (0..).zip(&ranks).filter(|(_, rank)| **rank == best);
                Places::At(fit.map(|(place, _)| place).collect())
            }
        };
        Self {
            made_from: Some((version, epoch)),
            probation: probation.map(|(endpoint, _)| endpoint.clone()).collect(),
            ..Self::of(fit, members.clone(), places)
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

    /// The list that these are of, fit or not.
    pub(crate) fn members(&self) -> &Arc<Members> {
        &self.members
    }

    /// The index of a member by its place among the members; `None` if it is not fit.
    pub(crate) fn index_of_member(&self, place: usize) -> Option<usize> {
        match &self.places {
            Places::Same => Some(place),
            Places::At(places) => places.binary_search(&u32::try_from(place).ok()?).ok(),
            Places::Unknown => self.index_of(self.members.addresses().get(place)?),
        }
    }

    /// The index of the endpoint at `address`.
    pub(crate) fn index_of(&self, address: &str) -> Option<usize> {
        self.endpoints.binary_search_by(|endpoint| (**endpoint.address()).cmp(address)).ok()
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
        self.drawn_by(dice.roll())
    }

    /// The same, drawn by these random bits.
    pub(crate) fn drawn_by(&self, roll: u64) -> usize {
        match &self.weights {
            Weights::Equal => scale(roll, self.endpoints.len() as u64) as usize,
            Weights::Varied { sums, .. } => {
                let point = scale(roll, sums.last().copied().unwrap_or(0));
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

/// What an endpoint was like when candidates were made.
struct Seen {
    state: ChannelState,
    is_stale: bool,
    is_out: bool,
    is_on_probation: bool,
}

impl Seen {
    fn of(endpoint: &Endpoint) -> Self {
        let health = endpoint.condition();
        Self {
            state: endpoint.channel().state(),
            is_stale: health.is_stale(),
            is_out: health.is_out(),
            is_on_probation: health.is_on_probation(),
        }
    }

    const fn is_connected(&self) -> bool {
        matches!(self.state, ChannelState::Ready | ChannelState::Idle)
    }

    const fn turns_away(&self) -> bool {
        matches!(self.state, ChannelState::Down | ChannelState::Draining)
    }

    /// The lower, the fitter for a new call; `is_open` if ejections do not count.
    const fn rank(&self, is_open: bool) -> u8 {
        match self.state {
            _ if self.is_stale => 4,
            ChannelState::Down | ChannelState::Draining => 3,
            _ if self.is_out && !is_open => 2,
            ChannelState::Connecting => 1,
            ChannelState::Ready | ChannelState::Idle => 0,
        }
    }
}
