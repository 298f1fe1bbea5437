//! Which settings a call gets: the most specific level that is set wins.
//!
//! Sources are merged key by key before, so the order is: method over service over `[consumer]`,
//! whichever source set them; then the attribute on the trait; then the default. A strong source
//! thus overrides the same key of a weaker one, never a more specific key.

use std::time::Duration;

use rpc_core::descriptor::MethodDescriptor;
use rpc_core::{Error, ServiceKey};

use super::consumer::{CallOverrides, ServiceOverrides};
use super::key::Key;
use super::origin::{Origin, Strength};
use super::selector::Selector;
use super::tree::Config;

/// What the attribute on the trait sets for a method.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MethodDefaults {
    /// How long a call may take in all.
    pub timeout: Option<Duration>,
    /// How often a call may be sent again.
    pub retries: Option<u32>,
    /// Cluster policy.
    pub cluster: Option<Selector>,
}

impl From<&MethodDescriptor> for MethodDefaults {
    fn from(method: &MethodDescriptor) -> Self {
        Self {
            timeout: method.timeout,
            retries: method.retries,
            cluster: method.cluster.map(Selector::new),
        }
    }
}

/// A value in force, and what decided it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided<T> {
    /// The value.
    pub value: T,
    /// The key it stands at, as TOML writes it.
    pub key: String,
    /// Who set it.
    pub origin: Origin,
    /// How it compares with other settings of the same method.
    pub strength: Strength,
}

/// The settings of the calls of one method.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MethodConfig {
    /// How long a call may take in all, retries included.
    pub timeout: Decided<Duration>,
    /// How often a call may be sent again.
    pub retries: Decided<u32>,
    /// Cluster policy.
    pub cluster: Decided<Selector>,
    /// Load balancer.
    pub loadbalance: Decided<Selector>,
    /// Codec to prefer, by name.
    pub codec: Decided<String>,
}

/// A level above `[consumer]` that is in force for a method, and where it stands.
type Level<'a> = (Key, &'a CallOverrides);

impl Config {
    /// The settings of the calls of `method` (its name on the wire) of `service`.
    ///
    /// Services are configured by their whole key or by their interface; the former is stronger.
    #[must_use]
    pub fn method(
        &self,
        service: &ServiceKey,
        method: &str,
        attribute: &MethodDefaults,
    ) -> MethodConfig {
        let levels = self.levels(service, method);
        let at = |name| Place { config: self, levels: &levels, name };
        let all = &self.consumer;
        MethodConfig {
            timeout: at("timeout").decide(|c| c.timeout, &all.timeout, attribute.timeout),
            retries: at("retries").decide(|c| c.retries, &all.retries, attribute.retries),
            cluster: at("cluster").decide(
                |c| c.cluster.clone(),
                &all.cluster,
                attribute.cluster.clone(),
            ),
            loadbalance: at("loadbalance").decide(
                |c| c.loadbalance.clone(),
                &all.loadbalance,
                None,
            ),
            codec: at("codec").decide(|c| c.codec.clone(), &all.codec, None),
        }
    }

    /// The overrides for a method, the most specific first.
    fn levels(&self, service: &ServiceKey, method: &str) -> Vec<Level<'_>> {
        let services: Vec<(Key, &ServiceOverrides)> = self.services(service).collect();
        let methods = services.iter().filter_map(|(key, service)| {
            let overrides = service.methods.get(method)?;
            Some((key.child("methods").child(method), overrides))
        });
        let whole = services.iter().map(|(key, service)| (key.clone(), &service.call));
        methods.chain(whole).collect()
    }

    fn services<'a>(
        &'a self,
        service: &ServiceKey,
    ) -> impl Iterator<Item = (Key, &'a ServiceOverrides)> + use<'a> {
        let interface = ServiceKey::new(service.interface());
        let mut names = vec![service.clone()];
        if interface != *service {
            names.push(interface);
        }
        let section = Key::dotted("consumer.services");
        names.into_iter().filter_map(move |name| {
            let overrides = self.consumer.services.get(&name)?;
            Some((section.child(name.as_str()), overrides))
        })
    }

    /// Whether every method that is configured for `service` is among `methods`.
    ///
    /// # Errors
    /// A method that does not exist, with its place and the known ones.
    pub fn check_methods<'a>(
        &self,
        service: &ServiceKey,
        methods: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<(), Error> {
        for (key, overrides) in self.services(service) {
            for name in overrides.methods.keys() {
                if !methods.clone().into_iter().any(|known| known == name) {
                    let section = key.child("methods");
                    let kind = format!("method in [{section}]");
                    let error = Error::unknown_name(&kind, name, methods);
                    return Err(error.at(self.origins.first_in(&section.child(name))));
                }
            }
        }
        Ok(())
    }
}

/// A key of a call, looked for level by level.
struct Place<'a> {
    config: &'a Config,
    levels: &'a [Level<'a>],
    name: &'static str,
}

impl Place<'_> {
    fn decide<T: Clone>(
        &self,
        of: impl Fn(&CallOverrides) -> Option<T>,
        for_all: &T,
        attribute: Option<T>,
    ) -> Decided<T> {
        for (wider, (section, overrides)) in self.levels.iter().rev().enumerate().rev() {
            if let Some(value) = of(overrides) {
                return self.decided(section, wider + 1, value);
            }
        }
        let for_all = self.decided(&Key::dotted("consumer"), 0, for_all.clone());
        match attribute {
            Some(value) if for_all.origin == Origin::Default => {
                let strength = Strength::new(0, &Origin::Attribute);
                Decided { value, origin: Origin::Attribute, strength, ..for_all }
            }
            _ => for_all,
        }
    }

    fn decided<T>(&self, section: &Key, level: usize, value: T) -> Decided<T> {
        let key = section.child(self.name);
        let origin = self.config.origins.of(&key).clone();
        let strength = Strength::new(level, &origin);
        Decided { value, origin, strength, key: key.to_string() }
    }
}
