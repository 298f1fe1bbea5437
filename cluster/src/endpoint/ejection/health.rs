//! The health of one endpoint: healthy, ejected, on probation, being probed, healthy again.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_core::Status;
use tokio::time::Instant;

use super::nested::Nested;
use super::report::{EndpointHealth, HealthState};
use super::silence::Silence;
use super::window::OutcomeWindow;
use super::{SharedEjection, Verdict};
use crate::endpoint::load::nanos_since;

/// How long an address without the service is left alone before it is asked again.
pub(super) const STALE: Duration = Duration::from_secs(60);

/// How long an ended ejection waits for a call of which a copy can be the probe.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) const HEALTHY: u8 = 0;
pub(super) const EJECTED: u8 = 1;
pub(super) const PROBATION: u8 = 2;
pub(super) const PROBING: u8 = 3;

/// Whether an endpoint is fit to be called, as its calls have shown. What every call looks at comes
/// first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Health {
    pub(super) standing: AtomicU8,
    pub(super) stale: AtomicBool,
    pub(super) in_row: AtomicU32,
    /// Failures that it passed on from calls of its own.
    pub(super) nested: Nested,
    pub(super) origin: Instant,
    /// When it was last found to be well: calls begun before say nothing of what it is since.
    pub(super) well_since: AtomicU64,
    silence: Silence,
    pub(super) window: OutcomeWindow,
    /// When the first failure of the row was seen, in nanoseconds since `origin`.
    pub(super) failing_since: AtomicU64,
    term: Mutex<Term>,
    pub(super) rules: Arc<SharedEjection>,
    pub(super) address: Arc<str>,
    /// The last failure that counts against it.
    last_error: Mutex<Option<Arc<str>>>,
}

/// An ejection, the present or the last one.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) until: Instant,
    /// How many followed each other, less those forgotten.
    pub(super) level: u32,
    /// Which rule asked for it.
    pub(super) why: &'static str,
}

impl Health {
    pub(crate) fn new(rules: Arc<SharedEjection>, address: Arc<str>, now: Instant) -> Self {
        Self {
            rules,
            address,
            origin: now,
            standing: AtomicU8::new(HEALTHY),
            stale: AtomicBool::new(false),
            silence: Silence::default(),
            window: OutcomeWindow::new(now),
            in_row: AtomicU32::new(0),
            nested: Nested::new(now),
            failing_since: AtomicU64::new(0),
            well_since: AtomicU64::new(0),
            term: Mutex::new(Term { until: now, level: 0, why: "" }),
            last_error: Mutex::default(),
        }
    }

    pub(crate) fn is_out(&self) -> bool {
        self.standing.load(Relaxed) != HEALTHY
    }

