//! Whether the registry is followed, as calls read it.

use std::sync::atomic::{AtomicU8, Ordering::Acquire, Ordering::Release};

/// Whether a task follows the registry; calls read it.
#[derive(Debug, Default)]
pub(super) struct FollowerLife(AtomicU8);

const AWAY: u8 = 0;
const AT_WORK: u8 = 1;
const CONFIRMING: u8 = 2;

impl FollowerLife {
    pub(super) fn is_away(&self) -> bool {
        self.0.load(Acquire) == AWAY
    }

    /// Whether the list is an earlier one that is being confirmed.
    pub(super) fn is_confirming(&self) -> bool {
        self.0.load(Acquire) == CONFIRMING
    }

    pub(super) fn confirmed(&self) {
        // One that has gone away meanwhile stays away.
        let _ = self.0.compare_exchange(CONFIRMING, AT_WORK, Release, Acquire);
    }

    /// Notes that a task follows; `is_anew` if the list is an earlier one.
    pub(super) fn begin(&self, is_anew: bool) {
        self.0.store(if is_anew { CONFIRMING } else { AT_WORK }, Release);
    }

    /// Notes that the task has ended.
    pub(super) fn end(&self) {
        self.0.store(AWAY, Release);
    }
}
