//! Bytes on their way out: small frames gathered in reused buffers, large bodies as they are.
//!
//! Encoders append to [`tail`](WriteQueue::tail); the owner of the stream takes all of it and
//! writes it whole, with vectored writes. Buffers go round, so that a busy connection allocates
//! none. A body of [`LARGE`] bytes or more is a chunk of its own and is not copied.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use rpc_core::transport::BoxTransport;
use tokio::io::AsyncWrite;

/// Bodies of at least this size are not copied into the buffer.
pub(crate) const LARGE: usize = 16 * 1024;

/// A gathering buffer of more than this is not kept for reuse.
const KEEP: usize = 512 * 1024;

const SLICES: usize = 16;

/// Bytes in the order in which they are written.
#[derive(Debug)]
enum Chunk {
    /// Small frames, gathered in a buffer that is reused.
    Gathered(BytesMut),
    /// A large body, as it is.
    Shared(Bytes),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Gathered(buf) => buf,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// The place of an appended item that has not been taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueMark {
    chunk: u32,
    offset: u32,
}

/// Chunks in the order they will be written.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    chunks: VecDeque<Chunk>,
    /// Bytes of the chunks that do not grow any more: all but a gathering buffer at the end.
    sealed: usize,
    /// Bytes of the first chunk that are written already.
    written: usize,
    spare: Option<BytesMut>,
}

impl WriteQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.sealed + self.growing() - self.written
    }

    /// Bytes of the gathering buffer at the end.
    fn growing(&self) -> usize {
        match self.chunks.back() {
            Some(Chunk::Gathered(buf)) => buf.len(),
            Some(Chunk::Shared(_)) | None => 0,
        }
    }

    /// The buffer to append to.
    pub(crate) fn tail(&mut self) -> &mut BytesMut {
        if !matches!(self.chunks.back(), Some(Chunk::Gathered(_))) {
            let buf = self.spare.take().unwrap_or_default();
            self.chunks.push_back(Chunk::Gathered(buf));
        }
        match self.chunks.back_mut() {
            Some(Chunk::Gathered(buf)) => buf,
            _ => unreachable!("a gathering buffer was just put there"),
        }
    }

    /// The place where the next bytes are appended. It is valid until the queue is taken; `None`
    /// past 4 GiB.
    pub(crate) fn place(&mut self) -> Option<QueueMark> {
        let offset = u32::try_from(self.tail().len()).ok()?;
        let chunk = u32::try_from(self.chunks.len() - 1).ok()?;
        Some(QueueMark { chunk, offset })
    }

    /// The bytes that were appended at and after `place`.
    pub(crate) fn bytes_at(&mut self, place: QueueMark) -> Option<&mut [u8]> {
        match self.chunks.get_mut(place.chunk as usize)? {
            Chunk::Gathered(buf) => buf.get_mut(place.offset as usize..),
            Chunk::Shared(_) => None,
        }
    }

    /// Appends bytes without copying them.
    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        self.sealed += self.growing() + bytes.len();
        self.chunks.push_back(Chunk::Shared(bytes));
    }

    /// Moves everything of `from` behind what is here, and leaves it a buffer to go on with.
    pub(crate) fn take(&mut self, from: &mut Self) {
        if from.spare.is_none() {
            from.spare = self.spare.take();
        }
        if !from.chunks.is_empty() {
            self.sealed += self.growing() + std::mem::take(&mut from.sealed);
            self.chunks.append(&mut from.chunks);
        }
    }

    /// Drops everything that waits.
    pub(crate) fn clear(&mut self) {
        self.chunks.clear();
        (self.sealed, self.written) = (0, 0);
    }

    /// Writes as much as the stream takes; ready once nothing is left.
    pub(crate) fn poll_write(
        &mut self,
        io: &mut BoxTransport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.chunks.is_empty() {
            let len = self.chunks[0].bytes().len() - self.written;
            let n = if self.chunks.len() == 1 || len >= KEEP || !io.is_write_vectored() {
                if len == 0 {
                    self.advance(0);
                    continue;
                }
                let bytes = &self.chunks[0].bytes()[self.written..];
                ready!(Pin::new(&mut *io).poll_write(cx, bytes))?
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let mut count = 0;
                for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
                    let skip = if count == 0 { self.written } else { 0 };
                    *slice = IoSlice::new(&chunk.bytes()[skip..]);
                    count += 1;
                }
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..count]))?
            };
            if n == 0 && !self.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(n);
        }
        Poll::Ready(Ok(()))
    }

    /// Notes that `n` more bytes are written; whole chunks go, gathering buffers are kept.
    fn advance(&mut self, n: usize) {
        self.written += n;
        while let Some(front) = self.chunks.front() {
            let len = front.bytes().len();
            if self.written < len {
                break;
            }
            self.written -= len;
            let was_growing = self.chunks.len() == 1;
            match self.chunks.pop_front() {
                Some(Chunk::Gathered(mut buf)) => {
                    self.sealed -= if was_growing { 0 } else { len };
                    if buf.capacity() <= KEEP {
                        buf.clear();
                        self.spare = Some(buf);
                    }
                }
                Some(Chunk::Shared(_)) | None => self.sealed -= len,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn chunks_arrive_in_order_through_a_narrow_stream() {
        let (a, mut b) = tokio::io::duplex(7);
        let mut io: BoxTransport = Box::new(a);
        let (mut source, mut queue) = (WriteQueue::default(), WriteQueue::default());
        source.tail().put_slice(b"head ");
        source.push_shared(Bytes::from_static(b"large body "));
        source.tail().put_slice(b"tail");
        queue.take(&mut source);
        assert_eq!((queue.len(), source.len()), (20, 0));
        let write = async {
            std::future::poll_fn(|cx| queue.poll_write(&mut io, cx)).await.unwrap();
            drop(io);
        };
        let mut seen = String::new();
        let (_, read) = tokio::join!(write, b.read_to_string(&mut seen));
        read.unwrap();
        assert_eq!(seen, "head large body tail");
        assert!(queue.is_empty());
    }

    #[test]
    fn a_written_buffer_is_used_again() {
        let (mut source, mut queue) = (WriteQueue::default(), WriteQueue::default());
        source.tail().put_slice(&[0; 1000]);
        let first = source.tail().as_ptr();
        queue.take(&mut source);
        queue.advance(1000);
        queue.take(&mut source);
        assert_eq!(source.tail().as_ptr(), first);
    }
}
