//! How fast a registry's loops run: timeouts, backoff, spread and repair.
//!
//! Everything that repeats carries jitter, so that processes which failed together do not come back
//! together.

use std::time::Duration;

/// The spread of one process more: of many, about a tenth come in a second.
const PER_PEER: Duration = Duration::from_millis(40);

/// The spread of however many.
const LONGEST_SPREAD: Duration = Duration::from_secs(20);

/// Into how many parts a reconcile is divided; checks come at the end of one.
const PARTS: u32 = 60;

/// The times of a supervised registry.
///
/// The defaults suit a registry that many processes share. One that lives in the same process, or
/// that no fleet depends on, may come back at once:
///
/// ```
/// use std::time::Duration;
///
/// use dubhe_registry::Pace;
///
/// let eager = Pace { reader_spread: Duration::ZERO, ..Pace::default() };
/// assert_eq!(eager.connect_timeout, Duration::from_secs(1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Limit of one attempt to open a session; default 1 s.
    pub connect_timeout: Duration,
    /// Limit of one operation on a session; default 5 s.
    pub request_timeout: Duration,
    /// First pause after a failed attempt, which grows by a factor of 1.6 each time; default 100
    /// ms, ± 20 %.
    pub first_pause: Duration,
    /// Longest pause; default 4 s, ± 20 %, so that 5 s after an outage every provider is back, and
    /// every list of a small fleet is right again.
    pub longest_pause: Duration,
    /// Longest extra time that a process that only reads waits after losing a session; default 3 s.
    /// Its lists stay, and a registry that comes back serves the providers first. If the registry
    /// says how many processes share it, their number decides instead (25 come back in a second, all within 25 s),
    /// unless this is zero.
    pub reader_spread: Duration,
    /// How long lists and registrations go unchecked at the longest, before they are repaired; default 30 s.
    /// Each check comes 10 % to 25 % sooner, so that what it finds is mended within this time, too; the first of a session
    /// 14 % to 85 % sooner, so that those who came together do not check together.
    pub reconcile: Duration,
    /// How long the registry may be down before that is logged as a warning; default zero. For
    /// registries that another process takes over in normal operation.
    pub grace: Duration,
    /// How long `register` and `subscribe` wait for the registry before they continue without it;
    /// default 1 s.
    pub settle: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(5),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(4),
            reader_spread: Duration::from_secs(3),
            reconcile: Duration::from_secs(30),
            grace: Duration::ZERO,
            settle: Duration::from_secs(1),
        }
    }
}

impl Pace {
    /// The extra time of a reader's next pause, given how many processes share the registry.
    pub(crate) fn spread(&self, peers: Option<usize>) -> Duration {
        let width = match peers {
            Some(peers) if !self.reader_spread.is_zero() => {
                let peers = u32::try_from(peers).unwrap_or(u32::MAX);
                PER_PEER.saturating_mul(peers).min(LONGEST_SPREAD)
            }
            _ => self.reader_spread,
        };
        width.mul_f64(rand::random())
    }

    /// The time from the beginning of a session to the first check of all that belongs to it. Processes whose sessions
    /// began together, as after a restart of the registry, do not check together, then or later.
    pub(crate) fn until_first_check(&self) -> Duration {
        self.reconcile.mul_f64(rand::random_range(0.15..=0.86))
    }

    /// The time until the next check, for a link that has existed for `age`, or until the `first` check of its session if
    /// that is still to come. What was to come within the same part of a reconcile comes at its end: those of a thousand
    /// lists wake few threads and share writes and reads.
    pub(crate) fn until_reconcile(&self, age: Duration, first: Duration) -> Duration {
        let part = self.reconcile / PARTS;
        let latest = self.reconcile.mul_f64(0.9).saturating_sub(part);
        let until = match first.is_zero() {
            true => latest.mul_f64(rand::random_range(0.86..=1.0)),
            false => first.min(latest),
        };
        let begun = age.saturating_add(until).as_nanos().checked_rem(part.as_nanos()).unwrap_or(0);
        let begun = Duration::from_nanos(u64::try_from(begun).unwrap_or(0));
        until + part.saturating_sub(begun)
    }
}

/// Growing pauses between attempts.
#[derive(Debug)]
pub(crate) struct RetryPause {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl RetryPause {
    pub(crate) fn new(pace: Pace) -> Self {
        let Pace { first_pause: first, longest_pause: longest, .. } = pace;
        Self { first, longest, next: first }
    }

    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.mul_f64(1.6).min(self.longest);
        jittered(pause)
    }

