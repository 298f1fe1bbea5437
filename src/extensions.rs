//! Everything that can be chosen by name: the built-ins, and what a program adds.

use std::sync::Arc;

use cluster::load_balance::LoadBalance;
use cluster::policy::{Broadcast, ClusterPolicy};
use cluster::router::Router;
use registry::Registry;
use rpc_core::{
    BuildContext, Codec, Codecs, Error, Extension, ExtensionPoint, Filter, Params, Protocol,
    Protocols, TraceBridge,
};

use crate::config::{Config, Kind, Selector};

/// The extensions that configuration can choose by name; the default has the built-in ones.
///
/// It is a value: two consumers of one process may know different names. An extension of a built-in
/// name replaces that one. [`guide::extending`](crate::guide::extending) has an example of each kind.
///
/// ```
/// use std::sync::Arc;
///
/// use dubhe::extend::{BuildContext, Candidates, Extension, LoadBalance, NoConfig};
/// use dubhe::{Consumer, Error, Extensions, Invocation};
/// use tokio::time::Instant;
///
/// #[derive(Debug)]
/// struct First;
///
/// impl LoadBalance for First {
///     fn select(&self, _: &Candidates, _: &Invocation, _: Instant) -> usize {
///         0
///     }
/// }
///
/// impl Extension<dyn LoadBalance> for First {
///     const NAME: &'static str = "first";
///     type Config = NoConfig;
///
///     fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn LoadBalance>, Error> {
///         Ok(Arc::new(Self))
///     }
/// }
///
/// let consumer = Consumer::new("static://10.0.0.1:20880")
///     .extensions(Extensions::default().with_load_balance::<First>())
///     .set("consumer.loadbalance", "first")
///     .build()?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Extensions {
    codecs: ExtensionPoint<dyn Codec>,
    registries: ExtensionPoint<dyn Registry>,
    load_balancers: ExtensionPoint<dyn LoadBalance>,
    policies: ExtensionPoint<dyn ClusterPolicy>,
    routers: ExtensionPoint<dyn Router>,
    filters: ExtensionPoint<dyn Filter>,
    protocols: ExtensionPoint<dyn Protocol>,
    seed: Option<u64>,
    trace_bridge: Option<Arc<dyn TraceBridge>>,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            codecs: codecs::builtin(),
            registries: registry::builtin(),
            load_balancers: cluster::load_balance::builtin(),
            policies: cluster::policy::builtin(),
            routers: cluster::router::builtin(),
            filters: ExtensionPoint::new("filter"),
            protocols: protocols::builtin(),
            seed: None,
            trace_bridge: None,
        }
    }
}

impl Extensions {
    /// Adds a codec under [`Extension::NAME`]; it replaces one of the same name.
    pub fn with_codec<E: Extension<dyn Codec>>(mut self) -> Self {
        self.codecs = self.codecs.with::<E>();
        self
    }

    /// Adds a registry under [`Extension::NAME`], which is its URL scheme.
    pub fn with_registry<E: Extension<dyn Registry>>(mut self) -> Self {
        self.registries = self.registries.with::<E>();
        self
    }

    /// Adds a load balancer under [`Extension::NAME`]; it replaces one of the same name.
    pub fn with_load_balance<E: Extension<dyn LoadBalance>>(mut self) -> Self {
        self.load_balancers = self.load_balancers.with::<E>();
        self
    }

    /// Adds a cluster policy under [`Extension::NAME`]; it replaces one of the same name.
    pub fn with_cluster<E: Extension<dyn ClusterPolicy>>(mut self) -> Self {
        self.policies = self.policies.with::<E>();
        self
    }

    /// Adds a router under [`Extension::NAME`].
    pub fn with_router<E: Extension<dyn Router>>(mut self) -> Self {
        self.routers = self.routers.with::<E>();
        self
    }

    /// Adds a filter under [`Extension::NAME`].
    pub fn with_filter<E: Extension<dyn Filter>>(mut self) -> Self {
        self.filters = self.filters.with::<E>();
        self
    }

    /// Adds `instance`, made by the program, under `name`: `with_instance::<dyn Router>("mine",
    /// Arc::new(…))`. This is for extensions that need more than parameters, such as a handle to a
    /// database. It takes no parameters, and everything that chooses it shares it.
    pub fn with_instance<P: ?Sized + ExtensionKind>(
        mut self,
        name: &'static str,
        instance: Arc<P>,
    ) -> Self {
        let point = P::point(&mut self);
        *point = point.clone().with_instance(name, instance);
        self
    }

