//! Every key that names an extension.
//!
//! The caller, which has the extensions, checks whether a name exists. Programs are strict about
//! names. A tool that shares a program's settings but not its extensions can ignore the names that
//! it does not know.

use rpc_core::Error;

use super::in_force::Config;
use super::loader::Key;
use super::sections::{ConsumerConfig, Selector, ServiceOverrides};

/// Kinds of extensions that configuration chooses by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `registry.address`, by its scheme.
    Registry,
    /// `codec`
    Codec,
    /// `cluster`
    Cluster,
    /// `loadbalance`
    LoadBalance,
    /// `routers`, each
    Router,
    /// `filters` and `attempt_filters`, each
    Filter,
    /// `provider.protocols`, each
    Protocol,
}

/// A choice that was ignored, because its extension is not known here.
#[derive(Debug)]
#[non_exhaustive]
pub struct LeftOut {
    /// Its key, as TOML writes it.
    pub key: String,
    /// The name that is not known.
    pub name: String,
    /// Its place, and the names that are known.
    pub error: Error,
}

impl Config {
    /// Calls `check` with every extension that is chosen anywhere.
    ///
    /// # Errors
    /// The first error of `check`, with the place of the choice in front, or that of the parameter
    /// to blame.
    pub fn check_extensions(
        &self,
        mut check: impl FnMut(Kind, &Selector) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (kind, key, selector) in self.extensions() {
            check(kind, &selector).map_err(|error| self.origins.blame(&key, error))?;
        }
        Ok(())
    }

    /// Ignores every choice whose name `check` refuses, as if it were not set, and returns each
    /// with the refusal. A registry cannot be ignored.
    pub(crate) fn leave_out_unknown(
        &mut self,
        check: impl Fn(Kind, &Selector) -> Result<(), Error>,
    ) -> Vec<LeftOut> {
        let mut left_out = Vec::new();
        for (kind, key, selector) in self.extensions() {
            if kind != Kind::Registry
                && let Err(error) = check(kind, &selector)
            {
                left_out.push(LeftOut {
                    key: key.to_string(),
                    name: selector.name,
                    error: self.origins.blame(&key, error),
                });
            }
        }
        for left_out in &left_out {
            self.origins.unset(&Key::dotted(&left_out.key));
        }
        retain_chosen(&mut self.consumer, |kind, selector| check(kind, selector).is_ok());
        left_out
    }

    fn extensions(&self) -> Vec<(Kind, Key, Selector)> {
        let consumer = Key::dotted("consumer");
        let all = &self.consumer;
        let list = |kind, section: &Key, name, chosen: &[Selector]| {
            let key = section.child(name);
            // A single element may be written without brackets.
            let is_list = chosen.len() > 1 || self.origins.has(&key.item(0));
            let place = |at| if is_list { key.item(at) } else { key.clone() };
            let found = chosen.iter().enumerate();
            found.map(|(at, one)| (kind, place(at), one.clone())).collect::<Vec<_>>()
        };
        let lists = |section: &Key, lists: [&[Selector]; 3]| {
            let [routers, filters, attempt_filters] = lists;
            let mut found = list(Kind::Router, section, "routers", routers);
            found.extend(list(Kind::Filter, section, "filters", filters));
            found.extend(list(Kind::Filter, section, "attempt_filters", attempt_filters));
            found
        };
        let mut found = vec![
            (Kind::Codec, consumer.child("codec"), Selector::new(&*all.codec)),
            (Kind::Cluster, consumer.child("cluster"), all.cluster.clone()),
            (Kind::LoadBalance, consumer.child("loadbalance"), all.loadbalance.clone()),
        ];
        found.extend(lists(&consumer, [&all.routers, &all.filters, &all.attempt_filters]));
        for (section, filters) in self.all_handler_filters() {
            found.extend(list(Kind::Filter, &section, "filters", filters));
        }
        found.extend(self.chosen_protocols());
        for (address, key) in self.registry_keys() {
            found.push((Kind::Registry, key, Selector::new(address.scheme())));
        }
        for (service, overrides) in &all.services {
            let section = consumer.child("services").child(service.as_str());
            let ServiceOverrides { routers, filters, attempt_filters, .. } = overrides;
            let set = [routers, filters, attempt_filters];
            found.extend(lists(&section, set.map(|list| list.as_deref().unwrap_or_default())));
            let methods = overrides.methods.iter();
            let methods: Vec<_> = methods
                .map(|(name, method)| (section.child("methods").child(name), method))
                .collect();
            for (section, method) in &methods {
                let set = [&method.routers, &method.filters, &method.attempt_filters];
                found.extend(lists(section, set.map(|list| list.as_deref().unwrap_or_default())));
            }
            let methods = methods.into_iter().map(|(section, method)| (section, &method.call));
            for (section, call) in [(section.clone(), &overrides.call)].into_iter().chain(methods) {
                let codec = call.codec.as_deref().map(Selector::new);
                let chosen = [
                    (Kind::Codec, "codec", codec),
                    (Kind::Cluster, "cluster", call.cluster.clone()),
                    (Kind::LoadBalance, "loadbalance", call.loadbalance.clone()),
                ];
                for (kind, name, selector) in chosen {
                    found.extend(selector.map(|selector| (kind, section.child(name), selector)));
                }
            }
        }
        found
    }

