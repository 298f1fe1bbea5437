//! The settings from which the registries are made.

use rpc_core::Error;

use super::in_force::Config;
use super::loader::{Key, cache_dir_of_user, runtime_dir_of_user};
use super::sections::{AddressPlace, RegistryAddress, RegistryEntry};

impl Config {
    /// Where instances are listed: the first registry, if there are several.
    ///
    /// # Errors
    /// No registry is set anywhere.
    pub fn registry_address(&self) -> Result<&RegistryAddress, Error> {
        self.registry.address.iter().next().ok_or_else(|| {
            Error::invalid_config(
                "no registry is set: write address = \"dev://\" into [registry] of the \
                 configuration file, set DUBHE_REGISTRY__ADDRESS, or give the address in code",
            )
        })
    }

    /// The settings of the registries, at least one, each with the key of its address.
    pub(crate) fn registry_settings(
        &self,
    ) -> Result<Vec<(String, registry::RegistryParams)>, Error> {
        self.registry_address()?;
        let cache_dir = || self.registry.cache_dir.clone().or_else(cache_dir_of_user);
        let cache_dir = self.registry.cache.then(cache_dir).flatten();
        let settings = |entry: &RegistryEntry| {
            let mut settings = registry::RegistryParams::new(entry.address.as_str());
            let token = entry.token.as_ref().or(self.registry.token.as_ref());
            settings.token = token.map(|token| token.expose().to_owned());
            settings.cache_dir.clone_from(&cache_dir);
            settings.runtime_dir = runtime_dir_of_user();
            let application = Some(&self.application.name).filter(|name| !name.is_empty());
            settings.application = application.cloned();
            settings.zone = entry.zone.clone().or_else(|| self.registry.zone.clone());
            (key_of(entry).to_string(), settings)
        };
        Ok(self.registry.address.entries().iter().map(settings).collect())
    }

    /// The addresses of the registries, each with its key.
    pub(super) fn registry_keys(&self) -> impl Iterator<Item = (&RegistryAddress, Key)> {
        self.registry.address.entries().iter().map(|entry| (&entry.address, key_of(entry)))
    }
}

fn key_of(registered: &RegistryEntry) -> Key {
    let key = Key::dotted("registry.address");
    match registered.place {
        AddressPlace::Alone => key,
        AddressPlace::Item(index) => key.item(index),
        AddressPlace::Table(index) => key.item(index).child("address"),
    }
}
