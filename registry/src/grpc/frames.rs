//! Messages in the bodies of HTTP/2: a byte for compression, four for the length, then protobuf.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use prost::Message;
use tokio::sync::mpsc;

use super::failure::GrpcFailure;

/// Bytes before a message.
const HEAD: usize = 5;

/// Requests of a stream that may wait to be sent.
const QUEUE: usize = 256;

pub(super) fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut buf = BytesMut::with_capacity(HEAD + length);
    buf.put_u8(0);
    // Longer ones would be refused by every server; the length would then not fit what follows.
    buf.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // Only a buffer that is too small fails, and this one grows.
    let _ = message.encode(&mut buf);
    buf.freeze()
}

/// The body of a request: one message, or those of a stream as they are sent.
#[derive(Debug)]
pub(super) struct GrpcBody {
    first: Option<Bytes>,
    more: Option<mpsc::Receiver<Bytes>>,
}

impl GrpcBody {
    pub(super) const fn one(first: Bytes) -> Self {
        Self { first: Some(first), more: None }
    }

    /// A stream of requests; it ends when the sender is dropped.
    pub(super) fn stream<Q>() -> (GrpcRequests<Q>, Self) {
        let (send, more) = mpsc::channel(QUEUE);
        (GrpcRequests { send, _of: PhantomData }, Self { first: None, more: Some(more) })
    }
}

impl Body for GrpcBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match &mut self.more {
            Some(more) => more.poll_recv(cx).map(|next| next.map(|next| Ok(Frame::data(next)))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.more.is_none()
    }
}

/// The requests of a stream; the stream ends when they and its answers are dropped.
#[derive(Debug)]
pub(crate) struct GrpcRequests<Q> {
    send: mpsc::Sender<Bytes>,
    _of: PhantomData<fn(Q)>,
}

impl<Q> Clone for GrpcRequests<Q> {
    fn clone(&self) -> Self {
        Self { send: self.send.clone(), _of: PhantomData }
    }
}

impl<Q: Message> GrpcRequests<Q> {
    /// Sends a request once there is room.
    ///
    /// # Errors
    /// The stream has ended.
    pub(crate) async fn send(&self, request: &Q) -> Result<(), GrpcFailure> {
        let sent = self.send.send(frame(request)).await;
        sent.map_err(|_| GrpcFailure::broken("the stream has ended"))
    }

    /// Sends a request if there is room now, and says whether there was.
    pub(crate) fn try_send(&self, request: &Q) -> bool {
        self.send.try_send(frame(request)).is_ok()
    }
}

/// The answers of a call, one after the other.
#[derive(Debug)]
pub(crate) struct GrpcAnswers<A> {
    body: Incoming,
    buf: BytesMut,
    /// The longest message.
    limit: usize,
    _of: PhantomData<fn() -> A>,
}

impl<A: Message + Default> GrpcAnswers<A> {
    pub(super) fn new(body: Incoming, limit: usize) -> Self {
        Self { body, buf: BytesMut::new(), limit, _of: PhantomData }
    }

    /// The next answer; `None` after the last one if the call succeeded.
    ///
    /// # Errors
    /// The call failed, or the connection is lost.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<A>, GrpcFailure> {
        loop {
            if let Some(message) = take_message(&mut self.buf, self.limit)? {
                let message = A::decode(message);
                let what = |error| GrpcFailure::Broken(format!("a malformed message: {error}"));
                return message.map(Some).map_err(what);
            }
            let Some(frame) = self.body.frame().await else {
                return Err(GrpcFailure::broken("the answer ended in its middle"));
            };
            match frame.map_err(GrpcFailure::broken)?.into_data() {
                Ok(data) => self.buf.extend_from_slice(&data),
                Err(other) => {
                    let trailers = other.into_trailers().unwrap_or_default();
                    return GrpcFailure::of(&trailers).map_or(Ok(None), Err);
                }
            }
        }
    }
}

/// Cuts the first message out of `buf`, if it is there whole.
fn take_message(buf: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, GrpcFailure> {
    let &[compressed, a, b, c, d, ..] = &buf[..] else {
        return Ok(None);
    };
    if compressed != 0 {
        return Err(GrpcFailure::broken("a message is compressed, which was not agreed"));
    }
    let length = u32::from_be_bytes([a, b, c, d]);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > limit {
        let what = format!("a message of {length} bytes, {limit} are taken at most");
        return Err(GrpcFailure::Broken(what));
    }
    if buf.len() < HEAD + length {
        return Ok(None);
    }
    buf.advance(HEAD);
    let message = buf.split_to(length).freeze();
    if buf.is_empty() {
        // Or it would hold the memory of the message, which may have been long, until the next.
        *buf = BytesMut::new();
    }
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_where_they_end_whatever_pieces_they_come_in() {
        let mut buf = BytesMut::new();
        let mut cut = Vec::new();
        for byte in [0, 0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9] {
            buf.put_u8(byte);
            cut.extend(take_message(&mut buf, 2).unwrap());
        }
        assert_eq!(cut, [&[7, 8][..], &[], &[9]]);
    }

    #[test]
    fn a_long_message_is_held_by_nobody_but_its_reader() {
        let mut buf = BytesMut::new();
        for _ in 0..2 {
            buf.extend_from_slice(&[0, 0, 1, 0, 0]);
            buf.extend_from_slice(&[7; 65536]);
            let message = take_message(&mut buf, 65536).unwrap().unwrap();
            assert!(message.is_unique() && buf.capacity() == 0, "{}", buf.capacity());
        }
    }

    #[test]
    fn long_and_compressed_messages_are_refused_before_they_come() {
        for (head, expected) in [
            ([0, 0, 0, 0, 3], "a message of 3 bytes, 2 are taken at most"),
            ([0, 255, 255, 255, 255], "a message of 4294967295 bytes"),
            ([1, 0, 0, 0, 0], "compressed"),
        ] {
            let error = take_message(&mut BytesMut::from(&head[..]), 2).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
