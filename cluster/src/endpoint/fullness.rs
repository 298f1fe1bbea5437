//! Until when an endpoint that has refused a call for fullness is taken for full.
//!
//! It is called meanwhile only if all are full. One atomic for each endpoint, which is written by
//! refusals alone.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::endpoint::load::nanos_since;

/// For how long one is full that does not say.
pub(crate) const DEFAULT: Duration = Duration::from_millis(100);

/// For how long one is full at most, whatever it says: it has to be asked now and then.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);

/// The end of it, in nanoseconds of the endpoint's clock; 0 if it never was.
#[derive(Debug, Default)]
pub(crate) struct Fullness(AtomicU64);

impl Fullness {
    /// It is full until `end`, or longer if that was said before; says whether it was not at `now`.
    pub(crate) fn begin(&self, origin: Instant, now: Instant, end: Instant) -> bool {
        let before = self.0.fetch_max(nanos_since(origin, end), Relaxed);
        before <= nanos_since(origin, now)
    }

    /// When it ends, if it has not ended by `now`.
    pub(crate) fn until(&self, origin: Instant, now: Instant) -> Option<Instant> {
        let end = self.0.load(Relaxed);
        (end > nanos_since(origin, now)).then(|| origin + Duration::from_nanos(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_full_until_the_latest_end_that_was_named() {
        let (full, start) = (Fullness::default(), Instant::now());
        assert_eq!(full.until(start, start), None);
        assert!(full.begin(start, start, start + 2 * DEFAULT));
        assert!(!full.begin(start, start + DEFAULT, start + DEFAULT));
        assert_eq!(full.until(start, start + DEFAULT), Some(start + 2 * DEFAULT));
        assert_eq!(full.until(start, start + 2 * DEFAULT), None);
        assert!(full.begin(start, start + 2 * DEFAULT, start + 3 * DEFAULT));
    }
}
