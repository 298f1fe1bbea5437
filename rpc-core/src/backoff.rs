//! How long to wait between tries: exponential with jitter, as gRPC's connection backoff.
//!
//! Source: grpc/grpc `doc/connection-backoff.md` for the shape; the figures are ours.

use std::time::Duration;

use rand::RngExt;

/// Growing, jittered waits: 100 ms, then 1.6 times more each, at most 30 s, each ±20 %.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits that begin at `first` and grow to `max`.
    #[must_use]
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, next: first }
    }

    /// The wait before the next try.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.mul_f64(1.6).min(self.max);
        wait.mul_f64(rand::rng().random_range(0.8..=1.2))
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_maximum_within_their_jitter() {
        let mut backoff = Backoff::default();
        let mut expected = 0.1_f64;
        for _ in 0..40 {
            let wait = backoff.next_wait().as_secs_f64();
            assert!((expected * 0.79..=expected * 1.21).contains(&wait), "{wait} of {expected}");
            expected = (expected * 1.6).min(30.0);
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(120));
    }
}
