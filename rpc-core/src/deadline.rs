//! When a call ends at the latest: an instant inside the process, the remaining time on the wire.
//!
//! Clocks of two machines need not agree, so only durations travel; network time is not deducted.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// The instant at which the caller stops waiting for a call.
///
/// It bounds the whole call, all attempts included. The remaining time travels with the call, so the
/// provider stops at about the same time, and calls made inside a handler end no later than the
/// handler's own deadline. The clock is tokio's, which tests pause.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// use std::time::Duration;
///
/// use dubhe::Deadline;
///
/// let deadline = Deadline::after(Duration::from_secs(5));
/// assert!(!deadline.is_past());
/// assert_eq!(deadline.min(Deadline::after(Duration::ZERO)).remaining(), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The longest time a deadline can be away: one day. Longer ones are cut to it.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

    /// The [hint](crate::Status::hint) of a call that its deadline has ended; the stub adds which
    /// setting that was.
    pub const HINT: &'static str = "deadline";

    /// A deadline `timeout` from now.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self::after_from(Instant::now(), timeout)
    }

    /// A deadline `timeout` from `now`, for callers that have read the clock already.
    #[must_use]
    #[inline]
    pub fn after_from(now: Instant, timeout: Duration) -> Self {
        Self(now + timeout.min(Self::MAX_TIMEOUT))
    }

    /// The deadline at `instant`.
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The instant itself.
    #[must_use]
    #[inline]
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// The remaining time; zero once it has passed.
    #[must_use]
    #[inline]
    pub fn remaining(self) -> Duration {
        self.remaining_from(Instant::now())
    }

    /// The remaining time at `now`; zero once it has passed.
    #[must_use]
    pub fn remaining_from(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether it has passed.
    #[must_use]
    pub fn is_past(self) -> bool {
        self.remaining().is_zero()
    }

    /// The earlier of two deadlines.
    #[must_use]
    #[inline]
    pub fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl fmt::Debug for Deadline {
    /// What is left, as `Deadline(in 250ms)`: an instant means nothing to people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remaining() {
            Duration::ZERO => f.write_str("Deadline(past)"),
            left => write!(f, "Deadline(in {left:.1?})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn debug_tells_what_is_left() {
        let deadline = Deadline::after(Duration::from_millis(250));
        assert_eq!(format!("{deadline:?}"), "Deadline(in 250.0ms)");
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(format!("{deadline:?}"), "Deadline(past)");
    }
}