    /// The protocols, if they are set. By default they are the built-in ones, and a message about
    /// these would have no place to point at.
    fn chosen_protocols(&self) -> impl Iterator<Item = (Kind, Key, Selector)> {
        let protocols = Key::dotted("provider.protocols");
        let is_list = self.origins.has(&protocols.item(0));
        let is_set = is_list || self.origins.has(&protocols);
        let names = self.provider.protocols.names().filter(move |_| is_set).enumerate();
        names.map(move |(at, name)| {
            let place = if is_list { protocols.item(at) } else { protocols.clone() };
            (Kind::Protocol, place, Selector::new(name))
        })
    }

    /// The lists of filters around handlers, and their sections.
    fn all_handler_filters(&self) -> Vec<(Key, &[Selector])> {
        let provider = Key::dotted("provider");
        let mut found = vec![(provider.clone(), &*self.provider.filters)];
        for (service, own) in &self.provider.services {
            let section = provider.child("services").child(service.as_str());
            let methods = own.methods.iter().filter_map(|(name, method)| {
                Some((section.child("methods").child(name), method.filters.as_deref()?))
            });
            found.extend(methods);
            found.extend(own.filters.as_deref().map(|filters| (section.clone(), filters)));
        }
        found
    }
}

/// Keeps only the choices for which `is_known` holds; the others count as not set.
fn retain_chosen(consumer: &mut ConsumerConfig, is_known: impl Fn(Kind, &Selector) -> bool) {
    let default = ConsumerConfig::default();
    if !is_known(Kind::Codec, &Selector::new(&*consumer.codec)) {
        consumer.codec = default.codec;
    }
    if !is_known(Kind::Cluster, &consumer.cluster) {
        consumer.cluster = default.cluster;
    }
    if !is_known(Kind::LoadBalance, &consumer.loadbalance) {
        consumer.loadbalance = default.loadbalance;
    }
    let is_router = |router: &Selector| is_known(Kind::Router, router);
    let is_filter = |filter: &Selector| is_known(Kind::Filter, filter);
    consumer.routers.retain(is_router);
    consumer.filters.retain(is_filter);
    consumer.attempt_filters.retain(is_filter);
    for service in consumer.services.values_mut() {
        let methods = service.methods.values_mut().map(|method| {
            let filters = [&mut method.filters, &mut method.attempt_filters];
            (&mut method.call, &mut method.routers, filters)
        });
        let filters = [&mut service.filters, &mut service.attempt_filters];
        let whole = (&mut service.call, &mut service.routers, filters);
        for (call, routers, filters) in [whole].into_iter().chain(methods) {
            routers.iter_mut().for_each(|routers| routers.retain(is_router));
            filters.into_iter().flatten().for_each(|filters| filters.retain(is_filter));
            call.codec.take_if(|codec| !is_known(Kind::Codec, &Selector::new(&**codec)));
            call.cluster.take_if(|chosen| !is_known(Kind::Cluster, chosen));
            call.loadbalance.take_if(|chosen| !is_known(Kind::LoadBalance, chosen));
        }
    }
}
