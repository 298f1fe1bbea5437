//! Reads settings into types: serde, with the place inside and in words for people.
//!
//! What a derived `Deserialize` expects is said without the names of Rust's types, which mean
//! nothing to the author of a file. A name that a struct does not have is an error whether or not
//! the struct says `deny_unknown_fields`; one below `#[serde(flatten)]` is not seen.

mod read;
mod words;

use std::fmt;

use serde::de::{self, DeserializeOwned, Expected, Unexpected};
use serde_json::Value;

use self::read::Node;
use crate::error::Error;

/// Reads `value` into a `T`.
///
/// # Errors
/// The first thing that does not fit, where it is and what would.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, SettingError> {
    T::deserialize(Node::new(value))
}

/// The reason why a value does not fit, and its place inside the value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// The innermost first.
    path: Vec<String>,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// A name that its section does not have, and those it has.
    Unknown {
        name: String,
        known: &'static [&'static str],
    },
    Wrong(String),
}

impl SettingError {
    fn new(problem: Problem) -> Self {
        Self { path: Vec::new(), problem }
    }

    fn wrong(message: impl Into<String>) -> Self {
        Self::new(Problem::Wrong(message.into()))
    }

    fn unknown(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(Problem::Unknown { name: name.to_owned(), known })
    }

    fn inside(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }

    /// Converts it into a set-up error that knows its place inside the value; `kind` says what an
    /// unknown name should be, such as `parameter of forking`.
    #[must_use]
    pub fn into_error(self, kind: &str) -> Error {
        let error = match self.problem {
            Problem::Unknown { name, known } => {
                Error::unknown_name(kind, &name, known.iter().copied())
            }
            Problem::Wrong(message) => Error::invalid_config(message),
        };
        self.path.into_iter().fold(error, |error, step| error.in_parameter(&step))
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.clone().into_error("name"), f)
    }
}

impl std::error::Error for SettingError {}

