//! Rules of config centres, put in force in a consumer.
//!
//! Of each key the newest rule counts. One that is malformed, or that the settings, the extensions or a
//! client refuse, is told in one warning, and the last good one stays. A rule never fails a call or a
//! client.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use registry::{ConfigCenter, Registry};
use rpc_core::{Error, LostRegistry, ServiceKey, runtime};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::reload::Live;
use super::service::UsedService;
use crate::config::Config;
use crate::consumer::Inner;
use crate::describe::DESCRIBE;
use crate::route::{RegistryRoutes, SEARCH};
use crate::rules::{
    Centres, Configurators, FollowedRule, Hear, Party, PartySide, RuleBook, RuleKey, tell,
};

/// What a consumer follows for all of its services.
#[derive(Debug)]
pub(crate) struct Governance {
    consumer: Weak<Inner>,
    centres: Centres,
    /// Who reads the rules; `None` until a service is used.
    party: ArcSwapOption<Party>,
    /// The ways to the registries, by which rules name this machine.
    routes: Mutex<RegistryRoutes>,
    /// The search for those that are not known.
    searching: Mutex<JoinSet<()>>,
    of_application: OnceCell<Vec<Arc<FollowedRule>>>,
}

impl Governance {
    /// What a consumer of these `registries` follows, which are those of `config` in its order; nothing before
    /// the first service is used.
    pub(crate) fn of(config: &Config, registries: &[Arc<dyn Registry>]) -> Self {
        Self {
            consumer: Weak::new(),
            centres: Centres::of(registries, config.registry.use_as_config_center),
            party: ArcSwapOption::empty(),
            routes: Mutex::new(RegistryRoutes::of(config, registries)),
            searching: Mutex::default(),
            of_application: OnceCell::new(),
        }
    }

    pub(crate) fn owned_by(self, consumer: &Weak<Inner>) -> Self {
        Self { consumer: consumer.clone(), ..self }
    }

    /// The config centres, the strongest first.
    pub(crate) fn centres(&self) -> &[Arc<dyn ConfigCenter>] {
        self.centres.as_slice()
    }

    fn hear(&self) -> Hear {
        let consumer = self.consumer.clone();
        Arc::new(move |key, text| {
            consumer.upgrade().inspect(|consumer| consumer.heard(key, text)).is_some()
        })
    }

    /// The config centres of `rules` and of the application's that do not answer at present, each once.
    pub(crate) fn unheard(&self, rules: &[Arc<FollowedRule>]) -> Vec<LostRegistry> {
        let mut unheard: Vec<LostRegistry> = Vec::new();
        let of_application = self.of_application.get().into_iter().flatten();
        for centre in rules.iter().chain(of_application).filter_map(|rule| rule.unheard()) {
            if unheard.iter().all(|named| named.address != centre.address) {
                unheard.push(centre);
            }
        }
        unheard
    }

    /// Finds out who reads the rules, within a second; by other addresses than those that are found then,
    /// rules cannot name this machine yet.
    async fn find_party(&self, application: &str) {
        let mut routes = self.routes();
        routes.look_up(SEARCH).await;
        routes.warn();
        self.party.store(Some(Arc::new(Party {
            side: PartySide::Consumer,
            application: application.to_owned(),
            hosts: routes.hosts(),
        })));
        self.keep(routes);
    }

    /// Has a task look on for the ways that are not known, unless one does; it ends with this, or its
    /// runtime.
    fn search(&self) {
        let routes = self.routes();
        let mut searching = self.searching.lock().unwrap_or_else(PoisonError::into_inner);
        while searching.try_join_next().is_some() {}
        if self.party.load().is_none() || routes.are_known() || !searching.is_empty() {
            return;
        }
        let Ok(runtime) = runtime::with_timers() else { return };
        let consumer = self.consumer.clone();
        let found = move |routes: &RegistryRoutes| {
            let Some(consumer) = consumer.upgrade() else { return false };
            consumer.governance.keep(routes.clone());
            consumer.know(routes.hosts());
            true
        };
        searching.spawn_on(routes.search(found), &runtime);
    }

