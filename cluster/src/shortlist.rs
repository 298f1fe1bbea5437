//! The endpoints left for one call: those that routers leave, then those with weight, then those
//! not yet tried.
//!
//! Picking and explaining share these steps. Explaining observes them through a [`Trace`], which
//! costs picking nothing.

use std::sync::Arc;

use rpc_core::{Invocation, Status};

use crate::attempt::Attempt;
use crate::candidates::Candidates;
use crate::endpoint::Endpoint;
use crate::router::{ChosenRouter, RouterChain};

/// A step that narrows a shortlist.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// A router.
    Router(&'a ChosenRouter),
    /// Removes endpoints without weight, because others have some.
    Weight,
}

/// Sees each step of a shortlist; `()` sees nothing.
pub(crate) trait Trace {
    /// Takes the step, which is to `narrow` those that are left.
    fn take<'a>(
        &mut self,
        step: Step<'_>,
        left: &mut Vec<&'a Arc<Endpoint>>,
        narrow: impl FnOnce(&mut Vec<&'a Arc<Endpoint>>),
    );
}

impl Trace for () {
    fn take<'a>(
        &mut self,
        _: Step<'_>,
        left: &mut Vec<&'a Arc<Endpoint>>,
        narrow: impl FnOnce(&mut Vec<&'a Arc<Endpoint>>),
    ) {
        narrow(left);
    }
}

/// The endpoints that are left for a call.
#[derive(Debug)]
pub(crate) struct Shortlist<'a>(Vec<&'a Arc<Endpoint>>);

impl<'a> Shortlist<'a> {
    /// The endpoints of `all` that `routers` leave.
    ///
    /// # Errors
    /// `unavailable`, not sent, naming the router that left none.
    pub(crate) fn of(
        all: &'a [Arc<Endpoint>],
        routers: &RouterChain,
        invocation: &Invocation,
        trace: &mut impl Trace,
    ) -> Result<Self, Status> {
        let mut left: Vec<&Arc<Endpoint>> = all.iter().collect();
        for (at, chosen) in routers.routers().iter().enumerate() {
            let before = left.len();
            let narrow = |left: &mut Vec<_>| chosen.router.narrow(left, invocation);
            trace.take(Step::Router(chosen), &mut left, narrow);
            if left.is_empty() && before > 0 {
                return Err(routers.nobody(at, all, invocation));
            }
        }
        Ok(Self(left))
    }

    /// The endpoints with weight; all of them if none has any.
    pub(crate) fn with_weight(mut self, trace: &mut impl Trace) -> Self {
        trace.take(Step::Weight, &mut self.0, |left| {
            keep(left, has_weight);
        });
        self
    }

    /// The endpoints with weight, or all if none has any, that were not tried; `None` if there is
    /// none.
    pub(crate) fn untried(self, attempt: &Attempt) -> Option<Self> {
        let mut weighted = self.with_weight(&mut ());
        keep(&mut weighted.0, is_new(attempt)).then_some(weighted)
    }

    /// Those that an attempt would rather go to: not tried and with weight, or else not tried, or
    /// else with weight.
    pub(crate) fn best(mut self, attempt: &Attempt) -> Self {
        let (left, is_new) = (&mut self.0, is_new(attempt));
        if !keep(left, |endpoint| has_weight(endpoint) && is_new(endpoint)) && !keep(left, is_new) {
            keep(left, has_weight);
        }
        self
    }

    /// The endpoints, in the order in which routers left them.
    pub(crate) fn endpoints(&self) -> &[&'a Arc<Endpoint>] {
        &self.0
    }

    /// These of `whole`, for a balancer; `None` if they are the whole.
    pub(crate) fn part_of(&self, whole: &Arc<Candidates>) -> Option<Candidates> {
        let is_whole = self.0.len() == whole.len() && whole.weightless().is_empty();
        (!is_whole).then(|| Candidates::part(whole, self.to_vec()))
    }

    /// The endpoints, each with a handle of its own.
    pub(crate) fn to_vec(&self) -> Vec<Arc<Endpoint>> {
        self.0.iter().copied().cloned().collect()
    }
}

fn has_weight(endpoint: &Arc<Endpoint>) -> bool {
    endpoint.weight() > 0
}

/// Whether an attempt has not been tried at an endpoint.
pub(crate) fn is_new(attempt: &Attempt) -> impl Fn(&Arc<Endpoint>) -> bool {
    |endpoint| !attempt.excluded.contains(endpoint.address())
}

/// Leaves those that `is` holds for, if there are any.
fn keep(left: &mut Vec<&Arc<Endpoint>>, is: impl Fn(&Arc<Endpoint>) -> bool) -> bool {
    let any = left.iter().any(|endpoint| is(endpoint));
    if any {
        left.retain(|endpoint| is(endpoint));
    }
    any
}
