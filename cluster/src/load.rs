//! How loaded an endpoint is: calls in flight, and the peak-sensitive average of their latency.
//!
//! The average is Finagle's and tower's peak EWMA: a slower call than expected counts at once, a
//! faster one bit by bit, and what is not confirmed fades over [`DECAY`]. A failed call counts as
//! one of [`FAILURE`], as in Linkerd, so that an endpoint that fails fast does not attract traffic.
//! Atomics only; updates that race lose nothing but a little precision.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// Over how long an observed latency fades to 37 %.
const DECAY: Duration = Duration::from_secs(10);

/// The latency that a failed call is recorded with.
pub(crate) const FAILURE: Duration = Duration::from_secs(5);

/// Calls in flight and latency of one endpoint.
#[derive(Debug)]
pub struct Load {
    in_flight: AtomicU32,
    /// Bits of an `f64`: nanoseconds; 0 until something was observed.
    estimate: AtomicU64,
    /// When the estimate was made, in nanoseconds since `origin`.
    stamp: AtomicU64,
    origin: Instant,
}

impl Load {
    /// No calls, nothing known.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            estimate: AtomicU64::new(0),
            stamp: AtomicU64::new(0),
            origin: now,
        }
    }

    /// How many calls are in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// The latency to expect, faded to `now`; `None` until a call has ended.
    #[must_use]
    pub fn latency(&self, now: Instant) -> Option<Duration> {
        let nanos = self.faded(now);
        (nanos > 0.0).then(|| Duration::from_nanos(nanos as u64))
    }

    /// What balancers compare, in nanoseconds: latency x (1 + calls in flight x `scale`).
    ///
    /// An endpoint of which nothing is known is free for one call, and dear until that has ended:
    /// so a new one is tried, but not by all at once.
    pub(crate) fn cost(&self, now: Instant, scale: f64) -> f64 {
        let in_flight = f64::from(self.in_flight());
        match self.faded(now) {
            0.0 => in_flight * scale * FAILURE.as_nanos() as f64,
            nanos => nanos * (1.0 + in_flight * scale),
        }
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Records that a call took `latency`.
    pub(crate) fn observe(&self, latency: Duration, now: Instant) {
        let fresh = (latency.as_nanos() as f64).max(1.0);
        let kept = self.kept(now);
        let blend = |bits: u64| {
            let old = f64::from_bits(bits);
            let new = if fresh >= old { fresh } else { old * kept + fresh * (1.0 - kept) };
            Some(new.to_bits())
        };
        // A loop of compare-and-swap, so that a failure is never overwritten by a quick success.
        let _ = self.estimate.fetch_update(Relaxed, Relaxed, blend);
        self.stamp.store(self.nanos(now), Relaxed);
    }

    /// Lets the past be the past: nothing is known until a call has ended.
    pub(crate) fn forget(&self) {
        self.estimate.store(0, Relaxed);
    }

    /// Records that a call given up after `elapsed` would have taken at least that long.
    pub(crate) fn observe_at_least(&self, elapsed: Duration, now: Instant) {
        if elapsed.as_nanos() as f64 > self.faded(now) {
            self.observe(elapsed, now);
        }
    }

    fn faded(&self, now: Instant) -> f64 {
        f64::from_bits(self.estimate.load(Relaxed)) * self.kept(now)
    }

    /// The share of the estimate that has not faded by `now`.
    fn kept(&self, now: Instant) -> f64 {
        let age = self.nanos(now).saturating_sub(self.stamp.load(Relaxed));
        (-(age as f64) / DECAY.as_nanos() as f64).exp()
    }

    fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.origin);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_slow_call_counts_at_once_and_quick_ones_bit_by_bit() {
        let start = Instant::now();
        let load = Load::new(start);
        assert_eq!(load.latency(start), None);
        load.observe(MS, start);
        load.observe(100 * MS, start);
        assert_eq!(load.latency(start), Some(100 * MS));
        load.observe(MS, start + DECAY);
        let after = load.latency(start + DECAY).unwrap();
        assert!((36 * MS..39 * MS).contains(&after), "{after:?}");
    }

    #[test]
    fn what_is_not_confirmed_fades() {
        let start = Instant::now();
        let load = Load::new(start);
        load.observe(FAILURE, start);
        assert!(load.latency(start + 10 * DECAY).unwrap() < MS);
    }

    #[test]
    fn a_call_given_up_counts_only_if_it_took_longer_than_expected() {
        let start = Instant::now();
        let load = Load::new(start);
        load.observe_at_least(50 * MS, start);
        assert_eq!(load.latency(start), Some(50 * MS));
        load.observe_at_least(MS, start);
        assert_eq!(load.latency(start), Some(50 * MS));
    }

    #[test]
    fn an_unknown_endpoint_is_free_for_one_call_only() {
        let start = Instant::now();
        let (unknown, known) = (Load::new(start), Load::new(start));
        known.observe(MS, start);
        assert!(unknown.cost(start, 1.0) < known.cost(start, 1.0));
        unknown.begin();
        assert!(unknown.cost(start, 1.0) > known.cost(start, 1.0));
    }
}
