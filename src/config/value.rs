//! Durations and sizes as people write them: `300ms`, `8MiB`.
//!
//! The modules here are for `#[serde(with = …)]`, so that past the border everybody holds a
//! [`Duration`] or a number of bytes.

use std::time::Duration;

/// Unit and its length in microseconds, the longest first.
const TIMES: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// Unit and its length in bytes, the longest first.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// What the length field of a frame can say.
const MAX_SIZE: u64 = i32::MAX as u64;

/// Reads a duration: a whole number and `us`, `ms`, `s`, `m` or `h`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    parse(text, &TIMES).map(Duration::from_micros).ok_or_else(|| {
        format!(
            "`{}` is no duration: write a whole number and a unit, such as 300ms, 1s, 2m, 1h",
            text.escape_debug()
        )
    })
}

/// Writes a duration in the longest unit that fits; below a microsecond it is cut.
pub(super) fn show_duration(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    match micros {
        0 => "0s".to_owned(),
        _ => show(micros, &TIMES),
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, &SIZES).ok_or_else(|| {
        format!(
            "`{}` is no size: write bytes as a number, or a whole number and a unit, \
             such as 512B, 16KiB, 8MiB, 1GiB",
            text.escape_debug()
        )
    })
}

fn check_size(bytes: u64) -> Result<usize, String> {
    if bytes == 0 || bytes > MAX_SIZE {
        return Err(format!("{bytes} bytes is out of range: 1 to {MAX_SIZE} are possible"));
    }
    usize::try_from(bytes).map_err(|_| format!("{bytes} bytes do not fit this machine"))
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .find(|(_, factor)| amount.is_multiple_of(*factor))
        .map_or_else(|| amount.to_string(), |(name, factor)| format!("{}{name}", amount / factor))
}

/// A duration that may be zero.
pub(super) mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::show_duration(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        match serde_json::Value::deserialize(from)? {
            serde_json::Value::String(text) => super::parse_duration(&text).map_err(Error::custom),
            other => Err(Error::custom(format!(
                "{other} is no duration: write it with its unit in quotes, such as \"300ms\""
            ))),
        }
    }
}

/// A duration longer than zero.
pub(super) mod positive {
    use std::time::Duration;

    use serde::{Deserializer, de::Error};

    pub(crate) use super::duration::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let value = super::duration::deserialize(from)?;
        if value.is_zero() {
            return Err(Error::custom("0 is too short: it must be longer than zero"));
        }
        Ok(value)
    }
}

/// A share of a hundred.
pub(super) mod percent {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &u32, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(*value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        match u32::deserialize(from)? {
            percent @ 0..=100 => Ok(percent),
            other => Err(Error::custom(format!("{other} is no share in percent: write 0 to 100"))),
        }
    }
}

/// A duration longer than zero that may be absent.
pub(super) mod optional {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::duration::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::positive::deserialize(from).map(Some)
    }
}

/// A duration that may be zero, or absent.
pub(super) mod duration_or_none {
    use std::time::Duration;

    use serde::Deserializer;

    pub(crate) use super::optional::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::duration::deserialize(from).map(Some)
    }
}

/// A number of something, one at least.
pub(super) fn at_least_one<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match <u32 as serde::Deserialize>::deserialize(from)? {
        0 => Err(serde::de::Error::custom("0 is too few: it must be one at least")),
        number => Ok(number),
    }
}

/// A number of bytes, one at least.
pub(super) mod size {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &usize, to: S) -> Result<S::Ok, S::Error> {
        let bytes = u64::try_from(*value).unwrap_or(u64::MAX);
        to.serialize_str(&super::show(bytes, &super::SIZES))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
        let bytes = match serde_json::Value::deserialize(from)? {
            serde_json::Value::String(text) => super::parse_size(&text),
            serde_json::Value::Number(number) => {
                number.as_u64().ok_or_else(|| format!("{number} is no number of bytes"))
            }
            other => Err(format!("{other} is no size: write it as \"8MiB\" or in bytes")),
        };
        bytes.and_then(super::check_size).map_err(Error::custom)
    }
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
            let message = parse_duration(text).unwrap_err();
            assert!(
                message.contains("is no duration: write a whole number and a unit"),
                "{message}"
            );
        }
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
            assert_eq!(show(bytes, &SIZES), text);
        }
        for text in ["8MB", "8", "MiB", "", "-1B"] {
            assert!(parse_size(text).unwrap_err().contains("is no size: write bytes"));
        }
    }

    #[test]
    fn a_size_fits_the_length_field_of_a_frame() {
        assert_eq!(check_size(1), Ok(1));
        assert!(check_size(0).unwrap_err().contains("0 bytes is out of range"));
        assert!(check_size(1 << 31).unwrap_err().contains("1 to 2147483647 are possible"));
    }
}
