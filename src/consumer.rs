//! The consumer: subscribe, directory, routers, balancer, policy, stub. Wiring only.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cluster::router::RouterChain;
use cluster::{
    AttemptLayers, Backlog, Cluster, Directory, DirectoryOptions, DirectoryState, RetryBudget,
};
use protocols::{Connections, Tcp};
use registry::Registry;
use rpc_core::client::{ServiceClient, Stub, StubMethod};
use rpc_core::descriptor::{MethodDescriptor, ServiceDescriptor};
use rpc_core::server::LocalServers;
use rpc_core::transport::Dial;
use rpc_core::{
    BoxInvoker, Codecs, Connector, Error, Invoker, Method, Metrics, ServiceKey, runtime,
};
use tower_layer::Layer as TowerLayer;

use crate::config::{
    Config, Decided, LeftOut, MethodConfig, MethodDefaults, Origin, Selector, Sources,
};
use crate::extensions::Extensions;
use crate::layers::{Layers, Scope};
use crate::policy;
use crate::setup::Setup;

/// Calls services: holds the registry session, the connections and the retry budget that all of
/// its clients share. Cheap to clone.
///
/// It may be used in several tokio runtimes. Its tasks run in that of the call which first needs them; when
/// that runtime ends, they begin again in that of the next call. One that is not run meanwhile, as a
/// `current_thread` runtime between two `block_on`, drives nothing for the others either.
#[derive(Debug, Clone)]
pub struct Consumer(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) extensions: Extensions,
    pub(crate) codecs: Codecs,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) connector: Arc<Connections>,
    /// The providers of this process.
    local: LocalServers,
    budget: Arc<RetryBudget>,
    backlog: Arc<Backlog>,
    metrics: Metrics,
    call_layers: Layers,
    attempt_layers: Layers,
    directories: Mutex<HashMap<ServiceKey, Weak<Directory>>>,
    left_out: Vec<LeftOut>,
}

impl Consumer {
    /// A consumer of the registry at `url`, such as `dev://`.
    ///
    /// The configuration file and the environment are stronger than `url`, unless it is `memory://`.
    #[allow(clippy::new_ret_no_self, reason = "what is set on the way decides whether it can be")]
    pub fn new(url: &str) -> ConsumerBuilder {
        Self::builder().set("registry.address", url)
    }

    /// A consumer whose registry the configuration names.
    pub fn builder() -> ConsumerBuilder {
        ConsumerBuilder::default()
    }

    /// A client of the service that `C` was made for: `consumer.client::<GreeterClient>().await?`.
    /// Cheap to clone; all clients of one consumer share its connections, its registry session and
    /// its retry budget, and keep it alive.
    ///
    /// Waits for the registry's first list for at most 1 s. A registry that is away, or that lists
    /// no provider, is no error here: the client begins with the list on disk, or its calls wait
    /// for a list within their time. Dropping the future has no effect.
    ///
    /// # Errors
    /// Settings for methods that the service does not have, or that contradict what a method is; a
    /// fallback that does not fit its method; the registry refuses the consumer, as by a wrong token,
    /// and there is no list on disk; the consumer's registry was shut down; no tokio runtime here, or
    /// one without timers and IO.
    pub async fn client<C: ServiceClient>(&self) -> Result<C, Error> {
        let ServiceDescriptor { interface, group, version, .. } = *C::DESCRIPTOR;
        self.client_of(ServiceKey::with_parts(interface, group, version)).await
    }

