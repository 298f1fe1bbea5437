//! The consumer: subscribe, directory, routers, balancer, policy, stub. Wiring only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use cluster::load_balance::LoadBalance;
use cluster::router::RouterChain;
use cluster::{
    AttemptLayers, Backlog, Directory, DirectoryOptions, DirectoryState, Picker, PickerParts,
    RetryBudget,
};
use protocols::{Connections, Tcp};
use registry::Registry;
use rpc_core::client::ServiceClient;
use rpc_core::descriptor::{MethodDescriptor, ServiceDescriptor};
use rpc_core::server::LocalServers;
use rpc_core::trace::sending;
use rpc_core::transport::Dial;
use rpc_core::{
    BoxInvoker, BuildContext, Codecs, Error, Instance, Invoker, Method, Metrics, ServiceKey,
    Subscription, runtime,
};
use tower_layer::Layer as TowerLayer;

use crate::config::{Config, LeftOut, MethodDefaults, Origin, Sources};
use crate::extensions::Extensions;
use crate::layers::{Layers, Scope};
use crate::live::{Governance, Live, Swap, Turn, TurnGuard, UsedService, made};
use crate::rules::FollowedRule;
use crate::setup::Setup;

/// Calls services; its clients share its registry session, connections and retry budget.
///
/// Cheap to clone.
///
/// A program makes one consumer for a registry and takes the clients of all services from it.
///
/// ```no_run
/// # use dubhe::prelude::*;
/// # #[dubhe::service]
/// # trait Greeter {
/// #     async fn hello(&self, name: String) -> Result<String>;
/// # }
/// # async fn example() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// let consumer = Consumer::new("dubhe://127.0.0.1:20890")
///     .set("consumer.timeout", "2s")
///     .set("consumer.services.Greeter.loadbalance", "roundrobin")
///     .build()?;
/// let greeter: GreeterClient = consumer.client().await?;
/// println!("{}", greeter.hello("bob".into()).await?);
/// # Ok(())
/// # }
/// ```
///
/// Settings come from defaults, the attributes of traits, the builder, a configuration file, the
/// environment and rules, in this order of strength: [the guide](crate::guide::configuration) lists
/// every key. [`reload`](Self::reload) and [`apply_rules`](Self::apply_rules) change them while
/// calls run.
///
/// It may be used in several tokio runtimes. Its tasks run in the runtime of the call that first
/// needs them; when that runtime ends, they start again in the runtime of the next call. A runtime
/// that is not running, such as a `current_thread` runtime between two `block_on`, drives nothing
/// for the others either.
#[derive(Debug, Clone)]
pub struct Consumer(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: ArcSwap<Config>,
    pub(crate) extensions: Extensions,
    pub(crate) codecs: Codecs,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) connector: Arc<Connections>,
    /// The providers of this process.
    local: LocalServers,
    pub(crate) budget: Arc<RetryBudget>,
    backlog: Arc<Backlog>,
    pub(crate) metrics: Metrics,
    call_layers: Layers,
    attempt_layers: Layers,
    /// The services in use; locked only for a look-up.
    services: Mutex<HashMap<ServiceKey, Weak<UsedService>>>,
    live: Turn<Live>,
    pub(crate) governance: Governance,
    pub(crate) leaves_out_unknown: bool,
    pub(crate) left_out: Vec<LeftOut>,
}

impl Consumer {
    /// A consumer of the registry at `url`, such as `dev://`.
    ///
    /// The configuration file and the environment are stronger than `url`, unless it is
    /// `memory://`.
    #[allow(clippy::new_ret_no_self, reason = "what is set on the way decides whether it can be")]
    pub fn new(url: &str) -> ConsumerBuilder {
        Self::builder().set("registry.address", url)
    }

    /// A consumer of the registry that the configuration names.
    pub fn builder() -> ConsumerBuilder {
        ConsumerBuilder::default()
    }

    /// A client of the service of `C`: `consumer.client::<GreeterClient>().await?`. It is cheap to
    /// clone. All clients of one consumer share its connections, registry session and retry budget,
    /// and keep it alive.
    ///
    /// Waits at most 1 s for the registry's first list. A registry that is down or lists no
    /// provider is not an error here: the client begins with the list on disk, or its calls wait
    /// for a list within their deadlines.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    ///
    /// # Errors
    /// Settings name a method that the service does not have, or contradict what a method is; a
    /// fallback does not fit its method; the registry rejects the credentials and there is no list
    /// on disk; the consumer's registry was shut down; there is no tokio runtime, or one without
    /// timers and IO; an extension or a layer panics while it is made, or asks for a client
    /// [meanwhile](Error::is_busy).
    pub async fn client<C: ServiceClient>(&self) -> Result<C, Error> {
        let ServiceDescriptor { interface, group, version, .. } = *C::DESCRIPTOR;
        self.client_of(ServiceKey::with_parts(interface, group, version)).await
    }

