//! Looking through text for where strings and numbers end.
//!
//! Strings are scanned eight bytes at a time: the bits of a word tell whether one of its bytes is a
//! quote, a backslash or a control character. Source of the trick: "Bit Twiddling Hacks",
//! "Determine if a word has a byte equal to n".

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Bits of the bytes in `word` that end a run of plain characters in a string: a quote, a
/// backslash, a control character. The lowest is right; those above it may be wrong.
#[inline]
const fn stops(word: u64) -> u64 {
    const QUOTE: u64 = ONES * b'"' as u64;
    const BACKSLASH: u64 = ONES * b'\\' as u64;
    const CONTROL: u64 = ONES * 0x20;
    let (quote, backslash) = (word ^ QUOTE, word ^ BACKSLASH);
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    let control = word.wrapping_sub(CONTROL) & !word;
    (quote | backslash | control) & HIGH
}

/// Where the first quote, backslash or control character stands from `from` on; the end if there
/// is none.
#[inline]
pub(super) fn plain_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let found = stops(u64::from_le_bytes(*word));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let stop = rest.iter().position(|byte| matches!(byte, ..0x20 | b'"' | b'\\'));
    stop.map_or(bytes.len(), |stop| at + stop)
}

/// The number without a sign that begins at `from` and is written in digits alone, and where it
/// ends; `None` if there is none, it has leading zeros or is more than 64 bits hold.
#[inline]
pub(super) fn digits(bytes: &[u8], from: usize) -> Option<(u64, usize)> {
    let rest = bytes.get(from..)?;
    let (mut value, mut len) = (0_u64, 0);
    while let Some(digit) = rest.get(len).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        // As many as cannot overflow.
        value = if len < 19 {
            value * 10 + u64::from(digit)
        } else {
            value.checked_mul(10)?.checked_add(digit.into())?
        };
        len += 1;
    }
    let has_leading_zero = len > 1 && rest[0] == b'0';
    (len != 0 && !has_leading_zero).then_some((value, from + len))
}

/// Where the number that begins at `from` ends by JSON's grammar; `None` if there is none.
#[inline]
pub(super) fn number_end(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let run = |start: usize| {
        let rest = rest.get(start..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut at = usize::from(rest.first() == Some(&b'-'));
    let whole = run(at);
    if whole == 0 || whole > 1 && rest[at] == b'0' {
        return None;
    }
    at += whole;
    if rest.get(at) == Some(&b'.') {
        let fraction = run(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(rest.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(at + 1), Some(b'+' | b'-')));
        let exponent = run(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_plain_text_is_found_wherever_it_stands() {
        for stop in [b'"', b'\\', 0, 0x1f] {
            for len in 0..20 {
                for after in 0..20 {
                    let mut bytes = vec![0xff; len];
                    bytes.push(stop);
                    bytes.extend(vec![b'"'; after]);
                    assert_eq!(plain_end(&bytes, 0), len);
                    assert_eq!(plain_end(&bytes, len / 2), len);
                }
            }
        }
        let plain: Vec<u8> = (0x20..=0xff).filter(|byte| !matches!(byte, b'"' | b'\\')).collect();
        assert_eq!(plain_end(&plain, 0), plain.len());
        assert_eq!(plain_end(b"", 0), 0);
    }

    #[test]
    fn digits_are_read_to_the_last_number_of_64_bits() {
        assert_eq!(digits(b"18446744073709551615,", 0), Some((u64::MAX, 20)));
        assert_eq!(digits(b"x0]", 1), Some((0, 2)));
        for none in
            [&b"18446744073709551616"[..], b"00", b"01", b"", b"-1", b"184467440737095516150"]
        {
            assert_eq!(digits(none, 0), None);
        }
    }

    #[test]
    fn numbers_end_where_their_grammar_ends() {
        for (text, end) in [("0", 1), ("-0", 2), ("12.50e-3,", 8), ("1E+5}", 4), ("1.5.5", 3)] {
            assert_eq!(number_end(text.as_bytes(), 0), Some(end), "{text}");
        }
        for text in ["", "-", "01", "1.", ".5", "1e", "1e+", "+1", "x"] {
            assert_eq!(number_end(text.as_bytes(), 0), None, "{text}");
        }
    }
}
