//! What people type: JSON, durations, pairs.

use std::io::Read;
use std::time::Duration;

use dubhe::Deadline;
use dubhe::extend::amount::{self, ParseAmountError};
use serde_json::Value;
use serde_json::error::Category;

use crate::failure::Failure;
use crate::strict;

/// Largest JSON document read from standard input.
const MAX_INPUT: u64 = 64 << 20;

/// The arguments: JSON as typed, `-` for standard input, nothing for none.
pub(crate) fn arguments(given: Option<&str>) -> Result<Value, Failure> {
    match given {
        None => Ok(Value::Null),
        Some("-") => {
            let mut text = String::new();
            let read = std::io::stdin().take(MAX_INPUT + 1).read_to_string(&mut text);
            read.map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
            if text.len() as u64 > MAX_INPUT {
                let text = format!("standard input is larger than {MAX_INPUT} bytes");
                return Err(Failure::usage(text));
            }
            json(&text)
        }
        Some(text) => json(text),
    }
}

/// Reads JSON; an error shows the place.
fn json(text: &str) -> Result<Value, Failure> {
    // Windows' editors begin files with it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    strict::parse(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let (line_text, caret) = around(shown, column);
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        let mut hint = "";
        if message.starts_with("expected ident") || message.starts_with("expected value") {
            hint = "\n  texts stand in double quotes; mind that the shell takes quotes away";
        }
        if !text.trim_start().starts_with(['[', '{', '"']) {
            hint = "\n  arguments are a list such as '[\"bob\", 3]' or an object; mind the shell's quotes";
        }
        // Data is sound JSON, but not what is wanted.
        let what = match error.classify() {
            Category::Data => "wrong",
            _ => "not JSON",
        };
        Failure::usage(format!(
            "the arguments are {what}: {message} at line {line}, column {column}\n  \
             {line_text}\n  {caret}{hint}"
        ))
    })
}

/// The part of a line around a column, and a caret below it.
fn around(line: &str, column: usize) -> (String, String) {
    const BEFORE: usize = 50;
    // serde_json counts bytes, people see characters.
    let before = line.bytes().take(column.saturating_sub(1)).filter(|b| b & 0xc0 != 0x80).count();
    let skipped = before.saturating_sub(BEFORE);
    let shown: String = line.chars().skip(skipped).take(BEFORE + 25).collect();
    let shown = shown.replace(|c: char| c.is_control(), " ");
    (shown, format!("{}^", " ".repeat(before - skipped)))
}

/// A duration as in the configuration, longer than zero.
pub(crate) fn duration(text: &str) -> Result<Duration, ParseAmountError> {
    amount::parse_positive_duration(text)
}

/// How long a call may take: as [`duration`], and no longer than calls can.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(timeout) if timeout > Deadline::MAX_TIMEOUT => {
            Err(format!("`{text}` is longer than a call may take: write 24h at most"))
        }
        timeout => timeout.map_err(|error| error.to_string()),
    }
}

/// `host:port`; whether the host exists is found out when it is used.
pub(crate) fn address(text: &str) -> Result<String, String> {
    let is_one = text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        !host.is_empty() && !is_bare_v6 && port.parse::<u16>().is_ok()
    });
    match is_one {
        true => Ok(text.to_owned()),
        false => {
            Err(format!("`{text}` is not an address: write HOST:PORT, such as 127.0.0.1:20890"))
        }
    }
}

/// `key=value`; the key is one that HTTP can carry too.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let shown = text.escape_debug();
    let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
        return Err(format!("`{shown}` is not a pair: write KEY=VALUE"));
    };
    if !key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        let key = key.escape_debug();
        return Err(format!("`{key}` is not a key: write letters, digits, `-`, `_` and `.` alone"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_mistake() {
        let (line, caret) = around("[\"é\" 3]", 7);
        assert_eq!(line.chars().nth(caret.chars().count() - 1), Some('3'));
        let long = format!("{}x", " ".repeat(200));
        let (line, caret) = around(&long, 201);
        assert_eq!(line.chars().nth(caret.chars().count() - 1), Some('x'));
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for right in ["127.0.0.1:0", "registry.internal:20890", "[::1]:20890"] {
            assert_eq!(address(right).as_deref(), Ok(right));
        }
        for wrong in ["", "nonsense", ":1", "host:", "host:66000", "::1:20890"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_timeout_that_would_be_cut_is_refused() {
        assert_eq!(timeout("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(
            timeout("25h"),
            Err("`25h` is longer than a call may take: write 24h at most".into())
        );
        assert!(timeout("0s").unwrap_err().contains("longer than zero"));
    }

    #[test]
    fn a_key_of_metadata_is_one_that_travels_everywhere() {
        assert_eq!(pair("X-Tenant_1.a=b=c d"), Ok(("X-Tenant_1.a".into(), "b=c d".into())));
        for wrong in ["a b=c", "a\nb=c", "ä=c"] {
            assert!(pair(wrong).unwrap_err().contains("is not a key"), "{wrong}");
        }
        for wrong in ["a", "=c", ""] {
            assert!(pair(wrong).unwrap_err().contains("write KEY=VALUE"), "{wrong}");
        }
    }

    #[test]
    fn durations_have_a_unit_and_are_not_zero() {
        assert_eq!(duration("300ms"), Ok(Duration::from_millis(300)));
        for wrong in ["", "3", "0s", "s", "1.5s", "99999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
