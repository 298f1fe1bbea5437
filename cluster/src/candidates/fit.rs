//! Which of the listed endpoints are fit to be called, and for how long that holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rpc_core::{ChannelState, Turns};
use tokio::time::Instant;

use super::fitness::{Fitness, MadeOf};
use super::rank::{FULL, RankedState, is_weightless, weightless_beside};
use super::{Candidates, MANY, Members};
use crate::endpoint::Endpoint;
use crate::endpoint::ejection::SharedEjection;

/// Most connections that are opened at a time without a call that waits for them.
const OPENINGS: usize = 16;

/// How long more of them may be out of date, for each: far longer than it takes to make them anew.
const AGE_EACH: Duration = Duration::from_micros(1);

/// Above this number of candidates, it is not a call that makes them anew.
const LONG: usize = 1024;

/// How many times the age up to which they are used as they are they may have while others are made.
const WHILE_MADE: u32 = 4;

/// The states of the endpoints of a list. Each was looked at once: endpoints that are ejected meanwhile
/// must not add to those that were counted.
struct Seen {
    made_of: MadeOf,
    now: Instant,
    states: Vec<RankedState>,
}

impl Candidates {
    /// All of `listed`, the endpoints of `members`, that are fit to be called.
    ///
    /// Connected and unused ones come first. One that is connecting makes callers wait, one that is
    /// full turns them away and soon takes them again, one that is ejected has failed them, one
    /// that is down or draining turns them away, a stale one does not have the service: each is a
    /// candidate only if there are no better ones. If too many of the connected ones are ejected,
    /// all of these are called, so that the last one is never left out. One without weight comes
    /// after all that have some and are well or connecting.
    pub(crate) fn fit(
        listed: &[Arc<Endpoint>],
        members: &Arc<Members>,
        rules: &SharedEjection,
        made_of: MadeOf,
    ) -> Self {
        let now = Instant::now();
        let seen = listed.iter().map(|endpoint| RankedState::of(endpoint, now)).collect();
        Self::as_seen(listed, members, rules, Seen { made_of, now, states: seen })
    }

    /// As [`fit`](Self::fit), with turns for others.
    pub(crate) async fn fit_in_turns(
        listed: &[Arc<Endpoint>],
        members: &Arc<Members>,
        rules: &SharedEjection,
        made_of: MadeOf,
        turns: &mut Turns,
    ) -> Self {
        let now = Instant::now();
        let mut states = Vec::with_capacity(listed.len());
        for endpoint in listed {
            turns.next().await;
            states.push(RankedState::of(endpoint, now));
        }
        Self::as_seen(listed, members, rules, Seen { made_of, now, states })
    }

    fn as_seen(
        listed: &[Arc<Endpoint>],
        members: &Arc<Members>,
        rules: &SharedEjection,
        seen: Seen,
    ) -> Self {
        let Seen { made_of, now, states: seen } = seen;
        let counted = || seen.iter().filter(|seen| seen.is_connected() && !seen.is_stale);
        let ejected = counted().filter(|seen| seen.is_out).count();
        let is_open = rules.is_too_many(ejected, counted().count());
        let ranks: Vec<u8> = seen.iter().map(|seen| seen.rank(is_open)).collect();
        let best = ranks.iter().min().copied().unwrap_or(0);
        let ranked = || listed.iter().zip(&ranks);
        let waits = |(rank, seen): (&u8, &RankedState)| {
            let is_called = !seen.is_weightless || is_weightless(best);
            *rank != best && seen.is_on_probation && !seen.turns_away() && is_called
        };
        let probation = listed.iter().zip(ranks.iter().zip(&seen)).filter(|(_, seen)| waits(*seen));
        let is = |state| {
            let (ranks, seen) = (&ranks, &seen);
            move |place: usize| ranks[place] == best && seen[place].state == state
        };
        let has = |state| (0..listed.len()).any(is(state));
        // In the other ranks it makes no difference whether an endpoint has answered once.
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

    /// The list and states that they were made from, if they are all that a directory offers.
    pub(crate) fn made_of(&self) -> Option<MadeOf> {
        self.fitness.as_ref().map(|fitness| fitness.made_of)
    }

    /// Whether there are so many that they are used for a while after something has changed.
    pub(crate) const fn may_be_old(&self) -> bool {
        self.endpoints.len() > MANY
    }

    /// Whether they are used although something has changed.
    pub(crate) fn is_young(&self, now: Instant) -> bool {
        self.may_be_old() && self.is_younger(now, 1)
    }

    /// Whether they are used although something has changed, while others are made beside the calls.
    pub(crate) fn is_used_meanwhile(&self, now: Instant) -> bool {
        self.endpoints.len() > LONG && self.is_younger(now, WHILE_MADE)
    }

    fn is_younger(&self, now: Instant, times: u32) -> bool {
        let count = u32::try_from(self.len()).unwrap_or(u32::MAX).saturating_mul(times);
        let is_new = |fitness: &Fitness| {
            now.saturating_duration_since(fitness.made) < AGE_EACH.saturating_mul(count)
        };
        self.fitness.as_ref().is_some_and(is_new)
    }

    /// Whether an endpoint that was full may have room again. A long list is not scanned for each.
    pub(crate) fn have_lapsed(&self) -> bool {
        let count = u32::try_from(self.members.addresses().len()).unwrap_or(u32::MAX);
        let has_lapsed = |fitness: &Fitness, until: Instant| {
            Instant::now() >= until.max(fitness.made + AGE_EACH.saturating_mul(count))
        };
        self.fitness
            .as_ref()
            .is_some_and(|f| f.full_until.is_some_and(|until| has_lapsed(f, until)))
    }

    /// Whether they are called although they are full, because every endpoint is.
    pub(crate) fn are_full(&self) -> bool {
        self.fitness.as_ref().is_some_and(|fitness| FULL.contains(&fitness.best))
    }

    /// Whether `endpoint`, one of them, still is as fit as they were.
    pub(crate) fn still_has(&self, endpoint: &Endpoint) -> bool {
        let is_as_fit = |fitness: &Fitness| {
            RankedState::of(endpoint, Instant::now()).rank(fitness.is_open) <= fitness.best
        };
        self.fitness.as_ref().is_none_or(is_as_fit)
    }

    /// The candidates whose provider has answered, if there are any and `chosen` is not among them.
    pub(crate) fn proven_instead_of(&self, chosen: &Endpoint) -> Option<&Arc<Self>> {
        let proven = self.proven.as_ref();
        proven.filter(|_| chosen.channel().state() != ChannelState::Ready)
    }

    /// Opens a connection to `chosen`, a candidate that was never used, so that it is called once
    /// it has answered. Returns `false` if only a call can open it. At most [`OPENINGS`] are opened
    /// at a time.
    pub(crate) fn open(&self, chosen: &Endpoint) -> bool {
        if chosen.channel().state() != ChannelState::Idle {
            return true;
        }
        let one_less = |openings: usize| openings.checked_sub(1);
        let may_open = self.openings.fetch_update(Relaxed, Relaxed, one_less).is_ok();
        !may_open || chosen.channel().connect()
    }
}
