//! Randomness for balancers and pauses: lock-free, shared, and reproducible from a seed.
//!
//! SplitMix64 (Steele, Lea, Flood 2014) over an atomic counter: one `fetch_add` a roll. Good
//! enough to spread load; nothing here needs to be hard to guess.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A generator that many threads roll at once.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    /// A generator whose rolls follow from `seed`, or are random without one.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(AtomicU64::new(seed.unwrap_or_else(rand::random)))
    }

    /// A generator of its own for one thread, made by one roll.
    pub(crate) fn fork(&self) -> Rolls {
        Rolls(self.roll())
    }

    /// 64 random bits.
    pub(crate) fn roll(&self) -> u64 {
        mix(self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }

    /// A number from 0 up to and without `end`; 0 if `end` is 0.
    pub(crate) fn below(&self, end: u64) -> u64 {
        scale(self.roll(), end)
    }

    /// An index of a list of this length; 0 if it is empty.
    pub(crate) fn index(&self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// Half of `longest` and a random part of the other half ("equal jitter").
    pub(crate) fn jitter(&self, longest: Duration) -> Duration {
        let half = u64::try_from(longest.as_nanos() / 2).unwrap_or(u64::MAX / 2);
        Duration::from_nanos(half + self.below(half))
    }
}

/// Dice of one thread, which no other thread uses.
#[derive(Debug)]
pub(crate) struct Rolls(u64);

impl Rolls {
    /// 64 random bits.
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number from 0 up to and without `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        scale(self.roll(), end)
    }
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from 0 up to and without `end` of 64 random bits; 0 if `end` is 0.
pub(crate) fn scale(roll: u64, end: u64) -> u64 {
    // The high half of a 128-bit product maps evenly enough, without a division.
    let wide = u128::from(roll) * u128::from(end);
    u64::try_from(wide >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_roll_equal_numbers() {
        let (a, b) = (Dice::new(Some(7)), Dice::new(Some(7)));
        assert!((0..100).all(|_| a.below(1_000_000) == b.below(1_000_000)));
    }

    #[test]
    fn jitter_is_from_half_of_the_time_up_to_it_and_never_too_much_for_the_clock() {
        let (dice, second) = (Dice::new(Some(1)), Duration::from_secs(1));
        let times: Vec<Duration> = (0..1000).map(|_| dice.jitter(second)).collect();
        assert!(times.iter().all(|time| (second / 2..=second).contains(time)));
        assert!(times.iter().any(|time| *time > second * 9 / 10));
        assert!(dice.jitter(Duration::MAX) > second);
    }

    #[test]
    fn every_number_below_the_end_comes_up_evenly() {
        let dice = Dice::new(Some(1));
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            counts[dice.index(10)] += 1;
        }
        assert!(counts.iter().all(|n| (850..1150).contains(n)), "{counts:?}");
        assert_eq!(dice.index(0), 0);
    }
}
