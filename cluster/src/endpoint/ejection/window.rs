//! Successes and failures of the last ten seconds, by the second.
//!
//! One word a second, so that counting a call is one atomic update without a lock. A slot packs
//! the second it stands for (24 bits), calls and failures (20 bits each).

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::time::Instant;

const SECONDS: u64 = 10;
const BITS: u32 = 20;
const FULL: u64 = (1 << BITS) - 1;
/// Seconds are counted modulo half a year.
const TAGS: u64 = (1 << 24) - 1;

/// Outcomes of ten seconds.
#[derive(Debug)]
#[repr(C)]
pub(super) struct OutcomeWindow {
    origin: Instant,
    slots: [AtomicU64; SECONDS as usize],
}

/// The counts in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) calls: u64,
    pub(super) failures: u64,
}

impl OutcomeWindow {
    pub(super) fn new(origin: Instant) -> Self {
        Self { origin, slots: Default::default() }
    }

    pub(super) fn count(&self, success: bool, now: Instant) {
        let second = self.second(now);
        let slot = &self.slots[(second % SECONDS) as usize];
        let failed = u64::from(!success);
        let _ = slot.fetch_update(Relaxed, Relaxed, |word| {
            let (mut calls, mut failures) = match tag(word) == second & TAGS {
                true => (calls(word), failures(word)),
                false => (0, 0),
            };
            if calls == FULL {
                // More than a million in a second: the share is what counts.
                (calls, failures) = (calls / 2, failures / 2);
            }
            Some(((second & TAGS) << (2 * BITS)) + ((calls + 1) << BITS) + failures + failed)
        });
    }

    /// Has its cache lines fetched.
    pub(super) fn touch(&self) {
        black_box((self.slots[0].load(Relaxed), self.slots[SECONDS as usize - 1].load(Relaxed)));
    }

    pub(super) fn sums(&self, now: Instant) -> Sums {
        let second = self.second(now);
        let words = self.slots.iter().map(|slot| slot.load(Relaxed));
        let recent = words.filter(|word| (second & TAGS).wrapping_sub(tag(*word)) & TAGS < SECONDS);
        recent.fold(Sums { calls: 0, failures: 0 }, |sums, word| Sums {
            calls: sums.calls + calls(word),
            failures: sums.failures + failures(word),
        })
    }

    pub(super) fn clear(&self) {
        self.slots.iter().for_each(|slot| slot.store(0, Relaxed));
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_secs()
    }
}

impl Sums {
    pub(super) const fn successes(self) -> u64 {
        self.calls - self.failures
    }
}

const fn tag(word: u64) -> u64 {
    word >> (2 * BITS)
}

const fn calls(word: u64) -> u64 {
    (word >> BITS) & FULL
}

const fn failures(word: u64) -> u64 {
    word & FULL
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn outcomes_are_summed_over_ten_seconds() {
        let start = Instant::now();
        let window = OutcomeWindow::new(start);
        for second in 0..15 {
            let now = start + Duration::from_secs(second);
            window.count(true, now);
            window.count(false, now);
        }
        let sums = |second| window.sums(start + Duration::from_secs(second));
        assert_eq!(sums(14), Sums { calls: 20, failures: 10 });
        assert_eq!(sums(19), Sums { calls: 10, failures: 5 });
        assert_eq!(sums(24), Sums { calls: 0, failures: 0 });
        window.clear();
        assert_eq!(sums(14).calls, 0);
    }

    #[test]
    fn a_second_counts_for_ten_and_makes_room_for_its_successor_also_when_tags_begin_again() {
        for first in [0, TAGS - 12] {
            let start = Instant::now();
            let window = OutcomeWindow::new(start);
            let at = |second| start + Duration::from_secs(first + second);
            for second in 0..25 {
                // So many as seconds have passed, of which all but one have failed.
                (0..second).for_each(|_| window.count(false, at(second)));
                window.count(true, at(second));
                let last = (0..=second).rev().take(10);
                let (calls, failures) = last.fold((0, 0), |(c, f), s| (c + s + 1, f + s));
                let sums = window.sums(at(second));
                assert_eq!(sums, Sums { calls, failures }, "{second}");
                assert_eq!(sums.successes(), calls - failures);
            }
            assert_eq!(window.sums(at(33)), Sums { calls: 25, failures: 24 });
            assert_eq!(window.sums(at(34)).calls, 0);
        }
    }

    #[test]
    fn more_calls_than_a_slot_can_hold_keep_their_share() {
        let now = Instant::now();
        let window = OutcomeWindow::new(now);
        for call in 0..2_500_000_u32 {
            window.count(!call.is_multiple_of(4), now);
        }
        let sums = window.sums(now);
        let percent = sums.failures * 100 / sums.calls;
        assert!((24..=26).contains(&percent), "{sums:?}");
        // Half of those it can hold are left each time that it was full, at a million.
        assert!((900_000..950_000).contains(&sums.calls), "{sums:?}");
    }
}
