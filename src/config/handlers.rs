//! Settings in force for the services of a provider: those of a method go before those of its
//! service, those of a service's whole key before those of its interface, and these before the
//! general ones.

use std::time::Duration;

use rpc_core::{AccessLog, Error, ServiceKey};

use super::in_force::Config;
use super::loader::Key;
use super::method::Decided;
use super::sections::{Gate, InstanceOverrides, Selector};

impl Config {
    /// The settings of the instances of `service`: of its whole key, else of its interface, else
    /// those of all.
    pub(crate) fn instance(&self, service: &ServiceKey) -> (u32, Duration) {
        let found = || self.served(service).map(|(_, own)| own);
        let weight = found().find_map(|own| own.weight);
        let warmup = found().find_map(|own| own.warmup);
        (weight.unwrap_or(self.provider.weight), warmup.unwrap_or(self.provider.warmup))
    }

    /// Whether the instances of `service` publish that they are to get no call.
    pub(crate) fn is_disabled(&self, service: &ServiceKey) -> bool {
        let own = self.served(service).find_map(|(_, own)| own.disabled);
        own.unwrap_or(self.provider.disabled)
    }

    /// The filters around the handler of `method` (its name on the wire) of `service`.
    pub(crate) fn handler_filters(
        &self,
        service: &ServiceKey,
        method: &str,
    ) -> Decided<Vec<Selector>> {
        let of_method = self.served(service).find_map(|(section, own)| {
            let filters = own.methods.get(method)?.filters.clone()?;
            Some((section.child("methods").child(method), 2, filters))
        });
        let of_service = || {
            self.served(service).find_map(|(section, own)| Some((section, 1, own.filters.clone()?)))
        };
        let (section, level, filters) = of_method
            .or_else(of_service)
            .unwrap_or_else(|| (Key::dotted("provider"), 0, self.provider.filters.clone()));
        self.decided(&section.child("filters"), level, filters)
    }

    /// Whether the calls of a method may be limited: as set for the method, its service, or all.
    pub(crate) fn gate(&self, service: &ServiceKey, method: &str) -> Gate {
        let own = self.served(service).find_map(|(_, own)| own.methods.get(method)?.gate);
        let own = own.or_else(|| self.served(service).find_map(|(_, own)| own.gate));
        own.unwrap_or(self.provider.gate)
    }

    /// Which calls of a method are written to the access log: as set for the method, its service,
    /// or all.
    pub(crate) fn access_log(&self, service: &ServiceKey, method: &str) -> AccessLog {
        let own = self.served(service).find_map(|(_, own)| own.methods.get(method)?.access_log);
        let own = own.or_else(|| self.served(service).find_map(|(_, own)| own.access_log));
        own.unwrap_or(self.provider.access_log)
    }

    /// Checks that every method that is configured for `service` is among `methods`.
    ///
    /// # Errors
    /// A method that does not exist, with its place and the known ones.
    pub(crate) fn check_handlers<'a>(
        &self,
        service: &ServiceKey,
        methods: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<(), Error> {
        for (section, own) in self.served(service) {
            self.check_names(&section.child("methods"), own.methods.keys(), methods.clone())?;
        }
        Ok(())
    }

    /// The sections for `service`: that of its whole key, then that of its interface.
    fn served<'a>(
        &'a self,
        service: &ServiceKey,
    ) -> impl Iterator<Item = (Key, &'a InstanceOverrides)> + use<'a> {
        let interface = ServiceKey::new(service.interface());
        let is_same = interface == *service;
        let names = [Some(service.clone()), (!is_same).then_some(interface)].into_iter().flatten();
        let section = Key::dotted("provider.services");
        names.filter_map(move |name| {
            let own = self.provider.services.get(&name)?;
            Some((section.child(name.as_str()), own))
        })
    }

    /// Checks that every service in `[provider.services]` is served.
    ///
    /// # Errors
    /// A service that is not, with its place and the known ones.
    pub(crate) fn check_served(&self, served: &[ServiceKey]) -> Result<(), Error> {
        let section = Key::dotted("provider.services");
        for name in self.provider.services.keys() {
            let is_name = |key: &&ServiceKey| *key == name || key.interface() == name.as_str();
            if !served.iter().any(|key| is_name(&key)) {
                // Either names a section.
                let known = served.iter().flat_map(|key| match key.interface() {
                    interface if interface == key.as_str() => vec![interface],
                    interface => vec![interface, key.as_str()],
                });
                let error =
                    Error::unknown_service("service in [provider.services]", name.as_str(), known);
                return Err(error.at(self.origins.of_section(&section.child(name.as_str()))));
            }
        }
        Ok(())
    }
}
