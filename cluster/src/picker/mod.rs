//! What sends attempts: an attempt in, the reply of one endpoint out.
//!
//! Candidates of the directory, narrowed by the routers, without those tried, one selected by the
//! balancer, called. Policies are layers over this; it never sends anything twice. It is not a
//! service of attempts itself: a policy asks it more than to send, such as who is left.

mod probe;

use std::sync::{Arc, Weak};
use std::time::Duration;

use rpc_core::{Deadline, Delivery, Invocation, Status, runtime};
use tokio::time::Instant;

use self::probe::choose as choose_probe;
use crate::attempt::{Attempt, AttemptFuture};
use crate::backlog::Backlog;
use crate::budget::RetryBudget;
use crate::candidates::{Candidates, MANY};
use crate::dice::Dice;
use crate::directory::Directory;
use crate::endpoint::Endpoint;
use crate::load_balance::LoadBalance;
use crate::router::RouterChain;
use crate::shortlist::{Shortlist, is_new};

/// What is left for a call to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// How many endpoints it may go to.
    pub endpoints: usize,
    /// Whether one of them was not tried yet.
    pub untried: bool,
    /// Whether one of those is not known to be full.
    pub has_room: bool,
}

/// What a [`Picker`] is made of; one is made for each method that is configured apart.
#[derive(Debug, Clone)]
pub struct PickerParts {
    /// Where the endpoints come from; shared by the methods of a service.
    pub directory: Arc<Directory>,
    /// What narrows them.
    pub routers: RouterChain,
    /// What selects one of them; the method's own.
    pub balancer: Arc<dyn LoadBalance>,
    /// What bounds re-sends; shared by the whole consumer.
    pub budget: Arc<RetryBudget>,
    /// Where failed calls wait to be sent again; shared by the whole consumer, which alone keeps
    /// it alive.
    pub backlog: Arc<Backlog>,
    /// Makes pauses between attempts reproducible; `None` for others each time.
    pub seed: Option<u64>,
}

/// Sends attempts to endpoints of its choice; a clone is one atomic increment.
///
/// A [`ClusterPolicy`](crate::policy::ClusterPolicy) is a tower layer over it:
/// `ServiceBuilder::new().layer(Failover::default()).service(picker)` is a service of invocations.
#[derive(Debug, Clone)]
pub struct Picker(pub(crate) Arc<Parts>);

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) directory: Arc<Directory>,
    pub(crate) routers: RouterChain,
    pub(crate) balancer: Arc<dyn LoadBalance>,
    budget: Arc<RetryBudget>,
    /// Weak, because what waits there holds a picker.
    backlog: Weak<Backlog>,
    dice: Dice,
}

impl Picker {
    /// A picker of these parts.
    #[must_use]
    pub fn new(parts: PickerParts) -> Self {
        let PickerParts { directory, routers, balancer, budget, backlog, seed } = parts;
        let (backlog, dice) = (Arc::downgrade(&backlog), Dice::new(seed));
        Self(Arc::new(Parts { directory, routers, balancer, budget, backlog, dice }))
    }

    /// What bounds the re-sends of the whole consumer.
    #[must_use]
    pub fn budget(&self) -> &RetryBudget {
        &self.0.budget
    }

    /// Where failed calls wait to be sent again; `None` once their consumer has ended.
    #[must_use]
    pub fn backlog(&self) -> Option<Arc<Backlog>> {
        self.0.backlog.upgrade()
    }

    /// Waits until there is an endpoint, while the registry has not said anything and at most
    /// until the call's deadline; for policies that choose endpoints themselves.
    ///
    /// # Errors
    /// `unavailable`, not sent: there is none.
    pub async fn ready(&self, invocation: &Invocation) -> Result<(), Status> {
        let directory = &self.0.directory;
        // Asked before the list is read: the first snapshot may come between.
        if directory.is_pending() || directory.is_left() {
            let candidates = directory.candidates().clone();
            if candidates.is_empty() || directory.is_confirming() {
                runtime::with_timers()?;
                directory.wait_ready(patience(&candidates, invocation)).await;
            }
        }
        if directory.candidates().is_empty() { Err(directory.no_instance()) } else { Ok(()) }
    }

