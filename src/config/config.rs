//! The whole tree, `Config`, and its small sections.
//!
//! Defaults stand in one `impl Default` for each struct; `docs/configuration.md` lists them and a
//! test compares the two.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::consumer::ConsumerConfig;
use super::origin::Origins;
use super::overruled::Overruled;
use super::provider::ProviderConfig;
use super::registry::RegistryConfig;

/// Every setting with its value in force, and where each was set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// `[application]`
    pub application: ApplicationConfig,
    /// `[registry]`
    pub registry: RegistryConfig,
    /// `[provider]`
    pub provider: ProviderConfig,
    /// `[consumer]`
    pub consumer: ConsumerConfig,
    #[serde(skip)]
    pub(super) origins: Origins,
    #[serde(skip)]
    pub(super) overruled: Overruled,
}

impl Config {
    /// Where file and environment contradict the code.
    pub(crate) fn overruled(&self) -> &Overruled {
        &self.overruled
    }

    /// The tree as values; where nothing is set it has null.
    pub(super) fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("every field is written as a string, number, list or map")
    }
}

/// `[application]`: whose process this is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ApplicationConfig {
    /// Name of the application, as registries and peers show it. Default: none.
    pub name: String,
}

/// A token, not empty, that is never printed: `Debug`, `Serialize` and [`Config::sources`] show `***`.
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
            // Such as `--token "$UNSET"`: nobody means a registry that is open to all by that.
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
