//! The endpoints a balancer may choose from, with their weights prepared.
//!
//! Immutable and shared by all calls until the list, a weight, the state of a connection or the
//! standing of an endpoint changes, so that a choice costs no work proportional to their number.

mod fit;
mod fitness;
mod members;
mod rank;
mod weights;

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use self::fitness::Fitness;
pub(crate) use self::fitness::MadeOf;
pub(crate) use self::members::Members;
use self::weights::Weights;
use crate::dice::Dice;
use crate::endpoint::load::Load;
use crate::endpoint::state::States;
use crate::endpoint::{Endpoint, Vitals};

/// Above this number of candidates, code avoids passing over all of them.
pub(crate) const MANY: usize = 64;

/// The endpoints that a balancer chooses from, and their weights at one time.
///
/// They are sorted by address, and
/// [`LoadBalance::select`](crate::load_balance::LoadBalance::select) names one by its index. All of
/// one rank are candidates together: a list of healthy endpoints holds none that is ejected or
/// down.
#[derive(Debug)]
pub struct Candidates {
    endpoints: Vec<Arc<Endpoint>>,
    /// The part of each endpoint that calls change. Kept here so that both are fetched at once:
    /// behind the endpoint, which is cold among thousands, there would be two waits for the memory.
    vitals: Vec<Arc<Vitals>>,
    weights: Weights,
    /// Endpoints that are missing in `endpoints` only because their weight is 0.
    weightless: Vec<Arc<Endpoint>>,
    /// Endpoints that wait for a probe after their ejection; none of `endpoints`.
    probation: Vec<Arc<Endpoint>>,
    /// If it is all that a directory offers.
    fitness: Option<Fitness>,
    /// The candidates whose provider has answered, if others were never connected.
    proven: Option<Arc<Self>>,
    /// How many connections may be opened that no call waits for.
    openings: AtomicUsize,
    /// The candidates that a router or a re-send narrowed to these.
    whole: Option<Arc<Self>>,
    /// The list that these are of, fit or not.
    members: Arc<Members>,
    places: Places,
}

/// The places of the candidates among the members.
#[derive(Debug)]
enum Places {
    /// They are the members.
    Same,
    /// The place of each.
    At(Box<[u32]>),
    /// To be found by address.
    Unknown,
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

    /// The endpoints of `listed`, which are the `members`, at the places for which `is` holds.
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

    /// Whether these are all that a directory offers, rather than a part that a router or a
    /// re-send has left.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole.is_none()
    }

    /// The full set that this subset was taken from; `None` if it is the full set.
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

    /// The states that balancers keep of the endpoint at `index`.
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

    /// Endpoints that are not candidates only because their weight is 0.
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

    /// Endpoints that wait for a probe after their ejection.
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
        self.weights.are_equal()
    }

    /// The share of the endpoint at `index`; the heaviest has 1. All have 1 if all are equal.
    #[must_use]
    pub fn share(&self, index: usize) -> f64 {
        self.weights.share(index)
    }

    /// The weight of the endpoint at `index`; 1 if all are equal.
    #[must_use]
    pub fn weight(&self, index: usize) -> u64 {
        self.weights.weight(index)
    }

    /// An index drawn with the probability of its weight.
    pub(crate) fn draw(&self, dice: &Dice) -> usize {
        self.drawn_by(dice.roll())
    }

    /// The same, drawn by these random bits.
    pub(crate) fn drawn_by(&self, roll: u64) -> usize {
        self.weights.drawn_by(self.endpoints.len(), roll)
    }
}