    /// How many endpoints this call may go to now, and whether one of them is none of `tried`; for
    /// policies that ask whether to try again. Looks at no more endpoints than were tried, unless
    /// there are routers.
    #[must_use]
    pub fn left(&self, invocation: &Invocation, tried: &[Arc<str>]) -> Left {
        let candidates = self.0.directory.candidates();
        let now = Instant::now();
        let is_untried = |endpoint: &Arc<Endpoint>| !tried.contains(endpoint.address());
        let has_room =
            |e: &Arc<Endpoint>| !candidates.are_full() && is_untried(e) && !e.is_full(now);
        if self.0.routers.is_empty() {
            let all = candidates.endpoints();
            let (untried, has_room) = (all.iter().any(is_untried), all.iter().any(has_room));
            return Left { endpoints: all.len(), untried, has_room };
        }
        let all = candidates.with_weightless();
        let left = self.routed(&all, invocation).map(|left| left.with_weight(&mut ()));
        let left = left.as_ref().map_or(&[][..], Shortlist::endpoints);
        Left {
            endpoints: left.len(),
            untried: left.iter().copied().any(is_untried),
            has_room: left.iter().copied().any(has_room),
        }
    }

    /// Every endpoint that routers leave for this call, whatever its weight and the state of its
    /// connection, in the order of addresses.
    ///
    /// # Errors
    /// `unavailable`, not sent, naming the router that left none.
    pub fn everyone(&self, invocation: &Invocation) -> Result<Vec<Arc<Endpoint>>, Status> {
        let all = self.0.directory.endpoints();
        Ok(self.routed(&all, invocation)?.to_vec())
    }

    /// A random time from half of `longest` up to it, for policies that pause.
    #[must_use]
    pub fn jitter(&self, longest: Duration) -> Duration {
        self.0.dice.jitter(longest)
    }

    /// Starts an attempt. Dropping the future cancels it.
    ///
    /// While the registry has not said anything, it waits for that until the call's deadline.
    ///
    /// # Errors
    /// Those of the endpoint, naming its address; without an address: `unavailable`, not sent, if
    /// there is no endpoint; `deadline_exceeded`, not sent, if no time is left.
    pub fn attempt(&self, attempt: Attempt) -> AttemptFuture {
        if let Err(late) = self.admit(&attempt) {
            return AttemptFuture::failed(late);
        }
        if self.0.directory.is_left() {
            self.resume();
        }
        let candidates = self.0.directory.candidates();
        if candidates.is_empty() || self.0.directory.is_confirming() {
            return self.without_candidates(attempt);
        }
        self.send(&candidates, attempt)
    }

    /// Starts an attempt at this endpoint. Dropping the future cancels it.
    ///
    /// # Errors
    /// Those of the endpoint, and `deadline_exceeded`, not sent, if no time is left; both name its
    /// address.
    pub fn attempt_at(&self, endpoint: &Arc<Endpoint>, attempt: Attempt) -> AttemptFuture {
        match self.admit(&attempt) {
            Ok(()) => start(endpoint.clone(), attempt),
            Err(late) => AttemptFuture::failed(late.with_address(endpoint.address().clone())),
        }
    }

    /// The endpoint that an attempt would go to now: one that routers leave, that is not excluded
    /// while there are others, and that the balancer selects. One without weight is chosen if none
    /// has weight, and as a last resort if all that have are excluded.
    ///
    /// # Errors
    /// `unavailable`, not sent: there is none.
    pub fn choose(&self, attempt: &Attempt) -> Result<Arc<Endpoint>, Status> {
        let candidates = self.0.directory.candidates();
        if candidates.is_empty() {
            return Err(self.0.directory.no_instance());
        }
        match self.probe_of(&candidates, attempt) {
            Some(endpoint) => Ok(endpoint),
            None => self.choose_of(&candidates, attempt),
        }
    }

    /// The endpoint for a copy of a call that others have: as [`choose`](Self::choose), but never
    /// one that is excluded, and one without weight only if none has weight. `None` if there is
    /// none.
    #[must_use]
    pub fn choose_other(&self, attempt: &Attempt) -> Option<Arc<Endpoint>> {
        let whole = self.0.directory.candidates();
        let other = |whole: &Arc<Candidates>| self.choose_other_among(whole, attempt);
        let choose = |whole: &Arc<Candidates>| {
            other(whole).map(|chosen| proven_instead(whole, chosen, other)).ok_or(())
        };
        self.fresh(&whole, choose).ok()
    }

