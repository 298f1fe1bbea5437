//! What a peer says first. One that does not speak HTTP/2 ends the connection with an error of its
//! own, which tells nobody what to mend; its first bytes do, or that it would not have us.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::failure::GrpcFailure;
use crate::lock::locked;
use crate::tls::{self, ServerStream};

/// As many bytes as tell one protocol from another.
const ENOUGH: usize = 8;

/// The first that came over a [`HeardStream`].
#[derive(Debug, Clone)]
pub(super) struct Heard {
    first: Arc<Mutex<First>>,
    is_tls: bool,
}

#[derive(Debug, Default)]
struct First {
    bytes: Vec<u8>,
    /// Why it takes no connection of ours.
    refusal: Option<String>,
    /// What else it has said in TLS, first.
    said: Option<String>,
}

impl Heard {
    /// What came instead of HTTP/2, and what to do; `None` if that is what the peer speaks.
    pub(super) fn instead(&self) -> Option<GrpcFailure> {
        let first = locked(&self.first);
        if let Some(why) = &first.refusal {
            return Some(GrpcFailure::Unwanted(why.clone()));
        }
        let what = match &first.bytes[..] {
            [] if first.said.is_some() => return first.said.clone().map(GrpcFailure::Broken),
            [] if self.is_tls => {
                "it closed the connection without a word; check host and port, and whether it wants a \
                 client certificate"
            }
            [] => {
                "it closed the connection without a word; check host and port, and whether it expects \
                 TLS (tls=true)"
            }
            // The fourth byte of a frame's head is its type: settings come first.
            [_, _, _, 4, ..] => return None,
            [0x15 | 0x16, 3, ..] => "it speaks TLS: write tls=true into the address",
            [b'H', b'T', b'T', b'P', ..] => "it speaks HTTP/1; check host and port",
            _ => "it speaks another protocol; check host and port",
        };
        Some(GrpcFailure::Broken(what.to_owned()))
    }
}

/// A stream of which the first is remembered.
#[derive(Debug)]
pub(super) struct HeardStream {
    stream: ServerStream,
    heard: Heard,
    is_over: bool,
}

impl HeardStream {
    pub(super) fn to(stream: ServerStream) -> (Self, Heard) {
        let heard = Heard { first: Arc::default(), is_tls: stream.is_tls() };
        (Self { stream, heard: heard.clone(), is_over: false }, heard)
    }

    /// Remembers why the peer would not have us, which may come where we write, too.
    fn note<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled {
            let mut first = locked(&self.heard.first);
            match tls::refusal(error) {
                Some(why) => first.refusal = Some(why),
                // What breaks later follows from it, and tells less.
                None if first.said.is_none() => {
                    first.said = error.get_ref().map(|_| error.to_string());
                }
                None => {}
            }
        }
        polled
    }
}

impl AsyncRead for HeardStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if !self.is_over {
            let mut first = locked(&self.heard.first);
            let read = buf.filled().get(before..).unwrap_or_default();
            let missing = ENOUGH - first.bytes.len();
            first.bytes.extend(read.iter().take(missing));
            let is_over = first.bytes.len() == ENOUGH;
            drop(first);
            self.is_over = is_over;
        }
        self.note(polled)
    }
}

impl AsyncWrite for HeardStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_was_said_first_is_told_whatever_breaks_after_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap().to_string();
        let stream = tls::connect(&server, None, &[]).await.unwrap();
        let (stream, heard) = HeardStream::to(stream);
        for error in [io::Error::other("it ended TLS"), io::ErrorKind::BrokenPipe.into()] {
            let _ = stream.note::<()>(Poll::Ready(Err(error)));
        }
        let said = GrpcFailure::Broken("it ended TLS".to_owned());
        assert_eq!(heard.instead(), Some(said));
    }
}
