//! The provider: dispatch, export, register; and the way back down. Wiring only.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use protocols::{DrainReport, Injvm, Server};
use registry::Registry;
use rpc_core::descriptor::ServiceDescriptor;
use rpc_core::server::{Handler, LocalGuard};
use rpc_core::transport::Listen;
use rpc_core::{BoxInvoker, Error, Extension, Instance, Invoker, Metrics, ServiceKey, runtime};
use tokio::task::JoinSet;
use tower_layer::Layer as TowerLayer;

use crate::address::Listening;
use crate::config::{Config, Layer, Setting, Sources};
use crate::extensions::Extensions;
use crate::layers::{Layers, Scope};
use crate::registered::{Registered, Start};
use crate::route::RegistryRoutes;
use crate::rules::{Centres, FollowedRule, Party, PartySide, host_of};
use crate::serving;
use crate::setup::Setup;
use crate::signal::Signals;

/// Builds a provider: services, layers and settings.
///
/// The configuration file and the environment are stronger than settings made here, unless
/// [`sources`](Self::sources) replaces them.
///
/// ```no_run
/// # use dubhe::prelude::*;
/// # #[dubhe::service]
/// # trait Greeter {
/// #     async fn hello(&self, name: String) -> Result<String>;
/// # }
/// # struct Me;
/// # impl Greeter for Me {
/// #     async fn hello(&self, name: String) -> Result<String> {
/// #         Ok(format!("hi {name}"))
/// #     }
/// # }
/// # #[tokio::main]
/// # async fn main() -> Result<(), dubhe::Error> {
/// // Serves until SIGTERM or Ctrl-C, and then drains.
/// Provider::new("dubhe://127.0.0.1:20890")
///     .set("provider.port", 20881)
///     .serve(GreeterServer::new(Me))
///     .run()
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// Every service is on the same port, in every protocol of `provider.protocols`.
/// [`guide::deployment`](crate::guide::deployment) explains addresses, the drain and limits.
#[derive(Default)]
#[must_use = "a provider serves once it is started or run"]
pub struct Provider {
    setup: Setup,
    layers: Layers,
    services: Vec<(ServiceKey, Arc<dyn Handler>)>,
    listeners: Vec<Box<dyn Listen>>,
}

impl Provider {
    /// A provider that registers at `url`, such as `dev://`.
    ///
    /// The configuration file and the environment are stronger than `url`, unless it is
    /// `memory://`.
    pub fn new(url: &str) -> Self {
        Self::builder().set("registry.address", url)
    }

    /// A provider that registers where the configuration says.
    pub fn builder() -> Self {
        Self::default()
    }

    /// Serves `handler`, a generated server, under the name of its trait.
    pub fn serve(self, handler: impl Handler) -> Self {
        let ServiceDescriptor { interface, group, version, .. } = *handler.descriptor();
        self.serve_as(ServiceKey::with_parts(interface, group, version), handler)
    }

    /// Serves `handler` under another key: of another group or version.
    pub fn serve_as(mut self, service: ServiceKey, handler: impl Handler) -> Self {
        self.services.push((service, Arc::new(handler)));
        self
    }

    /// Sets a key of the configuration, such as `provider.port`, as a file would. Names with dots
    /// are in quotes: `provider.services."shop.Inventory".weight`.
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

