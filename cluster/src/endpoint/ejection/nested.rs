//! Failures that a provider passes on from calls of its own.
//!
//! Where one of many shows them, it is cut off from what the others reach, and is better left out.
//! If many do, their dependency has failed, and no other endpoint would do better. So these
//! failures are counted apart from the provider's own, and a comparison of all endpoints decides
//! whether they count at all.

use std::sync::atomic::{
    AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::time::Duration;

use tokio::time::Instant;

use super::EjectionConfig;
use super::window::OutcomeWindow;

/// Why an endpoint is out, for people.
pub(super) const WHY: &str = "its own calls fail";

/// For how long one that is called no more still shows what it showed last.
const MEMORY: Duration = Duration::from_secs(10);

/// Passed-on failures of one endpoint; times in nanoseconds of the endpoint's clock.
#[derive(Debug)]
pub(super) struct Nested {
    /// Since its last success.
    in_row: AtomicU32,
    since: AtomicU64,
    last: AtomicU64,
    /// Those of the last 10 s. A row ends with any success; where methods that depend on nothing
    /// are called beside the one that fails, this is what the endpoints have alike.
    lately: OutcomeWindow,
    /// While it is taken out for this: the part of its calls that failed so when it was, in
    /// percent.
    out_for: AtomicU32,
}

impl Nested {
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            in_row: AtomicU32::new(0),
            since: AtomicU64::new(0),
            last: AtomicU64::new(0),
            lately: OutcomeWindow::new(origin),
            out_for: AtomicU32::new(0),
        }
    }

    /// One more at `now`, which is `nanos`; says whether it is the first of a row.
    pub(super) fn count(&self, nanos: u64, now: Instant) -> bool {
        self.lately.count(false, now);
        self.last.store(nanos, Relaxed);
        let before = self.in_row.fetch_update(Release, Relaxed, |before| {
            if before == 0 {
                self.since.store(nanos, Relaxed);
            }
            before.checked_add(1)
        });
        before == Ok(0)
    }

    /// A call was answered. Costs a look where nothing was passed on.
    pub(super) fn end(&self) {
        if self.in_row.load(Relaxed) != 0 {
            self.in_row.store(0, Relaxed);
        }
    }

    /// Whether there is anything to look at, at `nanos`. What is long past is forgotten.
    pub(super) fn is_noted(&self, nanos: u64) -> bool {
        if self.in_row.load(Acquire) == 0 {
            return false;
        }
        let age = nanos.saturating_sub(self.last.load(Relaxed));
        let is_noted = u128::from(age) < MEMORY.as_nanos();
        if !is_noted {
            self.in_row.store(0, Relaxed);
        }
        is_noted
    }

    /// Whether these failures, were they its own, would take it out; or have done so.
    pub(super) fn stands_out(&self, nanos: u64, config: &EjectionConfig) -> bool {
        let lasts = || {
            let since = nanos.saturating_sub(self.since.load(Relaxed));
            u128::from(since) >= config.failing_for.as_nanos()
        };
        self.is_out()
            || (self.is_noted(nanos)
                && (self.in_row.load(Relaxed) >= config.consecutive || lasts()))
    }

    /// Which part of its calls of the last 10 s failed so, in percent, beside `others` calls that
    /// did not.
    pub(super) fn share(&self, others: u64, now: Instant) -> u32 {
        let before = self.out_for.load(Relaxed);
        if before != 0 {
            return before;
        }
        match self.lately.sums(now).failures {
            0 => 0,
            failed => u32::try_from(failed * 100 / (failed + others)).unwrap_or(100).max(1),
        }
    }

    pub(super) fn is_out(&self) -> bool {
        self.out_for.load(Relaxed) != 0
    }

    pub(super) fn set_out(&self, share: u32) {
        self.out_for.store(share.max(1), Relaxed);
    }

    /// It is called again, and shows as of `nanos` what it showed before.
    pub(super) fn pardon(&self, nanos: u64) {
        self.last.store(nanos, Relaxed);
        self.out_for.store(0, Relaxed);
    }

    pub(super) fn forget(&self) {
        self.in_row.store(0, Relaxed);
        self.lately.clear();
        self.out_for.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// What an endpoint showed, on a clock of milliseconds.
    struct Shown {
        nested: Nested,
        start: Instant,
    }

    impl Shown {
        fn new() -> Self {
            let start = Instant::now();
            Self { nested: Nested::new(start), start }
        }

        fn count(&self, ms: u64) -> bool {
            self.nested.count(ms * MS, self.start + Duration::from_millis(ms))
        }

        fn stands_out(&self, ms: u64) -> bool {
            self.nested.stands_out(ms * MS, &EjectionConfig::default())
        }

        fn share(&self, others: u64, ms: u64) -> u32 {
            self.nested.share(others, self.start + Duration::from_millis(ms))
        }
    }

    #[test]
    fn five_in_a_row_show_it_or_fewer_that_have_lasted() {
        let shown = Shown::new();
        let Shown { nested, .. } = &shown;
        assert!(!nested.is_noted(20_000 * MS) && !shown.stands_out(20_000));
        assert!(shown.count(20_000), "it is the first of a row");
        (0..3).for_each(|_| assert!(!shown.count(20_000)));
        assert!(nested.is_noted(20_000 * MS));
        assert!(!shown.stands_out(20_499) && shown.stands_out(20_500));
        assert!(!shown.count(20_100) && shown.stands_out(20_100));
        nested.end();
        assert!(!nested.is_noted(20_100 * MS) && !shown.stands_out(20_600));
        assert!(shown.count(20_600) && !shown.stands_out(21_099), "a new row lasts from its begin");
    }

    #[test]
    fn it_is_forgotten_ten_seconds_after_the_last_one() {
        let shown = Shown::new();
        let Shown { nested, .. } = &shown;
        [1_000, 2_000].iter().for_each(|ms| {
            shown.count(*ms);
        });
        let config = EjectionConfig::default();
        assert!(nested.is_noted(12_000 * MS - 1) && nested.stands_out(12_000 * MS - 1, &config));
        assert!(!nested.is_noted(12_000 * MS) && !shown.stands_out(12_000));
        assert!(shown.count(12_001), "that is a new row");
    }

    #[test]
    fn who_is_out_for_it_shows_it_until_it_is_pardoned_or_well() {
        let shown = Shown::new();
        let Shown { nested, .. } = &shown;
        (0..5).for_each(|_| {
            shown.count(0);
        });
        nested.set_out(40);
        assert!(nested.is_out() && shown.stands_out(60_000) && shown.share(0, 60_000) == 40);
        nested.pardon(60_000 * MS);
        assert!(!nested.is_out() && shown.stands_out(69_999) && shown.share(0, 60_000) == 0);
        nested.set_out(0);
        assert!(nested.is_out());
        nested.forget();
        assert!(!nested.is_out() && !shown.stands_out(60_000));
    }

    #[test]
    fn its_share_is_that_of_ten_seconds_and_outlasts_the_row() {
        let shown = Shown::new();
        assert_eq!(shown.share(7, 0), 0);
        shown.count(1_000);
        assert_eq!(shown.share(999, 1_000), 1, "little is not nothing");
        (0..4).for_each(|_| {
            shown.count(1_000);
        });
        shown.nested.end();
        assert_eq!((shown.share(5, 10_999), shown.share(0, 10_999)), (50, 100));
        assert_eq!(shown.share(5, 11_000), 0);
        shown.count(12_000);
        shown.nested.forget();
        assert_eq!(shown.share(5, 12_000), 0);
    }
}
