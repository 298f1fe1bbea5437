//! A token that is never shown.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A token, not empty, that is never printed: `Debug`, `Serialize` and
/// [`Config::sources`](crate::config::Config::sources) show `***`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            // Such as `--token "$UNSET"`, which is not meant to open a registry to everyone.
            Value::String(text) if text.is_empty() => {
                Err(D::Error::custom("the token is empty: write one, or leave it away"))
            }
            Value::String(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("a token is a text: write it in quotes")),
        }
    }
}

impl From<Secret> for String {
    fn from(_: Secret) -> Self {
        "***".to_owned()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
