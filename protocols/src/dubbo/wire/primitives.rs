//! The parts of compact bodies: numbers as LEB128 varints of at most nine bytes, and texts and
//! bytes behind their length.

use bytes::{BufMut, BytesMut};

use super::envelope::Malformed;

pub(super) fn put_bytes(buf: &mut BytesMut, bytes: &[u8]) {
    put_varint(buf, bytes.len() as u64);
    buf.put_slice(bytes);
}

pub(super) fn put_text(buf: &mut BytesMut, text: &str) {
    put_varint(buf, text.len() as u64);
    buf.put_slice(text.as_bytes());
}

pub(super) fn split_text(body: &mut &[u8]) -> Result<String, Malformed> {
    let bytes = split_bytes(body)?;
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed("text is not UTF-8"))?;
    Ok(text.to_owned())
}

pub(super) fn split_bytes<'a>(body: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let len = usize::try_from(split_varint(body)?).ok();
    let (bytes, rest) = len
        .and_then(|len| body.split_at_checked(len))
        .ok_or(Malformed("a length passes the end"))?;
    *body = rest;
    Ok(bytes)
}

pub(super) fn split_u8(body: &mut &[u8]) -> Result<u8, Malformed> {
    let (first, rest) = body.split_first().ok_or(Malformed("it ends early"))?;
    *body = rest;
    Ok(*first)
}

pub(super) fn put_varint(buf: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        buf.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    buf.put_u8(value as u8);
}

#[inline]
pub(super) fn split_varint(body: &mut &[u8]) -> Result<u64, Malformed> {
    match **body {
        // Most are lengths of what is short.
        [byte @ ..0x80, ref rest @ ..] => {
            *body = rest;
            Ok(u64::from(byte))
        }
        _ => split_long_varint(body),
    }
}

fn split_long_varint(body: &mut &[u8]) -> Result<u64, Malformed> {
    let (mut value, mut shift, mut rest) = (0, 0, *body);
    while let [byte, after @ ..] = rest
        && shift < 9 * 7
    {
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            *body = after;
            return Ok(value);
        }
        (shift, rest) = (shift + 7, after);
    }
    Err(Malformed("a number does not end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_up_to_nine_bytes_survive_and_leave_what_follows() {
        for value in [0, 0x7f, 0x80, 0x3fff, 0x4000, 1_000_000, 1 << 56, u64::MAX >> 1] {
            let mut buf = BytesMut::new();
            put_varint(&mut buf, value);
            buf.put_u8(7);
            let mut rest = &buf[..];
            assert_eq!(split_varint(&mut rest), Ok(value));
            assert_eq!(rest, [7], "{value}");
        }
    }

    #[test]
    fn a_number_of_ten_bytes_or_without_an_end_is_malformed() {
        let mut longest = BytesMut::new();
        put_varint(&mut longest, u64::MAX);
        for bytes in [&[][..], &[0x80], &[0xff; 8], &[0xff; 32], &longest] {
            let mut rest = bytes;
            assert_eq!(split_varint(&mut rest), Err(Malformed("a number does not end")));
            assert_eq!(rest, bytes, "nothing is taken");
        }
    }
}
