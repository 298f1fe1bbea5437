//! Calls that failed, were answered for, and are to be sent again later.
//!
//! Shared by the whole consumer and ended with it: a client may be gone long before its calls are
//! done. Each waiting call is a task that holds all there is to know of it; nothing outlives the
//! process.

use std::collections::HashMap;
use std::fmt;
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

/// Why a [`Backlog`] has no room for a call; shown as a hint for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BacklogFull {
    /// So many calls of the method wait already.
    Calls(usize),
    /// The bodies of the waiting calls of all methods would hold more than 64 MiB.
    Bytes,
}

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

    /// Takes a call of `method` whose body holds `size` bytes
    /// ([`Body::size_hint`](rpc_core::Body::size_hint)); for policies that send failed calls again
    /// after their callers have gone on.
    ///
    /// `resending` is all that becomes of the call: it is spawned at once and waits, asks
    /// [`may_resend_later`](rpc_core::status::may_resend_later) and sends by itself, with a deadline
    /// of its own, and counts the call by [`note_dropped`](Self::note_dropped) if it gives it up. It
    /// may hold a [`Picker`](crate::Picker), but no `Arc` of this backlog, as it is cancelled when
    /// the consumer ends, and with it the backlog.
    ///
    /// # Errors
    /// `bound` calls of the method wait already, or the bodies of all would hold more than 64 MiB.
    /// The call is not counted as dropped then; whoever gives it up does that.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn push<F>(
        &self,
        method: &Method,
        bound: usize,
        size: usize,
        resending: F,
    ) -> Result<(), BacklogFull>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = methods.entry(method.path().clone()).or_default();
        if unfinished(tasks) >= bound {
            return Err(BacklogFull::Calls(bound));
        }
        let room = Room::take(&self.bytes, size).ok_or(BacklogFull::Bytes)?;
        tasks.spawn(async move {
            let _room = room;
            resending.await;
        });
        Ok(())
    }

    /// Counts a call that is given up.
    pub fn note_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        let waiting = self.waiting();
        if waiting > 0 {
            tracing::warn!(
                waiting,
                "the consumer ends, and with it calls that wait to be sent again; they are lost",
            );
        }
    }
}

impl fmt::Display for BacklogFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls(bound) => write!(f, "{bound} calls of the method wait already"),
            Self::Bytes => write!(f, "the calls that wait hold {MAX_MIB} MiB"),
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
