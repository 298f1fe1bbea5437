//! Values of a rule, read with their place, so that a mistake is told where it is.

use rpc_core::Error;
use serde_json::{Map, Value};

/// The fields of an object of a rule, and its place in the text, such as `configs[0].match`.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    place: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of the object at `place`.
    pub(super) fn of(value: &'a Value, place: impl Into<String>) -> Result<Self, Error> {
        let place = place.into();
        match value {
            Value::Object(map) => Ok(Self { place, map }),
            other => Err(wrong(&place, other, "an object with keys")),
        }
    }

    /// The place of `key` in the text.
    pub(super) fn at(&self, key: &str) -> String {
        match self.place.is_empty() {
            true => key.to_owned(),
            false => format!("{}.{key}", self.place),
        }
    }

    /// The value of `key`; null counts as absent.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Every key with its value.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        self.map.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The text at `key`; a number or a truth value is taken as it is written.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        scalar(value).map(Some).ok_or_else(|| wrong(&self.at(key), value, "a text"))
    }

    /// The truth value at `key`.
    pub(super) fn truth(&self, key: &str) -> Result<Option<bool>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let truth = scalar(value).and_then(|text| text.parse().ok());
        truth.map(Some).ok_or_else(|| wrong(&self.at(key), value, "true or false"))
    }

    /// The texts at `key`, which may be one alone; none if there are none.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, Error> {
        let is = "a list of texts";
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        match value {
            Value::Array(list) => {
                let text = |(at, value): (usize, &Value)| {
                    scalar(value)
                        .ok_or_else(|| wrong(&format!("{}[{at}]", self.at(key)), value, "a text"))
                };
                list.iter().enumerate().map(text).collect()
            }
            one => Ok(vec![scalar(one).ok_or_else(|| wrong(&self.at(key), one, is))?]),
        }
    }

    /// The object at `key`.
    pub(super) fn section(&self, key: &str) -> Result<Option<Self>, Error> {
        self.value(key).map(|value| Self::of(value, self.at(key))).transpose()
    }

    /// The objects in the list at `key`.
    pub(super) fn sections(&self, key: &str) -> Result<Vec<Self>, Error> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => {
                let place = |at| format!("{}[{at}]", self.at(key));
                list.iter().enumerate().map(|(at, value)| Self::of(value, place(at))).collect()
            }
            Some(other) => Err(wrong(&self.at(key), other, "a list")),
        }
    }

    /// Checks that it has no other keys, of the kind `kind`: an unknown condition would be passed
    /// over, and the rule hold for more than was meant.
    pub(super) fn expect_only(&self, kind: &str, known: &[&str]) -> Result<(), Error> {
        match self.unknown(known).next() {
            None => Ok(()),
            Some(key) => {
                let kind = match self.place.is_empty() {
                    true => kind.to_owned(),
                    false => format!("{kind} in {}", self.place),
                };
                Err(Error::unknown_name(&kind, key, known.iter().copied()))
            }
        }
    }

    /// The keys that are not among `known`.
    pub(super) fn unknown(&self, known: &[&str]) -> impl Iterator<Item = &'a str> {
        self.map.keys().map(String::as_str).filter(|key| !known.contains(key))
    }
}

/// The text of a value that is one.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The error of a value at `place` that is not `expected`.
pub(super) fn wrong(place: &str, value: &Value, expected: &str) -> Error {
    let shown = scalar(value).unwrap_or_else(|| value.to_string());
    let shown: String = shown.chars().take(100).collect();
    let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
    Error::invalid_config(format!("{place}`{}` is not {expected}", printable(&shown)))
}

/// The text without what a terminal acts on; its quotes stay as they are.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for c in text.chars() {
        match c {
            '"' | '\'' => printable.push(c),
            c => printable.extend(c.escape_debug()),
        }
    }
    printable
}
