//! How long the first polls of a method's handlers take: what decides where its calls run.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// First polls longer than this on average move a method's calls to tasks of their own: a chain of
/// them would tie a connection to one core.
const QUICK: Duration = Duration::from_micros(20);

/// A first poll that takes so long has held its thread, and with it its connection.
const HELD: Duration = Duration::from_millis(1);

/// For so long after that, calls of the method have tasks of their own.
const APART: Duration = Duration::from_secs(60);

/// The first polls of a method, as they have been so far.
#[derive(Debug)]
pub(super) struct FirstPolls {
    /// Moving average of their time, in nanoseconds.
    average: AtomicU32,
    /// Until when calls have tasks of their own, in nanoseconds since `epoch`; 0 if none ever had to.
    apart_until: AtomicU64,
    epoch: Instant,
}

impl FirstPolls {
    /// Of a method that has had no call before `epoch`.
    pub(super) fn since(epoch: Instant) -> Self {
        Self { average: AtomicU32::new(0), apart_until: AtomicU64::new(0), epoch }
    }

    /// Whether the task of a connection may make them itself at `now`.
    #[inline]
    pub(super) fn are_quick(&self, now: Instant) -> bool {
        self.average.load(Ordering::Relaxed) < QUICK.subsec_nanos()
            && match self.apart_until.load(Ordering::Relaxed) {
                0 => true,
                until => until <= self.nanos(now),
            }
    }

    /// Notes one that ended at `now`; an eighth of it enters the average.
    #[inline]
    pub(super) fn note(&self, took: Duration, now: Instant) {
        let took = if took < HELD {
            took.subsec_nanos()
        } else {
            self.apart_until.store(self.nanos(now + APART), Ordering::Relaxed);
            u32::try_from(took.as_nanos()).unwrap_or(u32::MAX)
        };
        let old = self.average.load(Ordering::Relaxed);
        let new = old - old / 8 + took / 8;
        // Two connections may race; either average will do.
        self.average.store(new, Ordering::Relaxed);
    }

    fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_held_its_thread_for_a_millisecond_is_polled_apart_for_a_minute() {
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        let polls = FirstPolls::since(now);
        polls.note(Duration::from_micros(150), now);
        assert!(polls.are_quick(now), "one that was a little slow says nothing");
        polls.note(Duration::from_millis(1), now);
        // Quick ones since then do not help.
        (0..100).for_each(|_| polls.note(Duration::ZERO, now));
        assert!(!polls.are_quick(after(1)) && !polls.are_quick(after(59_990)));
        assert!(polls.are_quick(after(60_010)));
    }

    #[test]
    fn a_method_that_is_slow_on_average_is_polled_apart_until_it_is_not() {
        let now = Instant::now();
        let polls = FirstPolls::since(now);
        (0..100).for_each(|_| polls.note(Duration::from_micros(25), now));
        assert!(!polls.are_quick(now));
        (0..100).for_each(|_| polls.note(Duration::from_micros(5), now));
        assert!(polls.are_quick(now));
    }
}
