//! JSON as other implementations write it: key names in any case, numbers as text and the reverse.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Largest JSON text that is read, in bytes.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// An object whose keys are found in any case: Go's etcd registry writes `ServiceName`, Java's
/// `serviceName`.
#[derive(Debug, Clone, Copy)]
pub(super) struct LooseObject<'a>(&'a Map<String, Value>);

/// Reads a text that must be an object.
pub(super) fn read_object(text: &[u8]) -> Result<Map<String, Value>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it has {} bytes and may have {MAX_BYTES}", text.len()));
    }
    if text.is_empty() {
        return Err("it has no value, or none that we may read".to_owned());
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("it is not a JSON object".to_owned()),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

impl<'a> LooseObject<'a> {
    pub(super) fn new(object: &'a Map<String, Value>) -> Self {
        Self(object)
    }

    fn value(self, key: &str) -> Option<&'a Value> {
        let any_case = || self.0.iter().find(|(found, _)| found.eq_ignore_ascii_case(key));
        self.0.get(key).or_else(|| any_case().map(|(_, value)| value))
    }

    /// The text of a key, or the empty string.
    pub(super) fn text(self, key: &str) -> &'a str {
        self.value(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The number of a key; 0 for what is none.
    pub(super) fn number(self, key: &str) -> i64 {
        match self.value(key) {
            Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
            Some(Value::String(text)) => text.parse().unwrap_or(0),
            _ => 0,
        }
    }

    /// Whether the key is said to be false.
    pub(super) fn is_false(self, key: &str) -> bool {
        matches!(self.value(key), Some(Value::Bool(false)))
    }

    pub(super) fn object(self, key: &str) -> Option<&'a Map<String, Value>> {
        self.value(key).and_then(Value::as_object)
    }

    /// An object of texts; values that are neither text, number nor truth value are left out.
    pub(super) fn texts(self, key: &str) -> BTreeMap<String, String> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(bool) => Some(bool.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let entries = self.object(key).into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
    }
}
