//! Durations in the parameters of extensions, as people write them: `"300ms"`, `"5s"`.
//!
//! For `#[serde(deserialize_with = "rpc_core::duration::positive")]`.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

const UNITS: [(&str, u64); 5] =
    [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000)];

/// Reads a duration longer than zero: a whole number and `us`, `ms`, `s`, `m` or `h`.
///
/// # Errors
/// Anything else, saying how to write it.
pub fn positive<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).filter(|duration| !duration.is_zero()).ok_or_else(|| {
        D::Error::custom(format!(
            "`{}` is no duration above zero: write a whole number and a unit, such as 300ms, 5s",
            text.escape_debug()
        ))
    })
}

fn parse(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_micros(number.parse::<u64>().ok()?.checked_mul(*micros)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        assert_eq!(parse("300ms"), Some(Duration::from_millis(300)));
        assert_eq!(parse("5s"), Some(Duration::from_secs(5)));
        assert_eq!(parse("1h"), Some(Duration::from_secs(3600)));
        for text in ["", "5", "s", "-1s", "1.5s", "1d", "99999999999999999999s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn zero_and_numbers_without_a_unit_are_refused_with_the_remedy() {
        for json in [r#""0s""#, r#""5""#] {
            let error = positive(&mut serde_json::Deserializer::from_str(json)).unwrap_err();
            assert!(error.to_string().contains("write a whole number and a unit"), "{error}");
        }
    }
}
