//! The endpoints a balancer may choose from, with their weights prepared.
//!
//! Immutable and shared by all calls until the list, a weight, the state of a connection or the
//! standing of an endpoint changes, so that a choice costs no work proportional to their number.

mod members;
mod rank;

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rpc_core::ChannelState;
use tokio::time::Instant;

pub(crate) use self::members::Members;
use self::rank::{FULL, Seen, is_weightless, weightless_beside};
use crate::dice::{Dice, scale};
use crate::endpoint::ejection::Ejector;
use crate::endpoint::load::Load;
use crate::endpoint::state::States;
use crate::endpoint::{Endpoint, Vitals};

/// More candidates than this are many: nothing then goes over all of them that need not.
pub(crate) const MANY: usize = 64;

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
    /// If it is all that a directory offers.
    fitness: Option<Fitness>,
    /// Those of them whose provider has answered, if others were never connected to.
    proven: Option<Arc<Self>>,
    /// How many connections may be opened that no call waits for.
    openings: AtomicUsize,
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

/// Which list and which states of it candidates were made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MadeOf {
    /// That of the list.
    pub(crate) version: u64,
    /// How many changes of states came before.
    pub(crate) changes: u64,
}

/// How candidates were told from the others of the list.
#[derive(Debug)]
struct Fitness {
    made_of: MadeOf,
    made: Instant,
    /// Their rank.
    best: u8,
    /// Whether ejections did not count.
    is_open: bool,
    /// When the first of the list that is full is so no more.
    full_until: Option<Instant>,
}

/// How many connections are opened at a time that no call waits for.
const OPENINGS: usize = 16;

