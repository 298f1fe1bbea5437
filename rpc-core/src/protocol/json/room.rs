//! How much the requests and answers of one HTTP connection may hold, and for how long an answer
//! may lie that nobody takes.
//!
//! HTTP/2 bounds each of its streams; a peer with many of them is bounded here, together with all
//! other peers.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use foldhash::fast::RandomState;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::Instant;

use crate::server::Caller;
use crate::status::{Delivery, Status};

/// What one connection may hold, in largest bodies.
const OF_ONE: usize = 4;

/// What all of them may hold, in largest bodies.
const OF_ALL: usize = 64;

/// An answer leaves in pieces of this size, so that the stream holds little of what is not taken.
const PIECE: usize = 16 * 1024;

/// The bytes that one connection holds.
pub(super) struct Room {
    pub(super) caller: Arc<Caller>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    held: usize,
    next: u64,
    /// Answers that are not taken whole, and when they last gave a piece.
    untaken: HashMap<u64, Instant, RandomState>,
}

impl Room {
    pub(super) fn new(caller: Arc<Caller>) -> Arc<Self> {
        Arc::new(Self { caller, inner: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing yet, to be grown with what arrives.
    pub(super) fn hold(self: &Arc<Self>) -> Held {
        Held { room: self.clone(), bytes: 0 }
    }

    /// An answer on its way out, or why there is no room for it.
    pub(super) fn outgoing(self: &Arc<Self>, bytes: Bytes) -> Result<Outgoing, Status> {
        let mut held = self.hold();
        held.grow(bytes.len())?;
        Ok(Outgoing::new(bytes, held))
    }

    /// The same of one that is known to be small.
    pub(super) fn small(self: &Arc<Self>, bytes: Bytes) -> Outgoing {
        Outgoing::new(bytes, self.hold())
    }

    /// Returns once an answer has lain for `limit` or up to twice that, and none of it was taken.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            tokio::time::sleep(limit).await;
            let now = Instant::now();
            if self.lock().untaken.values().any(|since| now - *since >= limit) {
                return;
            }
        }
    }
}

/// Bytes that count until it is dropped.
pub(super) struct Held {
    room: Arc<Room>,
    bytes: usize,
}

impl Held {
    /// Counts `more` bytes.
    ///
    /// # Errors
    /// `resource_exhausted`, refused, naming the limit, which this connection or all have reached.
    pub(super) fn grow(&mut self, more: usize) -> Result<(), Status> {
        let state = &self.room.caller.state;
        let largest = state.config.max_payload;
        let mut inner = self.room.lock();
        let (one, all) = (largest.saturating_mul(OF_ONE), largest.saturating_mul(OF_ALL));
        if inner.held.saturating_add(more) > one {
            return Err(full("this connection", one, OF_ONE));
        }
        if !state.hold(more, all) {
            return Err(full("all connections", all, OF_ALL));
        }
        inner.held += more;
        self.bytes += more;
        Ok(())
    }
}

fn full(whose: &str, limit: usize, times: usize) -> Status {
    let text = format!(
        "requests and answers of {whose} would hold more than {limit} bytes, {times} times \
         `provider.limits.payload`; send less at a time or raise it"
    );
    Status::resource_exhausted(text).with_delivery(Delivery::Refused)
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.lock().held -= self.bytes;
        self.room.caller.state.let_go(self.bytes);
    }
}

/// The body of an answer.
pub(super) struct Outgoing {
    rest: Bytes,
    id: u64,
    held: Held,
}

impl Outgoing {
    fn new(rest: Bytes, held: Held) -> Self {
        let mut inner = held.room.lock();
        inner.next += 1;
        let id = inner.next;
        inner.untaken.insert(id, Instant::now());
        drop(inner);
        Self { rest, id, held }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.held.room.lock().untaken.insert(self.id, Instant::now());
        if self.rest.len() <= PIECE && self.held.bytes <= PIECE {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))));
        }
        // A copy: a piece that lies in the stream must not keep the whole alive.
        let len = self.rest.len().min(PIECE);
        let piece = Bytes::copy_from_slice(&self.rest.split_to(len));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.held.room.lock().untaken.remove(&self.id);
    }
}
