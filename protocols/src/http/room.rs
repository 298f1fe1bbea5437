//! The memory that requests and answers of one HTTP connection hold, and how long an answer may
//! wait for its reader.
//!
//! HTTP/2 bounds each of its streams; a peer with many of them is bounded here.
//!
//! Bytes of a request count from their arrival until its call ends; those of an answer until the
//! peer has taken them, also while they are in HTTP/2's buffers. An answer leaves in pieces of
//! [`PIECE`], so that what is not taken stays here, where it is counted. A peer that takes nothing
//! of its answers for `write_timeout` loses the connection.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use foldhash::fast::RandomState;
use http::Response;
use http::request::Parts;
use hyper::body::{Body, Buf, Bytes, Frame, SizeHint};
use rpc_core::server::{ConnectionShare, HeldBytes, TurnedAway};
use rpc_core::status::Status;
use rpc_core::{CallId, Peer, TraceContext};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::body::RequestBody;
use super::refusal::{Refusal, refusal};

/// An answer leaves in pieces of this size, so that the stream holds little of what is not taken.
const PIECE: usize = 16 * 1024;

/// The answers of one connection, and what counts the bytes that it holds.
pub(super) struct Room {
    pub(super) caller: Arc<ConnectionShare>,
    inner: Mutex<Inner>,
    /// Bodies of requests that are answered already, on their way to nowhere.
    unread: Mutex<JoinSet<()>>,
}

/// How long such a body may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers on their way to the peer.
#[derive(Default)]
struct Inner {
    next: u64,
    /// Answers that are not taken whole, and when they last gave a piece.
    untaken: HashMap<u64, Instant, RandomState>,
}

impl Room {
    pub(super) fn new(caller: Arc<ConnectionShare>) -> Arc<Self> {
        Arc::new(Self { caller, inner: Mutex::default(), unread: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing yet, to be grown with what arrives.
    pub(super) fn hold(&self) -> HeldBytes {
        HeldBytes::nothing(self.caller.clone())
    }

    /// An answer on its way out, or why there is no room for it.
    pub(super) fn outgoing(self: &Arc<Self>, bytes: Bytes) -> Result<OutgoingBody, Status> {
        let mut held = self.hold();
        held.grow(bytes.len())?;
        Ok(OutgoingBody::new(bytes, held, self.clone()))
    }

    /// An answer on its way out that is known to be small, so that it is not counted.
    pub(super) fn small(self: &Arc<Self>, bytes: Bytes) -> OutgoingBody {
        OutgoingBody::new(bytes, self.hold(), self.clone())
    }

    /// Answers a refusal at once, and says so in the access log. What is left of the body is read
    /// and dropped meanwhile: a stream that is reset before its answer was read loses it.
    pub(super) fn refuse(
        &self,
        refused: &Refusal,
        asked: (&Parts, &Peer),
        body: RequestBody,
    ) -> Response<Bytes> {
        self.note(refused.status(), asked);
        self.discard(body);
        refusal(refused)
    }

    /// Says in the access log that a request was turned away.
    pub(super) fn note(&self, why: &Status, asked: (&Parts, &Peer)) {
        let (head, peer) = asked;
        let parent = head.headers.get("traceparent").and_then(|parent| parent.to_str().ok());
        let trace = parent.and_then(TraceContext::parse).map(|trace| trace.trace_id());
        let (path, id) = (head.uri.path().trim_start_matches('/'), trace.map(CallId::Trace));
        let turned_away = TurnedAway { path: Some(path), peer, id, status: why };
        self.caller.state().dispatcher().note_turned_away(&turned_away);
    }

    /// Reads what is left of a body and drops it: at most twice the limit, for at most a second,
    /// and not past the end of the connection.
    fn discard(&self, mut body: RequestBody) {
        if body.is_over() {
            return;
        }
        let mut left = self.caller.state().config().payload.saturating_mul(2);
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        while unread.try_join_next().is_some() {}
        unread.spawn(async move {
            let discard = async {
                while let Some(Ok(data)) = body.data().await {
                    match left.checked_sub(data.len()) {
                        Some(less) => left = less,
                        None => return,
                    }
                }
            };
            let _ = tokio::time::timeout(PATIENCE, discard).await;
        });
    }

    /// Returns once answers have lain for `limit` or up to twice that, and nothing of any was
    /// taken: a peer that leaves one alone and takes the others may have its reasons.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            tokio::time::sleep(limit).await;
            let (now, inner) = (Instant::now(), self.lock());
            let mut untaken = inner.untaken.values();
            if !inner.untaken.is_empty() && untaken.all(|since| now - *since >= limit) {
                return;
            }
        }
    }
}

/// An answer that is not taken whole, for as long as anything of it lies here.
struct Lying {
    room: Arc<Room>,
    id: u64,
}

impl Lying {
    fn new(room: Arc<Room>) -> Arc<Self> {
        let mut inner = room.lock();
        inner.next += 1;
        let id = inner.next;
        inner.untaken.insert(id, Instant::now());
        drop(inner);
        Arc::new(Self { room, id })
    }

    /// Notes that something of it was taken.
    fn note_taken(&self) {
        self.room.lock().untaken.insert(self.id, Instant::now());
    }
}

impl Drop for Lying {
    fn drop(&mut self) {
        self.room.lock().untaken.remove(&self.id);
    }
}

/// The body of an answer.
pub(super) struct OutgoingBody {
    rest: Bytes,
    held: HeldBytes,
    lying: Arc<Lying>,
}

impl OutgoingBody {
    fn new(rest: Bytes, held: HeldBytes, room: Arc<Room>) -> Self {
        Self { rest, held, lying: Lying::new(room) }
    }
}

impl Body for OutgoingBody {
    type Data = Piece;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let len = self.rest.len().min(PIECE);
        let bytes = match len == self.rest.len() && self.held.bytes() <= PIECE {
            true => std::mem::take(&mut self.rest),
            // A copy: a piece that lies in the stream must not keep the whole alive.
            false => Bytes::copy_from_slice(&self.rest.split_to(len)),
        };
        let held = self.held.split(len);
        let lying = self.lying.clone();
        Poll::Ready(Some(Ok(Frame::data(Piece { bytes, lying, _held: held }))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A part of an answer that is handed to the stream; counts until that has written it.
pub(super) struct Piece {
    bytes: Bytes,
    lying: Arc<Lying>,
    _held: HeldBytes,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.lying.note_taken();
    }
}
