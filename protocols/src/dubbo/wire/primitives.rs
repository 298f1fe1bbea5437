//! What compact bodies are made of: numbers as LEB128 varints of at most nine bytes, and texts and bytes
//! behind their length.

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
