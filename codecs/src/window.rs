//! Appending to a buffer by index: a window of zeros is kept at its end, so that most values are
//! written without asking for room byte by byte.

use bytes::BytesMut;

/// How much room is made at a time, if the buffer has as much.
const ROOM: usize = 256;

/// A buffer, and where in it the written bytes end.
#[derive(Debug)]
pub(crate) struct AppendWindow<'a> {
    buf: &'a mut BytesMut,
    end: usize,
}

impl<'a> AppendWindow<'a> {
    pub(crate) fn new(buf: &'a mut BytesMut) -> Self {
        let end = buf.len();
        Self { buf, end }
    }

    /// The next `N` bytes, of which [`advance`](Self::advance) says how many were written.
    #[inline]
    pub(crate) fn next<const N: usize>(&mut self) -> &mut [u8; N] {
        if self.buf.len() - self.end < N {
            self.grow(N);
        }
        match self.buf[self.end..].first_chunk_mut() {
            Some(chunk) => chunk,
            None => unreachable!("room was made"),
        }
    }

    #[inline]
    pub(crate) fn advance(&mut self, written: usize) {
        self.end += written;
    }

    /// Appends these bytes.
    #[inline]
    pub(crate) fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        *self.next() = bytes;
        self.end += N;
    }

    /// Appends these bytes.
    #[inline]
    pub(crate) fn put_slice(&mut self, bytes: &[u8]) {
        match self.buf.get_mut(self.end..self.end + bytes.len()) {
            Some(room) => room.copy_from_slice(bytes),
            None => {
                // Not zeroed first, as it may be long.
                self.buf.truncate(self.end);
                self.buf.extend_from_slice(bytes);
            }
        }
        self.end += bytes.len();
    }

    /// Lets `write` fill the next `len` bytes.
    #[cfg(feature = "json")]
    pub(crate) fn fill(&mut self, len: usize, write: impl FnOnce(&mut [u8])) {
        if self.buf.len() - self.end < len {
            self.grow(len);
        }
        write(&mut self.buf[self.end..self.end + len]);
        self.end += len;
    }

    /// Cuts off what was not written.
    pub(crate) fn finish(self) {
        self.buf.truncate(self.end);
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        let needed = self.end + len;
        // What the buffer has anyway, if that will do: it may have been made to measure.
        let room = (self.end + len.max(ROOM)).min(self.buf.capacity());
        self.buf.resize(if room < needed { needed + ROOM } else { room }, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there_and_nothing_else() {
        let mut buf = BytesMut::from(&b"head"[..]);
        let mut window = AppendWindow::new(&mut buf);
        window.put(*b"ab");
        window.next::<20>()[0] = b'c';
        window.advance(1);
        window.put_slice(&[b'd'; 1000]);
        window.put(*b"e");
        window.finish();
        assert_eq!(&buf[..7], b"headabc");
        assert_eq!(buf[7..1007], [b'd'; 1000]);
        assert_eq!(&buf[1007..], b"e");
    }

    #[test]
    fn a_buffer_that_was_made_to_measure_does_not_grow() {
        let mut buf = BytesMut::with_capacity(10);
        let before = buf.as_ptr();
        let mut window = AppendWindow::new(&mut buf);
        (0..5).for_each(|_| window.put(*b"ab"));
        window.finish();
        assert_eq!((buf.len(), buf.as_ptr()), (10, before));
    }
}