/// How long more of them may be out of date, for each: far longer than it takes to make them anew.
const AGE_EACH: Duration = Duration::from_micros(1);

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
            weightless: Vec::new(),
            probation: Vec::new(),
            fitness: None,
            proven: None,
            openings: AtomicUsize::new(0),
            whole: None,
            members,
            places,
        }
    }

    /// Those of `listed`, the endpoints of `members`, at the places for which `is` holds.
    fn at(listed: &[Arc<Endpoint>], members: &Arc<Members>, is: impl Fn(usize) -> bool) -> Self {
        let at = (0..listed.len()).filter(|place| is(*place));
        let endpoints: Vec<Arc<Endpoint>> = at.clone().map(|place| listed[place].clone()).collect();
        let places = match endpoints.len() == listed.len() {
            true => Places::Same,
            // A list of more than 2^32 instances does not fit into memory.
            false => Places::At(at.map(|place| place as u32).collect()),
        };
        Self::of(endpoints, members.clone(), places)
    }

    /// Some of the endpoints of `whole`, with the weights they have now.
    pub(crate) fn part(whole: &Arc<Self>, mut endpoints: Vec<Arc<Endpoint>>) -> Self {
        // A router may have mixed them up.
        endpoints.sort_by(|a, b| a.address().cmp(b.address()));
        let part = Self::of(endpoints, whole.members.clone(), Places::Unknown);
        Self { whole: Some(whole.clone()), ..part }
    }

    /// All of `listed`, the endpoints of `members`, that are fit to be called.
    ///
    /// Connected and unused ones come first. One that is connecting makes callers wait, one that
    /// is full turns them away and soon takes them again, one that is ejected has failed them, one that
    /// is down or draining turns them away, a stale one does not have the service: each is a candidate only if there are no better ones. If too many of
    /// the connected ones are ejected, all of these are called: never the last one is left out.
    /// One without weight comes after all that have some and are well or connecting.
    pub(crate) fn fit(
        listed: &[Arc<Endpoint>],
        members: &Arc<Members>,
        ejector: &Ejector,
        made_of: MadeOf,
    ) -> Self {
        // Each is looked at once: endpoints that are ejected meanwhile must not add to those that
        // were counted.
        let now = Instant::now();
        let seen: Vec<Seen> = listed.iter().map(|endpoint| Seen::of(endpoint, now)).collect();
        let counted = || seen.iter().filter(|seen| seen.is_connected() && !seen.is_stale);
        let ejected = counted().filter(|seen| seen.is_out).count();
        let is_open = ejector.is_too_many(ejected, counted().count());
        let ranks: Vec<u8> = seen.iter().map(|seen| seen.rank(is_open)).collect();
        let best = ranks.iter().min().copied().unwrap_or(0);
        let ranked = || listed.iter().zip(&ranks);
        let waits = |(rank, seen): (&u8, &Seen)| {
            let is_called = !seen.is_weightless || is_weightless(best);
            *rank != best && seen.is_on_probation && !seen.turns_away() && is_called
        };
        let probation = listed.iter().zip(ranks.iter().zip(&seen)).filter(|(_, seen)| waits(*seen));
        let is = |state| {
            let (ranks, seen) = (&ranks, &seen);
            move |place: usize| ranks[place] == best && seen[place].state == state
        };
        let has = |state| (0..listed.len()).any(is(state));
        // Of the other ranks nobody is better than another for having answered once.
        let is_mixed = matches!(best, 0 | 2) && has(ChannelState::Idle) && has(ChannelState::Ready);
        let proven = || Arc::new(Self::at(listed, members, is(ChannelState::Ready)));
        let connecting = seen.iter().filter(|seen| seen.state == ChannelState::Connecting).count();
        let weightless = ranked().filter(|(_, rank)| weightless_beside(best).contains(*rank));
        let full_until = seen.iter().filter_map(|seen| seen.full_until).min();
        Self {
            fitness: Some(Fitness { made_of, made: now, best, is_open, full_until }),
            proven: is_mixed.then(proven),
            openings: AtomicUsize::new(OPENINGS.saturating_sub(connecting)),
            weightless: weightless.map(|(endpoint, _)| endpoint.clone()).collect(),
            probation: probation.map(|(endpoint, _)| endpoint.clone()).collect(),
            ..Self::at(listed, members, |place| ranks[place] == best)
        }
    }

    /// What they were made of, if they are all that a directory offers.
    pub(crate) fn made_of(&self) -> Option<MadeOf> {
        self.fitness.as_ref().map(|fitness| fitness.made_of)
    }

    /// Whether they are so many that they are used although something may have changed.
    pub(crate) const fn may_be_old(&self) -> bool {
        self.endpoints.len() > MANY
    }

    /// Whether they are used although something has changed.
    pub(crate) fn is_young(&self, now: Instant) -> bool {
        let count = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let is_new = |fitness: &Fitness| {
            now.saturating_duration_since(fitness.made) < AGE_EACH.saturating_mul(count)
        };
        self.may_be_old() && self.fitness.as_ref().is_some_and(is_new)
    }

    /// Whether one that was full may be so no more. A long list is not looked through for each of them.
    pub(crate) fn have_lapsed(&self) -> bool {
        let count = u32::try_from(self.members.addresses().len()).unwrap_or(u32::MAX);
        let has_lapsed = |fitness: &Fitness, until: Instant| {
            Instant::now() >= until.max(fitness.made + AGE_EACH.saturating_mul(count))
        };
        self.fitness
            .as_ref()
            .is_some_and(|f| f.full_until.is_some_and(|until| has_lapsed(f, until)))
    }

    /// Whether they are called although they are full, as all are that may be called.
    pub(crate) fn are_full(&self) -> bool {
        self.fitness.as_ref().is_some_and(|fitness| FULL.contains(&fitness.best))
    }

    /// Whether `endpoint`, one of them, still is as fit as they were.
    pub(crate) fn still_has(&self, endpoint: &Endpoint) -> bool {
        let is_as_fit = |fitness: &Fitness| {
            Seen::of(endpoint, Instant::now()).rank(fitness.is_open) <= fitness.best
        };
        self.fitness.as_ref().is_none_or(is_as_fit)
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

    /// Those whose provider has answered, if there are such and `chosen`, one of these, is none.
    pub(crate) fn proven_instead_of(&self, chosen: &Endpoint) -> Option<&Arc<Self>> {
        let proven = self.proven.as_ref();
        proven.filter(|_| chosen.channel().state() != ChannelState::Ready)
    }

    /// Has a connection to `chosen` opened, one of these that was never used, so that it is called
    /// once it has answered. `false` if that takes a call. Beyond so many at a time none is opened.
    pub(crate) fn open(&self, chosen: &Endpoint) -> bool {
        if chosen.channel().state() != ChannelState::Idle {
            return true;
        }
        let one_less = |openings: usize| openings.checked_sub(1);
        let may_open = self.openings.fetch_update(Relaxed, Relaxed, one_less).is_ok();
        !may_open || chosen.channel().connect()
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

    /// What balancers keep of the endpoint at `index`.
    pub(crate) fn states(&self, index: usize) -> &States {
        self.vitals[index].states()
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
