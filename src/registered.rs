//! What a provider registers of its services, and the settings and rules that decide it while it serves.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use cluster::{DISABLED, WARMUP};
use futures_util::future::try_join_all;
use registry::{Registration, Registry};
use rpc_core::server::Dispatcher;
use rpc_core::{Error, Instance, ServiceKey};
use tokio::task::JoinSet;

use crate::config::{Config, Setting};
use crate::describe::DESCRIBE;
use crate::handlers::Handlers;
use crate::live::{Turn, made};
use crate::route::RegistryRoutes;
use crate::rules::{
    Centres, Configurators, Effects, FollowedRule, Hear, Party, RuleBook, RuleKey, tell,
};
use crate::serving;
use crate::setup::Setup;

/// The services of a provider, as settings and rules of config centres have them.
pub(crate) struct Registered {
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) start: Start,
    pub(crate) config: ArcSwap<Config>,
    live: Turn<ProviderLive>,
    /// What rules are held against.
    party: ArcSwap<Party>,
    registrations: Mutex<Vec<(ServiceKey, Registration)>>,
}

/// What stays the same from the start of a provider on.
#[derive(Debug)]
pub(crate) struct Start {
    /// The advertised address, as `host:port`.
    pub(crate) address: String,
    pub(crate) id: Arc<str>,
    pub(crate) started_ms: u64,
}

/// The state that follows from the settings, so that they can be replaced.
#[derive(Debug)]
struct ProviderLive {
    setup: Setup,
    handlers: Handlers,
    /// The rules of config centres that are in force.
    book: RuleBook,
}

impl Registered {
    /// Services by `config`; nothing is registered yet.
    pub(crate) fn new(
        (setup, handlers): (Setup, Handlers),
        config: Config,
        dispatcher: Arc<Dispatcher>,
        start: Start,
        party: Party,
    ) -> Arc<Self> {
        let live = Turn::new(ProviderLive { setup, handlers, book: RuleBook::default() });
        let (config, registrations) = (ArcSwap::from_pointee(config), Mutex::default());
        let party = ArcSwap::from_pointee(party);
        Arc::new(Self { dispatcher, start, config, live, party, registrations })
    }

    /// Follows the rules for its services. They are in force when it returns, unless a config centre
    /// does not answer within a second.
    pub(crate) async fn follow_rules(
        self: &Arc<Self>,
        centres: &Centres,
    ) -> Vec<Arc<FollowedRule>> {
        if centres.is_empty() {
            return Vec::new();
        }
        let me = Arc::downgrade(self);
        let hear: Hear =
            Arc::new(move |key, text| me.upgrade().inspect(|me| me.heard(key, text)).is_some());
        let application = self.config.load().application.name.clone();
        let services: Vec<ServiceKey> = self.served().cloned().collect();
        let rules = centres.follow(&application, &services, &hear).await;
        rules.iter().for_each(|rule| rule.tell());
        rules
    }

    /// Registers everything at `registry`; gives the instances.
    pub(crate) async fn register(&self, registry: &dyn Registry) -> Result<Vec<Instance>, Error> {
        let config = self.config.load_full();
        let served: Vec<Instance> =
            self.served().map(|service| self.instance(&config, service)).collect();
        // All at once, so that a registry publishes them together.
        let registering = served.iter().map(async |instance| {
            let registration = registry.register(instance.clone()).await?;
            Ok::<_, Error>((instance.service.clone(), registration))
        });
        let registered = try_join_all(registering).await?;
        // Not before all are: a registry that refuses one of them ends the start.
        *self.registrations() = registered;
        // What a rule has changed meanwhile.
        self.update(&config);
        Ok(served)
    }

    /// Whether the registry has confirmed every service.
    pub(crate) fn is_registered(&self) -> bool {
        self.registrations().iter().all(|(_, registration)| registration.is_registered())
    }

    /// Whether the registry has confirmed `service`.
    pub(crate) fn has(&self, service: &ServiceKey) -> bool {
        let all = self.registrations();
        all.iter().any(|(own, registration)| own == service && registration.is_registered())
    }