    /// A client of a service under another key: of another group or version.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn client_of<C: ServiceClient>(&self, service: ServiceKey) -> Result<C, Error> {
        let methods = C::DESCRIPTOR.methods;
        // Before anybody is asked for anything: what is wrong is told at once.
        let names = methods.iter().map(|method| method.name);
        self.0.check(&self.0.config.load(), &service, names)?;
        self.0.warn_of_slips(&service);
        let methods = methods.iter().map(|described| {
            Ok((method_of(&service, described)?, MethodDefaults::from(described)))
        });
        let methods = methods.collect::<Result<Vec<_>, Error>>()?;
        let used = self.0.service(&service).await?;
        Ok(C::from_stub(self.live_client(&used, methods, None)?.stub()))
    }

    /// Returns the sender of attempts of one method of the service of `C`, with the routers and the
    /// balancer of the present settings. The program puts a policy around it, as a tower layer.
    /// Settings that come later do not reach it. `failback` puts calls off while a handle of this
    /// consumer lives.
    ///
    /// # Errors
    /// A method that the service does not have; else as [`client`](Self::client).
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn picker<C: ServiceClient>(&self, method: &str) -> Result<Picker, Error> {
        let ServiceDescriptor { interface, group, version, methods, .. } = *C::DESCRIPTOR;
        let service = ServiceKey::with_parts(interface, group, version);
        let Some(described) = methods.iter().find(|described| described.name == method) else {
            let known = methods.iter().map(|method| method.name);
            return Err(Error::unknown_name(&format!("method of {service}"), method, known));
        };
        let used = self.0.service(&service).await?;
        let (method, attribute) = (method_of(&service, described)?, described.into());
        let config = self.0.config.load_full();
        let settings = config.method(&service, method.name(), &attribute);
        let mut draft = used.draft(&self.0, &config);
        let picker = draft.picker(&self.0, &used, &method, &settings)?;
        used.keep(draft.into_shared());
        Ok(picker)
    }

    /// The state of the list of a service in use: its source, its age, how many instances can be
    /// called.
    #[must_use]
    pub fn directory_state(&self, service: &ServiceKey) -> Option<DirectoryState> {
        Some(self.0.known_service(service)?.directory.state())
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

    /// The extensions that settings name and this program lacks, if the builder [leaves them
    /// out](ConsumerBuilder::leave_out_unknown).
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.0.left_out
    }

    /// The settings in force now; a snapshot, that stays as it is when others come.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.0.config.load_full()
    }
}

