//! The mean latency of the last 30 seconds, for `shortestresponse`.
//!
//! A ring of buckets, where Dubbo starts afresh every 30 s and then knows nothing. The mean is that
//! of the buckets' means: each 3 s count alike, so that what was bad fades at the same pace for an
//! endpoint of few calls as for one of many. Otherwise the endpoint that is ahead stays ahead. The
//! end of a call updates it and publishes the mean; readers take two atomics. A mean that is not
//! renewed stays until the window has passed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::endpoint::load::nanos_since;
use crate::endpoint::state::{EndedCall, EndpointState};

/// How far back it looks.
const WINDOW: Duration = Duration::from_secs(30);
/// Parts of the window, each forgotten as a whole.
const BUCKETS: usize = 10;

/// Latencies of one endpoint; what readers take comes first, in one cache line.
#[derive(Debug)]
#[repr(C)]
pub(super) struct LatencyWindow {
    origin: Instant,
    /// Bits of an `f64`: nanoseconds; 0 while nothing is known.
    mean: AtomicU64,
    /// When the mean was made, in nanoseconds since `origin`.
    stamp: AtomicU64,
    sums: Mutex<Sums>,
}

/// The buckets of the last 30 s.
#[derive(Debug, Default, Clone)]
struct Sums {
    buckets: [Bucket; BUCKETS],
    /// The number of the newest bucket since `origin`.
    newest: u64,
}

/// The calls of 3 s: their latencies together, and their number.
#[derive(Debug, Default, Clone, Copy)]
struct Bucket {
    nanos: f64,
    calls: f64,
}

impl EndpointState for LatencyWindow {
    fn end(&self, call: &EndedCall<'_>) {
        if let Some(latency) = call.latency {
            self.add(latency, call.now);
        }
    }

    /// Knows nothing any more.
    fn forget(&self) {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        *sums = Sums::default();
        self.mean.store(0, Relaxed);
    }
}

impl LatencyWindow {
    /// Nothing known; `origin` is any time before its first use.
    pub(super) fn new(origin: Instant) -> Self {
        let (mean, stamp) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { origin, sums: Mutex::default(), mean, stamp }
    }

    /// A window with the same history, for an endpoint that has none.
    pub(super) fn as_of_peer(&self) -> Self {
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            origin: self.origin,
            sums: Mutex::new(sums.clone()),
            mean: AtomicU64::new(self.mean.load(Relaxed)),
            stamp: AtomicU64::new(self.stamp.load(Relaxed)),
        }
    }

    /// The mean in nanoseconds, more than 0; `None` if no call has ended within the window.
    pub(super) fn mean(&self, now: Instant) -> Option<f64> {
        let mean = f64::from_bits(self.mean.load(Relaxed));
        let age = self.nanos(now).saturating_sub(self.stamp.load(Relaxed));
        (mean > 0.0 && u128::from(age) < WINDOW.as_nanos()).then_some(mean)
    }

    /// Adds a call that has ended at `now`.
    pub(super) fn add(&self, latency: Duration, now: Instant) {
        let nanos = self.nanos(now);
        let number = nanos / (WINDOW.as_nanos() as u64 / BUCKETS as u64);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.advance(number);
        let bucket = sums.bucket(number);
        bucket.nanos += latency.as_nanos().max(1) as f64;
        bucket.calls += 1.0;
        self.mean.store(sums.mean().to_bits(), Relaxed);
        self.stamp.store(nanos, Relaxed);
    }

    fn nanos(&self, now: Instant) -> u64 {
        nanos_since(self.origin, now)
    }
}

impl Sums {
    /// Forgets what has left the window when the bucket `number` begins.
    fn advance(&mut self, number: u64) {
        let passed = number.saturating_sub(self.newest).min(BUCKETS as u64);
        for forgotten in (number + 1).saturating_sub(passed)..=number {
            *self.bucket(forgotten) = Bucket::default();
        }
        self.newest = self.newest.max(number);
    }

    /// The mean of the means of all buckets with calls; there is at least one.
    fn mean(&self) -> f64 {
        let used = || self.buckets.iter().filter(|bucket| bucket.calls > 0.0);
        used().map(|bucket| bucket.nanos / bucket.calls).sum::<f64>() / used().count() as f64
    }

    fn bucket(&mut self, number: u64) -> &mut Bucket {
        &mut self.buckets[(number % BUCKETS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_mean_is_exact_below_a_millisecond() {
        let start = Instant::now();
        let window = LatencyWindow::new(start);
        assert_eq!(window.mean(start), None);
        window.add(MS / 4, start);
        window.add(MS / 2, start);
        assert_eq!(window.mean(start), Some(375_000.0));
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten_bit_by_bit() {
        let start = Instant::now();
        let window = LatencyWindow::new(start);
        window.add(100 * MS, start);
        window.add(10 * MS, start + 20 * SECOND);
        assert_eq!(window.mean(start + 20 * SECOND), Some(55e6));
        window.add(10 * MS, start + 31 * SECOND);
        assert_eq!(window.mean(start + 31 * SECOND), Some(10e6));
        assert_eq!(window.mean(start + 60 * SECOND), Some(10e6));
        assert_eq!(window.mean(start + 62 * SECOND), None);
        window.add(MS, start + 500 * SECOND);
        assert_eq!(window.mean(start + 500 * SECOND), Some(1e6));
    }
}
