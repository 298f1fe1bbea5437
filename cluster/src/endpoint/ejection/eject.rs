//! When an endpoint is taken out, and for how long.

use std::sync::atomic::{Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::Duration;

use tokio::time::Instant;

use super::EjectionConfig;
use super::health::{EJECTED, HEALTHY, Health, PROBATION, PROBING, STALE};
use super::nested;
use super::window::Sums;

/// An endpoint stays healthy that long, and one level of its ejections is forgotten.
const FORGET: Duration = Duration::from_secs(10);

impl Health {
    pub(super) fn fail(&self, started: Instant, now: Instant) {
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
        // A reader of the first failure of a row must see its time as well: with that of an earlier
        // row, one failure would look like one that has lasted.
        let count = self.in_row.fetch_update(Release, Relaxed, |before| {
            if before == 0 {
                self.failing_since.store(self.nanos(now), Relaxed);
            }
            before.checked_add(1)
        });
        count.unwrap_or(u32::MAX)
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
    pub(super) fn set_stale(&self, now: Instant) {
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
            // No call could be a probe for so long: nothing is known against it any more. Unless
            // one becomes the probe at this moment, which then decides.
            PROBATION if now >= self.term().until + self.longest() && self.begin_probe() => {
                self.recover(now);
            }
            // The probe is a call with all the time in the world: it does not keep others away.
            PROBING if now >= self.term().until + 2 * self.longest() => self.extend(1, now),
            _ => {}
        }
        false
    }
}

fn is_poor(sums: Sums, config: &EjectionConfig) -> bool {
    sums.calls >= u64::from(config.min_calls)
        && sums.successes() * 100 < sums.calls * u64::from(config.success_percent)
}