    /// To be called after a success.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// `time` ± 20 %.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(rand::random_range(0.8..=1.2))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let pace = Pace::default();
        let firsts: BTreeSet<_> = (0..100).map(|_| RetryPause::new(pace).pause()).collect();
        let (least, most, mean) =
            (*firsts.first().unwrap(), *firsts.last().unwrap(), pace.first_pause);
        assert!(least >= mean.mul_f64(0.79) && least < mean.mul_f64(0.9), "{least:?}");
        assert!(most <= mean.mul_f64(1.21) && most > mean.mul_f64(1.1), "{most:?}");
    }

    #[test]
    fn checks_are_spread_and_never_later_than_they_are_promised() {
        let pace = Pace::default();
        let checks =
            |age| (0..1000).map(move |_| pace.until_reconcile(age, Duration::ZERO)).collect();
        for age in [Duration::ZERO, Duration::from_millis(12_345)] {
            let checks: BTreeSet<Duration> = checks(age);
            let (least, most, longest) =
                (*checks.first().unwrap(), *checks.last().unwrap(), pace.reconcile);
            assert!(least >= longest.mul_f64(0.75) && least < longest.mul_f64(0.8), "{least:?}");
            assert!(most <= longest.mul_f64(0.9) && most > longest.mul_f64(0.85), "{most:?}");
            // Those of many lists come together, twice a second.
            let at = |check: &Duration| (age + *check).as_millis() % 500;
            assert!(checks.iter().all(|check| at(check) == 0) && checks.len() <= 10, "{checks:?}");
        }
        let never = Pace { reconcile: Duration::ZERO, ..pace };
        assert_eq!(never.until_reconcile(Duration::from_secs(1), Duration::ZERO), Duration::ZERO);
        let longest = Pace { reconcile: Duration::MAX, ..pace };
        assert!(
            longest.until_reconcile(Duration::ZERO, Duration::ZERO) > Duration::from_secs(1 << 40)
        );
    }

    #[test]
    fn first_checks_of_sessions_that_began_together_are_spread_over_a_reconcile() {
        let pace = Pace::default();
        let first = |_| pace.until_reconcile(Duration::ZERO, pace.until_first_check());
        let firsts: Vec<Duration> = (0..1000).map(first).collect();
        let longest = pace.reconcile.mul_f64(0.9);
        assert!(firsts.iter().all(|first| *first <= longest), "they are not late");
        // Before that a server that has just come back may not have heard of all.
        assert!(firsts.iter().all(|first| *first > Duration::from_secs(4)));
        for second in 5..25 {
            let together = firsts.iter().filter(|first| first.as_secs() == second).count();
            assert!((10..=100).contains(&together), "{together} at {second} s");
        }
    }

    /// When each of so many readers, which lost the registry at once, is back after an outage, in order, counted
    /// from its end.
    fn back_after(outage: Duration, readers: usize) -> Vec<f64> {
        let pace = Pace::default();
        let one = |_| {
            let (mut backoff, mut at) = (RetryPause::new(pace), Duration::ZERO);
            while at < outage {
                at += backoff.pause() + pace.spread(Some(readers));
            }
            (at - outage).as_secs_f64()
        };
        let mut back: Vec<f64> = (0..readers).map(one).collect();
        back.sort_unstable_by(f64::total_cmp);
        back
    }

    #[test]
    fn of_many_readers_few_come_back_in_a_second_and_of_few_all_in_five() {
        for (outage, readers) in [(1, 500), (10, 500), (60, 500), (60, 5000)] {
            let back = back_after(Duration::from_secs(outage), readers);
            let within =
                |first: &f64| back.iter().filter(|at| (0.0..1.0).contains(&(**at - first))).count();
            let most = back.iter().map(within).max().unwrap();
            // Servers take a second to start in which attempts gather, and a quarter is the limit.
            assert!(
                most * 100 <= readers * 15,
                "{most} of {readers} in one second after {outage} s"
            );
            assert!(back[readers - 1] < 30.0, "{}", back[readers - 1]);
        }
        let back = back_after(Duration::from_secs(60), 5);
        assert!(back[4] < 5.0, "{}", back[4]);
    }

    #[test]
    fn who_wants_no_spread_has_none_however_many_there_are() {
        let eager = Pace { reader_spread: Duration::ZERO, ..Pace::default() };
        assert_eq!([None, Some(5000)].map(|peers| eager.spread(peers)), [Duration::ZERO; 2]);
    }

    #[test]
    fn pauses_grow_to_the_longest_and_start_over_after_a_success() {
        let mut backoff = RetryPause::new(Pace::default());
        let within = |pause: Duration, ms: f64| {
            let ratio = pause.as_secs_f64() * 1e3 / ms;
            assert!((0.79..=1.21).contains(&ratio), "{pause:?} is not {ms} ms");
        };
        for ms in [100.0, 160.0, 256.0] {
            within(backoff.pause(), ms);
        }
        for _ in 0..20 {
            backoff.pause();
        }
        within(backoff.pause(), 4000.0);
        backoff.reset();
        within(backoff.pause(), 100.0);
    }
}
