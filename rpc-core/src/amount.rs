//! Durations and sizes as people write them: `300ms`, `8MiB`. The one place that reads them.
//!
//! For parameters of extensions: `#[serde(deserialize_with = "rpc_core::amount::positive_duration")]`.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Unit and its length in microseconds, the longest first.
const TIMES: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// Unit and its length in bytes, the longest first.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// What the length field of a frame can say.
const MAX_SIZE: u64 = i32::MAX as u64;

/// Why a text is not a duration or a size, and how to write one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseAmountError(String);

/// Reads a duration: a whole number and `us`, `ms`, `s`, `m` or `h`.
///
/// # Errors
/// Anything else, saying how to write it.
pub fn parse_duration(text: &str) -> Result<Duration, ParseAmountError> {
    parse(text, &TIMES).map(Duration::from_micros).ok_or_else(|| {
        ParseAmountError(format!(
            "`{}` is not a duration: write a whole number and a unit, such as 300ms, 1s, 2m, 1h",
            text.escape_debug()
        ))
    })
}

/// Reads a duration longer than zero, as [`parse_duration`].
///
/// # Errors
/// Zero, and anything that is not a duration.
pub fn parse_positive_duration(text: &str) -> Result<Duration, ParseAmountError> {
    positive(parse_duration(text)?)
}

fn positive(duration: Duration) -> Result<Duration, ParseAmountError> {
    match duration.is_zero() {
        true => Err(ParseAmountError("0 is too short: it must be longer than zero".to_owned())),
        false => Ok(duration),
    }
}

/// Writes a duration in the longest unit that fits; below a microsecond it is cut.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    match u64::try_from(duration.as_micros()).unwrap_or(u64::MAX) {
        0 => "0s".to_owned(),
        micros => show(micros, &TIMES),
    }
}

/// Writes a number of bytes in the largest unit that fits.
#[must_use]
pub fn show_size(bytes: usize) -> String {
    show(u64::try_from(bytes).unwrap_or(u64::MAX), &SIZES)
}

/// Reads a duration that may be zero.
///
/// # Errors
/// Anything else, saying how to write it.
pub fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => parse_duration(&text).map_err(D::Error::custom),
        other => Err(D::Error::custom(format!(
            "{other} is not a duration: write it with its unit in quotes, such as \"300ms\""
        ))),
    }
}

/// Reads a duration longer than zero.
///
/// # Errors
/// Anything else, saying how to write it.
pub fn positive_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    positive(duration(from)?).map_err(D::Error::custom)
}

/// Reads a number of bytes, from 1 to what the length field of a frame can say: with a unit, or a
/// number alone.
///
/// # Errors
/// Anything else, saying how to write it.
pub fn size<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => parse_size(&text).map_err(D::Error::custom),
        Value::Number(number) => match number.as_u64() {
            Some(bytes) => check_size(bytes).map_err(D::Error::custom),
            None => Err(D::Error::custom(format!(
                "{number} is not a number of bytes: write 1 to {MAX_SIZE}, or \"8MiB\""
            ))),
        },
        other => Err(D::Error::custom(format!(
            "{other} is not a size: write it as \"8MiB\" or in bytes"
        ))),
    }
}

fn parse_size(text: &str) -> Result<usize, ParseAmountError> {
    let bytes = parse(text, &SIZES).ok_or_else(|| {
        ParseAmountError(format!(
            "`{}` is not a size: write bytes as a number, or a whole number and a unit, \
             such as 512B, 16KiB, 8MiB, 1GiB",
            text.escape_debug()
        ))
    });
    check_size(bytes?)
}

fn check_size(bytes: u64) -> Result<usize, ParseAmountError> {
    let fits = usize::try_from(bytes).ok().filter(|_| (1..=MAX_SIZE).contains(&bytes));
    fits.ok_or_else(|| {
        ParseAmountError(format!("{bytes} bytes are out of range: write 1 to {MAX_SIZE}"))
    })
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    let fits = units.iter().find(|(_, factor)| amount.is_multiple_of(*factor));
    let (name, factor) = fits.unwrap_or(&("", 1));
    format!("{}{name}", amount / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, micros) in [
            ("250us", 250),
            ("300ms", 300_000),
            ("1s", 1_000_000),
            ("2m", 120_000_000),
            ("1h", 3_600_000_000),
            ("1 s", 1_000_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(micros)));
        }
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in
            ["", "5", "s", "-1s", "1.5s", "1d", "1S", "99999999999999999999s", "9999999999999999h"]
        {
            let message = parse_duration(text).unwrap_err().to_string();
            assert!(
                message.contains("is not a duration: write a whole number and a unit"),
                "{message}"
            );
        }
    }

    #[test]
    fn zero_is_refused_where_nothing_takes_no_time() {
        let message = parse_positive_duration("0ms").unwrap_err().to_string();
        assert_eq!(message, "0 is too short: it must be longer than zero");
        assert_eq!(parse_positive_duration("1us"), Ok(Duration::from_micros(1)));
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["250us", "300ms", "1500ms", "1s", "2m", "1h", "0s"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes_have_a_number_and_a_binary_unit() {
        for (text, bytes) in
            [("512B", 512), ("16KiB", 16_384), ("8MiB", 8 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(parse_size(text), Ok(bytes));
            assert_eq!(show_size(bytes), text);
        }
        for text in ["8MB", "8", "MiB", "", "-1B"] {
            let message = parse_size(text).unwrap_err().to_string();
            assert!(message.contains("is not a size: write bytes"), "{message}");
        }
    }

    #[test]
    fn a_size_fits_the_length_field_of_a_frame() {
        assert_eq!(check_size(1), Ok(1));
        assert!(check_size(0).unwrap_err().0.contains("0 bytes are out of range"));
        assert!(check_size(1 << 31).unwrap_err().0.contains("write 1 to 2147483647"));
    }
}