    /// The first endpoint in the order of addresses, of those whose connection is the best there
    /// is: one that routers leave, that is not excluded while there are others, and that has weight
    /// while others have and are not excluded. One that was never used counts like one that is
    /// connected, so that a new first one takes over.
    ///
    /// # Errors
    /// `unavailable`, not sent: there is none.
    pub fn first(&self, attempt: &Attempt) -> Result<Arc<Endpoint>, Status> {
        let candidates = self.0.directory.candidates();
        if let Some(endpoint) = self.probe_of(&candidates, attempt) {
            return Ok(endpoint);
        }
        self.fresh(&candidates, |whole| {
            let first_new = |proven: &Arc<Candidates>| {
                self.first_among(proven, attempt).ok().filter(is_new(attempt))
            };
            Ok(proven_instead(whole, self.first_among(whole, attempt)?, first_new))
        })
    }

    /// The choice of `choose` from `whole`, or from the list of now if whom it chose is no longer as
    /// fit as the list says.
    fn fresh<E>(
        &self,
        whole: &Arc<Candidates>,
        choose: impl Fn(&Arc<Candidates>) -> Result<Arc<Endpoint>, E>,
    ) -> Result<Arc<Endpoint>, E> {
        let chosen = choose(whole)?;
        match self.0.directory.instead_of(whole, &chosen) {
            None => Ok(chosen),
            Some(whole) => choose(&whole),
        }
    }

    /// Those of `all` that routers leave.
    fn routed<'a>(
        &self,
        all: &'a [Arc<Endpoint>],
        invocation: &Invocation,
    ) -> Result<Shortlist<'a>, Status> {
        Shortlist::of(all, &self.0.routers, invocation, &mut ())
    }

    fn first_among(
        &self,
        candidates: &Candidates,
        attempt: &Attempt,
    ) -> Result<Arc<Endpoint>, Status> {
        if self.0.routers.is_empty()
            && let Some(first) = candidates.endpoints().iter().find(|e| is_new(attempt)(e))
        {
            return Ok(first.clone());
        }
        let all = candidates.with_weightless();
        let left = self.routed(&all, &attempt.invocation)?.best(attempt);
        let first = left.endpoints().first().copied().cloned();
        first.ok_or_else(|| self.0.directory.no_instance())
    }

    fn probe_of(&self, candidates: &Candidates, attempt: &Attempt) -> Option<Arc<Endpoint>> {
        if candidates.probation().is_empty() {
            return None;
        }
        let Parts { routers, budget, dice, .. } = &*self.0;
        choose_probe(candidates, attempt, routers, budget, dice)
    }

    /// What waits is likely to have lost the same runtime as the directory, which sees to itself.
    #[cold]
    fn resume(&self) {
        self.backlog().inspect(|backlog| backlog.resume());
    }

    /// Counts the first attempt of a call.
    ///
    /// # Errors
    /// No time is left for it.
    fn admit(&self, attempt: &Attempt) -> Result<(), Status> {
        if attempt.number == 1 {
            self.0.budget.deposit(attempt.now);
        }
        in_time(attempt)
    }

    fn send(&self, candidates: &Arc<Candidates>, attempt: Attempt) -> AttemptFuture {
        if let Some(endpoint) = self.probe_of(candidates, &attempt)
            && let Some(probe) = endpoint.probe(attempt.invocation.clone(), attempt.now)
        {
            return AttemptFuture::running(probe);
        }
        match self.choose_of(candidates, &attempt) {
            Ok(endpoint) => start(endpoint, attempt),
            Err(status) => AttemptFuture::failed(status),
        }
    }

    fn choose_of(
        &self,
        whole: &Arc<Candidates>,
        attempt: &Attempt,
    ) -> Result<Arc<Endpoint>, Status> {
        self.fresh(whole, |whole| {
            let other = |proven: &Arc<Candidates>| self.choose_other_among(proven, attempt);
            Ok(proven_instead(whole, self.choose_among(whole, attempt)?, other))
        })
    }

    fn choose_among(
        &self,
        whole: &Arc<Candidates>,
        attempt: &Attempt,
    ) -> Result<Arc<Endpoint>, Status> {
        if whole.is_empty() {
            return Err(self.0.directory.no_instance());
        }
        if self.0.routers.is_empty() && attempt.excluded.is_empty() {
            return Ok(self.select(whole, attempt).clone());
        }
        if let Some(selected) = self.select_new(whole, attempt) {
            return Ok(selected.clone());
        }
        let all = whole.with_weightless();
        let left = self.routed(&all, &attempt.invocation)?.best(attempt);
        Ok(self.select_of(whole, &left, attempt))
    }

    fn choose_other_among(
        &self,
        whole: &Arc<Candidates>,
        attempt: &Attempt,
    ) -> Option<Arc<Endpoint>> {
        if whole.is_empty() {
            return None;
        }
        if let Some(selected) = self.select_new(whole, attempt) {
            return Some(selected.clone());
        }
        let all = whole.with_weightless();
        let left = self.routed(&all, &attempt.invocation).ok()?.untried(attempt)?;
        Some(self.select_of(whole, &left, attempt))
    }

    /// One of many that is not excluded: far cheaper than a list without the excluded, and the
    /// same.
    fn select_new<'a>(
        &self,
        whole: &'a Candidates,
        attempt: &Attempt,
    ) -> Option<&'a Arc<Endpoint>> {
        if !self.0.routers.is_empty() || whole.len() <= MANY {
            return None;
        }
        let Attempt { invocation, now, .. } = attempt;
        let is_left = |index: usize| whole.endpoints().get(index).is_some_and(is_new(attempt));
        let index = self.0.balancer.select_left(whole, invocation, *now, &is_left);
        let index = index.filter(|index| is_left(*index))?;
        whole.touch(index);
        Some(&whole.endpoints()[index])
    }

    /// The endpoint the balancer selects of those that are `left`, of which there is one.
    fn select_of(
        &self,
        whole: &Arc<Candidates>,
        left: &Shortlist<'_>,
        attempt: &Attempt,
    ) -> Arc<Endpoint> {
        match left.part_of(whole) {
            Some(part) => self.select(&part, attempt).clone(),
            None => self.select(whole, attempt).clone(),
        }
    }

    /// The endpoint the balancer selects. `candidates` is not empty.
    fn select<'a>(&self, candidates: &'a Candidates, attempt: &Attempt) -> &'a Arc<Endpoint> {
        let (endpoints, invocation) = (candidates.endpoints(), &attempt.invocation);
        let index = match endpoints.len() {
            1 => 0,
            _ => self.0.balancer.select(candidates, invocation, attempt.now),
        };
        // A balancer from outside may be wrong about the length; that must not panic.
        let index = index % endpoints.len();
        candidates.touch(index);
        &endpoints[index]
    }

    fn without_candidates(&self, attempt: Attempt) -> AttemptFuture {
        let directory = self.0.directory.clone();
        // Asked before the list is read again: the first snapshot may come between.
        let is_pending = directory.is_pending();
        let candidates = directory.candidates();
        if !candidates.is_empty() && !directory.is_confirming() {
            return self.send(&candidates, attempt);
        }
        if !is_pending {
            return match candidates.is_empty() {
                true => AttemptFuture::failed(directory.no_instance()),
                false => self.send(&candidates, attempt),
            };
        }
        if let Err(missing) = runtime::with_timers() {
            return AttemptFuture::failed(missing.into());
        }
        let (this, deadline) = (self.clone(), patience(&candidates, &attempt.invocation));
        let waiting = async move {
            directory.wait_ready(deadline).await;
            let candidates = directory.candidates().clone();
            if candidates.is_empty() {
                return Err(directory.no_instance());
            }
            let attempt = Attempt { now: Instant::now(), ..attempt };
            in_time(&attempt)?;
            Ok(this.send(&candidates, attempt))
        };
        AttemptFuture::waiting(Box::pin(waiting))
    }
}

