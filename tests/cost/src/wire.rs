//! A connection whose far end is played: bytes in memory, no task, no system call.
//!
//! What runs in here belongs to no side of a call. `cargo xtask cost` takes it off by the name of
//! this module, so everything that the far end does is called from `poll_read` or `poll_write`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Length of a frame's header (`docs/wire.md`).
pub(crate) const HEADER: usize = 16;

const REQUEST: u8 = 0x80;
const EVENT: u8 = 0x20;

/// The flags of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) fn of(frame: &[u8]) -> Self {
        Self(frame.get(2).copied().unwrap_or_default())
    }

    pub(crate) fn is_request(self) -> bool {
        self.0 & REQUEST != 0
    }

    pub(crate) fn is_event(self) -> bool {
        self.0 & EVENT != 0
    }
}

/// The whole frame at the start of `bytes`.
pub(crate) fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.get(12..HEADER)?.try_into().ok().map(u32::from_be_bytes)?;
    bytes.get(..HEADER + length as usize)
}

/// The request id of a frame.
pub(crate) fn id(frame: &[u8]) -> u64 {
    frame.get(4..12).and_then(|id| id.try_into().ok()).map_or(0, u64::from_be_bytes)
}

/// Appends `frame` under another request id.
pub(crate) fn put_with_id(out: &mut BytesMut, frame: &[u8], id: u64) {
    let start = out.len();
    out.put_slice(frame);
    out[start + 4..start + 12].copy_from_slice(&id.to_be_bytes());
}

/// Who is at the far end.
pub(crate) trait FarEnd: Send + Unpin + 'static {
    /// Takes a frame, and appends what it says to that.
    fn take(&mut self, frame: &[u8], out: &mut BytesMut) -> io::Result<()>;

    /// Appends what it says by itself, when nothing else waits to be read; `false` once it is gone.
    fn speak(&mut self, out: &mut BytesMut) -> bool;
}

/// The near end of the connection.
pub(crate) struct Wire<F> {
    far: F,
    /// A frame that was written in part.
    partial: BytesMut,
    /// What the far end has said.
    said: BytesMut,
    /// Whether something was written since the last look: an answer takes at least until the task
    /// that drives the connection is run again, as over a socket.
    is_fresh: bool,
    reader: Option<Waker>,
}

impl<F: FarEnd> Wire<F> {
    pub(crate) fn to(far: F) -> Self {
        let (partial, said) = (BytesMut::new(), BytesMut::with_capacity(64 * 1024));
        Self { far, partial, said, is_fresh: false, reader: None }
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if !self.partial.is_empty() {
            self.partial.put_slice(bytes);
            let mut whole = std::mem::take(&mut self.partial);
            while let Some(frame) = first_frame(&whole) {
                self.far.take(frame, &mut self.said)?;
                let length = frame.len();
                whole.advance(length);
            }
            self.partial = whole;
            return Ok(());
        }
        while let Some(frame) = first_frame(bytes) {
            self.far.take(frame, &mut self.said)?;
            bytes = &bytes[frame.len()..];
        }
        self.partial.put_slice(bytes);
        Ok(())
    }
}

impl<F: FarEnd> AsyncRead for Wire<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { far, said, is_fresh, reader, .. } = &mut *self;
        if std::mem::take(is_fresh) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if said.is_empty() && !far.speak(said) {
            return Poll::Ready(Ok(()));
        }
        if said.is_empty() {
            *reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let length = said.len().min(into.remaining());
        into.put_slice(&said[..length]);
        match length == said.len() {
            true => said.clear(),
            false => said.advance(length),
        }
        Poll::Ready(Ok(()))
    }
}

impl<F: FarEnd> AsyncWrite for Wire<F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(bytes)?;
        self.is_fresh = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