    /// Adds a tower layer around every handler, inside the present ones. The first is the
    /// outermost. Each method has a layer of its own, made from this one.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: TowerLayer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.layers.push(None, layer);
        self
    }

    /// Adds a tower layer around the handlers of one service or method, inside the present ones. A
    /// service that is not served, or a method that it does not have, is an error of
    /// [`start`](Self::start): a guard that guards nothing must not go unnoticed.
    pub fn layer_for<L>(mut self, scope: impl Into<Scope>, layer: L) -> Self
    where
        L: TowerLayer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.layers.push(Some(scope.into()), layer);
        self
    }

    /// Accepts on `listener` in addition to the port: a Unix socket, an inherited descriptor, an
    /// in-memory network. Only the port is registered; callers of the listener must know it by
    /// other means.
    pub fn listen(mut self, listener: impl Listen) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }

    /// Serves until SIGTERM, SIGINT or SIGHUP, then drains: unregisters, notifies consumers, and
    /// waits for running calls within `provider.notice` and `provider.drain_timeout`.
    ///
    /// Signals within a second of the first are the same request; a later one ends the drain.
    /// SIGHUP is left alone where it is ignored, as under `nohup`, or where the program handles it
    /// itself.
    ///
    /// # Errors
    /// Those of [`start`](Self::start); a second signal that ended the drain.
    ///
    /// # Cancel safety
    /// Dropping the future closes the provider at once and cuts the calls that run.
    pub async fn run(self) -> Result<DrainReport, Error> {
        // Listening before anybody is told of the provider: no signal in between is lost.
        let signals = Signals::listen()?;
        self.start().await?.run_until(signals).await
    }

    /// Binds the port, and only then registers. A registry that is down is not an error: the
    /// provider registers when it is back ([`RunningProvider::is_registered`]).
    ///
    /// # Cancel safety
    /// Dropping the future closes the port again; what was registered ends with its lease.
    ///
    /// # Errors
    /// Settings that are unknown or cannot work, no service, a port in use, a registry that rejects
    /// the provider's credentials; no tokio runtime, or one without timers and IO.
    pub async fn start(mut self) -> Result<RunningProvider, Error> {
        runtime::whole()?;
        let config = self.setup.load()?;
        let registries = self.setup.extensions.registries(&config)?;
        let (dispatcher, handlers) =
            serving::dispatcher(&self.setup.extensions, &config, &self.layers, self.services)?;
        let dispatcher = Arc::new(dispatcher);
        let place = Listening::of(&config, &registries).await?;
        let protocols = self.setup.extensions.protocols()?;
        let served = config.provider.protocols.names().map(str::to_owned);
        let (listeners, local_addr) = place.listen(self.listeners)?;
        let address = place.advertised(local_addr);
        let serves_metrics = config.provider.metrics || place.bind.ip().is_loopback();
        let limits = config.provider.limits.server(place.hosts(&config), serves_metrics);
        let protocols = protocols.serving(served);
        let server = Server::new(listeners, dispatcher.clone(), protocols, limits);
        let centres = Centres::of(&registries, config.registry.use_as_config_center);
        let registry = registry::several(registries)?;
        let party = party(&config, &place.routes, &address);
        let id = uuid::Uuid::now_v7().to_string().into();
        let start = Start { address, id, started_ms: now_ms() };
        let registered = Registered::new((self.setup, handlers), config, dispatcher, start, party);
        let rules = registered.follow_rules(&centres).await;
        let is_named = centres.is_empty() || place.routes.are_known();
        let search = (!is_named).then(|| registered.search(place.routes));
        let mut running = RunningProvider {
            server,
            registry,
            local_addr,
            local: None,
            registered,
            _rules: rules,
            _search: search,
        };
        running.register().await?;
        Ok(running)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self.services.iter().map(|(service, _)| service);
        f.debug_tuple("Provider").field(&services.collect::<Vec<_>>()).finish()
    }
}

/// What rules are held against: the application and the addresses of this provider.
fn party(config: &Config, routes: &RegistryRoutes, address: &str) -> Party {
    let mut hosts = routes.hosts();
    let host = host_of(address).to_owned();
    if !hosts.contains(&host) {
        hosts.push(host);
    }
    Party { side: PartySide::Provider, application: config.application.name.clone(), hosts }
}

/// The present time by this machine's clock, in milliseconds since 1970.
fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// A provider that serves.
///
/// Dropping it frees its port at once, cuts connections and calls, and takes its instances off the
/// lists when the runtime polls its tasks. [`shutdown`](Self::shutdown) loses no call, and waits.
#[derive(Debug)]
#[must_use = "a provider that is dropped serves no longer: keep it, or call `run`"]
pub struct RunningProvider {
    server: Server,
    registry: Arc<dyn Registry>,
    local_addr: SocketAddr,
    /// Makes it visible to consumers of this process.
    local: Option<LocalGuard>,
    registered: Arc<Registered>,
    /// What is followed at config centres.
    _rules: Vec<Arc<FollowedRule>>,
    /// The search for addresses by which rules name this machine.
    _search: Option<JoinSet<()>>,
}

