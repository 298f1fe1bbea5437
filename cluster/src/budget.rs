//! The retry budget: how many calls that may have run may be sent again, or to several at once.
//!
//! Finagle's rule: a share of all calls plus a floor per second, over a window of ten seconds. One
//! budget serves a whole consumer, so that retries of one service cannot grow while another is in
//! trouble. Counting a call is lock-free; drawing on the budget takes a short lock, as it is rare.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW_SECONDS: u32 = 10;

/// Bounds the re-sends of calls that may have run; shared by all methods of a consumer.
///
/// A failing service is called more, not less, once its callers try again; the budget keeps that
/// extra load below a share of the calls themselves. Calls that cannot have run do not draw on it.
///
/// ```
/// use dubhe_cluster::RetryBudget;
/// # #[tokio::main]
/// # async fn main() {
/// use tokio::time::Instant;
///
/// // No share of the calls, and one re-send for each of the ten seconds.
/// let budget = RetryBudget::new(0, 1);
/// let now = Instant::now();
/// assert_eq!(budget.available(now), 10);
/// assert!((0..10).all(|_| budget.draw(now)));
/// assert!(!budget.draw(now), "used up");
/// assert_eq!(budget.resends(), 10);
/// # }
/// ```
#[derive(Debug)]
pub struct RetryBudget {
    percent: AtomicU32,
    per_second: AtomicU32,
    calls: Window,
    draws: Mutex<Window>,
    resends: AtomicU64,
}

impl RetryBudget {
    /// A budget of `percent` % of the calls of the last ten seconds, plus `per_second` for each of
    /// them.
    #[must_use]
    pub fn new(percent: u32, per_second: u32) -> Self {
        let origin = Instant::now();
        Self {
            percent: AtomicU32::new(percent),
            per_second: AtomicU32::new(per_second),
            calls: Window::new(origin),
            draws: Mutex::new(Window::new(origin)),
            resends: AtomicU64::new(0),
        }
    }

    /// Sets other shares from now on; what was drawn stays drawn.
    pub fn set(&self, percent: u32, per_second: u32) {
        self.percent.store(percent, Relaxed);
        self.per_second.store(per_second, Relaxed);
    }

    /// How many calls were sent again since it was made, whether they drew on it or not.
    #[must_use]
    pub fn resends(&self) -> u64 {
        self.resends.load(Relaxed)
    }

    /// How many re-sends may be drawn at `now`.
    #[must_use]
    pub fn available(&self, now: Instant) -> u64 {
        let draws = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
        self.limit(now).saturating_sub(draws.sum(now))
    }

    /// Draws one re-send of a call that may have run; `false` if none is left.
    #[must_use]
    pub fn draw(&self, now: Instant) -> bool {
        let allowed = self.draw_copy(now);
        if allowed {
            self.note_resend();
        }
        allowed
    }

    /// Draws one copy of a call that is sent beside it, such as a fork: no re-send, but as much
    /// load; `false` if none is left.
    #[must_use]
    pub fn draw_copy(&self, now: Instant) -> bool {
        let draws = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = draws.sum(now) < self.limit(now);
        if allowed {
            draws.count(now);
        }
        allowed
    }

    /// Counts a re-send that costs nothing, because the call cannot have run.
    pub fn note_resend(&self) {
        self.resends.fetch_add(1, Relaxed);
    }

    /// Counts a call.
    pub(crate) fn deposit(&self, now: Instant) {
        self.calls.count(now);
    }

    fn limit(&self, now: Instant) -> u64 {
        let [percent, per_second] =
            [&self.percent, &self.per_second].map(|share| u64::from(share.load(Relaxed)));
        self.calls.sum(now) * percent / 100 + per_second * u64::from(WINDOW_SECONDS)
    }
}

impl Default for RetryBudget {
    /// 20 % of the calls plus 10 a second.
    fn default() -> Self {
        Self::new(20, 10)
    }
}

// === impl Window ===

/// How often something happened in the last ten seconds, by the second.
#[derive(Debug)]
struct Window {
    origin: Instant,
    /// Each packs the second it stands for (high half) and the count (low half) into one word.
    slots: [AtomicU64; WINDOW_SECONDS as usize],
}

impl Window {
    fn new(origin: Instant) -> Self {
        Self { origin, slots: Default::default() }
    }

    fn count(&self, now: Instant) {
        let second = self.second(now);
        let slot = &self.slots[(second % u64::from(WINDOW_SECONDS)) as usize];
        let step = |word: u64| match word >> 32 {
            same if same == second => Some(word + 1),
            _ => Some((second << 32) + 1),
        };
        let _ = slot.fetch_update(Relaxed, Relaxed, step);
    }

    fn sum(&self, now: Instant) -> u64 {
        let oldest = self.second(now).saturating_sub(u64::from(WINDOW_SECONDS) - 1);
        let words = self.slots.iter().map(|slot| slot.load(Relaxed));
        let recent = words.filter(|word| word >> 32 >= oldest);
        recent.map(|word| word & u64::from(u32::MAX)).sum()
    }

    /// Seconds since the origin. A slot that was never used stands for the first, with no count.
    fn second(&self, now: Instant) -> u64 {
        let since: Duration = now.saturating_duration_since(self.origin);
        since.as_secs().min(u64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_serves_those_who_call_little_and_renews_itself() {
        let budget = RetryBudget::new(20, 10);
        let now = Instant::now();
        assert_eq!((0..200).filter(|_| budget.draw(now)).count(), 100);
        let later = now + Duration::from_secs(11);
        assert_eq!(budget.available(later), 100);
        assert_eq!(budget.resends(), 100);
    }

    #[test]
    fn a_share_of_the_calls_of_the_window_is_added() {
        let budget = RetryBudget::new(20, 0);
        let now = Instant::now();
        assert!(!budget.draw(now));
        (0..1000).for_each(|_| budget.deposit(now));
        assert_eq!((0..500).filter(|_| budget.draw(now)).count(), 200);
        assert_eq!(budget.available(now + Duration::from_secs(60)), 0);
    }

    #[test]
    fn share_and_floor_add_up_and_other_ones_hold_from_when_they_are_set() {
        let budget = RetryBudget::default();
        let now = Instant::now();
        (0..500).for_each(|_| budget.deposit(now));
        assert_eq!(budget.available(now), 200, "20 % of 500 and ten times 10");
        assert!((0..30).all(|_| budget.draw_copy(now)));
        budget.set(10, 3);
        assert_eq!(budget.available(now), 50, "10 % of 500 and ten times 3, less what was drawn");
        assert_eq!(budget.resends(), 0, "a copy is no re-send");
        budget.note_resend();
        assert_eq!(budget.resends(), 1);
    }

    #[test]
    fn each_second_counts_for_ten_and_then_makes_room_for_its_successor() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let window = Window::new(start);
        for past in 0..25_u32 {
            let now = start + second * past;
            (0..=past).for_each(|_| window.count(now));
            // 1 in the first second, 2 in the next and so on.
            let expected: u32 = (0..=past).rev().take(10).map(|past| past + 1).sum();
            assert_eq!(window.sum(now), u64::from(expected), "second {past}");
        }
        let last = start + second * 24;
        let later = [9, 10].map(|seconds| window.sum(last + second * seconds));
        assert_eq!(later, [25, 0], "the last second, and no more");
    }
}
