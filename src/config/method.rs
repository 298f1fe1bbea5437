//! The settings in force for a call: the most specific level that is set wins.
//!
//! Sources have been merged key by key before. So the order is: method over service over
//! `[consumer]`, whichever source set them; then the attribute on the trait; then the default. A
//! strong source overrides the same key of a weaker one, but never a more specific key.

use std::collections::BTreeSet;
use std::time::Duration;

use rpc_core::amount::show_duration;
use rpc_core::descriptor::MethodDescriptor;
use rpc_core::{AccessLog, Error, ServiceKey, TraceForwarding, nearest_service};
use serde_json::{Value, json};

use super::in_force::Config;
use super::loader::{Key, Origin, Setting, Strength};
use super::sections::{
    CallOverrides, CallScope, ConsumerConfig, MethodOverrides, Selector, ServiceOverrides,
};

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

/// A value in force, and the setting that decided it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided<T> {
    /// The value.
    pub value: T,
    /// Its key, as TOML writes it.
    pub key: String,
    /// Who set it.
    pub origin: Origin,
    /// How it compares with other settings of the same method.
    pub strength: Strength,
}

/// A list of extensions in force.
pub(crate) type DecidedList = Decided<Vec<Selector>>;

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
    /// Routers, in their order.
    pub routers: Decided<Vec<Selector>>,
    /// Filters around each call, the first outermost.
    pub filters: Decided<Vec<Selector>>,
    /// Filters around each attempt, the first outermost.
    pub attempt_filters: Decided<Vec<Selector>>,
    /// Codec to prefer, by name.
    pub codec: Decided<String>,
    /// Which calls are written to the access log.
    pub access_log: Decided<AccessLog>,
    /// How much of its trace context a call passes on.
    pub trace_context: Decided<TraceForwarding>,
}

impl MethodConfig {
    /// The timeout and its origin in one line: `consumer.timeout = 1s (default)`.
    pub(crate) fn timeout_set_by(&self) -> String {
        let Decided { value, key, origin, .. } = &self.timeout;
        format!("{key} = {} ({origin})", show_duration(*value))
    }

    /// All settings as keys, values and origins, for people; each key is the one that decided.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let timeout = self.timeout.shown(|timeout| show_duration(*timeout).into());
        let list = |chosen: &Decided<Vec<Selector>>| {
            chosen.shown(|all| all.iter().map(|one| Value::from(one.to_string())).collect())
        };
        // Rarely set, so they are shown only if they are.
        let filters = [&self.attempt_filters, &self.filters];
        let filters = filters.into_iter().filter(|filters| !filters.value.is_empty()).map(list);
        let mut settings = vec![
            self.cluster.shown(|cluster| json!(cluster.to_string())),
            self.codec.shown(|codec| json!(codec)),
            self.loadbalance.shown(|balancer| json!(balancer.to_string())),
            self.retries.shown(|retries| json!(retries)),
            list(&self.routers),
            timeout,
        ];
        settings.splice(..0, filters);
        if self.access_log.value != AccessLog::default() {
            settings.insert(0, self.access_log.shown(|log| json!(log)));
        }
        if self.trace_context.value != TraceForwarding::default() {
            settings.push(self.trace_context.shown(|trace| json!(trace)));
        }
        settings
    }
}

impl<T> Decided<T> {
    fn shown(&self, value: impl Fn(&T) -> Value) -> Setting {
        let Self { key, origin, .. } = self;
        let value = value(&self.value).to_string();
        Setting { key: key.clone(), value, origin: origin.clone() }
    }
}

/// A key whose value is a list of extensions, at each level.
#[derive(Clone, Copy)]
struct List {
    name: &'static str,
    of_all: fn(&ConsumerConfig) -> &Vec<Selector>,
    of_service: fn(&ServiceOverrides) -> &Option<Vec<Selector>>,
    of_method: fn(&MethodOverrides) -> &Option<Vec<Selector>>,
}

