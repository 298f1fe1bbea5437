//! How loaded an endpoint is: calls in flight, and the peak-sensitive average of their latency.
//!
//! The average is Finagle's and tower's peak EWMA: a slower call than expected counts at once, a
//! faster one bit by bit, and what is not confirmed fades over [`DECAY`]. A failed call counts as
//! one of [`FAILURE`], as in Linkerd, so that an endpoint that fails fast does not attract traffic.
//! Atomics only; updates that race lose nothing but a little precision.
//!
//! What single balancers want to know besides they keep themselves: `state.rs`.
//!
//! The order of its fields is that in which they are read: of ten thousand endpoints each is cold,
//! and what a balancer compares should cost it one cache line.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// Over how long an observed latency fades to 37 %. Finagle's 10 s keep a provider that has
/// recovered from a failure waiting for more than a minute.
const DECAY: Duration = Duration::from_secs(1);

/// The part of [`DECAY`] up to which fading needs no exponential function.
const SHORT: f64 = 1.0 / 64.0;

/// The latency that a failed call is recorded with.
pub(crate) const FAILURE: Duration = Duration::from_secs(5);

/// Calls in flight and latency of one endpoint.
#[derive(Debug)]
#[repr(C)]
pub struct Load {
    in_flight: AtomicU32,
    /// Bits of an `f64`: nanoseconds; 0 until something was observed.
    estimate: AtomicU64,
    /// When the estimate was made, in nanoseconds since `origin`.
    stamp: AtomicU64,
    origin: Instant,
}

impl Load {
    /// No calls, nothing known; its clock begins at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            estimate: AtomicU64::new(0),
            stamp: AtomicU64::new(0),
            origin: now,
        }
    }

    /// When its clock began.
    pub(crate) const fn origin(&self) -> Instant {
        self.origin
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

    /// The cost that balancers compare, in nanoseconds: latency x (1 + calls in flight x `scale`).
    ///
    /// An endpoint of which nothing is known is free for one call, and dear until that has ended:
    /// so a new one is tried, but not by all at once.
    pub(crate) fn cost(&self, now: Instant, scale: f64) -> f64 {
        self.cost_at(self.nanos(now), scale)
    }

    /// The latency to expect at `nanos` of its clock.
    pub(crate) fn cost_at(&self, nanos: u64, scale: f64) -> f64 {
        self.expected_wait(self.faded_at(nanos), scale)
    }

    /// `now` on the clocks of two: endpoints of a directory have the same, which is read once.
    pub(crate) fn nanos_of_both(&self, other: &Self, now: Instant) -> [u64; 2] {
        let nanos = self.nanos(now);
        [nanos, if self.origin == other.origin { nanos } else { other.nanos(now) }]
    }

    /// The expected wait of a call if one takes `nanos`; 0 means that nothing is known.
    pub(crate) fn expected_wait(&self, nanos: f64, scale: f64) -> f64 {
        let in_flight = f64::from(self.in_flight());
        match nanos {
            0.0 => in_flight * scale * FAILURE.as_nanos() as f64,
            nanos => nanos * (1.0 + in_flight * scale),
        }
    }

    /// Makes an endpoint of which nothing is known as good as `peer`, so that a newcomer does not
    /// outshine those whose last seconds were hard on all. A peer that fails is no measure.
    pub(crate) fn learn_from(&self, peer: &Self, now: Instant) {
        if self.estimate.load(Relaxed) != 0 {
            return;
        }
        let measure = peer.faded(now);
        if measure > 0.0 && measure < FAILURE.as_nanos() as f64 / 5.0 {
            self.stamp.store(self.nanos(now), Relaxed);
            // Another call was first and has observed a latency, which says more.
            let _ = self.estimate.compare_exchange(0, measure.to_bits(), Relaxed, Relaxed);
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
        let fresh = (nanos_of(latency) as f64).max(1.0);
        let nanos = self.nanos(now);
        let kept = self.kept(nanos);
        let blend = |bits: u64| {
            let old = f64::from_bits(bits);
            let new = if fresh >= old { fresh } else { old * kept + fresh * (1.0 - kept) };
            Some(new.to_bits())
        };
        // A loop of compare-and-swap, so that a failure is never overwritten by a quick success.
        let _ = self.estimate.fetch_update(Relaxed, Relaxed, blend);
        self.stamp.store(nanos, Relaxed);
    }

    /// Lets the past be the past: nothing is known until a call has ended.
    pub(crate) fn forget(&self) {
        self.estimate.store(0, Relaxed);
    }

    /// Whether a call that is given up after `elapsed` takes longer than was expected.
    pub(crate) fn is_late(&self, elapsed: Duration, now: Instant) -> bool {
        elapsed.as_nanos() as f64 > self.faded(now)
    }

    fn faded(&self, now: Instant) -> f64 {
        self.faded_at(self.nanos(now))
    }

    fn faded_at(&self, nanos: u64) -> f64 {
        f64::from_bits(self.estimate.load(Relaxed)) * self.kept(nanos)
    }

    /// The share of the estimate that has not faded at `nanos` since `origin`.
    fn kept(&self, nanos: u64) -> f64 {
        let age = nanos.saturating_sub(self.stamp.load(Relaxed)) as f64 / DECAY.as_nanos() as f64;
        if age < SHORT {
            // The series up to the square is right to a millionth, and a tenth of the work.
            return 1.0 - age + age * age / 2.0;
        }
        (-age).exp()
    }

    fn nanos(&self, now: Instant) -> u64 {
        nanos_since(self.origin, now)
    }
}

/// From `origin` to `now` in nanoseconds.
pub(crate) fn nanos_since(origin: Instant, now: Instant) -> u64 {
    nanos_of(now.saturating_duration_since(origin))
}

/// A time in nanoseconds; 64 bits are enough for 584 years, and cheaper than 128.
fn nanos_of(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(time.subsec_nanos()))
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
        assert!(load.is_late(50 * MS, start));
        load.observe(50 * MS, start);
        assert!(!load.is_late(MS, start));
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

    #[test]
    fn a_newcomer_is_as_good_as_a_peer_that_does_not_fail() {
        let start = Instant::now();
        let [newcomer, peer, failing] = [(); 3].map(|()| Load::new(start));
        newcomer.learn_from(&peer, start);
        assert_eq!(newcomer.latency(start), None, "a peer of whom nothing is known tells nothing");
        failing.observe(FAILURE, start);
        newcomer.learn_from(&failing, start);
        assert_eq!(newcomer.latency(start), None);
        peer.observe(300 * MS, start);
        newcomer.learn_from(&peer, start);
        assert_eq!(newcomer.latency(start), Some(300 * MS));
        peer.observe(MS, start + DECAY);
        peer.learn_from(&newcomer, start + DECAY);
        assert!(peer.latency(start + DECAY) < newcomer.latency(start), "what is known stays");
    }
}