    /// The registrations, which are no longer kept.
    pub(crate) fn leave(&self) -> Vec<Registration> {
        std::mem::take(&mut *self.registrations()).into_iter().map(|(_, own)| own).collect()
    }

    /// Changes the settings, wholly or not at all; gives what is different, and logs it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Setup)) -> Result<Vec<Setting>, Error> {
        self.change_in(&mut *self.live.take("this provider")?, change)
    }

    fn change_in(
        &self,
        live: &mut ProviderLive,
        change: impl FnOnce(&mut Setup),
    ) -> Result<Vec<Setting>, Error> {
        let mut next = live.setup.clone();
        change(&mut next);
        let config = made(|| next.load())?;
        let changed = self.config.load().changes_to(&config)?;
        let served: Vec<ServiceKey> = self.served().cloned().collect();
        config.check_served(&served)?;
        for service in &served {
            config.check_handlers(service, live.handlers.methods_of(service))?;
        }
        let filters = made(|| live.handlers.next(&config))?;
        // From here on nothing can fail, but for a registry that was shut down.
        live.handlers.follow(filters);
        serving::follow(&self.dispatcher, &config);
        let before = self.config.swap(Arc::new(config));
        live.setup = next;
        self.update(&before);
        for setting in &changed {
            tracing::info!(target: "dubhe::config", %setting, "changed");
        }
        Ok(changed)
    }

    /// A rule has come, or there is none.
    fn heard(&self, key: &RuleKey, text: Option<&str>) {
        let rule = match text.map(Configurators::parse).transpose() {
            Ok(rule) => rule.map(Arc::new),
            Err(error) => return tell::refused(key, &error),
        };
        // Fails only for who has the turn already, and no extension comes here.
        let Ok(mut live) = self.live.take("this provider") else { return };
        if live.book.get(key) == rule.as_ref() {
            return;
        }
        let mut book = live.book.clone();
        book.set(key, rule.clone());
        match self.order(&mut live, book) {
            Ok(()) => tell::in_force(key, rule.as_deref(), &self.party.load()),
            Err(error) => tell::refused(key, &error),
        }
    }

    /// Puts the rules in `book` in force, or refuses them whole.
    fn order(&self, live: &mut ProviderLive, book: RuleBook) -> Result<(), Error> {
        let plain = self.without_rules(live)?;
        let instances: Vec<Instance> =
            self.served().map(|service| self.instance(&plain, service)).collect();
        let effects = book.for_instances(&self.party.load(), &instances);
        if live.setup.effects != effects {
            self.change_in(live, |setup| setup.effects = effects)?;
        }
        live.book = book;
        Ok(())
    }

    /// Holds rules against these addresses of this machine, too.
    fn know(&self, hosts: Vec<String>) {
        let party = self.party.load_full();
        let new = |host: &String| !party.hosts.contains(host);
        let new: Vec<String> = hosts.into_iter().filter(new).collect();
        if new.is_empty() {
            return;
        }
        let hosts = party.hosts.iter().cloned().chain(new).collect();
        self.party.store(Arc::new(Party { hosts, ..Party::clone(&party) }));
        // Fails only for who has the turn already, and no extension comes here.
        let Ok(mut live) = self.live.take("this provider") else { return };
        let book = live.book.clone();
        if let Err(error) = self.order(&mut live, book) {
            live.book.keys().for_each(|key| tell::refused(key, &error));
        }
    }

    /// Looks on for the addresses of this machine that are missing in `routes`, by which rules name it; ends
    /// with what is returned.
    pub(crate) fn search(self: &Arc<Self>, routes: RegistryRoutes) -> JoinSet<()> {
        let mut searching = JoinSet::new();
        routes.warn();
        let me = Arc::downgrade(self);
        let found = move |routes: &RegistryRoutes| {
            me.upgrade().inspect(|me| me.know(routes.hosts())).is_some()
        };
        searching.spawn(routes.search(found));
        searching
    }

    /// The settings that there are without rules: what rules are held against, as one that has changed the
    /// weight must not cease to hold by that.
    fn without_rules(&self, live: &ProviderLive) -> Result<Arc<Config>, Error> {
        if live.setup.effects == Effects::default() {
            return Ok(self.config.load_full());
        }
        let mut setup = live.setup.clone();
        setup.effects = Effects::default();
        made(|| setup.load()).map(Arc::new)
    }

    /// Registers anew what is different from `before`.
    fn update(&self, before: &Config) {
        // Whoever has it puts what is newest in place of what another has put there: read before, the
        // settings might be older than those.
        let registrations = self.registrations();
        let config = self.config.load();
        for (service, registration) in &*registrations {
            let instance = self.instance(&config, service);
            if instance != self.instance(before, service)
                && let Err(error) = registration.update(instance)
            {
                tracing::warn!(
                    target: "dubhe::provider",
                    %service, %error, "could not register what has changed"
                );
            }
        }
    }

    /// The services that are registered. Whoever knows an instance can ask it what it serves; nobody
    /// looks the description up in a registry.
    fn served(&self) -> impl Iterator<Item = &ServiceKey> {
        self.dispatcher.services().iter().filter(|service| service.as_str() != DESCRIBE)
    }

    /// What is registered of `service`.
    fn instance(&self, config: &Config, service: &ServiceKey) -> Instance {
        let Start { address, id, started_ms, .. } = &self.start;
        let mut instance = Instance::new(service.clone(), address, id);
        instance.application = (&*config.application.name).into();
        let (weight, warmup) = config.instance(service);
        instance.weight = weight;
        let mut metadata = config.provider.metadata.clone();
        metadata.insert(WARMUP.to_owned(), warmup.as_millis().to_string());
        if config.is_disabled(service) {
            metadata.insert(DISABLED.to_owned(), "true".to_owned());
        }
        instance.metadata = metadata.into();
        instance.started_ms = *started_ms;
        instance.protocols = config.provider.protocols.names().map(str::to_owned).collect();
        instance.codecs = self.dispatcher.codecs().names().map(str::to_owned).collect();
        instance
    }

    fn registrations(&self) -> MutexGuard<'_, Vec<(ServiceKey, Registration)>> {
        self.registrations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered")
            .field("start", &self.start)
            .field("registrations", &*self.registrations())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use registry::connect;
    use rpc_core::Metrics;

    use super::*;
    use crate::config::{Layer, Sources};
    use crate::rules::PartySide;

    fn weighing(weight: u32) -> Config {
        let builder = Layer::new().set("provider.weight", weight);
        Config::load(Sources { builder, ..Sources::default() }).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_registers_what_has_changed_takes_what_is_newest_by_then() {
        let (setup, service) = (Setup::default(), ServiceKey::new("shop.Stock"));
        let metrics = Metrics::new("provider");
        let handlers = Handlers::new(&setup.extensions, &metrics);
        let dispatcher = Dispatcher::new(setup.extensions.codecs("json").unwrap(), metrics);
        let start = Start { address: "127.0.0.1:1".to_owned(), id: "id".into(), started_ms: 1 };
        let (side, application) = (PartySide::Provider, String::new());
        let party = Party { side, application, hosts: Vec::new() };
        let registered =
            Registered::new((setup, handlers), weighing(1), dispatcher.into(), start, party);
        let registry = connect("memory://newest-by-then").unwrap();
        let before = registered.config.load_full();
        let listed = registered.instance(&before, &service);
        let registration = registry.register(listed).await.unwrap();
        registered.config.store(Arc::new(weighing(2)));
        let is_begun = AtomicBool::new(false);
        thread::scope(|scope| {
            let mut registrations = registered.registrations();
            registrations.push((service.clone(), registration));
            scope.spawn(|| {
                is_begun.store(true, Ordering::Release);
                registered.update(&before);
            });
            // It waits for the turn by now, as a rule; whether it does changes nothing that is promised.
            while !is_begun.load(Ordering::Acquire) {
                thread::yield_now();
            }
            (0..10_000).for_each(|_| thread::yield_now());
            registered.config.store(Arc::new(weighing(3)));
        });
        let mut list = registry.subscribe(&service).await.unwrap();
        while list.latest().instances[0].weight != 3 {
            assert_eq!(list.latest().instances[0].weight, 1, "an older one is registered");
            list.next().await.unwrap();
        }
    }
}
