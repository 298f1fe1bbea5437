//! A session at the servers, which outlives the connection that it was opened with.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;

/// What a further connection needs to go on with a session.
pub(super) struct SessionTicket {
    pub(super) id: i64,
    pub(super) password: Bytes,
    /// After how long without a connection the servers end it.
    pub(super) timeout: Duration,
    /// The newest transaction that it has seen: a server that has not is not for it.
    seen: AtomicI64,
    is_over: AtomicBool,
}

impl SessionTicket {
    pub(super) fn new(id: i64, password: Bytes, timeout: Duration) -> Self {
        Self { id, password, timeout, seen: AtomicI64::new(0), is_over: AtomicBool::new(false) }
    }

    /// Notes a transaction.
    pub(super) fn see(&self, zxid: i64) {
        self.seen.fetch_max(zxid, Ordering::Relaxed);
    }

    pub(super) fn seen(&self) -> i64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Notes that the session was closed, by us or by the servers.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

impl fmt::Debug for SessionTicket {
    /// Without password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionTicket({:#x}, seen {:#x})", self.id, self.seen())
    }
}
