//! How long requests took on their way, beyond what they take at least.
//!
//! A process that was stopped, a machine that was paused or a network that stood still lets
//! requests lie for seconds; their callers have given up meanwhile. Clocks of two machines differ
//! by an unknown amount, so what is compared is the difference between arrival and sending time:
//! the least of the last minute is a request that nothing held up.
//!
//! ```text
//! took   = arrival on our clock - sending time on the peer's      (offset of the clocks included)
//! excess = took - least took of the last 30 to 60 s               (the offset cancels out)
//! ```
//!
//! The excess is taken off the time that a request has left. If the peer's clock itself stood
//! still, all requests are late by the same amount: once they have been alike for a second, that is
//! the new least.

use std::time::Duration;

use tokio::time::Instant;

/// The least is that of this half of a minute and of the one before. In microseconds.
const HALF: i64 = 30_000_000;

/// By what part of it two clocks may drift apart while a connection is not used.
const DRIFT: i64 = 1024;

/// What is beyond the least by more than this may be the clock of the peer, which stood still as
/// that of a paused machine does. In microseconds.
const SHIFTED: i64 = 100_000;

/// By how much such requests may differ.
const ALIKE: i64 = 10_000;

/// For so long on the clock of the peer they have to come before they are the least.
const SETTLED: i64 = 1_000_000;

/// The least difference of one connection, in microseconds; of a clock that begins with its first
/// bytes, which were sent when the clock of the peer began.
#[derive(Debug)]
pub(super) struct Transit {
    opened: Instant,
    /// When the half of a minute began, in microseconds since the opening.
    half_began: i64,
    least: i64,
    least_before: i64,
    shift: Option<Shift>,
    /// The last arrival, which the requests of one read share, also in microseconds.
    arrival: (Instant, i64),
}

/// Requests far beyond the least, with none between that was not.
#[derive(Debug, Clone, Copy)]
struct Shift {
    least: i64,
    /// The transit time of the first of these, and when it was sent.
    first: i64,
    since: i64,
}

impl Transit {
    /// The transit times of a connection whose first bytes arrive at `now`.
    pub(super) const fn opened(now: Instant) -> Self {
        Self {
            opened: now,
            half_began: 0,
            least: 0,
            least_before: 0,
            shift: None,
            arrival: (now, 0),
        }
    }

    /// How much longer than the least a request took that was sent at `sent_us` on the clock of the
    /// peer and arrives at `now`.
    pub(super) fn excess(&mut self, sent_us: u64, now: Instant) -> Duration {
        if self.arrival.0 != now {
            self.arrival = (now, micros(now.saturating_duration_since(self.opened)));
        }
        let arrived = self.arrival.1;
        let sent = i64::try_from(sent_us).unwrap_or(i64::MAX);
        let took = arrived - sent;
        let passed = arrived - self.half_began;
        if passed >= HALF {
            // However old, it is better than none: a request may come late on a connection that was
            // idle. The longer that was, the less it says.
            let idle = (passed - 2 * HALF).max(0);
            self.least_before = self.least.saturating_add(idle / DRIFT);
            (self.least, self.half_began) = (took, arrived);
        }
        self.least = self.least.min(took);
        let mut excess = took.saturating_sub(self.least.min(self.least_before));
        if excess <= SHIFTED {
            self.shift = None;
        } else if let Some(least) = self.settled(sent, took) {
            (self.least, self.least_before) = (least, least);
            excess = took - least;
        }
        Duration::from_micros(u64::try_from(excess).unwrap_or(0))
    }