impl Inner {
    /// Checks that the settings for `service` name methods that it has.
    pub(crate) fn check<'a>(
        &self,
        config: &Config,
        service: &ServiceKey,
        methods: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), Error> {
        config.check_methods(service, methods.clone())?;
        self.call_layers.check(service, methods.clone())?;
        self.attempt_layers.check(service, methods)
    }

    /// Warns of settings for a service of nearly the same name; not an error, because both may
    /// exist.
    pub(crate) fn warn_of_slips(&self, service: &ServiceKey) {
        if let Some((place, section)) = self.config.load().misnamed_section(service) {
            let text =
                "settings for a service of nearly this name, none for this one: is it meant?";
            tracing::warn!(target: "dubhe::config", %service, section, %place, "{text}");
        }
        for layers in [&self.call_layers, &self.attempt_layers] {
            if let Some(scope) = layers.misnamed(service) {
                tracing::warn!(
                    target: "dubhe::config",
                    %service, scope, "is this service meant by the scope of a layer?"
                );
            }
        }
    }

    /// The context of extensions that are made for this consumer.
    pub(crate) fn context(&self) -> BuildContext {
        let context = BuildContext::default().with_seed(self.extensions.seed());
        context.with_metrics(self.metrics.clone())
    }

    /// The service in use, or from now on.
    pub(crate) async fn service(&self, key: &ServiceKey) -> Result<Arc<UsedService>, Error> {
        runtime::whole()?;
        if let Some(known) = self.known_service(key) {
            known.directory.wait_applied().await;
            return Ok(known);
        }
        let is_local = self.config.load().is_local(key);
        let subscribing = async {
            match is_local {
                true => Ok(self.local.subscribe(key)),
                false => self.registry.subscribe(key).await,
            }
        };
        let (subscription, rules) = tokio::join!(subscribing, self.follow_rules(key));
        let subscription = subscription?.resuming(self.governance.resuming(&rules));
        Ok(self.begin_rules(self.use_service(key, subscription, rules)?).await)
    }

    fn use_service(
        &self,
        key: &ServiceKey,
        subscription: Subscription,
        rules: Vec<Arc<FollowedRule>>,
    ) -> Result<Arc<UsedService>, Error> {
        // Nobody puts other settings in force meanwhile.
        let _turn = self.turn()?;
        if let Some(known) = self.known_service(key) {
            // Another client of the service came first meanwhile; it has subscribed too.
            return Ok(known);
        }
        let config = self.config.load_full();
        let options = DirectoryOptions {
            ejection: config.consumer.ejection.rules(),
            ejections: self.metrics.ejections(key),
            ..DirectoryOptions::default()
        };
        let make = || UsedService::new(self, &config, key.clone(), subscription, rules, options);
        let service = made(make)?;
        let mut services = self.used();
        services.retain(|_, service| service.strong_count() > 0);
        services.insert(key.clone(), Arc::downgrade(&service));
        Ok(service)
    }

    fn known_service(&self, key: &ServiceKey) -> Option<Arc<UsedService>> {
        self.used().get(key).and_then(Weak::upgrade)
    }

    /// Every service in use.
    pub(crate) fn services(&self) -> Vec<Arc<UsedService>> {
        self.used().values().filter_map(Weak::upgrade).collect()
    }

    fn used(&self) -> MutexGuard<'_, HashMap<ServiceKey, Weak<UsedService>>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the turn to make extensions and layers, and to put settings in force.
    ///
    /// # Errors
    /// Busy: an extension or layer asks for it while it is made.
    pub(crate) fn turn(&self) -> Result<TurnGuard<'_, Live>, Error> {
        self.live.take("this consumer")
    }

    /// The program's own layers around attempts.
    ///
    /// They see the ids of the attempt's span, if it has any.
    pub(crate) fn around_attempts(&self) -> AttemptLayers {
        let (mut around, layers) = (AttemptLayers::new(), self.attempt_layers.clone());
        if let Some(bridge) = self.extensions.trace_bridge().cloned() {
            around = around.wrap(move |_, inner| sending(&bridge, inner));
        }
        match layers.is_empty() {
            true => around,
            false => around.wrap(move |instance, inner| layers.apply_at(instance, inner)),
        }
    }

    /// The program's own layers around calls of `service`, if any, with `inner` inside them.
    pub(crate) fn around_calls(
        &self,
        service: &ServiceKey,
        inner: &BoxInvoker,
    ) -> Option<(BoxInvoker, Arc<Swap>)> {
        self.call_layers.has(service).then(|| {
            let inside = Swap::new(inner.clone());
            (self.call_layers.apply(service, BoxInvoker::from_arc(inside.clone())), inside)
        })
    }

    /// The picker for attempts of `method`, made of these parts and those that all calls share.
    pub(crate) fn picker_of(
        &self,
        directory: Arc<Directory>,
        method: &Method,
        mut routers: RouterChain,
        balancer: Arc<dyn LoadBalance>,
    ) -> Picker {
        if method.kind().is_streaming() {
            routers = routers.carrying(self.connector.clone(), method.kind());
        }
        let (budget, backlog) = (self.budget.clone(), self.backlog.clone());
        let seed = self.extensions.seed();
        Picker::new(PickerParts { directory, routers, balancer, budget, backlog, seed })
    }
}

/// The method of `service` from its declaration in a trait.
pub(crate) fn method_of(
    service: &ServiceKey,
    described: &MethodDescriptor,
) -> Result<Method, Error> {
    let MethodDescriptor { name, kind, idempotent, .. } = *described;
    let at = |error: Error| error.at(format_args!("{}: {service}", Origin::Attribute));
    let fallback = described.fallback_reply().map_err(at)?;
    Ok(Method::new(service.clone(), name, kind, idempotent)
        .with_fallback(fallback)
        .with_signature(described.signature))
}

