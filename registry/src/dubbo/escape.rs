//! Percent-encoding as Dubbo's URLs use it: whole texts as forms, and single characters inside values.

use std::borrow::Cow;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Encodes a text as Java's form encoding does: letters, digits and `.-*_` stay, a blank is `+`, every
/// other byte of UTF-8 is `%XX` in upper case.
pub(crate) fn encode_form(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 3);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            other => encoded.extend(escaped(other)),
        }
    }
    encoded
}

/// Undoes percent-encoding, and `+` for a blank if it is a form. A `%` that begins no escape stays.
pub(crate) fn decode(text: &str, form: bool) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |index: usize| bytes.get(index).and_then(|&b| char::from(b).to_digit(16));
        let (value, width) = match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(byte), 3),
            (b'+', ..) if form => (b' ', 1),
            _ => (byte, 1),
        };
        decoded.push(value);
        at += width;
    }
    String::from_utf8(decoded).map_err(|_| "it is not UTF-8 once it is decoded".to_owned())
}

/// `text` with escapes for the characters that `is_special`.
pub(super) fn escape(text: &str, is_special: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_special) {
        return Cow::Borrowed(text);
    }
    let mut to = String::with_capacity(text.len() + 6);
    for c in text.chars() {
        match is_special(c) {
            true => to.extend(c.encode_utf8(&mut [0; 4]).bytes().flat_map(escaped)),
            false => to.push(c),
        }
    }
    Cow::Owned(to)
}

fn escaped(byte: u8) -> [char; 3] {
    let digit = |value: u8| char::from(HEX[usize::from(value & 15)]);
    ['%', digit(byte >> 4), digit(byte)]
}
