//! The frames of one real call between a real consumer and a real provider, to be replayed.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use rpc_core::transport::{BoxTransport, Dial, DialFuture};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::service::{Item, Prices};
use crate::wire::{Flags, first_frame};
use crate::{BoxError, client, server};

/// What was said.
#[derive(Clone)]
pub(crate) struct Recording {
    /// The call.
    pub(crate) request: Bytes,
    /// Its answer.
    pub(crate) answer: Bytes,
    /// The answer to a heartbeat.
    pub(crate) heartbeat: Bytes,
}

impl Recording {
    /// Makes one call in `codec` and notes what passes.
    pub(crate) async fn make(codec: &str) -> Result<Self, BoxError> {
        let tape = Arc::new(Mutex::new(Tape::default()));
        let (near, far) = tokio::io::duplex(64 * 1024);
        let provider = tokio::spawn(server::serve(codec, Box::new(far))?);
        let once = Once(Mutex::new(Some(near)), tape.clone());
        let prices = client::connect(codec, Arc::new(once), "static://127.0.0.1:1").await?;
        let item = Item::sample();
        if prices.quote(item.clone()).await? != item {
            return Err("the provider did not give back what it got".into());
        }
        provider.abort();
        let tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |bytes: &[u8], is_request: bool, is_event: bool| {
            frame(bytes, is_request, is_event).ok_or("a frame is missing in the recording")
        };
        Ok(Self {
            request: find(&tape.written, true, false)?,
            answer: find(&tape.read, false, false)?,
            heartbeat: find(&tape.read, false, true)?,
        })
    }
}

/// The first frame of this kind.
fn frame(mut bytes: &[u8], is_request: bool, is_event: bool) -> Option<Bytes> {
    loop {
        let frame = first_frame(bytes)?;
        let flags = Flags::of(frame);
        if flags.is_request() == is_request && flags.is_event() == is_event {
            return Some(Bytes::copy_from_slice(frame));
        }
        bytes = &bytes[frame.len()..];
    }
}

/// What passed a connection, each way.
#[derive(Default)]
struct Tape {
    written: Vec<u8>,
    read: Vec<u8>,
}

/// A connection that notes what passes.
struct Recorded(DuplexStream, Arc<Mutex<Tape>>);

impl Recorded {
    fn note(&self, note: impl FnOnce(&mut Tape)) {
        note(&mut self.1.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(cx, into);
        self.note(|tape| tape.read.extend_from_slice(&into.filled()[before..]));
        polled
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.0).poll_write(cx, bytes);
        if let Poll::Ready(Ok(taken)) = polled {
            self.note(|tape| tape.written.extend_from_slice(&bytes[..taken]));
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Gives out the one connection there is.
struct Once(Mutex<Option<DuplexStream>>, Arc<Mutex<Tape>>);

impl Dial for Once {
    fn dial<'a>(&'a self, _: &'a str) -> DialFuture<'a> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let recorded = stream.map(|stream| Recorded(stream, self.1.clone()));
        Box::pin(async move {
            let recorded = recorded.ok_or(io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(recorded) as BoxTransport)
        })
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}
