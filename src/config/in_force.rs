//! The whole configuration: its sections with the values in force, and where each comes from.

use rpc_core::{Error, ServiceKey};
use serde::Serialize;

use super::loader::{
    self, Key, Loaded, Origin, Origins, Overruled, Setting, Sources, leaves, to_value,
};
use super::sections::{ApplicationConfig, ConsumerConfig, ProviderConfig, RegistryConfig, Tree};

/// Every setting with its value in force, and where each was set.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
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
    overruled: Overruled,
}

impl Config {
    /// Checks every source and merges them.
    ///
    /// # Errors
    /// The first key that does not exist or value that is not possible, with its place.
    pub fn load(sources: Sources) -> Result<Self, Error> {
        let Loaded { sections, origins, overruled } = loader::load::<Tree>(sources)?;
        let Tree { application, registry, provider, consumer } = sections;
        Ok(Self { application, registry, provider, consumer, origins, overruled })
    }

    /// The settings in which file and environment contradict the code.
    pub(crate) fn overruled(&self) -> &Overruled {
        &self.overruled
    }

    /// Whether `key`, such as `provider.port`, is at its default.
    pub(crate) fn is_default(&self, key: &str) -> bool {
        *self.origins.of(&Key::dotted(key)) == Origin::Default
    }

    /// Puts the place of `key`, or of the part of its value that `error` is about, in front of
    /// `error`.
    pub(crate) fn blame(&self, key: &str, error: Error) -> Error {
        self.origins.blame(&Key::dotted(key), error)
    }

    /// What rules of config centres order for calls of `service`.
    pub(crate) fn ordered(&self, service: &ServiceKey) -> Vec<Setting> {
        let section = format!("{}.", Key::of(["consumer", "services", service.as_str()]));
        let is_ordered = |setting: &Setting| {
            matches!(setting.origin, Origin::ConfigCenter { .. })
                && setting.key.starts_with(&section)
        };
        self.sources().into_iter().filter(is_ordered).collect()
    }

    /// Every key that has a value, sorted by section, with where that value comes from. The name
    /// and the parameters of an extension are listed one by one.
    #[must_use]
    pub fn sources(&self) -> Vec<Setting> {
        let tree = to_value(self);
        let set = leaves(&tree).into_iter().filter(|(_, value)| !value.is_null());
        set.map(|(key, value)| Setting {
            value: value.to_string(),
            origin: self.origins.of(&key).clone(),
            key: key.to_string(),
        })
        .collect()
    }
}
