//! The health of one endpoint: healthy, ejected, on probation, being probed, healthy again.

use std::hint::black_box;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed,
    Ordering::Release,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_core::Status;
use tokio::time::Instant;

use super::nested::{self, Nested};
use super::report::{EndpointHealth, HealthState};
use super::silence::Silence;
use super::window::{OutcomeWindow, Sums};
use super::{EjectionConfig, EjectionRules, Verdict};
use crate::endpoint::load::nanos_since;

/// How long an address without the service is left alone before it is asked again.
const STALE: Duration = Duration::from_secs(60);

/// An endpoint stays healthy that long, and one level of its ejections is forgotten.
const FORGET: Duration = Duration::from_secs(10);

/// How long an ended ejection waits for a call of which a copy can be the probe.
const PATIENCE: Duration = Duration::from_secs(1);

const HEALTHY: u8 = 0;
const EJECTED: u8 = 1;
const PROBATION: u8 = 2;
const PROBING: u8 = 3;

/// Whether an endpoint is fit to be called, as its calls have shown. What every call looks at comes
/// first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Health {
    standing: AtomicU8,
    stale: AtomicBool,
    in_row: AtomicU32,
    /// What its calls passed on from calls of its own.
    nested: Nested,
    origin: Instant,
    /// When it was last found to be well: calls begun before say nothing of what it is since.
    well_since: AtomicU64,
    silence: Silence,
    window: OutcomeWindow,
    /// When the first failure of the row was seen, in nanoseconds since `origin`.
    failing_since: AtomicU64,
    term: Mutex<Term>,
    rules: Arc<EjectionRules>,
    address: Arc<str>,
    /// What the last failure that speaks against it was.
    last_error: Mutex<Option<Arc<str>>>,
}

/// An ejection, the present or the last one.
#[derive(Debug)]
struct Term {
    until: Instant,
    /// How many followed each other, less those forgotten.
    level: u32,
    /// Which rule asked for it.
    why: &'static str,
}

