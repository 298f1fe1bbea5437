//! Calls that failed, were answered for, and are to be sent again later.
//!
//! Shared by the whole consumer and ended with it: a client may be gone long before its calls are
//! done. Each waiting call is a task that holds all there is to know of it; nothing outlives the
//! process.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use rpc_core::Method;
use tokio::task::JoinSet;

/// The waiting calls of a consumer, by method; dropping it ends them.
#[derive(Debug, Default)]
pub struct Backlog {
    methods: Mutex<HashMap<Arc<str>, JoinSet<()>>>,
    dropped: AtomicU64,
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

    /// Takes a call of `method`, unless `bound` of them wait already; `resending` is the task that
    /// sends it.
    pub(crate) fn push<F>(&self, method: &Method, bound: usize, resending: F) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = methods.entry(method.path().clone()).or_default();
        let has_room = unfinished(tasks) < bound;
        if has_room {
            tasks.spawn(resending);
        }
        has_room
    }

    /// Counts a call that is given up.
    pub(crate) fn note_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }
}

fn unfinished(tasks: &mut JoinSet<()>) -> usize {
    while tasks.try_join_next().is_some() {}
    tasks.len()
}