/// Builds a [`Consumer`]; made by [`Consumer::new`].
///
/// The configuration file and the environment are stronger than settings made here, unless
/// [`sources`](Self::sources) replaces them. Layers are added from the outside to the inside: the
/// first is the outermost. [`guide::layers`](crate::guide::layers) explains the positions *call*
/// and *attempt*.
///
/// ```
/// use dubhe::config::Sources;
/// use dubhe::{Consumer, Invocation, interceptor};
///
/// # fn main() -> Result<(), dubhe::Error> {
/// let consumer = Consumer::new("static://10.0.0.1:20880,10.0.0.2:20880")
///     // Neither file nor environment, so that a test means the same everywhere.
///     .sources(Sources::default())
///     .set("consumer.timeout", "300ms")
///     .set("consumer.services.\"shop.Stock\".methods.reserve.cluster", "failfast")
///     .call_layer(interceptor(|call: &mut Invocation| {
///         call.metadata.insert("tenant", "blue");
///         Ok(())
///     }))
///     .build()?;
/// assert_eq!(consumer.config().consumer.timeout.as_millis(), 300);
///
/// let wrong = Consumer::new("static://10.0.0.1:20880").set("consumer.timeout", 300).build();
/// assert!(wrong.unwrap_err().to_string().contains("write it with its unit"));
/// # Ok(())
/// # }
/// ```
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
    /// Sets a key of the configuration, such as `consumer.timeout`, as a file would. Names with
    /// dots are in quotes: `consumer.services."shop.Inventory".timeout`.
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

    /// Sets the extensions that configuration can choose by name; the default has the built-in
    /// ones.
    pub fn extensions(mut self, extensions: Extensions) -> Self {
        self.setup.extensions = extensions;
        self
    }

    /// Treats policies, balancers, routers and codecs with unknown names as if they were not set;
    /// [`Consumer::left_out`] lists them. It is for tools that share the settings of a program but
    /// not its extensions; by default each is an error.
    pub fn leave_out_unknown(mut self) -> Self {
        self.leaves_out_unknown = true;
        self
    }

    /// Opens connections to providers by `dial` instead of TCP: over TLS, Unix sockets, an
    /// in-memory network.
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.dial = Some(Arc::new(dial));
        self
    }

    /// Adds a tower layer around every call, inside the present ones. It runs once for a call,
    /// however often that is sent.
    pub fn call_layer<L>(mut self, layer: L) -> Self
    where
        L: TowerLayer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.call_layers.push(None, layer);
        self
    }

    /// Adds a tower layer around the calls of one service or method, inside the present ones. A
    /// method that the service does not have is an error of [`Consumer::client`]; a service of a
    /// similar name is a warning.
    pub fn call_layer_for<L>(mut self, scope: impl Into<Scope>, layer: L) -> Self
    where
        L: TowerLayer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.call_layers.push(Some(scope.into()), layer);
        self
    }

    /// Adds a tower layer around every attempt at a provider, inside the present ones. Its state is
    /// that of one instance of a service.
    pub fn attempt_layer<L>(mut self, layer: L) -> Self
    where
        L: TowerLayer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.attempt_layers.push(None, layer);
        self
    }

    /// Adds a tower layer that `make` makes for each instance, around the attempts there, inside
    /// the present ones.
    pub fn attempt_layer_with<L>(
        mut self,
        make: impl Fn(&Instance) -> L + Send + Sync + 'static,
    ) -> Self
    where
        L: TowerLayer<BoxInvoker, Service: Invoker>,
    {
        self.attempt_layers.push_with(make);
        self
    }

    /// Adds a tower layer around the attempts of one service or method, inside the present ones.
    pub fn attempt_layer_for<L>(mut self, scope: impl Into<Scope>, layer: L) -> Self
    where
        L: TowerLayer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.attempt_layers.push(Some(scope.into()), layer);
        self
    }

    /// Builds the consumer. It connects to nothing yet.
    ///
    /// # Errors
    /// Settings that are unknown or cannot work, with their place and the remedy.
    pub fn build(mut self) -> Result<Consumer, Error> {
        let (config, left_out) = match self.leaves_out_unknown {
            true => self.setup.load_known()?,
            false => (self.setup.load()?, Vec::new()),
        };
        let budget = &config.consumer.retry_budget;
        let registries = self.setup.extensions.registries(&config)?;
        let governance = Governance::of(&config, &registries);
        let registry = registry::several(registries)?;
        let protocols = self.setup.extensions.protocols()?;
        let dial = self.dial.unwrap_or_else(|| Arc::new(Tcp));
        let local = crate::local::servers(&config)?;
        let connections = Connections::with_dial(&protocols, config.consumer.client(), dial)?;
        let codecs = self.setup.extensions.codecs(&config.consumer.codec)?;
        let budget = Arc::new(RetryBudget::new(budget.percent, budget.per_second));
        Ok(Consumer(Arc::new_cyclic(|me| Inner {
            codecs,
            registry,
            connector: Arc::new(connections.with_local(local.clone())),
            local,
            budget,
            backlog: Arc::default(),
            metrics: Metrics::new("consumer"),
            call_layers: self.call_layers,
            attempt_layers: self.attempt_layers,
            extensions: self.setup.extensions.clone(),
            services: Mutex::default(),
            live: Turn::new(Live::new(self.setup)),
            governance: governance.owned_by(me),
            config: ArcSwap::from_pointee(config),
            leaves_out_unknown: self.leaves_out_unknown,
            left_out,
        })))
    }
}

/// Connects a client with a consumer of its own: `GreeterClient::connect("dev://")`.
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
