//! How long the head of an HTTP/2 request may take, which hyper bounds for HTTP/1.1 only.
//!
//! A connection has to bring its first head in time, counted from its opening. A later head, or any
//! other frame, has the same time, counted from its first byte. Frames of bodies are bounded where
//! bodies are gathered. To know where it is, this follows the frame headers that pass; it does not
//! change a byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rpc_core::transport::BoxTransport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// The stream of an HTTP/2 connection, which fails when a head is late.
pub(super) struct Frames {
    io: BoxTransport,
    limit: Duration,
    position: Position,
    /// Runs while a head is awaited.
    late: Option<Pin<Box<Sleep>>>,
}

impl Frames {
    pub(super) fn new(io: BoxTransport, limit: Duration) -> Self {
        let late = Some(Box::pin(tokio::time::sleep(limit)));
        Self { io, limit, position: Position::default(), late }
    }

    /// Fails once what is awaited is late.
    fn check(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.position.awaits() {
            self.late = None;
            return Poll::Pending;
        }
        let limit = self.limit;
        let late = self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        let text = "no whole head of a request came in time";
        late.as_mut().poll(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, text)))
    }
}

impl AsyncRead for Frames {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, buf) else {
            return self.check(cx);
        };
        // A head that has ended is not late, even if the next has begun.
        if self.position.pass(&buf.filled()[before..]) {
            self.late = None;
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Frames {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

const PREFACE: usize = 24;
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The position of a peer's bytes within its frames. Invalid frames are left to the reader to
/// refuse.
struct Position {
    /// Bytes to come of the preface, or of the payload of a frame.
    rest: usize,
    /// The head of the present frame, as far as it is here.
    head: [u8; HEAD],
    have: usize,
    /// Whether a request's head is awaited: the first, or one that has begun.
    is_open: bool,
}

impl Default for Position {
    fn default() -> Self {
        Self { rest: PREFACE, head: [0; HEAD], have: 0, is_open: true }
    }
}

impl Position {
    /// Whether something is awaited that may be late.
    fn awaits(&self) -> bool {
        let in_frame = self.have > 0 && !(self.have == HEAD && self.head[3] == DATA);
        self.is_open || in_frame
    }

    /// Goes on by these bytes; whether the head of a request, or with none open a frame, ended.
    fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut has_ended = false;
        while !bytes.is_empty() {
            if self.rest == 0 {
                let (now, later) = bytes.split_at(bytes.len().min(HEAD - self.have));
                self.head[self.have..self.have + now.len()].copy_from_slice(now);
                (self.have, bytes) = (self.have + now.len(), later);
                if self.have < HEAD {
                    break;
                }
                let [a, b, c, ..] = self.head;
                self.rest = u32::from_be_bytes([0, a, b, c]) as usize;
            } else {
                let len = bytes.len().min(self.rest);
                (self.rest, bytes) = (self.rest - len, &bytes[len..]);
            }
            if self.rest == 0 {
                has_ended |= self.end();
            }
        }
        has_ended
    }

    /// Ends the preface or a frame.
    fn end(&mut self) -> bool {
        if self.have == HEAD && matches!(self.head[3], HEADERS | CONTINUATION) {
            self.is_open = self.head[4] & END_HEADERS == 0;
        }
        self.have = 0;
        !self.is_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], &vec![0; payload]].concat()
    }

    /// Passes these bytes in steps, and returns whether something ended and what is awaited then.
    fn passed(position: &mut Position, bytes: &[u8], step: usize) -> (bool, bool) {
        let ended = bytes.chunks(step).fold(false, |ended, part| position.pass(part) | ended);
        (ended, position.awaits())
    }

    #[test]
    fn heads_are_awaited_until_they_are_whole_however_they_are_cut() {
        let (settings, ping) = (frame(4, 0, 6), frame(6, 0, 8));
        for step in 1..50 {
            let mut position = Position::default();
            let mut pass = |bytes: &[u8]| passed(&mut position, bytes, step);
            assert_eq!(pass(&[0; PREFACE]), (false, true));
            assert_eq!(pass(&[&settings[..], &ping].concat()), (false, true));
            assert_eq!(pass(&frame(HEADERS, 1, 40)), (false, true), "it is to be continued");
            assert_eq!(pass(&frame(CONTINUATION, 0, 0)), (false, true));
            assert_eq!(pass(&frame(CONTINUATION, END_HEADERS, 3)), (true, false));
            // Bodies have their own time; other frames are to end.
            let data = frame(DATA, 0, 100);
            assert!(!pass(&data[..20]).1);
            assert!(!pass(&data[20..]).1);
            assert!(pass(&ping[..5]).1 && !pass(&ping[5..]).1);
            assert!(pass(&frame(HEADERS, 0, 1)).1, "another has begun");
        }
    }
}
