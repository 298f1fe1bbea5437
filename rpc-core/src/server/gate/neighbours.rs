//! What the gates of a provider know of each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// How long a method that does not come through is remembered.
const STARVING: u64 = 3_000_000;

/// What the gates of a provider share: which of them was last seen to starve, and until when that
/// counts. All times are in microseconds since it was made.
#[derive(Debug)]
pub(crate) struct Gates {
    epoch: Instant,
    gates: AtomicU32,
    starving: AtomicU32,
    until: AtomicU64,
}

impl Gates {
    /// Of a provider that starts at `epoch`.
    pub(crate) fn new(epoch: Instant) -> Arc<Self> {
        let (gates, starving, until) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU64::new(0));
        Arc::new(Self { epoch, gates, starving, until })
    }

    /// The number of one more gate.
    pub(super) fn next_id(&self) -> u32 {
        self.gates.fetch_add(1, Relaxed)
    }

    /// Microseconds from the start to `now`.
    pub(super) fn micros(&self, now: Instant) -> u64 {
        micros(now.saturating_duration_since(self.epoch))
    }

    /// Notes that the calls of gate `id` do not come through.
    pub(super) fn note_starving(&self, id: u32, now: u64) {
        self.starving.store(id, Relaxed);
        self.until.store(now + STARVING, Relaxed);
    }

    /// Whether another gate than `id` starves. Of several the last counts: the others are at their
    /// floor, too.
    pub(super) fn is_other_starving(&self, id: u32, now: u64) -> bool {
        now < self.until.load(Relaxed) && self.starving.load(Relaxed) != id
    }
}

/// Whole microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
