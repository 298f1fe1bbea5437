//! Changes of settings while calls run: each is made as a whole, or refused as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use rpc_core::{Codecs, Error, Method, ServiceKey};

use super::client::{self, LiveClient};
use super::made;
use super::service::{self, UsedService};
use crate::config::{Config, Layer, LeftOut, MethodDefaults, Selector, Setting, Sources};
use crate::consumer::{Consumer, Inner};
use crate::rules::{Configurators, Effects, RuleBook, RuleKey};
use crate::setup::Setup;

/// The state that follows from the settings of a consumer, so that they can be replaced.
#[derive(Debug)]
pub(crate) struct Live {
    pub(super) setup: Setup,
    clients: Vec<Weak<LiveClient>>,
    /// The rules of config centres that are in force.
    pub(super) book: RuleBook,
    /// Those whose methods have been compared with those of a service's clients.
    pub(super) looked_at: BTreeMap<(RuleKey, ServiceKey), Arc<Configurators>>,
    /// What of the settings, such as a rule, is left out since it is not known: key and name.
    left_out: BTreeSet<(String, String)>,
}

impl Live {
    pub(crate) fn new(setup: Setup) -> Self {
        let (book, looked_at, left_out) = Default::default();
        Self { setup, clients: Vec::new(), book, looked_at, left_out }
    }

    /// The names of the methods that clients of `service` have, sorted.
    pub(super) fn methods_of(&self, service: &Arc<UsedService>) -> BTreeSet<String> {
        let clients = self.clients.iter().filter_map(Weak::upgrade);
        let of_service = clients.filter(|client| Arc::ptr_eq(&client.service, service));
        of_service
            .flat_map(|client| {
                client.methods().iter().map(|method| method.name().to_owned()).collect::<Vec<_>>()
            })
            .collect()
    }
}

impl Consumer {
    /// Reads the configuration file and the environment again, or the
    /// [sources](crate::ConsumerBuilder::sources) that were given, and puts in force what they say
    /// now; returns what has changed, and logs it.
    ///
    /// All clients follow at once. Running calls end by the settings that they began with.
    /// Balancers, filters, connections and the state of instances stay, unless the settings that
    /// chose them have changed. It reads a file, so it blocks for that long.
    ///
    /// # Errors
    /// Settings that are unknown or cannot work, also for a client there is; one that cannot change
    /// while a program runs, such as `registry.address`; an extension or a layer that panics while
    /// it is made. Everything stays as it was. [Busy](Error::is_busy), if an extension or a layer
    /// calls it while it is made.
    pub fn reload(&self) -> Result<Vec<Setting>, Error> {
        self.0.change(|setup| setup.read = None)
    }

    /// Reloads from `sources`, now and by later [`reload`](Self::reload)s.
    ///
    /// # Errors
    /// Those of [`reload`](Self::reload).
    pub fn reload_from(&self, sources: Sources) -> Result<Vec<Setting>, Error> {
        self.0.change(|setup| (setup.sources, setup.read) = (Some(sources), None))
    }

    /// Replaces the rules, settings that are stronger than all sources and weaker than the options
    /// of a call, as a program does that follows a config centre. [`Layer::rule`] names each; one
    /// that is [set](Layer::set) without a name is called `rule`. File and environment are not read
    /// again.
    ///
    /// # Errors
    /// Those of [`reload`](Self::reload); the rules before stay in force.
    pub fn apply_rules(&self, rules: Layer) -> Result<Vec<Setting>, Error> {
        self.0.change(|setup| setup.rules = rules)
    }

    /// A client of these methods of `service`. A rule of a config centre that it cannot follow is
    /// refused; its own settings must be possible.
    pub(crate) fn live_client(
        &self,
        service: &Arc<UsedService>,
        methods: Vec<(Method, MethodDefaults)>,
        codecs: Option<Codecs>,
    ) -> Result<Arc<LiveClient>, Error> {
        // No other settings are put in force meanwhile.
        let mut live = self.0.turn()?;
        let config = self.0.config.load_full();
        let made = self.make_client(&mut live, &config, service, methods.clone(), codecs.clone());
        let client = match made {
            Err(_) if !live.book.is_empty() => {
                let plain = self.0.prepare(&live, |setup| setup.effects = Effects::default())?;
                let client =
                    self.make_client(&mut live, &plain.config, service, methods, codecs)?;
                self.0.order_again(&mut live)?;
                client
            }
            made => made?,
        };
        self.0.tell_strangers(&mut live);
        Ok(client)
    }

    fn make_client(
        &self,
        live: &mut Live,
        config: &Config,
        service: &Arc<UsedService>,
        methods: Vec<(Method, MethodDefaults)>,
        codecs: Option<Codecs>,
    ) -> Result<Arc<LiveClient>, Error> {
        let names = methods.iter().map(|(method, _)| method.name());
        self.0.check(config, &service.key, names)?;
        let (client, shared) = made(|| {
            let all: Vec<&Method> = methods.iter().map(|(method, _)| method).collect();
            self.0.check_balancers(config, &service.key, &all)?;
            let mut draft = service.draft(&self.0, config);
            let consumer = self.clone();
            let client = LiveClient::new(consumer, config, &mut draft, service, methods, codecs)?;
            Ok((client, draft.into_shared()))
        })?;
        service.keep(shared);
        live.clients.retain(|client| client.strong_count() > 0);
        live.clients.push(Arc::downgrade(&client));
        Ok(client)
    }
}