    /// A client of a service under another key: of another group or version.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub async fn client_of<C: ServiceClient>(&self, service: ServiceKey) -> Result<C, Error> {
        let methods = C::DESCRIPTOR.methods;
        self.0.check(&service, methods.iter().map(|method| method.name))?;
        let directory = self.0.directory(&service).await?;
        let routers = self.0.routers(&service)?;
        let methods = methods.iter().map(|method| {
            let routers = routers.clone();
            self.0.method(&service, &directory, routers, method)
        });
        let methods = methods.collect::<Result<Vec<_>, Error>>()?;
        self.0.check_balancers(&service, &methods)?;
        Ok(C::from_stub(Stub::new(methods, Arc::new(self.clone()))))
    }

    /// Where the list of a service in use comes from, how old it is, how many can be called.
    #[must_use]
    pub fn directory_state(&self, service: &ServiceKey) -> Option<DirectoryState> {
        Some(self.0.known_directory(service)?.state())
    }

    /// How many calls were sent again since the consumer was made.
    #[must_use]
    pub fn resends(&self) -> u64 {
        self.0.budget.resends()
    }

    /// The failed calls that wait to be sent again, under the policy `failback`; they end with the
    /// last handle of this consumer and its clients.
    #[must_use]
    pub fn backlog(&self) -> &Backlog {
        &self.0.backlog
    }

    /// The counters of the calls made through it.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The choices of extensions that are not known here, if the builder was told to
    /// [leave them out](ConsumerBuilder::leave_out_unknown).
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.0.left_out
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }
}

