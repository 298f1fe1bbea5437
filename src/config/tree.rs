//! The whole tree, `Config`, and its small sections.
//!
//! Defaults stand in one `impl Default` for each struct; `docs/configuration.md` lists them and a
//! test compares the two.

use std::fmt;
use std::path::PathBuf;

use rpc_core::Error;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::address::RegistryAddress;
use super::consumer::ConsumerConfig;
use super::origin::Origins;
use super::process::{cache_dir_of_user, runtime_dir_of_user};
use super::provider::ProviderConfig;

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
}

impl Config {
    /// The tree as values; where nothing is set it has null.
    pub(super) fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("every field is written as a string, number, list or map")
    }

    /// Where instances are listed.
    ///
    /// # Errors
    /// No registry is set anywhere.
    pub fn registry_address(&self) -> Result<&RegistryAddress, Error> {
        self.registry.address.as_ref().ok_or_else(|| {
            Error::invalid_config(
                "no registry is set: write address = \"dev://\" into [registry] of the \
                 configuration file, set DUBHE_REGISTRY__ADDRESS, or give the address in code",
            )
        })
    }
}

impl Config {
    /// What the registry is made from.
    pub(crate) fn registry_settings(&self) -> Result<registry::RegistryConfig, Error> {
        let mut settings = registry::RegistryConfig::new(self.registry_address()?.as_str());
        if self.registry.cache {
            settings.cache_dir = self.registry.cache_dir.clone().or_else(cache_dir_of_user);
        }
        settings.runtime_dir = runtime_dir_of_user();
        settings.token = self.registry.token.as_ref().map(|token| token.expose().to_owned());
        Ok(settings)
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

/// `[registry]`: where providers are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RegistryConfig {
    /// `scheme://…`; the scheme chooses the registry. Default: none.
    pub address: Option<RegistryAddress>,
    /// What the registry asks for before it lets anybody in. Default: none.
    pub token: Option<Secret>,
    /// Whether lists are kept on disk, so that a consumer starts without its registry.
    /// Default true.
    pub cache: bool,
    /// Directory of those lists. Default: `dubhe` in the user's cache directory.
    #[serde(serialize_with = "lossy")]
    pub cache_dir: Option<PathBuf>,
}

/// Paths need not be Unicode; what is shown of them is.
fn lossy<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(to)
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { address: None, token: None, cache: true, cache_dir: None }
    }
}

/// A text that is never printed: `Debug`, `Serialize` and [`Config::sources`] show `***`.
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
            Value::String(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("a secret is a text: write it in quotes")),
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