impl RunningProvider {
    /// The address that is bound.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The advertised address, as `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.registered.start.address
    }

    /// The counters of the calls answered by it.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        self.registered.dispatcher.metrics()
    }

    /// Whether the registry has confirmed every service.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.registered.is_registered()
    }

    /// Serves until SIGTERM, SIGINT or SIGHUP, then shuts down, as [`Provider::run`].
    ///
    /// # Errors
    /// Signals cannot be listened for; a second one ended the drain.
    ///
    /// # Cancel safety
    /// Dropping the future closes the provider at once and cuts the calls that run.
    pub async fn run(self) -> Result<DrainReport, Error> {
        let signals = Signals::listen()?;
        self.run_until(signals).await
    }

    async fn run_until(self, mut signals: Signals) -> Result<DrainReport, Error> {
        let signal = signals.next().await;
        tracing::info!(
            target: "dubhe::provider",
            signal, "shutting down; once more, a second later, ends it at once"
        );
        tokio::select! {
            report = self.shutdown() => Ok(report),
            signal = signals.again() => {
                Err(Error::closed(format!("a second {signal} ended the drain; calls may be cut")))
            }
        }
    }

    /// Shuts down without failing calls: unregisters and notifies consumers, serves on while they
    /// leave (`provider.notice`), waits for running calls (`provider.drain_timeout` for both
    /// together), closes. Afterwards the port is free.
    ///
    /// # Cancel safety
    /// Dropping the future closes everything at once and cuts the calls that run.
    pub async fn shutdown(self) -> DrainReport {
        self.server.announce_drain();
        drop(self.local);
        let mut leaving = JoinSet::new();
        for registration in self.registered.leave() {
            leaving.spawn(registration.unregister());
        }
        while let Some(left) = leaving.join_next().await {
            if let Ok(Err(error)) = left {
                tracing::warn!(target: "dubhe::provider", %error, "could not unregister");
            }
        }
        let config = self.registered.config.load_full();
        let provider = &config.provider;
        let report = self.server.drain(provider.notice, provider.drain_timeout).await;
        self.registry.shutdown().await;
        let DrainReport { cut_calls, cut_connections, took } = report;
        tracing::info!(target: "dubhe::provider", cut_calls, cut_connections, ?took, "drained");
        report
    }

    /// The settings in force now; a snapshot, that stays as it is when others come.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.registered.config.load_full()
    }

    /// Reads the configuration file and the environment again, or the [sources](Provider::sources)
    /// that were given, and puts in force what they say now; gives what has changed, and logs it.
    ///
    /// Weight, warm-up and metadata are registered anew; filters count for calls that come from
    /// then on, and those that did not change go on with all they know. Reads a file, so it blocks
    /// for as long as that takes.
    ///
    /// # Errors
    /// Settings that are unknown or cannot work; one that cannot change while a program runs, such
    /// as `provider.port` or a limit; a filter that panics while it is made. Everything stays as it
    /// was. [Busy](Error::is_busy), if a filter calls it while it is made.
    pub fn reload(&self) -> Result<Vec<Setting>, Error> {
        self.registered.change(|setup| setup.read = None)
    }

    /// Reloads from `sources`, now and by later [`reload`](Self::reload)s.
    ///
    /// # Errors
    /// Those of [`reload`](Self::reload).
    pub fn reload_from(&self, sources: Sources) -> Result<Vec<Setting>, Error> {
        self.registered.change(|setup| (setup.sources, setup.read) = (Some(sources), None))
    }

    /// Replaces the rules, settings that are stronger than all sources, as a program does that
    /// follows a config centre. [`Layer::rule`] names each; one that is [set](Layer::set) without a
    /// name is called `rule`.
    ///
    /// # Errors
    /// Those of [`reload`](Self::reload); the rules before stay in force.
    pub fn apply_rules(&self, rules: Layer) -> Result<Vec<Setting>, Error> {
        self.registered.change(|setup| setup.rules = rules)
    }

    async fn register(&mut self) -> Result<(), Error> {
        let mut served = self.registered.register(&*self.registry).await?;
        for instance in &mut served {
            let Instance { service, address: advertised, .. } = &*instance;
            let (bound, registry) = (self.local_addr, self.registry.address());
            let registered = self.registered.has(service);
            tracing::info!(
                target: "dubhe::provider",
                %service, %bound, %advertised, registry, registered, "serving"
            );
            instance.protocols = [Injvm::NAME.to_owned()].into();
        }
        let servers = crate::local::servers(&self.config())?;
        self.local = Some(servers.add(self.server.state(), served));
        Ok(())
    }
}