impl Inner {
    /// Whether what is set for `service` is set for methods it has.
    pub(crate) fn check<'a>(
        &self,
        service: &ServiceKey,
        methods: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), Error> {
        self.config.check_methods(service, methods.clone())?;
        self.call_layers.check(service, methods.clone())?;
        self.attempt_layers.check(service, methods)?;
        self.warn_of_slips(service);
        Ok(())
    }

    /// What was set for a service of nearly the same name; no error, because both may exist.
    fn warn_of_slips(&self, service: &ServiceKey) {
        if let Some((place, section)) = self.config.misnamed_section(service) {
            let text =
                "settings for a service of nearly this name, none for this one: is it meant?";
            tracing::warn!(%service, section, %place, "{text}");
        }
        for layers in [&self.call_layers, &self.attempt_layers] {
            if let Some(scope) = layers.misnamed(service) {
                tracing::warn!(%service, scope, "is this service meant by the scope of a layer?");
            }
        }
    }

    /// What narrows the instances of `service`, for all its methods that have none of their own.
    pub(crate) fn routers(&self, service: &ServiceKey) -> Result<RouterChain, Error> {
        self.router_chain(&self.config.routers(service))
    }

    fn router_chain(&self, chosen: &Decided<Vec<Selector>>) -> Result<RouterChain, Error> {
        let set_by = format!("{} ({})", chosen.key, chosen.origin);
        self.extensions
            .routers(&chosen.value, &set_by)
            .map_err(|error| self.config.blame(&chosen.key, error))
    }

    /// Whether each balancer can serve the methods of `service` that one setting gives to it.
    pub(crate) fn check_balancers(
        &self,
        service: &ServiceKey,
        methods: &[StubMethod],
    ) -> Result<(), Error> {
        let mut settings = BTreeMap::<String, (Selector, Vec<&Method>)>::new();
        for method in methods {
            let of = self.config.method(service, method.method.name(), &MethodDefaults::default());
            let Decided { key, value, .. } = of.loadbalance;
            settings.entry(key).or_insert_with(|| (value, Vec::new())).1.push(&method.method);
        }
        for (key, (balancer, methods)) in settings {
            let checked = self.extensions.load_balance(&balancer)?.check(&methods);
            checked.map_err(|error| self.config.blame(&key, error))?;
        }
        Ok(())
    }

    pub(crate) async fn directory(&self, service: &ServiceKey) -> Result<Arc<Directory>, Error> {
        runtime::whole()?;
        if let Some(known) = self.known_directory(service) {
            return Ok(known);
        }
        let subscription = match self.config.is_local(service) {
            true => self.local.subscribe(service),
            false => self.registry.subscribe(service).await?,
        };
        let options = DirectoryOptions {
            layers: self.around_attempts(),
            ejection: self.config.consumer.ejection.rules(),
            ejections: self.metrics.ejections(service),
            ..DirectoryOptions::default()
        };
        let connector: Arc<dyn Connector> = self.connector.clone();
        let directory = Directory::follow(service.clone(), subscription, connector, options);
        let directory = Arc::new(directory);
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        directories.retain(|_, directory| directory.strong_count() > 0);
        if let Some(known) = directories.get(service).and_then(Weak::upgrade) {
            // Another client of the service came first meanwhile; it has subscribed too.
            return Ok(known);
        }
        directories.insert(service.clone(), Arc::downgrade(&directory));
        Ok(directory)
    }

    pub(crate) fn around_attempts(&self) -> AttemptLayers {
        let layers = self.attempt_layers.clone();
        match layers.is_empty() {
            true => AttemptLayers::new(),
            false => AttemptLayers::new()
                .wrap(move |instance, inner| layers.apply(&instance.service, inner)),
        }
    }

    fn known_directory(&self, service: &ServiceKey) -> Option<Arc<Directory>> {
        let directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        directories.get(service).and_then(Weak::upgrade)
    }

    pub(crate) fn method(
        &self,
        service: &ServiceKey,
        directory: &Arc<Directory>,
        routers: RouterChain,
        described: &MethodDescriptor,
    ) -> Result<StubMethod, Error> {
        let MethodDescriptor { name, kind, idempotent, .. } = *described;
        let at = |error: Error| error.at(format_args!("{}: {service}", Origin::Attribute));
        let stand_in = described.answer_in_place().map_err(at)?;
        let method = Method::new(service.clone(), name, kind, idempotent)
            .with_stand_in(stand_in)
            .with_arguments(described.argument_count);
        self.stub_method(directory, routers, method, &MethodDefaults::from(described))
    }

    /// The parts that calls with these settings pass through; `routers` are those of the service.
    pub(crate) fn cluster(
        &self,
        directory: &Arc<Directory>,
        routers: RouterChain,
        method: &Method,
        settings: &MethodConfig,
    ) -> Result<Cluster, Error> {
        let is_own = settings.routers.key != self.config.routers(method.service()).key;
        let mut routers = if is_own { self.router_chain(&settings.routers)? } else { routers };
        if method.kind().is_streaming() {
            routers = routers.carrying(self.connector.clone(), method.kind());
        }
        Ok(Cluster {
            directory: directory.clone(),
            routers,
            balancer: self
                .extensions
                .load_balance(&settings.loadbalance.value)
                .map_err(|error| self.config.blame(&settings.loadbalance.key, error))?,
            policy: policy::of_method(&self.extensions, settings, method)?,
            budget: self.budget.clone(),
            backlog: self.backlog.clone(),
            seed: None,
        })
    }

    pub(crate) fn stub_method(
        &self,
        directory: &Arc<Directory>,
        routers: RouterChain,
        method: Method,
        attribute: &MethodDefaults,
    ) -> Result<StubMethod, Error> {
        let settings = self.config.method(method.service(), method.name(), attribute);
        self.stub_method_with(directory, routers, method, &settings)
    }

    /// As [`stub_method`](Self::stub_method), with settings that are not looked up.
    pub(crate) fn stub_method_with(
        &self,
        directory: &Arc<Directory>,
        routers: RouterChain,
        method: Method,
        settings: &MethodConfig,
    ) -> Result<StubMethod, Error> {
        let (service, method) = (method.service().clone(), Arc::new(method));
        let cluster = self.cluster(directory, routers, &method, settings)?;
        let policy = self.extensions.broadcast(&settings.cluster.value)?;
        let broadcast = Cluster { policy, ..cluster.clone() };
        let codec = &settings.codec.value;
        let codecs = self
            .codecs
            .preferring(codec)
            .ok_or_else(|| Error::unknown_name("codec", codec, self.codecs.names()))?;
        Ok(StubMethod {
            metrics: self.metrics.method(&method),
            invoker: self.call_layers.apply(&service, cluster.into_invoker()),
            method,
            broadcast: self.call_layers.apply(&service, broadcast.into_invoker()),
            timeout: settings.timeout.value,
            timeout_set_by: settings.timeout_set_by().into(),
            codecs,
        })
    }
}

/// What a consumer is made of; the configuration file and the environment are stronger than what
/// is set here.
#[derive(Debug, Default)]
#[must_use]
pub struct ConsumerBuilder {
    setup: Setup,
    call_layers: Layers,
    attempt_layers: Layers,
    dial: Option<Arc<dyn Dial>>,
    leaves_out_unknown: bool,
}

