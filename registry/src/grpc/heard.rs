//! What a peer says first. One that does not speak HTTP/2 ends the connection with an error of its
//! own, which tells nobody what to mend; its first bytes do.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::lock::locked;

/// As many bytes as tell one protocol from another.
const ENOUGH: usize = 8;

/// The first bytes that came over a [`HeardStream`] stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// What the peer speaks, and what to do, if it is not HTTP/2.
    pub(super) fn instead(&self) -> Option<&'static str> {
        match &locked(&self.0)[..] {
            [] => Some(
                "it closed the connection without a word; check host and port, and whether it \
                 expects TLS",
            ),
            // The fourth byte of a frame's head is its type: settings come first.
            [_, _, _, 4, ..] => None,
            [0x15 | 0x16, 3, ..] => Some(
                "it speaks TLS, which is not spoken here yet: take its port without TLS, or a local \
                 proxy",
            ),
            [b'H', b'T', b'T', b'P', ..] => Some("it speaks HTTP/1; check host and port"),
            _ => Some("it speaks another protocol; check host and port"),
        }
    }
}

/// A stream whose first bytes are remembered.
#[derive(Debug)]
pub(super) struct HeardStream<S> {
    stream: S,
    heard: Heard,
    is_over: bool,
}

impl<S> HeardStream<S> {
    pub(super) fn to(stream: S) -> (Self, Heard) {
        let heard = Heard::default();
        (Self { stream, heard: heard.clone(), is_over: false }, heard)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeardStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if !self.is_over {
            let mut heard = locked(&self.heard.0);
            let read = buf.filled().get(before..).unwrap_or_default();
            let missing = ENOUGH - heard.len();
            heard.extend(read.iter().take(missing));
            let is_over = heard.len() == ENOUGH;
            drop(heard);
            self.is_over = is_over;
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeardStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