const ROUTERS: List = List {
    name: "routers",
    of_all: |all| &all.routers,
    of_service: |service| &service.routers,
    of_method: |method| &method.routers,
};

const FILTERS: List = List {
    name: "filters",
    of_all: |all| &all.filters,
    of_service: |service| &service.filters,
    of_method: |method| &method.filters,
};

const ATTEMPT_FILTERS: List = List {
    name: "attempt_filters",
    of_all: |all| &all.attempt_filters,
    of_service: |service| &service.attempt_filters,
    of_method: |method| &method.attempt_filters,
};

/// A level above `[consumer]` that is in force for a method.
struct Level<'a> {
    section: Key,
    is_of_method: bool,
    overrides: &'a CallOverrides,
}

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
            routers: self.routers_of(service, method),
            filters: self.chosen(FILTERS, service, Some(method)),
            attempt_filters: self.chosen(ATTEMPT_FILTERS, service, Some(method)),
            codec: at("codec").decide(|c| c.codec.clone(), &all.codec, None),
            access_log: at("access_log").decide(|c| c.access_log, &all.access_log, None),
            trace_context: at("trace_context").decide(
                |c| c.trace_context,
                &all.trace_context,
                None,
            ),
        }
    }

    /// The routers of `service`, in their order, for methods without routers of their own.
    #[must_use]
    pub fn routers(&self, service: &ServiceKey) -> Decided<Vec<Selector>> {
        self.chosen(ROUTERS, service, None)
    }

    /// Whether `service` is called only inside this process.
    pub(crate) fn is_local(&self, service: &ServiceKey) -> bool {
        let scope = self.services(service).find_map(|(_, service)| service.scope);
        scope == Some(CallScope::Local)
    }

    fn routers_of(&self, service: &ServiceKey, method: &str) -> Decided<Vec<Selector>> {
        self.chosen(ROUTERS, service, Some(method))
    }

    /// The filters around attempts of calls of `service`: those for methods without their own, and
    /// by name those of the other methods.
    pub(crate) fn attempt_filters(
        &self,
        service: &ServiceKey,
    ) -> (DecidedList, Vec<(String, DecidedList)>) {
        let of_method =
            |method: &String| (method.clone(), self.chosen(ATTEMPT_FILTERS, service, Some(method)));
        let own = self.services(service).flat_map(|(_, service)| &service.methods);
        let own = own.filter(|(_, method)| method.attempt_filters.is_some());
        let names: BTreeSet<&String> = own.map(|(name, _)| name).collect();
        let own = names.into_iter().map(of_method).collect();
        (self.chosen(ATTEMPT_FILTERS, service, None), own)
    }

    /// The list `of` for a method of `service`, or for all that have none of their own.
    fn chosen(
        &self,
        of: List,
        service: &ServiceKey,
        method: Option<&str>,
    ) -> Decided<Vec<Selector>> {
        let of_method = method.and_then(|method| {
            self.services(service).find_map(|(section, service)| {
                let list = (of.of_method)(service.methods.get(method)?).clone()?;
                Some((section.child("methods").child(method), 2, list))
            })
        });
        let of_service = || {
            let mut services = self.services(service);
            services.find_map(|(section, service)| {
                Some((section, 1, (of.of_service)(service).clone()?))
            })
        };
        let (section, level, list) = of_method
            .or_else(of_service)
            .unwrap_or_else(|| (Key::dotted("consumer"), 0, (of.of_all)(&self.consumer).clone()));
        self.decided(&section.child(of.name), level, list)
    }

    pub(super) fn decided<T>(&self, key: &Key, level: usize, value: T) -> Decided<T> {
        let origin = self.origins.of(key).clone();
        let strength = Strength::new(level, &origin);
        Decided { value, origin, strength, key: key.to_string() }
    }

    /// The overrides for a method, the most specific first.
    fn levels(&self, service: &ServiceKey, method: &str) -> Vec<Level<'_>> {
        let services: Vec<(Key, &ServiceOverrides)> = self.services(service).collect();
        let methods = services.iter().filter_map(|(key, service)| {
            let overrides = &service.methods.get(method)?.call;
            let section = key.child("methods").child(method);
            Some(Level { section, is_of_method: true, overrides })
        });
        let whole = services.iter().map(|(key, service)| {
            let (section, overrides) = (key.clone(), &service.call);
            Level { section, is_of_method: false, overrides }
        });
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

    /// Checks that every method that is configured for `service` is among `methods`.
    ///
    /// # Errors
    /// A method that does not exist, with its place and the known ones.
    pub fn check_methods<'a>(
        &self,
        service: &ServiceKey,
        methods: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<(), Error> {
        for (key, overrides) in self.services(service) {
            self.check_names(&key.child("methods"), overrides.methods.keys(), methods.clone())?;
        }
        Ok(())
    }

    /// Checks that each of `names` in `section` is among `methods`. One that only a config centre
    /// names may be of another version of the service: it is passed over there.
    pub(super) fn check_names<'a, 'b>(
        &self,
        section: &Key,
        names: impl IntoIterator<Item = &'b String>,
        methods: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<(), Error> {
        let is_known = |name: &&String| {
            let place = self.origins.of_section(&section.child(name));
            matches!(place, Origin::ConfigCenter { .. })
                || methods.clone().into_iter().any(|known| known == *name)
        };
        match names.into_iter().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => {
                let kind = format!("method in [{section}]");
                let error = Error::unknown_name(&kind, name, methods.clone());
                Err(error.at(self.origins.of_section(&section.child(name))))
            }
        }
    }
}

