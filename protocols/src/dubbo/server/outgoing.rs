//! Bytes that a provider has to write to one connection, counted together with those of all others.
//!
//! The first 64 KiB of a queue do not count, so that small answers touch no shared counter; further
//! bytes count in steps of 64 KiB against `provider.limits.buffered`. An answer without room
//! becomes `resource_exhausted`.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use rpc_core::Reply;
use rpc_core::codec::Codec;
use rpc_core::server::{ConnectionShare, HeldBytes};
use rpc_core::status::{Delivery, Status};
use rpc_core::transport::BoxTransport;

use super::respond;
use crate::transport::write_queue::WriteQueue;

/// Bytes that a buffer of a connection may hold before they count, and the step of counting.
pub(super) const STEP: usize = 64 * 1024;

/// Requests are not read while more than this waits to be written.
const MOST: usize = 4 * 1024 * 1024;

/// How many of `bytes` in a buffer count.
pub(super) const fn counted(bytes: usize) -> usize {
    bytes.saturating_sub(STEP).next_multiple_of(STEP)
}

/// A queue whose bytes count.
pub(super) struct Outgoing {
    queue: WriteQueue,
    held: HeldBytes,
}

impl Outgoing {
    pub(super) fn new(caller: Arc<ConnectionShare>) -> Self {
        Self { queue: WriteQueue::default(), held: HeldBytes::nothing(caller) }
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The buffer for events and refusals, which are small.
    pub(super) fn tail(&mut self) -> &mut BytesMut {
        self.queue.tail()
    }

    /// Appends the outcome of a call, or that there is no room for it.
    pub(super) fn put_answer(
        &mut self,
        id: u64,
        codec: &dyn Codec,
        result: Result<Reply, Status>,
        limit: usize,
    ) {
        let Self { queue, held } = self;
        let room =
            |len: usize| cover(held, len).map_err(|full| full.with_delivery(Delivery::Answered));
        respond::put_answer(queue, id, codec, result, limit, room);
    }

    /// Whether so much waits that nothing more is to be asked for: too much, or more than there is
    /// room for. `besides` waits elsewhere.
    pub(super) fn is_full(&mut self, besides: usize) -> bool {
        let len = self.queue.len();
        len + besides > MOST || cover(&mut self.held, len).is_err()
    }

    /// Whether enough waits to be written at once.
    pub(super) fn is_long(&self) -> bool {
        self.queue.len() > 4 * STEP
    }

    /// Moves everything of `from` behind what is here.
    pub(super) fn take(&mut self, from: &mut Self) {
        self.queue.take(&mut from.queue);
        self.held.join(&mut from.held);
    }

    /// Writes as much as the stream takes; ready once nothing is left.
    pub(super) fn poll_write(
        &mut self,
        io: &mut BoxTransport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let written = self.queue.poll_write(io, cx);
        self.held.shrink_to(counted(self.queue.len()));
        written
    }
}

/// Counts what is more than before, now that `len` bytes are there.
fn cover(held: &mut HeldBytes, len: usize) -> Result<(), Status> {
    match counted(len).checked_sub(held.bytes()) {
        Some(more) if more > 0 => held.grow(more),
        _ => Ok(()),
    }
}
