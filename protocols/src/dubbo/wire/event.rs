//! Event frames: heartbeat, read-only, writeable, and our cancel.
//!
//! Dubbo's events carry null or one string in the frame's serialization. Our compact ids write
//! null as an empty body and the string as its bytes; hessian2 (id 2) writes `4e` and a length byte
//! before the string. Cancel is ours alone and goes only over connections that speak compact ids.

use bytes::{BufMut, BytesMut};

use super::header::{self, Header};

/// Dubbo's limit on the payload of an event.
pub(crate) const MAX_LEN: usize = 15;

/// The meaning of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionEvent {
    /// "Are you there": null.
    Heartbeat,
    /// "Send me no new calls": `R`.
    ReadOnly,
    /// "Send me calls again": `W`.
    Writeable,
    /// Cancel, `C` and the id: the caller no longer waits for this request.
    Cancel(u64),
    /// Anything else; ignored.
    Unknown,
}

impl ConnectionEvent {
    /// Reads the payload of an event.
    pub(crate) fn parse(payload: &[u8]) -> Self {
        match payload {
            [] | [b'N', ..] | b"null\n" => Self::Heartbeat,
            b"R" | [1, b'R'] => Self::ReadOnly,
            b"W" | [1, b'W'] => Self::Writeable,
            [b'C', id @ ..] => match id.first_chunk::<8>() {
                Some(id) if payload.len() == 9 => Self::Cancel(u64::from_be_bytes(*id)),
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    /// Appends the whole frame. A heartbeat asks for an answer, the others do not.
    pub(crate) fn put(self, buf: &mut BytesMut, serialization: u8, id: u64) {
        let start = buf.len();
        Header::event(serialization, self == Self::Heartbeat, id).put(buf);
        let hessian2 = serialization == header::HESSIAN2;
        match self {
            Self::Heartbeat | Self::Unknown if hessian2 => buf.put_u8(b'N'),
            Self::Heartbeat | Self::Unknown => {}
            Self::ReadOnly if hessian2 => buf.put_slice(&[1, b'R']),
            Self::Writeable if hessian2 => buf.put_slice(&[1, b'W']),
            Self::ReadOnly => buf.put_u8(b'R'),
            Self::Writeable => buf.put_u8(b'W'),
            Self::Cancel(id) => {
                buf.put_u8(b'C');
                buf.put_u64(id);
            }
        }
        // At most 9 bytes: it cannot pass the limit.
        let _ = header::finish(buf, start, 0, MAX_LEN);
    }
}

/// Appends the answer to a heartbeat that came in `serialization`.
pub(crate) fn put_heartbeat_answer(buf: &mut BytesMut, serialization: u8, id: u64) {
    let start = buf.len();
    Header::event_answer(serialization, id).put(buf);
    if serialization == header::HESSIAN2 {
        buf.put_u8(b'N');
    }
    let _ = header::finish(buf, start, 0, MAX_LEN);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_writing_and_reading() {
        for event in [
            ConnectionEvent::Heartbeat,
            ConnectionEvent::ReadOnly,
            ConnectionEvent::Writeable,
            ConnectionEvent::Cancel(77),
        ] {
            let mut buf = BytesMut::new();
            event.put(&mut buf, 13, 5);
            let header = Header::parse(&buf).unwrap().unwrap();
            assert!(header.is_event() && header.is_request());
            assert_eq!(header.is_two_way(), event == ConnectionEvent::Heartbeat);
            assert_eq!(header.body_len as usize, buf.len() - header::LEN);
            assert_eq!(ConnectionEvent::parse(&buf[header::LEN..]), event);
        }
    }

    #[test]
    fn events_of_real_dubbo_peers_are_understood() {
        assert_eq!(ConnectionEvent::parse(&[0x4e]), ConnectionEvent::Heartbeat);
        assert_eq!(ConnectionEvent::parse(&[0x4e, 0x4e]), ConnectionEvent::Heartbeat);
        assert_eq!(ConnectionEvent::parse(&[0x01, 0x52]), ConnectionEvent::ReadOnly);
        assert_eq!(ConnectionEvent::parse(b"Cut"), ConnectionEvent::Unknown);
    }
}
