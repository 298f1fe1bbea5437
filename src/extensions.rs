//! Everything that can be chosen by name: the built-ins, and what a program adds.

use std::sync::Arc;

use cluster::load_balance::LoadBalance;
use cluster::policy::{Broadcast, ClusterPolicy};
use cluster::router::{ChosenRouter, Router, RouterChain};
use registry::Registry;
use rpc_core::{Codec, Codecs, Error, Extension, ExtensionPoint, Params, Protocol, Protocols};

use crate::config::{Config, Kind, Selector};

/// One [`ExtensionPoint`] per kind; the default has all built-ins.
#[derive(Debug, Clone)]
#[must_use]
pub struct Extensions {
    codecs: ExtensionPoint<dyn Codec>,
    registries: ExtensionPoint<dyn Registry>,
    load_balancers: ExtensionPoint<dyn LoadBalance>,
    policies: ExtensionPoint<dyn ClusterPolicy>,
    routers: ExtensionPoint<dyn Router>,
    protocols: ExtensionPoint<dyn Protocol>,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            codecs: codecs::builtin(),
            registries: registry::builtin(),
            load_balancers: cluster::load_balance::builtin(),
            policies: cluster::policy::builtin(),
            routers: cluster::router::builtin(),
            protocols: protocols::builtin(),
        }
    }
}

impl Extensions {
    /// The same with a codec.
    pub fn with_codec<E: Extension<dyn Codec>>(mut self) -> Self {
        self.codecs = self.codecs.with::<E>();
        self
    }

    /// The same with a registry.
    pub fn with_registry<E: Extension<dyn Registry>>(mut self) -> Self {
        self.registries = self.registries.with::<E>();
        self
    }

    /// The same with a load balancer.
    pub fn with_load_balance<E: Extension<dyn LoadBalance>>(mut self) -> Self {
        self.load_balancers = self.load_balancers.with::<E>();
        self
    }

    /// The same with a cluster policy.
    pub fn with_cluster<E: Extension<dyn ClusterPolicy>>(mut self) -> Self {
        self.policies = self.policies.with::<E>();
        self
    }

    /// The same with a router.
    pub fn with_router<E: Extension<dyn Router>>(mut self) -> Self {
        self.routers = self.routers.with::<E>();
        self
    }

    /// The same with a wire protocol.
    pub fn with_protocol<E: Extension<dyn Protocol>>(mut self) -> Self {
        self.protocols = self.protocols.with::<E>();
        self
    }

    /// Whether every extension that `config` chooses exists and takes its parameters.
    pub(crate) fn check(&self, config: &Config) -> Result<(), Error> {
        config.check_extensions(|kind, chosen| self.check_one(kind, chosen))
    }

    /// The same for those whose name is known, and for registries.
    pub(crate) fn check_known(&self, config: &Config) -> Result<(), Error> {
        config.check_extensions(|kind, chosen| match self.knows(kind, chosen) {
            Err(_) if kind != Kind::Registry => Ok(()),
            _ => self.check_one(kind, chosen),
        })
    }

    /// Whether there is an extension of this name, whatever its parameters.
    pub(crate) fn knows(&self, kind: Kind, chosen: &Selector) -> Result<(), Error> {
        match kind {
            Kind::Registry => self.registries.check(&chosen.name),
            Kind::Codec => self.codecs.check(&chosen.name),
            Kind::Cluster => self.policies.check(&chosen.name),
            Kind::LoadBalance => self.load_balancers.check(&chosen.name),
            Kind::Router => self.routers.check(&chosen.name),
            Kind::Protocol => self.knows_protocol(&chosen.name),
        }
    }

    fn check_one(&self, kind: Kind, chosen: &Selector) -> Result<(), Error> {
        match kind {
            // What stands behind the scheme is checked when the registry is opened.
            Kind::Registry => self.registries.check(&chosen.name),
            Kind::Codec => self.codecs.build(&chosen.name, chosen.params.clone()).map(drop),
            Kind::Cluster => self.policy(chosen).map(drop),
            Kind::LoadBalance => self.load_balance(chosen).map(drop),
            Kind::Router => self.router(chosen).map(drop),
            Kind::Protocol => self.knows_protocol(&chosen.name),
        }
    }

    /// Every codec, the one named `first` in front.
    pub(crate) fn codecs(&self, first: &str) -> Result<Codecs, Error> {
        let build = |name: &str| {
            let codec = self.codecs.build(name, Params::new())?;
            match codec.name() {
                own if own == name => Ok(codec),
                // It would take the place of another without a word.
                own => Err(Error::invalid_config(format!(
                    "the codec {name} calls itself {own}: let its `name` return {name}"
                ))),
            }
        };
        let first = build(first)?;
        let others: Result<Vec<Arc<dyn Codec>>, Error> = self.codecs.names().map(build).collect();
        let codecs = Codecs::new(first, others?);
        codecs.check()?;
        Ok(codecs)
    }

    /// The registries that `config` names, each.
    pub(crate) fn registries(&self, config: &Config) -> Result<Vec<Arc<dyn Registry>>, Error> {
        let settings = config.registry_settings()?.into_iter();
        let opened = settings.map(|(key, one)| {
            registry::open(&self.registries, &one).map_err(|error| config.blame(&key, error))
        });
        opened.collect()
    }

    /// The routers in their order, ready to be shared by the methods of a service; `set_by` says for
    /// people what chose them.
    pub(crate) fn routers(&self, chosen: &[Selector], set_by: &str) -> Result<RouterChain, Error> {
        let set_by: Arc<str> = set_by.into();
        let routers = chosen.iter().map(|selector| {
            let (router, name) = (self.router(selector)?, selector.name.as_str().into());
            Ok(ChosenRouter { router, name, set_by: set_by.clone() })
        });
        Ok(RouterChain::new(routers.collect::<Result<_, Error>>()?))
    }

    /// Every protocol.
    pub(crate) fn protocols(&self) -> Result<Protocols, Error> {
        protocols::table_of(&self.protocols)
    }

    fn knows_protocol(&self, name: &str) -> Result<(), Error> {
        let table = self.protocols()?;
        match table.names().any(|known| known == name) {
            true => Ok(()),
            false => Err(self.protocols.unknown(name, table.names())),
        }
    }

    fn router(&self, chosen: &Selector) -> Result<Arc<dyn Router>, Error> {
        self.routers.build(&chosen.name, chosen.params.clone())
    }

    pub(crate) fn load_balance(&self, chosen: &Selector) -> Result<Arc<dyn LoadBalance>, Error> {
        self.load_balancers.build(&chosen.name, chosen.params.clone())
    }

    pub(crate) fn policy(&self, chosen: &Selector) -> Result<Arc<dyn ClusterPolicy>, Error> {
        self.policies.build(&chosen.name, chosen.params.clone())
    }

    /// The policy of broadcasts: the chosen one, if that calls everyone too.
    pub(crate) fn broadcast(&self, chosen: &Selector) -> Result<Arc<dyn ClusterPolicy>, Error> {
        let chosen = self.policy(chosen)?;
        match chosen.calls_everyone() {
            true => Ok(chosen),
            false => self.policy(&Selector::new(Broadcast::NAME)),
        }
    }
}