    /// The new least, once requests have been alike for a while. Those that lie somewhere are not:
    /// what is sent later waits less.
    #[cold]
    fn settled(&mut self, sent: i64, took: i64) -> Option<i64> {
        let shift = match self.shift {
            Some(shift) if took >= shift.first - ALIKE => {
                Shift { least: shift.least.min(took), ..shift }
            }
            _ => Shift { least: took, first: took, since: sent },
        };
        let settled = sent.saturating_sub(shift.since) >= SETTLED && took - shift.least <= ALIKE;
        self.shift = if settled { None } else { Some(shift) };
        settled.then_some(shift.least)
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// A connection, and what a request is found to have taken too long that was sent at this time
    /// since the opening and took so long.
    fn connection() -> impl FnMut(Duration, Duration) -> Duration {
        let start = Instant::now();
        let mut transit = Transit::opened(start);
        move |sent, took| {
            transit.excess(u64::try_from(sent.as_micros()).unwrap(), start + sent + took)
        }
    }

    #[test]
    fn what_a_request_took_beyond_the_least_is_told() {
        let mut excess = connection();
        assert_eq!(excess(MS, Duration::ZERO), Duration::ZERO);
        assert_eq!(excess(SECOND, 2 * MS), 2 * MS);
        assert_eq!(excess(2 * SECOND, 3 * SECOND), 3 * SECOND);
        assert_eq!(excess(6 * SECOND, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn the_offset_of_the_clocks_does_not_matter() {
        let start = Instant::now();
        let mut transit = Transit::opened(start);
        // The clock of the peer is 100 s ahead.
        assert_eq!(transit.excess(100_000_000, start), Duration::ZERO);
        assert_eq!(transit.excess(101_000_000, start + 4 * SECOND), 3 * SECOND);
    }

    #[test]
    fn a_way_that_has_become_longer_is_the_least_after_a_minute() {
        let mut excess = connection();
        let slower = |second: u32| (second * SECOND, 80 * MS);
        let told: Vec<Duration> = (1..=70).map(slower).map(|(s, t)| excess(s, t)).collect();
        assert_eq!(told[..25], [80 * MS; 25]);
        assert_eq!(told[61..], [Duration::ZERO; 9]);
    }

    #[test]
    fn a_stall_after_a_long_idle_time_is_noticed_beyond_what_clocks_may_drift() {
        let mut excess = connection();
        excess(MS, Duration::ZERO);
        let hour = 3600 * SECOND;
        let told = excess(hour, 10 * SECOND);
        assert!(told > 6 * SECOND && told < 7 * SECOND, "{told:?}");
        // So are those that came after it, though they waited less.
        assert!(excess(hour + SECOND, 9 * SECOND) > 5 * SECOND);
        let mut drifted = connection();
        drifted(MS, Duration::ZERO);
        assert_eq!(drifted(hour, 100 * MS), Duration::ZERO);
    }

    #[test]
    fn a_peer_whose_clock_stood_still_is_believed_again_after_a_second() {
        let start = Instant::now();
        let mut transit = Transit::opened(start);
        let mut random = 1_u64;
        let told: Vec<Duration> = (0..100_u32)
            .map(|n| {
                // A machine that was paused for 5 s, on a network that adds up to 3 ms.
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let jitter = Duration::from_micros((random >> 33) % 3000);
                let paused = if n < 20 { Duration::ZERO } else { 5 * SECOND };
                let sent = n * 50 * MS;
                let sent_us = u64::try_from(sent.as_micros()).unwrap();
                transit.excess(sent_us, start + sent + paused + jitter)
            })
            .collect();
        assert!(told[..20].iter().all(|excess| *excess < 5 * MS), "{told:?}");
        assert!(told[20..40].iter().all(|excess| *excess >= 5 * SECOND - 5 * MS), "{told:?}");
        assert!(told[41..].iter().all(|excess| *excess < 10 * MS), "{told:?}");
    }

    #[test]
    fn what_lies_somewhere_for_seconds_is_never_the_least() {
        // A provider that is stopped for 5 s, and one that falls behind by 20 ms a second.
        let stopped = |n: u32| (5 * SECOND).saturating_sub(n * 10 * MS);
        let behind = |n: u32| 150 * MS + n * MS / 5;
        let ways: [&dyn Fn(u32) -> Duration; 2] = [&stopped, &behind];
        for took in ways {
            let mut excess = connection();
            assert_eq!(excess(MS, Duration::ZERO), Duration::ZERO);
            for n in 1..500 {
                assert_eq!(excess(n * 10 * MS, took(n)), took(n), "{n}");
            }
        }
    }

    #[test]
    fn times_that_no_clock_shows_are_no_reason_to_panic() {
        let start = Instant::now();
        let mut transit = Transit::opened(start);
        assert_eq!(transit.excess(u64::MAX, start), Duration::ZERO);
        assert!(transit.excess(0, start + SECOND) > SECOND);
        transit.excess(u64::MAX, start + 100 * SECOND);
    }
}