/// `chosen`, or one whose provider has answered already, if there is such for this call: then a
/// connection to `chosen` is opened, and calls come there once it has answered, too. An address that
/// accepts and hangs, or resets, so costs no call.
fn proven_instead(
    whole: &Candidates,
    chosen: Arc<Endpoint>,
    other: impl FnOnce(&Arc<Candidates>) -> Option<Arc<Endpoint>>,
) -> Arc<Endpoint> {
    match whole.proven_instead_of(&chosen).and_then(other) {
        Some(other) if whole.open(&chosen) => other,
        _ => chosen,
    }
}

/// How long a call waits for the first word of a registry. Is there a list that only is to be
/// confirmed, half of its time has to do for that.
fn patience(candidates: &Candidates, invocation: &Invocation) -> Deadline {
    match candidates.is_empty() {
        true => invocation.deadline,
        false => Deadline::after(invocation.deadline.remaining() / 2),
    }
}

fn in_time(attempt: &Attempt) -> Result<(), Status> {
    if attempt.invocation.deadline.instant() <= attempt.now {
        let late = Status::deadline_exceeded("no time was left to send the call");
        return Err(late.with_delivery(Delivery::NotSent));
    }
    Ok(())
}

fn start(endpoint: Arc<Endpoint>, attempt: Attempt) -> AttemptFuture {
    match endpoint.called(attempt.invocation, attempt.now, attempt.number) {
        Ok(running) => AttemptFuture::running(running),
        Err(status) => AttemptFuture::failed(status),
    }
}