impl de::Error for SettingError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::wrong(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wrong(words::mismatch(found, &expected.to_string()))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::wrong(format!("{length} elements do not fit: expected {expected}"))
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::wrong(Error::unknown_name("choice", name, known.iter().copied()).to_string())
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::unknown(name, known)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::wrong(format!("`{name}` is missing: write {{ {name} = … }}"))
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::wrong(format!("`{name}` is there twice"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Sample {
        port: u16,
        #[serde(rename = "half")]
        _half: f32,
        #[serde(rename = "on")]
        _on: bool,
        #[serde(rename = "name")]
        _name: Option<String>,
        list: Vec<usize>,
        #[serde(rename = "inner")]
        _inner: BTreeMap<String, Self>,
        #[serde(rename = "choice")]
        _choice: Option<Choice>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Choice {
        Red,
        Green { shade: u8 },
    }

    fn message(value: Value) -> String {
        read::<Sample>(value).unwrap_err().into_error("parameter of sample").to_string()
    }

    #[test]
    fn what_fits_is_read() {
        let value = json!({
            "port": 7, "half": 1, "on": true, "name": null, "list": [1, 2],
            "inner": { "x": { "choice": { "green": { "shade": 3 } } } }, "choice": "red",
        });
        let sample: Sample = read(value).unwrap();
        assert_eq!((sample.port, sample.list), (7, vec![1, 2]));
        let Some(Choice::Green { shade }) = sample._inner["x"]._choice else { panic!("green") };
        assert_eq!(shade, 3);
        assert!(matches!(sample._choice, Some(Choice::Red)));
    }

    // Long because it is one table of what is written and what is told of it.
    #[test]
    fn what_does_not_fit_is_told_in_words_with_its_place() {
        for (value, told) in [
            (
                json!({ "port": 65_536 }),
                "port: 65536 is out of range: write a whole number from 0 to 65535",
            ),
            (
                json!({ "port": -1 }),
                "port: -1 is out of range: write a whole number from 0 to 65535",
            ),
            (json!({ "port": 1.5 }), "port: 1.5 is not a whole number: write one from 0 to 65535"),
            (
                json!({ "port": null }),
                "port: null is not a whole number: write one from 0 to 65535",
            ),
            (
                json!({ "port": [] }),
                "port: a list is not a whole number: write one from 0 to 65535",
            ),
            (
                json!({ "port": "x" }),
                "port: \"x\" is not a whole number: write one from 0 to 65535",
            ),
            (
                json!({ "port": "7" }),
                "port: \"7\" is not a whole number: write one from 0 to 65535, without quotes",
            ),
            (json!({ "half": true }), "half: true is not a number: write one such as 0.5"),
            (
                json!({ "on": "yes" }),
                "on: \"yes\" is neither true nor false: write one of them, without quotes",
            ),
            (json!({ "name": 3 }), "name: 3 is not a text: write it in quotes"),
            (json!({ "name": {} }), "name: a table is not a text: write one in quotes"),
            (json!({ "list": 3 }), "list: 3 is not a list: write [3]"),
            (
                json!({ "list": [0, -1] }),
                "list[1]: -1 is out of range: write a whole number from 0 on",
            ),
            (json!({ "inner": "x" }), "inner: \"x\" is not a table: write { … }"),
            (
                json!({ "inner": { "a": { "port": true } } }),
                "inner.a.port: true is not a whole number: write one from 0 to 65535",
            ),
            (
                json!({ "choice": "rde" }),
                "choice: unknown choice `rde` (did you mean `red`?), available: red, green",
            ),
            (
                json!({ "choice": { "green": {} } }),
                "choice.green: `shade` is missing: write { shade = … }",
            ),
            (
                json!({ "choice": { "green": { "shade": 1 }, "red": null } }),
                "choice: a choice has one name, not 2: write { NAME = … }",
            ),
        ] {
            assert_eq!(message(value.clone()), told, "{value}");
        }
        assert_eq!(message(json!([1])), "a list is not a table: write { … }");
    }

    #[test]
    fn keys_of_maps_are_read_as_what_they_are_declared() {
        #[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
        struct Name(String);

        #[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
        #[serde(rename_all = "lowercase")]
        enum Colour {
            Red,
        }

        fn keys<K: DeserializeOwned + Ord>(names: Value) -> Result<Vec<K>, String> {
            let read = read::<BTreeMap<K, u8>>(names);
            let told = |error: SettingError| error.into_error("name").to_string();
            read.map(|map| map.into_keys().collect()).map_err(told)
        }

        assert_eq!(keys::<u16>(json!({ "1": 0, "65535": 0 })), Ok(vec![1, 65_535]));
        assert_eq!(keys::<i8>(json!({ "-1": 0 })), Ok(vec![-1]));
        assert_eq!(keys::<bool>(json!({ "true": 0 })), Ok(vec![true]));
        assert_eq!(keys::<char>(json!({ "x": 0 })), Ok(vec!['x']));
        assert_eq!(keys::<Name>(json!({ "a.b": 0 })), Ok(vec![Name("a.b".to_owned())]));
        assert_eq!(keys::<Colour>(json!({ "red": 0 })), Ok(vec![Colour::Red]));
        assert_eq!(keys::<Option<u16>>(json!({ "7": 0 })), Ok(vec![Some(7)]));
        for (key, told) in [
            ("x", "x: \"x\" is not a whole number: write one from 0 to 65535"),
            ("01", "01: \"01\" is not a whole number: write one from 0 to 65535"),
            ("65536", "65536: 65536 is out of range: write a whole number from 0 to 65535"),
            ("-1", "-1: -1 is out of range: write a whole number from 0 to 65535"),
        ] {
            assert_eq!(keys::<u16>(json!({ key: 0 })), Err(told.to_owned()));
        }
        assert_eq!(
            keys::<bool>(json!({ "yes": 0 })).unwrap_err(),
            "yes: \"yes\" is neither true nor false: write one of them"
        );
        assert_eq!(
            keys::<Colour>(json!({ "rde": 0 })).unwrap_err(),
            "rde: unknown choice `rde` (did you mean `red`?), available: red"
        );
    }

    #[test]
    fn a_list_that_is_longer_than_what_is_read_from_it_is_refused() {
        assert_eq!(read::<(u8, u8)>(json!([1, 2])), Ok((1, 2)));
        let told = |value| read::<(u8, u8)>(value).unwrap_err().to_string();
        assert_eq!(told(json!([1, 2, 3])), "3 elements do not fit: write 2");
        assert_eq!(told(json!([1])), "1 elements do not fit: expected a tuple of size 2");
        let told = read::<BTreeMap<String, [u8; 1]>>(json!({ "a": [1, 2] })).unwrap_err();
        assert_eq!(told.to_string(), "a: 2 elements do not fit: write 1");
    }

    #[test]
    fn a_field_that_takes_anything_is_no_unknown_name() {
        use serde::de::IgnoredAny;

        #[derive(Debug, Deserialize)]
        struct Loose {
            #[serde(rename = "old")]
            _old: Option<IgnoredAny>,
            #[serde(rename = "older")]
            _older: IgnoredAny,
        }

        assert!(read::<Loose>(json!({ "old": [1], "older": { "x": 1 } })).is_ok());
        let told = read::<Loose>(json!({ "oldr": 1, "older": 1 })).unwrap_err().to_string();
        assert!(told.starts_with("unknown name `oldr`"), "{told}");
    }

    #[test]
    fn an_unknown_name_is_refused_even_where_the_struct_would_ignore_it() {
        let told = "unknown parameter of sample `prot` (did you mean `port`?), \
                    available: port, half, on, name, list, inner, choice";
        assert_eq!(message(json!({ "prot": 1 })), told);
        assert_eq!(message(json!({ "inner": { "a": { "prot": 1 } } })), format!("inner.a: {told}"));
    }
}