impl Health {
    pub(crate) fn new(rules: Arc<EjectionRules>, address: Arc<str>, now: Instant) -> Self {
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

    pub(crate) fn rules(&self) -> &EjectionRules {
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

    /// Whether a call that began at `started` tells what the endpoint is like now: not if it has
    /// recovered since.
    pub(crate) fn speaks_of_now(&self, started: Instant) -> bool {
        // Most have never been out.
        let since = self.well_since.load(Relaxed);
        since == 0 || self.nanos(started) >= since
    }

    fn fail(&self, started: Instant, now: Instant) {
        if !self.speaks_of_now(started) {
            return;
        }
        self.window.count(false, now);
        let Some(config) = self.rules.config() else { return };
        let before = self.count_failure(now);
        if before == 0 {
            self.rules.alert();
        }
        if before.saturating_add(1) >= config.consecutive {
            self.eject("failures in a row", now);
        } else if is_poor(self.window.sums(now), &config) {
            self.eject("too few successes", now);
        }
    }

    /// Returns how many failures there were in a row before.
    fn count_failure(&self, now: Instant) -> u32 {
        // Whoever sees the first failure of a row must see its time: with that of an earlier row,
        // one failure would look like one that has lasted.
        let count = self.in_row.fetch_update(Release, Relaxed, |before| {
            if before == 0 {
                self.failing_since.store(self.nanos(now), Relaxed);
            }
            before.checked_add(1)
        });
        count.unwrap_or(u32::MAX)
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

    /// (Ejected | Probation) => Healthy, because many show what it was taken out for.
    fn pardon(&self, from: u8, now: Instant) {
        let _term = self.term();
        if self.move_on(from, HEALTHY) {
            self.nested.pardon(self.nanos(now));
            tracing::info!(
                target: "dubhe::ejection",
                endpoint = %self.address, "provider is called again: calls of others fail like its own",
            );
        }
    }

    /// Healthy => Ejected
    fn eject(&self, why: &'static str, now: Instant) {
        let Some(config) = self.rules.config() else { return };
        let mut term = self.term();
        if self.standing.load(Relaxed) != HEALTHY {
            return;
        }
        let well = now.saturating_duration_since(self.origin).as_nanos();
        let well = well.saturating_sub(u128::from(self.well_since.load(Relaxed)));
        let forgotten = u32::try_from(well / FORGET.as_nanos()).unwrap_or(u32::MAX);
        term.level = term.level.saturating_sub(forgotten) + 1;
        let time = self.rules.jitter(config.longest(term.level));
        term.until = now + time;
        term.why = why;
        if why == nested::WHY {
            self.nested.set_out(self.nested_share(now));
        }
        self.standing.store(EJECTED, Relaxed);
        drop(term);
        let Sums { calls, failures } = self.window.sums(now);
        tracing::warn!(
            target: "dubhe::ejection",
            endpoint = %self.address, ?time, calls, failures, why, "provider ejected",
        );
        self.rules.count_ejection();
        self.rules.changed();
        self.rules.alert();
    }

    /// Any => Ejected
    fn set_stale(&self, now: Instant) {
        let mut term = self.term();
        term.until = now + self.rules.jitter(STALE);
        self.standing.store(EJECTED, Relaxed);
        let is_new = !self.stale.swap(true, Relaxed);
        drop(term);
        if is_new {
            tracing::warn!(
                target: "dubhe::ejection",
                endpoint = %self.address, "the service is not at this address any more"
            );
            self.rules.changed();
            self.rules.alert();
        }
    }

    /// Notices what no call would. Says whether there is nothing to look at.
    pub(crate) fn review(&self, now: Instant) -> bool {
        match self.standing.load(Relaxed) {
            HEALTHY if self.stands_out_nested(now) && self.rules.counts_nested() => {
                self.eject(nested::WHY, now);
            }
            HEALTHY if self.in_row.load(Acquire) == 0 => {
                return !self.nested.is_noted(self.nanos(now));
            }
            HEALTHY => {
                let since = self.nanos(now).saturating_sub(self.failing_since.load(Relaxed));
                let config = self.rules.config();
                if config.is_some_and(|c| u128::from(since) >= c.failing_for.as_nanos()) {
                    self.eject("no success since a failure", now);
                }
            }
            from @ (EJECTED | PROBATION) if self.nested.is_out() && !self.rules.counts_nested() => {
                self.pardon(from, now);
            }
            EJECTED if now >= self.term().until => {
                self.move_on(EJECTED, PROBATION);
            }
            // No call could be a probe for so long: nothing is known against it any more. Unless one
            // becomes the probe at this moment, which then decides.
            PROBATION if now >= self.term().until + self.longest() && self.begin_probe() => {
                self.recover(now);
            }
            // The probe is a call with all the time in the world: it does not keep others away.
            PROBING if now >= self.term().until + 2 * self.longest() => self.extend(1, now),
            _ => {}
        }
        false
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
    fn extend(&self, levels: u32, now: Instant) {
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

    fn recover(&self, now: Instant) {
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

    fn move_on(&self, from: u8, to: u8) -> bool {
        let moved = self.standing.compare_exchange(from, to, Relaxed, Relaxed).is_ok();
        if moved {
            self.rules.changed();
        }
        moved
    }

    fn term(&self) -> MutexGuard<'_, Term> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_error(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nanos(&self, now: Instant) -> u64 {
        nanos_since(self.origin, now)
    }
}

fn is_poor(sums: Sums, config: &EjectionConfig) -> bool {
    sums.calls >= u64::from(config.min_calls)
        && sums.successes() * 100 < sums.calls * u64::from(config.success_percent)
}

#[cfg(test)]
mod tests {
    use rpc_core::Tally;

    use super::*;

    #[test]
    fn of_those_that_want_to_probe_one_alone_may() {
        let (config, start) = (EjectionConfig::default(), Instant::now());
        let rules = Arc::new(EjectionRules::new(Some(config), Tally::default()));
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