/// Other settings, and everything that follows from them, before they are put in force.
pub(super) struct Prepared {
    setup: Setup,
    config: Arc<Config>,
    changed: Vec<Setting>,
    left_out: Vec<LeftOut>,
    next: Vec<(Arc<UsedService>, Next)>,
}

/// The consequences of other settings for a service, and for each of its clients.
type Next = (service::NextService, Vec<(Arc<LiveClient>, client::NextPlans)>);

impl Inner {
    fn change(&self, change: impl FnOnce(&mut Setup)) -> Result<Vec<Setting>, Error> {
        self.change_in(&mut *self.turn()?, change)
    }

    /// Changes the settings for whoever has the turn.
    pub(super) fn change_in(
        &self,
        live: &mut Live,
        change: impl FnOnce(&mut Setup),
    ) -> Result<Vec<Setting>, Error> {
        let Prepared { setup, config, changed, left_out, next } = self.prepare(live, change)?;
        // From here on nothing can fail.
        let budget = &config.consumer.retry_budget;
        self.budget.set(budget.percent, budget.per_second);
        for (service, (shared, clients)) in next {
            service.follow(&config, &setup.effects, shared, self.around_attempts());
            clients.into_iter().for_each(|(client, next)| client.follow(next));
        }
        self.config.store(config);
        live.setup = setup;
        self.tell_left_out(live, left_out);
        for setting in &changed {
            tracing::info!(target: "dubhe::config", %setting, "changed");
        }
        Ok(changed)
    }

    /// Makes everything that follows from a change, without putting it in force.
    pub(super) fn prepare(
        &self,
        live: &Live,
        change: impl FnOnce(&mut Setup),
    ) -> Result<Prepared, Error> {
        let mut setup = live.setup.clone();
        change(&mut setup);
        let (config, left_out) = made(|| match self.leaves_out_unknown {
            true => setup.load_known(),
            false => Ok((setup.load()?, Vec::new())),
        })?;
        let config = Arc::new(config);
        let changed = self.config.load().changes_to(&config)?;
        let services = self.services();
        let clients: Vec<Arc<LiveClient>> = live.clients.iter().filter_map(Weak::upgrade).collect();
        let next = services.into_iter().map(|service| {
            let of_service = clients.iter().filter(|client| Arc::ptr_eq(&client.service, &service));
            let next = self.next(&config, &service, of_service)?;
            Ok((service, next))
        });
        let next = made(|| next.collect::<Result<Vec<_>, Error>>())?;
        Ok(Prepared { setup, config, changed, left_out, next })
    }

    /// Tells what is left out and was not before.
    fn tell_left_out(&self, live: &mut Live, left_out: Vec<LeftOut>) {
        let before = std::mem::take(&mut live.left_out);
        for LeftOut { key, name, error, .. } in left_out {
            let own = (key, name);
            let is_old = |old: &LeftOut| (&old.key, &old.name) == (&own.0, &own.1);
            if !before.contains(&own) && !self.left_out.iter().any(is_old) {
                tracing::warn!(
                    target: "dubhe::config",
                    %error, "left out here, only a program that adds it knows it"
                );
            }
            live.left_out.insert(own);
        }
    }

    /// The consequences of `config` for a service and its clients.
    fn next<'a>(
        &self,
        config: &Config,
        service: &UsedService,
        clients: impl Iterator<Item = &'a Arc<LiveClient>>,
    ) -> Result<Next, Error> {
        let mut draft = service.draft(self, config);
        let attempts = draft.attempt_filters()?;
        let next = clients.map(|client| {
            let methods = client.methods();
            self.check(config, &service.key, methods.iter().map(|method| method.name()))?;
            self.check_balancers(config, &service.key, &methods)?;
            Ok((Arc::clone(client), client.next(self, config, &mut draft)?))
        });
        let next = next.collect::<Result<Vec<_>, Error>>()?;
        Ok((service::NextService { shared: draft.into_shared(), attempts }, next))
    }

    /// Checks that each balancer can serve the methods of `service` that one setting gives to it.
    fn check_balancers(
        &self,
        config: &Config,
        service: &ServiceKey,
        methods: &[&Method],
    ) -> Result<(), Error> {
        let mut settings = BTreeMap::<String, (Selector, Vec<&Method>)>::new();
        for method in methods {
            let of = config.method(service, method.name(), &MethodDefaults::default());
            let (key, value) = (of.loadbalance.key, of.loadbalance.value);
            settings.entry(key).or_insert_with(|| (value, Vec::new())).1.push(method);
        }
        let nobody = &rpc_core::BuildContext::default();
        for (key, (balancer, methods)) in settings {
            let checked = self.extensions.load_balance(&balancer, nobody)?.check(&methods);
            checked.map_err(|error| config.blame(&key, error))?;
        }
        Ok(())
    }
}