impl Config {
    /// The place and the name of a section that was probably meant for `service`: `service` has
    /// none, and this name differs by a typing error or by the package.
    pub(crate) fn misnamed_section(&self, service: &ServiceKey) -> Option<(&Origin, &str)> {
        if self.services(service).next().is_some() {
            return None;
        }
        // Another group or version is another service.
        let is_of = |part: &str, own: &str| part.is_empty() || part == own;
        let may_be = |key: &&ServiceKey| {
            is_of(key.group(), service.group()) && is_of(key.version(), service.version())
        };
        let names = self.consumer.services.keys().filter(may_be).map(ServiceKey::as_str);
        let names: Vec<&str> = names.collect();
        let near = nearest_service(service.as_str(), &names)?;
        let section = Key::dotted("consumer.services").child(near);
        Some((self.origins.of_section(&section), near))
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
        let levels = self.levels.iter().rev().enumerate().rev();
        let set = levels.filter_map(|(wider, level)| {
            let value = of(level.overrides)?;
            Some((level.is_of_method, self.decided(&level.section, wider + 1, value)))
        });
        let (absent, set): (Vec<_>, Vec<_>) = set.partition(|(_, of)| of.origin.gives_way());
        let (absent, set) = (absent.into_iter().next(), set.into_iter().next());
        let is_set_for_method =
            attribute.is_some() || matches!(set, Some((is_of_method, _)) if is_of_method);
        match (absent, set) {
            // Nothing is set for the method, and what is set for more is less specific.
            (Some((true, absent)), _) if !is_set_for_method => absent,
            (_, Some((_, set))) => set,
            (absent, None) => {
                let all = self.decided(&Key::dotted("consumer"), 0, for_all.clone());
                match (attribute, absent) {
                    _ if all.origin != Origin::Default => all,
                    (Some(value), _) => {
                        let strength = Strength::new(0, &Origin::Attribute);
                        Decided { value, origin: Origin::Attribute, strength, ..all }
                    }
                    (None, Some((_, absent))) => absent,
                    (None, None) => all,
                }
            }
        }
    }

    fn decided<T>(&self, section: &Key, level: usize, value: T) -> Decided<T> {
        self.config.decided(&section.child(self.name), level, value)
    }
}