    fn routes(&self) -> RegistryRoutes {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, routes: RegistryRoutes) {
        *self.routes.lock().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    /// Has `rules` and those of the application followed again in the runtime here.
    pub(crate) fn resuming(
        &self,
        rules: &[Arc<FollowedRule>],
    ) -> impl Fn() + Send + Sync + 'static {
        let (consumer, rules) = (self.consumer.clone(), rules.to_vec());
        move || {
            let consumer = consumer.upgrade();
            consumer.iter().for_each(|inner| inner.governance.search());
            let all = consumer.as_ref().and_then(|inner| inner.governance.of_application.get());
            all.into_iter().flatten().chain(&rules).for_each(|rule| rule.resume());
        }
    }
}

impl Inner {
    /// Follows the rules of `service`, and those of the application. They are known when it returns,
    /// unless a config centre does not answer within a second.
    pub(crate) async fn follow_rules(&self, service: &ServiceKey) -> Vec<Arc<FollowedRule>> {
        let Governance { centres, of_application, .. } = &self.governance;
        let config = self.config.load_full();
        if centres.is_empty() || service.as_str() == DESCRIBE || config.is_local(service) {
            return Vec::new();
        }
        let application = &config.application.name;
        let hear = self.governance.hear();
        let all = of_application.get_or_init(async || {
            let following = centres.follow(application, &[], &hear);
            let (rules, ()) = tokio::join!(following, self.governance.find_party(application));
            rules.iter().for_each(|rule| rule.tell());
            rules
        });
        let services = [service.clone()];
        let (_, own) = tokio::join!(all, centres.follow("", &services, &hear));
        self.governance.search();
        own
    }

    /// Puts in force what the rules order for a service that is new in use; gives it back.
    pub(crate) async fn begin_rules(&self, used: Arc<UsedService>) -> Arc<UsedService> {
        self.order_anew();
        used.rules.iter().for_each(|rule| rule.tell());
        // What they order for instances holds for the first call, too.
        used.directory.wait_applied().await;
        used
    }

    /// Puts the rules that there are in force once more, as something that they depend on has changed.
    fn order_anew(&self) {
        if let Ok(mut live) = self.turn() {
            let book = live.book.clone();
            if let Err(error) = self.order(&mut live, book) {
                live.book.keys().for_each(|key| tell::refused(key, &error));
            }
        }
    }

    /// Holds rules against these addresses of this machine.
    fn know(&self, hosts: Vec<String>) {
        let party = self.governance.party.load_full();
        let Some(party) = party.filter(|party| party.hosts != hosts) else { return };
        self.governance.party.store(Some(Arc::new(Party { hosts, ..Party::clone(&party) })));
        self.order_anew();
    }

    /// A rule has come, or there is none.
    fn heard(&self, key: &RuleKey, text: Option<&str>) {
        // Who reads it is found out meanwhile, and it is told again then.
        let Some(party) = self.governance.party.load_full() else { return };
        let rule = match text.map(Configurators::parse).transpose() {
            Ok(rule) => rule.map(Arc::new),
            Err(error) => return tell::refused(key, &error),
        };
        // Fails only for who has the turn already, and no extension comes here.
        let Ok(mut live) = self.turn() else { return };
        if live.book.get(key) == rule.as_ref() {
            return;
        }
        let mut book = live.book.clone();
        book.set(key, rule.clone());
        match self.order(&mut live, book) {
            Ok(()) => {
                tell::in_force(key, rule.as_deref(), &party);
                self.tell_strangers(&mut live);
            }
            Err(error) => tell::refused(key, &error),
        }
    }

