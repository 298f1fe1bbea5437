//! The 16-byte header of a Dubbo2 frame.
//!
//! Source: Apache Dubbo's `ExchangeCodec`; all integers are big-endian.
//!
//! ```text
//!  0       2       3        4                    12              16
//! +-------+-------+--------+--------------------+---------------+------
//! | da bb | flags | status |     request id     | body length   | body
//! +-------+-------+--------+--------------------+---------------+------
//!
//! flags   0x80 request, 0x40 two-way, 0x20 event, low five bits: serialization id
//! status  of answers; 0 in requests
//! ```
//!
//! A request and its answer have the same id. Answers may come in any order, and events of either
//! side between them.

use bytes::{BufMut, BytesMut};

/// Length of a header in bytes.
pub(crate) const LEN: usize = 16;

/// The first two bytes of every frame.
pub(crate) const MAGIC: [u8; 2] = [0xda, 0xbb];

/// The request id of an answer to no request, which is about the connection.
pub(crate) const NO_REQUEST: u64 = u64::MAX;

/// The serialization id under which a consumer's connection sends its own events.
pub(crate) const EVENTS: u8 = 13;

/// Dubbo's id of hessian2, in which peers that are not ours speak.
pub(crate) const HESSIAN2: u8 = 2;

const REQUEST: u8 = 0x80;
const TWO_WAY: u8 = 0x40;
const EVENT: u8 = 0x20;
const SERIALIZATION: u8 = 0x1f;

/// Status bytes of answers that we write; the list of all is in `docs/wire.md`.
pub(crate) mod status {
    pub(crate) const OK: u8 = 20;
    pub(crate) const BAD_REQUEST: u8 = 40;
    pub(crate) const SERVICE_NOT_FOUND: u8 = 60;
    pub(crate) const OVERLOADED: u8 = 100;
}

/// A header as fields. The length is written by [`finish`], once the body is behind the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flags: u8,
    pub(crate) status: u8,
    pub(crate) id: u64,
    pub(crate) body_len: u32,
}

/// Bytes that cannot begin a frame: the peer speaks another protocol, which is named if it is
/// known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadMagic {
    #[error("this port speaks HTTP, not dubbo; check the address")]
    Http,
    #[error("this port speaks TLS, not dubbo in the clear; check the address")]
    Tls,
    #[error("this port does not speak dubbo; check the address")]
    Other,
}

impl BadMagic {
    /// By what servers say of themselves: `HTTP/1.1 400`, the settings of HTTP/2, an alert of TLS.
    const fn of(bytes: &[u8]) -> Self {
        match bytes {
            [b'H'] | [b'H', b'T', ..] | [0] | [0, 0, ..] => Self::Http,
            [0x15 | 0x16] | [0x15 | 0x16, 3, ..] => Self::Tls,
            _ => Self::Other,
        }
    }
}

impl Header {
    pub(crate) const fn request(serialization: u8, two_way: bool, id: u64) -> Self {
        let flags = REQUEST | serialization | if two_way { TWO_WAY } else { 0 };
        Self { flags, status: 0, id, body_len: 0 }
    }

    pub(crate) const fn response(serialization: u8, status: u8, id: u64) -> Self {
        Self { flags: serialization, status, id, body_len: 0 }
    }

    pub(crate) const fn event(serialization: u8, two_way: bool, id: u64) -> Self {
        let request = Self::request(serialization, two_way, id);
        Self { flags: request.flags | EVENT, ..request }
    }

    pub(crate) const fn event_answer(serialization: u8, id: u64) -> Self {
        Self { flags: EVENT | serialization, status: status::OK, id, body_len: 0 }
    }

    pub(crate) const fn is_request(self) -> bool {
        self.flags & REQUEST != 0
    }

    pub(crate) const fn is_two_way(self) -> bool {
        self.flags & TWO_WAY != 0
    }

    pub(crate) const fn is_event(self) -> bool {
        self.flags & EVENT != 0
    }

    pub(crate) const fn serialization(self) -> u8 {
        self.flags & SERIALIZATION
    }

