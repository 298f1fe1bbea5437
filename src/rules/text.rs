//! The text of a rule as values: YAML, or JSON, which needs no feature.
//!
//! The text comes from outside, so its length, depth and what its aliases grow to are bounded.

use rpc_core::Error;
use serde_json::Value;

/// Longest text of a rule, in bytes.
const MAX_TEXT: usize = 256 * 1024;

/// Deepest nesting of a rule; the formats need six levels.
#[cfg(feature = "yaml")]
const MAX_DEPTH: usize = 32;

/// Most values of a rule, those that aliases repeat among them.
#[cfg(feature = "yaml")]
const MAX_VALUES: usize = 100_000;

/// The values in the text of a rule.
///
/// # Errors
/// It is too long or too deep, or malformed, with line and column.
pub(super) fn values(text: &str) -> Result<Value, Error> {
    if text.len() > MAX_TEXT {
        let told = format!("it has {} bytes and may have {MAX_TEXT}: split it", text.len());
        return Err(Error::invalid_config(told));
    }
    if text.trim_start().starts_with(['{', '[']) {
        match serde_json::from_str(text) {
            Ok(values) => return Ok(values),
            // YAML may begin so, too.
            Err(error) if cfg!(not(feature = "yaml")) => {
                return Err(Error::invalid_config(format!("it is malformed: {error}")));
            }
            Err(_) => {}
        }
    }
    yaml(text)
}

#[cfg(feature = "yaml")]
fn yaml(text: &str) -> Result<Value, Error> {
    let mut budget = serde_saphyr::Budget::default();
    budget.max_depth = MAX_DEPTH;
    budget.flow_nesting_limit = MAX_DEPTH;
    budget.max_events = MAX_VALUES;
    budget.max_nodes = MAX_VALUES;
    budget.max_recorded_anchor_events = MAX_VALUES;
    let mut options = serde_saphyr::Options::default();
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = MAX_VALUES;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(|at| format!("{}:{}: ", at.line(), at.column()));
        let why = error.without_snippet().to_string();
        // The first line; what follows shows the text. The place stands in front, and options of the
        // parser are no remedy for people who write rules.
        let why = why.lines().next().unwrap_or_default();
        let why = [" at line ", ", set "]
            .iter()
            .fold(why, |why, end| why.split_once(end).map_or(why, |(before, _)| before));
        let budget = format!(
            "it has more than {MAX_VALUES} values, those that its aliases repeat among them, or more \
             than {MAX_DEPTH} levels: split it, or write it without aliases"
        );
        let is_budget = why.starts_with("budget") || why.contains("replay");
        let why = if is_budget { &budget } else { why };
        let (place, why) = (place.unwrap_or_default(), super::fields::printable(why));
        Error::invalid_config(format!("{place}it is malformed: {why}"))
    })
}

#[cfg(not(feature = "yaml"))]
fn yaml(_: &str) -> Result<Value, Error> {
    Err(Error::invalid_config(
        "it is YAML, which this program cannot read: build it with the feature `yaml`, or write the \
         rule as JSON",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_read_without_a_feature() {
        assert_eq!(values(r#" {"a": [1, "b"]}"#).unwrap(), json!({ "a": [1, "b"] }));
        assert_eq!(values(r#"["override://0.0.0.0"]"#).unwrap(), json!(["override://0.0.0.0"]));
        assert!(values("{").unwrap_err().to_string().contains("it is malformed"));
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_unread() {
        let error = values(&" ".repeat(MAX_TEXT + 1)).unwrap_err().to_string();
        assert!(error.contains("262145 bytes and may have 262144"), "{error}");
    }

    #[cfg(feature = "yaml")]
    #[test]
    fn yaml_is_read_with_its_short_forms() {
        let read = values("a: 3000\nb.c: \"x\"\nd: [10.0.0.1, {e: yes}]\nf: ~\n{}: 1").unwrap_err();
        assert!(read.to_string().contains("it is malformed"), "{read}");
        let read = values("a: 3000\nb.c: \"x\"\nd: [10.0.0.1, {e: true}]\nf: ~\n").unwrap();
        let expected =
            json!({ "a": 3000, "b.c": "x", "d": ["10.0.0.1", { "e": true }], "f": null });
        assert_eq!(read, expected);
    }

    #[cfg(feature = "yaml")]
    #[test]
    fn what_is_malformed_is_told_with_its_place_in_one_line() {
        for text in ["a: [1\nb: 2", "a: 1\na: 2", "a:\n\t- b", "a: *b", "\u{0}", "--- a\n--- b"] {
            let error = values(text).unwrap_err().to_string();
            assert!(error.contains("it is malformed"), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let error = values("a: 1\na: 2").unwrap_err().to_string();
        // With neither the place again nor the options of the parser.
        assert_eq!(error, "2:1: it is malformed: duplicate mapping key: a");
        let error = values("a: [").unwrap_err().to_string();
        assert_eq!(error, "1:4: it is malformed: unclosed bracket '['");
    }

    #[cfg(feature = "yaml")]
    #[test]
    fn aliases_and_depth_take_neither_memory_nor_the_stack() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let last = format!("*a{}, ", level - 1).repeat(10);
            bomb += &format!("a{level}: &a{level} [{last}]\n");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let steps: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        for text in [bomb, deep, steps] {
            let error = values(&text).unwrap_err().to_string();
            assert!(error.contains("malformed"), "{error}");
            assert!(!error.contains("udget") && !error.contains("Events"), "{error}");
        }
    }
}