    /// Has the cache lines fetched that the end of a call changes.
    pub(crate) fn touch(&self) {
        black_box(self.standing.load(Relaxed));
        self.window.touch();
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Relaxed)
    }

    pub(crate) fn is_on_probation(&self) -> bool {
        self.standing.load(Relaxed) == PROBATION
    }

    pub(crate) fn rules(&self) -> &SharedEjection {
        &self.rules
    }

    /// Whether it has waited long enough for a call of which a copy can be the probe.
    pub(crate) fn has_waited(&self, now: Instant) -> bool {
        now >= self.term().until + PATIENCE
    }

    /// For people.
    pub(crate) fn report(&self, now: Instant) -> EndpointHealth {
        let sums = self.window.sums(now);
        let state = match self.standing.load(Relaxed) {
            _ if self.is_stale() => HealthState::Stale,
            HEALTHY => HealthState::Healthy,
            EJECTED => {
                HealthState::Ejected { left: self.term().until.saturating_duration_since(now) }
            }
            _ => HealthState::Probation,
        };
        let why = match state {
            HealthState::Healthy => None,
            HealthState::Stale => Some("the service is not at this address"),
            _ => Some(self.term().why),
        };
        EndpointHealth {
            state,
            why,
            last_error: self.last_error().clone(),
            successes: sums.successes(),
            failures: sums.failures,
            in_row: self.in_row.load(Relaxed),
        }
    }

    /// Keeps what a failure was that speaks against it, for people.
    pub(crate) fn note_error(&self, status: &Status) {
        let text = format!("{}: {}", status.code(), status.message());
        *self.last_error() = Some(text.into());
    }

    /// Records how a call ended that began at `started`.
    pub(crate) fn record(&self, verdict: Verdict, started: Instant, now: Instant) {
        self.silence.end();
        match verdict {
            Verdict::Success => {
                self.window.count(true, now);
                if self.in_row.load(Relaxed) != 0 {
                    self.in_row.store(0, Relaxed);
                }
                self.nested.end();
                if self.is_stale() {
                    self.recover(now);
                }
            }
            Verdict::Failure => self.fail(started, now),
            Verdict::Nested if self.speaks_of_now(started) => {
                if self.nested.count(self.nanos(now), now) && self.rules.config().is_some() {
                    self.rules.alert();
                }
            }
            Verdict::Missing => self.set_stale(now),
            Verdict::Nested | Verdict::Nothing => {}
        }
    }

    /// Notes that a call is given up because another was quicker; says whether it is to be watched.
    pub(crate) fn give_up(&self, now: Instant) -> bool {
        self.rules.config().is_some() && !self.is_out() && self.silence.give_up(self.nanos(now))
    }

    pub(crate) fn end_watch(&self) {
        self.silence.end_watch();
    }

    /// Whether a call that began at `started` says something about the endpoint now: not if it has
    /// recovered since.
    pub(crate) fn speaks_of_now(&self, started: Instant) -> bool {
        // Most have never been out.
        let since = self.well_since.load(Relaxed);
        since == 0 || self.nanos(started) >= since
    }

    /// Whether it passes on failures of its own calls so that they would take it out, were they its
    /// own, or have done so.
    pub(super) fn stands_out_nested(&self, now: Instant) -> bool {
        let config = self.rules.config();
        config.is_some_and(|config| self.nested.stands_out(self.nanos(now), &config))
    }

    /// Which part of its calls passed on failures, in percent.
    pub(super) fn nested_share(&self, now: Instant) -> u32 {
        self.nested.share(self.window.sums(now).calls, now)
    }

    /// Probation => Probing, for one caller alone: whether the call that asks is the probe.
    pub(crate) fn begin_probe(&self) -> bool {
        self.move_on(PROBATION, PROBING)
    }

    /// Probing => (Healthy | Ejected). Says whether it has recovered.
    pub(crate) fn end_probe(&self, verdict: Verdict, now: Instant) -> bool {
        match verdict {
            Verdict::Success => {
                self.recover(now);
                return true;
            }
            Verdict::Missing => self.set_stale(now),
            // As well as those that are called.
            Verdict::Nested if !self.rules.counts_nested() => {
                self.recover(now);
                return true;
            }
            Verdict::Failure | Verdict::Nested => self.extend(1, now),
            Verdict::Nothing => self.extend(0, now),
        }
        false
    }

    /// The registry lists it with other data: it has registered again.
    pub(crate) fn relisted(&self, now: Instant) {
        if self.is_stale() {
            self.recover(now);
        }
    }

    /// Probing => Probation: no probe was sent after all.
    pub(crate) fn undo_probe(&self) {
        self.move_on(PROBING, PROBATION);
    }

    /// Probing => Ejected
    pub(super) fn extend(&self, levels: u32, now: Instant) {
        let mut term = self.term();
        if !self.move_on(PROBING, EJECTED) {
            // It was found stale or well meanwhile, or the probe has been judged by its time.
            return;
        }
        term.level = term.level.saturating_add(levels).max(1);
        let longest = match self.rules.config() {
            Some(config) if !self.is_stale() => config.longest(term.level),
            _ => STALE,
        };
        let time = self.rules.jitter(longest);
        term.until = now + time;
        let endpoint = &self.address;
        tracing::debug!(target: "dubhe::ejection", %endpoint, ?time, "provider stays ejected");
    }

    /// How long an ejection lasts at most, and a probe of it.
    pub(crate) fn longest(&self) -> Duration {
        self.rules.config().filter(|_| !self.is_stale()).map_or(STALE, |config| config.max)
    }

    pub(super) fn recover(&self, now: Instant) {
        let _term = self.term();
        self.stale.store(false, Relaxed);
        self.in_row.store(0, Relaxed);
        self.nested.forget();
        self.window.clear();
        self.well_since.store(self.nanos(now), Relaxed);
        self.standing.store(HEALTHY, Relaxed);
        tracing::info!(target: "dubhe::ejection", endpoint = %self.address, "provider is back");
        self.rules.changed();
    }

    pub(super) fn move_on(&self, from: u8, to: u8) -> bool {
        let moved = self.standing.compare_exchange(from, to, Relaxed, Relaxed).is_ok();
        if moved {
            self.rules.changed();
        }
        moved
    }

    pub(super) fn term(&self) -> MutexGuard<'_, Term> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_error(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn nanos(&self, now: Instant) -> u64 {
        nanos_since(self.origin, now)
    }
}

#[cfg(test)]
mod tests {
    use rpc_core::Tally;

    use super::super::EjectionConfig;
    use super::*;

    #[test]
    fn of_those_that_want_to_probe_one_alone_may() {
        let (config, start) = (EjectionConfig::default(), Instant::now());
        let rules = Arc::new(SharedEjection::new(Some(config), Tally::default()));
        let health = Health::new(rules.clone(), "a:1".into(), start);
        (0..5).for_each(|_| health.record(Verdict::Failure, start, start));
        assert!(!health.begin_probe(), "its time is not over");
        let later = start + config.base;
        health.review(later);
        let before = rules.changes().count();
        assert!(health.begin_probe());
        assert!(!health.begin_probe());
        assert!(rules.changes().count() > before, "the list of candidates still offers it");
        health.end_probe(Verdict::Failure, later);
        assert!(!health.begin_probe());
    }
}