    /// Whether it is in one of our own serializations (`docs/wire.md`).
    pub(crate) const fn is_compact(self) -> bool {
        matches!(self.serialization(), 13..=15)
    }

    /// Reads the header at the start of `bytes`; `None` while there are fewer than 16.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, BadMagic> {
        if let [first, rest @ ..] = bytes
            && (*first != MAGIC[0] || rest.first().is_some_and(|second| *second != MAGIC[1]))
        {
            return Err(BadMagic::of(bytes));
        }
        let Some(&[_, _, flags, status, a, b, c, d, e, f, g, h, i, j, k, l]) =
            bytes.first_chunk::<LEN>()
        else {
            return Ok(None);
        };
        let id = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Ok(Some(Self { flags, status, id, body_len: u32::from_be_bytes([i, j, k, l]) }))
    }

    /// Appends the header; the length is patched by [`finish`] once the body stands behind it.
    pub(crate) fn put(self, buf: &mut BytesMut) {
        let mut bytes = [0; LEN];
        bytes[..2].copy_from_slice(&MAGIC);
        (bytes[2], bytes[3]) = (self.flags, self.status);
        bytes[4..12].copy_from_slice(&self.id.to_be_bytes());
        bytes[12..].copy_from_slice(&self.body_len.to_be_bytes());
        buf.put_slice(&bytes);
    }
}

/// Turns the request at the start of `frame` into an event that means nothing.
pub(crate) fn void(frame: &mut [u8]) {
    if let [_, _, flags, ..] = frame {
        *flags = (*flags | EVENT) & !TWO_WAY;
    }
}

/// Writes the length of the body, `extra` bytes of which follow outside of `buf`, into the header
/// that begins at `start`. Returns the whole length, or `Err` with it if it passes `limit`.
pub(crate) fn finish(
    buf: &mut BytesMut,
    start: usize,
    extra: usize,
    limit: usize,
) -> Result<usize, usize> {
    let len = buf.len() - start - LEN + extra;
    match u32::try_from(len) {
        Ok(short) if len <= limit => {
            buf[start + 12..start + LEN].copy_from_slice(&short.to_be_bytes());
            Ok(len)
        }
        _ => Err(len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_request_is_the_bytes_of_the_specification() {
        let mut buf = BytesMut::new();
        Header::event(2, true, 1).put(&mut buf);
        assert_eq!(buf[..], [0xda, 0xbb, 0xe2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn fields_survive_writing_and_reading() {
        for header in [
            Header::request(13, true, u64::MAX),
            Header::request(31, false, 0),
            Header::response(14, status::OVERLOADED, 7),
            Header::event_answer(2, 1 << 63),
        ] {
            let mut buf = BytesMut::new();
            header.put(&mut buf);
            assert_eq!(Header::parse(&buf), Ok(Some(header)));
            assert_eq!(Header::parse(&buf[..15]), Ok(None));
        }
    }

    #[test]
    fn a_server_of_another_kind_is_told_by_its_first_bytes() {
        for (bytes, what) in [
            (&b"HTTP/1.1 400 Bad RequestEnvelope\r\n"[..], BadMagic::Http),
            (b"\0\0\x0c\x04\0\0\0\0\0", BadMagic::Http),
            (b"\x15\x03\x01\x00\x02\x02\x46", BadMagic::Tls),
            (b"-ERR unknown command", BadMagic::Other),
        ] {
            assert_eq!(Header::parse(bytes), Err(what));
            assert_eq!(Header::parse(&bytes[..1]), Err(what));
        }
    }

    #[test]
    fn wrong_magic_is_seen_at_the_first_wrong_byte() {
        assert_eq!(Header::parse(b"G"), Err(BadMagic::Other));
        assert_eq!(Header::parse(&[0xda, 0xbc]), Err(BadMagic::Other));
        assert_eq!(Header::parse(&[0xda]), Ok(None));
        assert_eq!(Header::parse(&[]), Ok(None));
    }
}
