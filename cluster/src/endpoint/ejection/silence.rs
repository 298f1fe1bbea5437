//! Judges an endpoint whose calls are given up, one after the other, without an answer.
//!
//! A call that is given up because another provider was quicker says nothing of the endpoint: it
//! may be slow, or its process may be stopped. An endpoint that is only ever called so would never
//! be judged. Therefore, once no answer has come for [`PATIENCE`] although calls were given up, one
//! of them is watched to its end, at most one at a time, and judged as if its caller still waited.

use std::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::AcqRel, Ordering::Relaxed, Ordering::Release,
};
use std::time::Duration;

/// How long an endpoint may be silent before one of its calls is watched.
const PATIENCE: Duration = Duration::from_secs(1);

/// Since when nothing was heard of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// When a call was given up first since the last answer, in nanoseconds of the endpoint's clock;
    /// 0 if none was.
    since: AtomicU64,
    /// Whether a call is being watched.
    is_watched: AtomicBool,
}

impl Silence {
    /// It has answered. Costs a look where nothing was given up.
    pub(super) fn end(&self) {
        if self.since.load(Relaxed) != 0 {
            self.since.store(0, Relaxed);
        }
    }

    /// A call is given up at `nanos`; says whether it is to be watched.
    pub(super) fn give_up(&self, nanos: u64) -> bool {
        let Err(since) = self.since.compare_exchange(0, nanos.max(1), Relaxed, Relaxed) else {
            return false;
        };
        let is_long = u128::from(nanos.saturating_sub(since)) >= PATIENCE.as_nanos();
        is_long && !self.is_watched.swap(true, AcqRel)
    }

    pub(super) fn end_watch(&self) {
        self.is_watched.store(false, Release);
    }
}
