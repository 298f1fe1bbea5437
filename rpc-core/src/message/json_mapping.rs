//! Protobuf's JSON mapping of values that JSON cannot express: 64-bit integers in quotes, floats
//! that are not finite, base64. For readers and writers of text formats.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// What base64 is written in: the standard alphabet, padded.
pub const BASE64: GeneralPurpose = base64::engine::general_purpose::STANDARD;

/// Reads both alphabets, padded or not; the URL-safe characters are replaced before. Bits behind
/// the last byte may be set, as protobuf's conformance suite recommends (`BytesFieldBase64Url`).
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes of base64 in either alphabet, padded or not; `None` if it is none.
#[must_use]
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    exact(text).or_else(|| exact(&text.replace('-', "+").replace('_', "/")))
}

/// Decodes into room of the exact size, so that `Bytes` can be made of it without another
/// allocation.
fn exact(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').len();
    let mut bytes = vec![0; digits / 4 * 3 + digits % 4 * 3 / 4];
    let length = LENIENT.decode_slice(text, &mut bytes).ok()?;
    (length == bytes.len()).then_some(bytes)
}

/// The word for a float that is not finite; `None` for others.
#[must_use]
#[inline]
pub fn float_word(value: f64) -> Option<&'static str> {
    if value.is_finite() {
        None
    } else if value.is_nan() {
        Some("NaN")
    } else if value > 0.0 {
        Some("Infinity")
    } else {
        Some("-Infinity")
    }
}

/// The float that `text` says, as a number by the grammar of JSON or as a word; `None` if it says
/// none, or one that is not finite in digits.
#[must_use]
pub fn float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ if !is_number(text) => None,
        _ => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// Digits of the greatest number of 64 bits.
const MOST_DIGITS: usize = 20;

/// A number by the grammar of JSON: `-12.50e-3`.
struct Decimal<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    /// As written, with its sign; empty if there is none.
    exponent: &'a str,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                is_digits(digits).then_some((mantissa, exponent))?
            }
            None => (text, ""),
        };
        let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) => is_digits(fraction).then_some((whole, fraction))?,
            None => (unsigned, ""),
        };
        let is_one = is_digits(whole) && (whole == "0" || !whole.starts_with('0'));
        is_one.then_some(Self {
            is_negative: unsigned.len() < mantissa.len(),
            whole,
            fraction,
            exponent,
        })
    }

    /// Its exact value, if that is whole and has no more digits than 64 bits hold.
    fn integer(&self) -> Option<i128> {
        let digits = [self.whole, self.fraction].concat();
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Some(0);
        }
        let exponent: i64 =
            if self.exponent.is_empty() { 0 } else { self.exponent.parse().ok()? };
        let dropped = digits.trim_start_matches('0').len() - significant.len();
        let moved = i64::try_from(dropped).ok()? - i64::try_from(self.fraction.len()).ok()?;
        let zeros = exponent.checked_add(moved)?;
        let length = zeros.checked_add(i64::try_from(significant.len()).ok()?)?;
        if zeros < 0 || length > MOST_DIGITS as i64 {
            return None;
        }
        let value = significant.parse::<i128>().ok()? * 10_i128.pow(u32::try_from(zeros).ok()?);
        Some(if self.is_negative { -value } else { value })
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `text` is a number by the grammar of JSON.
#[must_use]
pub fn is_number(text: &str) -> bool {
    Decimal::parse(text).is_some()
}

/// The whole number that `text` says, with a point or exponent or without; `None` if it is no
/// number, not whole or longer than 64 bits.
#[must_use]
pub fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // As nearly all are written.
    if digits.len() <= MOST_DIGITS && !digits.starts_with('0') && is_digits(digits) {
        return text.parse().ok();
    }
    Decimal::parse(text)?.integer()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_however_they_are_written() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("0.0e99999999999999999999", 0),
            ("-1", -1),
            ("1.0", 1),
            ("1e2", 100),
            ("1E+2", 100),
            ("12.50e1", 125),
            ("1000e-3", 1),
            ("1e18", 1_000_000_000_000_000_000),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("-9223372036854775808", i64::MIN.into()),
            ("18446744073709551615", u64::MAX.into()),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_of_64_bits_is_none() {
        for text in ["1.5", "1e-1", "1e20", "1e999999999999999999999", "1e9223372036854775807"] {
            assert!(is_number(text), "{text}");
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn what_json_does_not_write_is_no_number() {
        for text in [
            "", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "e1", " 1", "1 ", "1_0", "0x1",
            "inf", "NaN", "--1", "1.5.5", "1e1e1", "١",
        ] {
            assert!(!is_number(text), "{text}");
        }
    }
}
