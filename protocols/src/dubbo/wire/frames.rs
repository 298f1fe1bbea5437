//! Frames out of the bytes of a connection, for both of its ends.
//!
//! Bytes are read into one buffer, and frames are split off without a copy once they are whole. A
//! frame over the limit is not buffered: its header is returned at once, so that it can be
//! answered, and its body is skipped as it arrives. Room is made for at most as many bytes as have
//! arrived already, or for four reads, whatever length a header claims.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use rpc_core::transport::BoxTransport;
use tokio::io::AsyncReadExt;

use super::header::{self, Header};

/// How much a read asks for at least.
const READ: usize = 64 * 1024;

/// The room of a larger frame is given back once it was taken.
const KEEP: usize = 8 * READ;

/// Bytes that were read and not taken yet.
pub(crate) struct FrameBuffer {
    bytes: BytesMut,
    /// Bytes of a body over the limit that are still to be dropped.
    skip: usize,
    /// Bytes of it that were dropped.
    skipped: usize,
    /// Spare capacity below which there is a new buffer: more after a large read.
    room: usize,
}

/// The next item in the input.
pub(crate) enum Frame {
    Whole(Header, Bytes),
    /// The body is over the limit; its bytes are dropped as they come.
    TooLarge(Header),
}

impl FrameBuffer {
    /// An input that begins with what was read before.
    pub(crate) fn new(first: BytesMut) -> Self {
        Self { bytes: first, skip: 0, skipped: 0, room: READ / 16 }
    }

    /// Whether nothing waits, not even a part of a frame.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.skip == 0
    }

    /// Bytes that lie here.
    pub(crate) fn waiting(&self) -> usize {
        self.bytes.len()
    }

    /// Gives up the frame that is arriving: what has come of it goes, and so will what comes.
    pub(crate) fn give_up(&mut self) -> Option<Header> {
        let header = Header::parse(&self.bytes).ok()??;
        let whole = header::LEN + header.body_len as usize;
        (self.skip, self.skipped) = (whole.saturating_sub(self.bytes.len()), self.bytes.len());
        self.bytes = BytesMut::new();
        Some(header)
    }

    /// How much of the frame has come that is not whole yet.
    pub(crate) fn begun(&self) -> usize {
        self.bytes.len() + self.skipped
    }

    /// Reads once; ready with the number of bytes, 0 at the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        io: &mut BoxTransport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.bytes.capacity() - self.bytes.len() < self.room {
            self.bytes.reserve(READ);
        }
        let n = ready!(pin!(io.read_buf(&mut self.bytes)).poll(cx))?;
        self.room = if n > READ / 4 { READ / 2 } else { READ / 16 };
        Poll::Ready(Ok(n))
    }

    /// Takes the next whole frame; `None` when more must be read first.
    ///
    /// # Errors
    /// Bytes that cannot begin a frame, a negative length: there is no way to go on.
    pub(crate) fn next(&mut self, limit: usize) -> io::Result<Option<Frame>> {
        if self.skip + self.skipped > 0 {
            self.drop_skipped();
        }
        let Some(header) = Header::parse(&self.bytes).map_err(invalid)? else {
            return Ok(None);
        };
        let len = header.body_len as usize;
        if i32::try_from(header.body_len).is_err() {
            return Err(invalid("the length of a frame is negative"));
        }
        if len > limit {
            self.bytes.advance(header::LEN);
            self.skip = len;
            return Ok(Some(Frame::TooLarge(header)));
        }
        if self.bytes.len() < header::LEN + len {
            // Exact-size reads, but never room for more than has come already, or four reads.
            let missing = header::LEN + len - self.bytes.len();
            self.bytes.reserve(missing.min(self.bytes.len().max(4 * READ)));
            return Ok(None);
        }
        self.bytes.advance(header::LEN);
        let body = self.bytes.split_to(len).freeze();
        if len > KEEP {
            // The next reads would find the room of this frame again, and keep it for good.
            self.bytes = BytesMut::from(&self.bytes[..]);
        }
        Ok(Some(Frame::Whole(header, body)))
    }

    /// Drops what has come of a frame that was given up.
    #[cold]
    fn drop_skipped(&mut self) {
        let skipped = self.skip.min(self.bytes.len());
        self.bytes.advance(skipped);
        self.skip -= skipped;
        self.skipped = if self.skip == 0 { 0 } else { self.skipped + skipped };
    }

    /// Drops what waits.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    #[test]
    fn a_frame_over_the_limit_is_told_once_and_its_bytes_are_dropped() {
        let mut input = FrameBuffer::new(BytesMut::new());
        Header { body_len: 10, ..Header::request(13, true, 1) }.put(&mut input.bytes);
        input.bytes.put_slice(&[0xda; 4]);
        assert!(matches!(input.next(9), Ok(Some(Frame::TooLarge(header))) if header.id == 1));
        assert!(matches!(input.next(9), Ok(None)));
        assert!(!input.is_empty());
        input.bytes.put_slice(&[0xbb; 6]);
        Header::request(13, true, 2).put(&mut input.bytes);
        assert!(matches!(input.next(9), Ok(Some(Frame::Whole(header, _))) if header.id == 2));
        assert!(input.is_empty());
    }

    #[tokio::test]
    async fn the_room_of_a_large_frame_is_given_back_after_it() {
        let (mut near, far) = tokio::io::duplex(64 * 1024);
        let mut io: BoxTransport = Box::new(far);
        let mut frames = BytesMut::new();
        Header { body_len: 4 << 20, ..Header::request(13, true, 1) }.put(&mut frames);
        frames.put_bytes(7, 4 << 20);
        for id in 2..100 {
            Header { body_len: 1000, ..Header::request(13, true, id) }.put(&mut frames);
            frames.put_bytes(7, 1000);
        }
        let write = async {
            tokio::io::AsyncWriteExt::write_all(&mut near, &frames).await.unwrap();
        };
        let mut input = FrameBuffer::new(BytesMut::new());
        let read = async {
            let mut last = 0;
            while last < 99 {
                std::future::poll_fn(|cx| input.poll_read(&mut io, cx)).await.unwrap();
                while let Some(Frame::Whole(header, _)) = input.next(8 << 20).unwrap() {
                    assert_eq!(header.id, last + 1);
                    last = header.id;
                }
            }
        };
        tokio::join!(write, read);
        assert!(input.bytes.capacity() <= 2 * READ, "{}", input.bytes.capacity());
        // Nor does the next read find it again, now that nobody holds the frame.
        input.bytes.reserve(READ);
        assert!(input.bytes.capacity() <= 2 * READ, "{}", input.bytes.capacity());
    }
}
