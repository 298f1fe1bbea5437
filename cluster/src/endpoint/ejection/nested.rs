//! Failures that a provider passes on from calls of its own.
//!
//! Where one of many shows them, it is cut off from what the others reach, and is better left out.
//! Where many do, what they depend on has failed, and nobody else would do better. So they count apart
//! from the provider's own failures, and whether they count at all is decided by a look at everybody.

use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::time::Duration;

use super::EjectionConfig;

/// Why an endpoint is out, for people.
pub(super) const WHY: &str = "its own calls fail";

/// For how long one that is called no more still shows what it showed last.
const MEMORY: Duration = Duration::from_secs(10);

/// What calls of one endpoint showed of this since its last success; times in nanoseconds of the
/// endpoint's clock.
#[derive(Debug, Default)]
pub(super) struct Nested {
    in_row: AtomicU32,
    since: AtomicU64,
    last: AtomicU64,
    /// Whether it was taken out for this.
    is_out: AtomicBool,
}

impl Nested {
    /// One more at `nanos`; says whether it is the first of a row.
    pub(super) fn count(&self, nanos: u64) -> bool {
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
    pub(super) fn shows(&self, nanos: u64, config: &EjectionConfig) -> bool {
        let lasts = || {
            let since = nanos.saturating_sub(self.since.load(Relaxed));
            u128::from(since) >= config.failing_for.as_nanos()
        };
        self.is_out()
            || (self.is_noted(nanos)
                && (self.in_row.load(Relaxed) >= config.consecutive || lasts()))
    }

    pub(super) fn is_out(&self) -> bool {
        self.is_out.load(Relaxed)
    }

    pub(super) fn set_out(&self) {
        self.is_out.store(true, Relaxed);
    }

    /// It is called again, and shows as of `nanos` what it showed before.
    pub(super) fn pardon(&self, nanos: u64) {
        self.last.store(nanos, Relaxed);
        self.is_out.store(false, Relaxed);
    }

    pub(super) fn forget(&self) {
        self.in_row.store(0, Relaxed);
        self.is_out.store(false, Relaxed);
    }
}
