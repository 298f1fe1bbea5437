//! Choosing the endpoint of an attempt: of those that are left for it, the one the balancer
//! selects.

use std::sync::Arc;

use rpc_core::Status;

use super::probe::choose as choose_probe;
use super::{Parts, Picker};
use crate::attempt::Attempt;
use crate::candidates::{Candidates, MANY};
use crate::endpoint::Endpoint;
use crate::shortlist::{Shortlist, is_new};

impl Picker {
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

    /// Picks the lowest address among the candidates with the best connection state. Routers apply
    /// first; excluded and weightless endpoints are used only if nothing else is left. An endpoint
    /// that was never used counts as connected, so that a new first one takes over.
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

    /// The choice of `choose` from `whole`, or from the present list if the chosen endpoint is no
    /// longer as fit as the list says.
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

    pub(super) fn probe_of(
        &self,
        candidates: &Candidates,
        attempt: &Attempt,
    ) -> Option<Arc<Endpoint>> {
        if candidates.probation().is_empty() {
            return None;
        }
        let Parts { routers, budget, dice, .. } = &*self.0;
        choose_probe(candidates, attempt, routers, budget, dice)
    }

    pub(super) fn choose_of(
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

    /// Selects one of many that is not excluded. The result is that of a list without the excluded,
    /// and far cheaper.
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
}

/// Returns `chosen`, or an endpoint whose provider has answered before, if there is one for this
/// call. In that case a connection to `chosen` is opened, and calls go there once it has answered.
/// So an address that accepts and then hangs or resets costs no call.
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
