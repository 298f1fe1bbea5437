//! State that callers share with the task of a consumer's connection: requests on their way out,
//! calls that wait, and what has become of the connection.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::task::AtomicWaker;
use rpc_core::client::ClientConfig;
use rpc_core::status::Status;
use tokio::time::Instant;

use super::pending::{Pending, Sent};
use crate::dubbo::wire::event::{self, ConnectionEvent};
use crate::dubbo::wire::header::{self, Header};
use crate::transport::write_queue::WriteQueue;

/// A connection as its channel sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ConnectionLife {
    /// The peer has said nothing yet: perhaps only its kernel is there.
    Unproven = 0,
    Open = 1,
    Draining = 2,
    Closed = 3,
}

/// The part of a connection that callers and its task share.
#[derive(Debug)]
pub(super) struct ConnectionShared {
    pub(super) address: Arc<str>,
    pub(super) config: Arc<ClientConfig>,
    /// The origin of the connection's clock, by which requests say when they were sent.
    opened: Instant,
    inner: Mutex<Inner>,
    pub(super) driver: AtomicWaker,
    life: AtomicU8,
}

/// State behind the lock of a connection, which callers and its task take for a moment each.
#[derive(Debug)]
pub(super) struct Inner {
    /// Requests on their way out.
    pub(super) out: WriteQueue,
    /// Calls that wait for their answers.
    pub(super) pending: Pending,
    /// Number of the write that what is in `out` will go with.
    pub(super) batch: u64,
    /// Earliest deadline that the task does not know yet.
    pub(super) earliest: Option<Instant>,
    /// Whether `out` has something that the task has to write.
    pub(super) flush: bool,
    /// Whether the channel is gone, so that the connection ends with its last call.
    pub(super) closing: bool,
    /// Why the connection is closed; `None` while it is open.
    pub(super) closed: Option<Status>,
}

/// Some number, another one each time.
fn anywhere() -> u32 {
    std::hash::RandomState::new().hash_one(0) as u32
}

impl ConnectionShared {
    pub(super) fn new(address: Arc<str>, config: Arc<ClientConfig>) -> Self {
        let inner = Inner {
            out: WriteQueue::default(),
            pending: Pending::new(config.in_flight, anywhere()),
            batch: 0,
            earliest: None,
            flush: false,
            closing: false,
            closed: None,
        };
        let (inner, driver) = (Mutex::new(inner), AtomicWaker::new());
        let life = AtomicU8::new(ConnectionLife::Unproven as u8);
        Self { address, config, opened: Instant::now(), inner, driver, life }
    }

    /// The shared part. A panic cannot leave it half changed, so poison is ignored.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `now` on the clock of the connection, in microseconds.
    pub(super) fn micros(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.opened);
        since.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(since.subsec_micros()))
    }

    /// Lets the task write what was appended; called after the lock is released.
    pub(super) fn wake(&self) {
        self.driver.wake();
    }

    pub(super) fn life(&self) -> ConnectionLife {
        match self.life.load(Ordering::Acquire) {
            0 => ConnectionLife::Unproven,
            1 => ConnectionLife::Open,
            2 => ConnectionLife::Draining,
            _ => ConnectionLife::Closed,
        }
    }

    pub(super) fn set_life(&self, life: ConnectionLife) {
        self.life.store(life as u8, Ordering::Release);
    }

    /// Ends the connection once its calls are done.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake();
    }
}

impl Inner {
    /// Takes a request back that lies here still: it becomes an event that means nothing. `false`
    /// if its write has begun.
    pub(super) fn void(&mut self, sent: Sent) -> bool {
        void(&mut self.out, self.batch, sent)
    }

    /// Asks for a write; `true` if the task must be woken for it.
    pub(super) fn request_flush(&mut self) -> bool {
        !std::mem::replace(&mut self.flush, true)
    }
}

/// See [`Inner::void`], for those who hold a part of it.
pub(super) fn void(out: &mut WriteQueue, batch: u64, sent: Sent) -> bool {
    let Some(place) = sent.place.filter(|_| sent.batch == batch) else { return false };
    out.bytes_at(place).map(header::void).is_some()
}

/// Acts on an event; `Some` if the connection becomes something else by it.
pub(super) fn take_event(inner: &mut Inner, header: Header, body: &[u8]) -> Option<ConnectionLife> {
    if body.len() > event::MAX_LEN {
        return None;
    }
    match ConnectionEvent::parse(body) {
        ConnectionEvent::Heartbeat if header.is_request() && header.is_two_way() => {
            event::put_heartbeat_answer(inner.out.tail(), header.serialization(), header.id);
            inner.flush = true;
            None
        }
        ConnectionEvent::ReadOnly => Some(ConnectionLife::Draining),
        ConnectionEvent::Writeable => Some(ConnectionLife::Open),
        ConnectionEvent::Heartbeat | ConnectionEvent::Cancel(_) | ConnectionEvent::Unknown => None,
    }
}
