//! How long to wait between tries: exponential with jitter, as gRPC's connection backoff.
//!
//! Source: grpc/grpc `doc/connection-backoff.md` for the shape; the figures are ours.

use std::time::Duration;

use rand::RngExt;

/// Growing, jittered waits between tries; by default 100 ms at first, at most 30 s.
///
/// Each is 1.6 times as long as the one before, ± 20 %, so that those who failed together do not come
/// back together.
///
/// ```
/// use std::time::Duration;
///
/// use rpc_core::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
/// let waits: Vec<Duration> = (0..10).map(|_| backoff.next_wait()).collect();
/// assert!(waits[0] <= Duration::from_millis(120));
/// assert!(waits[9] >= Duration::from_millis(800));
/// backoff.reset();
/// assert!(backoff.next_wait() <= Duration::from_millis(120));
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits that begin at `first` and grow up to `max`.
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

    /// Begins again with the first wait; to be called after a success.
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