    /// Tells of each rule once which of its methods no client of the service has, as soon as there is one.
    pub(super) fn tell_strangers(&self, live: &mut Live) {
        let Some(party) = self.governance.party.load_full() else { return };
        let Live { book, looked_at, .. } = &mut *live;
        if book.is_empty() {
            return looked_at.clear();
        }
        let services = self.services();
        looked_at.retain(|(key, service), rule| {
            book.get(key).is_some_and(|own| Arc::ptr_eq(own, rule))
                && services.iter().any(|used| used.key == *service)
        });
        for service in &services {
            let looked = |key: &RuleKey| (key.clone(), service.key.clone());
            let is_new = |key: &RuleKey| !live.looked_at.contains_key(&looked(key));
            let news = live.book.iter().filter(|(key, _)| is_new(key));
            let news: Vec<_> = news.map(|(key, rule)| (key.clone(), Arc::clone(rule))).collect();
            if news.is_empty() {
                continue;
            }
            let methods = live.methods_of(service);
            if methods.is_empty() {
                continue;
            }
            let known: Vec<&str> = methods.iter().map(String::as_str).collect();
            for (key, rule) in news {
                let strangers = rule.strangers(&party, &service.key, &known);
                strangers.iter().for_each(|error| tell::stranger(&key, error));
                live.looked_at.insert(looked(&key), rule);
            }
        }
    }

    /// Puts the rules in `book` in force for the services in use, or refuses them whole.
    fn order(&self, live: &mut Live, mut book: RuleBook) -> Result<(), Error> {
        let services = self.services();
        book.retain(|service| services.iter().any(|used| used.key == *service));
        if let Some(party) = self.governance.party.load_full() {
            let effects = book.for_calls(&party, services.iter().map(|used| &used.key));
            if live.setup.effects != effects {
                self.change_in(live, |setup| setup.effects = effects)?;
            }
        }
        live.book = book;
        Ok(())
    }

    /// Has each rule that a new client cannot follow refused, and the others in force for it too.
    pub(super) fn order_again(&self, live: &mut Live) -> Result<(), Error> {
        let Some(party) = self.governance.party.load_full() else { return Ok(()) };
        let services = self.services();
        let keys = || services.iter().map(|used| &used.key);
        let mut good = RuleBook::default();
        for (key, rule) in live.book.iter() {
            let mut more = good.clone();
            more.set(key, Some(Arc::clone(rule)));
            let effects = more.for_calls(&party, keys());
            match self.prepare(live, |setup| setup.effects = effects) {
                Ok(_) => good = more,
                Err(error) => tell::refused(key, &error),
            }
        }
        let effects = good.for_calls(&party, keys());
        self.change_in(live, |setup| setup.effects = effects)?;
        live.book = good;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Consumer;
    use crate::config::{Layer, Sources};

    use super::*;

    #[tokio::test]
    async fn an_address_of_this_machine_that_is_found_late_has_rules_hold_for_it() {
        let registry = "memory://found-late";
        let builder = Layer::new().set("registry.address", registry);
        let sources = Sources { builder, ..Sources::default() };
        let consumer = Consumer::builder().sources(sources).build().unwrap();
        let rule = r#"{ "key": "shop.Stock", "configs": [{ "side": "consumer",
            "addresses": ["10.9.8.7"], "parameters": { "timeout": 4321 } }] }"#;
        let centre = &consumer.config_centers()[0];
        centre.publish("shop.Stock::.configurators", "dubbo", Some(rule)).await.unwrap();
        let service = ServiceKey::new("shop.Stock");
        let used = consumer.0.service(&service).await.unwrap();
        assert_eq!(consumer.rules(&service).await.unwrap().settings, []);
        consumer.0.know(vec!["10.9.8.7".to_owned()]);
        let settings = consumer.rules(&service).await.unwrap().settings;
        let [timeout] = &settings[..] else { panic!("{settings:?}") };
        assert_eq!(timeout.value, "\"4321ms\"", "{timeout}");
        drop(used);
    }
}