    /// Sets the seed of extensions that draw at random, for reproducible tests and simulations; a
    /// `seed` among the parameters of one is stronger.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Joins the spans of calls to a tracing system: providers continue the traces of their callers,
    /// and consumers name the span of each attempt to the provider. There is one; the last counts.
    pub fn with_trace_bridge(mut self, bridge: impl TraceBridge) -> Self {
        self.trace_bridge = Some(Arc::new(bridge));
        self
    }

    pub(crate) fn trace_bridge(&self) -> Option<&Arc<dyn TraceBridge>> {
        self.trace_bridge.as_ref()
    }

    pub(crate) const fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Adds a wire protocol under [`Extension::NAME`].
    pub fn with_protocol<E: Extension<dyn Protocol>>(mut self) -> Self {
        self.protocols = self.protocols.with::<E>();
        self
    }

    /// Whether every extension that `config` chooses exists and takes its parameters.
    pub(crate) fn check(&self, config: &Config) -> Result<(), Error> {
        config.check_extensions(|kind, chosen| self.check_one(kind, chosen))
    }

    /// Checks the extensions whose names are known, and the registries.
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
            Kind::Filter => self.filters.check(&chosen.name),
            Kind::Protocol => self.knows_protocol(&chosen.name),
        }
    }

    fn check_one(&self, kind: Kind, chosen: &Selector) -> Result<(), Error> {
        // Nobody in particular: what is made here is dropped.
        let nobody = &BuildContext::default();
        match kind {
            // What stands behind the scheme is checked when the registry is opened.
            Kind::Registry => self.registries.check(&chosen.name),
            Kind::Codec => self.codecs.build(&chosen.name, chosen.params.clone()).map(drop),
            Kind::Cluster => self.policy(chosen, nobody).map(drop),
            Kind::LoadBalance => self.load_balance(chosen, nobody).map(drop),
            Kind::Router => self.router(chosen, nobody).map(drop),
            Kind::Filter => self.filter(chosen, nobody).map(drop),
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

    pub(crate) fn router(
        &self,
        chosen: &Selector,
        context: &BuildContext,
    ) -> Result<Arc<dyn Router>, Error> {
        self.routers.build_in(&chosen.name, chosen.params.clone(), context)
    }

    pub(crate) fn filter(
        &self,
        chosen: &Selector,
        context: &BuildContext,
    ) -> Result<Arc<dyn Filter>, Error> {
        self.filters.build_in(&chosen.name, chosen.params.clone(), context)
    }

    pub(crate) fn load_balance(
        &self,
        chosen: &Selector,
        context: &BuildContext,
    ) -> Result<Arc<dyn LoadBalance>, Error> {
        self.load_balancers.build_in(&chosen.name, chosen.params.clone(), context)
    }

    pub(crate) fn policy(
        &self,
        chosen: &Selector,
        context: &BuildContext,
    ) -> Result<Arc<dyn ClusterPolicy>, Error> {
        self.policies.build_in(&chosen.name, chosen.params.clone(), context)
    }

    /// The policy of broadcasts: the chosen one, if that calls everyone too.
    pub(crate) fn broadcast(
        &self,
        chosen: &Selector,
        context: &BuildContext,
    ) -> Result<Arc<dyn ClusterPolicy>, Error> {
        let chosen = self.policy(chosen, context)?;
        match chosen.calls_everyone() {
            true => Ok(chosen),
            false => self.policy(&Selector::new(Broadcast::NAME), context),
        }
    }
}

/// A kind of which a program can give ready-made instances.
pub trait ExtensionKind: sealed::Sealed {}

impl<P: ?Sized + sealed::Sealed> ExtensionKind for P {}

mod sealed {
    use super::*;

    pub trait Sealed: Send + Sync + 'static {
        fn point(extensions: &mut Extensions) -> &mut ExtensionPoint<Self>;
    }

    macro_rules! kinds {
        ($($kind:ty => $field:ident),* $(,)?) => {$(
            impl Sealed for $kind {
                fn point(extensions: &mut Extensions) -> &mut ExtensionPoint<Self> {
                    &mut extensions.$field
                }
            }
        )*};
    }

    kinds! {
        dyn Codec => codecs,
        dyn LoadBalance => load_balancers,
        dyn ClusterPolicy => policies,
        dyn Router => routers,
        dyn Filter => filters,
        dyn Protocol => protocols,
    }
}
