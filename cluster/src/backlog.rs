//! Calls that failed, were answered for, and are to be sent again later.
//!
//! Shared by the whole consumer and ended with it: a client may be gone long before its calls are
//! done. Each waiting call is a task that holds all there is to know of it; nothing outlives the
//! process.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use rpc_core::Method;
use tokio::task::JoinSet;

/// What the bodies of all waiting calls may hold together.
const MAX_MIB: usize = 64;
const MAX_BYTES: usize = MAX_MIB << 20;

/// The waiting calls of a consumer, by method; dropping it ends them.
#[derive(Debug, Default)]
pub struct Backlog {
    methods: Mutex<HashMap<Arc<str>, JoinSet<()>>>,
    /// What the bodies of the waiting calls hold.
    bytes: Arc<AtomicUsize>,
    dropped: AtomicU64,
}

/// Why there is no room for a call, as a hint for its caller.
pub(crate) type Full = String;

/// A waiting call's part of the bytes, for as long as it exists.
struct Room {
    bytes: Arc<AtomicUsize>,
    size: usize,
}

impl Backlog {
    /// How many calls wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        methods.values_mut().map(unfinished).sum()
    }

    /// How many calls were given up since it was made: no success within their retries, or too
    /// many waiting already.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Takes a call of `method` whose body holds `size` bytes, unless `bound` of the method wait
    /// already or the bodies of all would hold too much; `resending` is the task that sends it.
    pub(crate) fn push<F>(
        &self,
        method: &Method,
        bound: usize,
        size: usize,
        resending: F,
    ) -> Result<(), Full>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = methods.entry(method.path().clone()).or_default();
        if unfinished(tasks) >= bound {
            return Err(format!("cluster = failback, tasks = {bound}: so many calls wait"));
        }
        let Some(room) = Room::take(&self.bytes, size) else {
            return Err(format!("cluster = failback: the calls that wait hold {MAX_MIB} MiB"));
        };
        tasks.spawn(async move {
            let _room = room;
            resending.await;
        });
        Ok(())
    }

    /// Counts a call that is given up.
    pub(crate) fn note_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        let waiting = self.waiting();
        if waiting > 0 {
            tracing::warn!(
                waiting,
                "the consumer ends, and with it calls that wait to be sent again \
                 (cluster = failback); they are lost",
            );
        }
    }
}

// === impl Room ===

impl Room {
    /// `None` if that is too much.
    fn take(bytes: &Arc<AtomicUsize>, size: usize) -> Option<Self> {
        let add = |held: usize| held.checked_add(size).filter(|sum| *sum <= MAX_BYTES);
        bytes.fetch_update(Relaxed, Relaxed, add).ok()?;
        Some(Self { bytes: bytes.clone(), size })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.size, Relaxed);
    }
}

fn unfinished(tasks: &mut JoinSet<()>) -> usize {
    while tasks.try_join_next().is_some() {}
    tasks.len()
}