impl ConsumerBuilder {
    /// Sets a key of the configuration, such as `consumer.timeout`, as a file would. Names with dots are in
    /// quotes: `consumer.services."shop.Inventory".timeout`.
    pub fn set(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.setup.layer = self.setup.layer.set(key, value);
        self
    }

    /// Takes file and environment from `sources` instead of the process. What [`set`](Self::set)
    /// says counts all the same; the builder layer of `sources` is stronger.
    pub fn sources(mut self, sources: Sources) -> Self {
        self.setup.sources = Some(sources);
        self
    }

    /// What can be chosen by name.
    pub fn extensions(mut self, extensions: Extensions) -> Self {
        self.setup.extensions = extensions;
        self
    }

    /// Leaves out policies, balancers, routers and codecs whose names are not known here, as if
    /// they were not set; [`Consumer::left_out`] tells which. For tools that share the settings of a
    /// program but not its extensions; by default each is an error.
    pub fn leave_out_unknown(mut self) -> Self {
        self.leaves_out_unknown = true;
        self
    }

    /// Opens connections to providers by `dial` instead of TCP: over TLS, Unix sockets, an in-memory
    /// network.
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.dial = Some(Arc::new(dial));
        self
    }

    /// A tower layer around every call, inside those there are.
    pub fn call_layer<L>(mut self, layer: L) -> Self
    where
        L: TowerLayer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.call_layers.push(None, layer);
        self
    }

    /// A tower layer around the calls of one service or method, inside those there are.
    pub fn call_layer_for<L>(mut self, scope: impl Into<Scope>, layer: L) -> Self
    where
        L: TowerLayer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.call_layers.push(Some(scope.into()), layer);
        self
    }

    /// A tower layer around every attempt at a provider, inside those there are.
    pub fn attempt_layer<L>(mut self, layer: L) -> Self
    where
        L: TowerLayer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.attempt_layers.push(None, layer);
        self
    }

    /// A tower layer around the attempts of one service or method, inside those there are.
    pub fn attempt_layer_for<L>(mut self, scope: impl Into<Scope>, layer: L) -> Self
    where
        L: TowerLayer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.attempt_layers.push(Some(scope.into()), layer);
        self
    }

    /// The consumer. Connects to nothing yet.
    ///
    /// # Errors
    /// Settings that are unknown or cannot work, with their place and the remedy.
    pub fn build(self) -> Result<Consumer, Error> {
        let (config, left_out) = match self.leaves_out_unknown {
            true => self.setup.load_known()?,
            false => (self.setup.load()?, Vec::new()),
        };
        let budget = &config.consumer.retry_budget;
        let registry = registry::several(self.setup.extensions.registries(&config)?)?;
        let protocols = self.setup.extensions.protocols()?;
        let dial = self.dial.unwrap_or_else(|| Arc::new(Tcp));
        let local = crate::local::servers(&config)?;
        let connections = Connections::with_dial(&protocols, config.consumer.client(), dial)?;
        Ok(Consumer(Arc::new(Inner {
            codecs: self.setup.extensions.codecs(&config.consumer.codec)?,
            registry,
            connector: Arc::new(connections.with_local(local.clone())),
            local,
            budget: Arc::new(RetryBudget::new(budget.percent, budget.per_second)),
            backlog: Arc::default(),
            metrics: Metrics::new("consumer"),
            call_layers: self.call_layers,
            attempt_layers: self.attempt_layers,
            directories: Mutex::default(),
            extensions: self.setup.extensions,
            config,
            left_out,
        })))
    }
}

/// `GreeterClient::connect("dev://")`: a client with a consumer of its own.
pub trait Connect: ServiceClient {
    /// A client of the service through the registry at `url`. Programs with several clients share
    /// a [`Consumer`] between them instead.
    ///
    /// # Errors
    /// As [`ConsumerBuilder::build`] and [`Consumer::client`].
    fn connect(url: &str) -> impl Future<Output = Result<Self, Error>> + Send {
        async move { Consumer::new(url).build()?.client().await }
    }
}

impl<C: ServiceClient> Connect for C {}
