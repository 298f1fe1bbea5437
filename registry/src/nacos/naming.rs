//! Services of Nacos on one connection: what this process lists, and what it follows.
//!
//! A connection holds one entry for each service, with one instance or several, and each publication
//! replaces it. So everything that this process lists of a service is kept here and published together:
//! while one publication is under way, whatever comes waits for the next, which takes it all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_core::Error;
use tokio::sync::{RwLock, mpsc};
use tokio::time::timeout;

use super::connection::NacosConnection;
use super::messages::{
    BatchInstanceRequest, InstanceRequest, NacosHost, Named, ServiceListRequest,
    ServiceQueryRequest, SubscribeServiceRequest, without_group,
};
use super::own_hosts::{CheckPause, Done, KnownLists, NextStep, OwnHosts, off_list};
use super::pushes::Pushes;
use super::refusal::{NacosRefusal, code};
use super::unread_list::UnreadList;
use crate::lock::locked;
use crate::off_thread::off_thread_if_long;

/// Names asked for at a time.
const PAGE: usize = 500;

/// Most names of services that are read.
const MAX_NAMES: usize = 100_000;

/// Services whose pushes are to end, which may wait for it.
const LEAVING: usize = 4096;

/// How long it may take to read a list to see whether ours are there. That is no more than a precaution: where it takes
/// longer, the server has too much to do, and to be asked again at once would be more of that.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// How long the list of a provider is not read again at most, however long it is.
const LONGEST_UNREAD: Duration = Duration::from_secs(3600);

/// How long the server may take to begin or to end pushes: meanwhile others wait.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(4);

/// What is known of a host of ours.
#[derive(Debug)]
pub(super) enum KnownHost {
    Listed(NacosHost),
    /// The server has it, and lists it to nobody.
    OffList,
    /// The list is to be read.
    Unknown,
}

/// The services of one connection, in one namespace and group.
#[derive(Debug)]
pub(super) struct Naming {
    connection: Arc<NacosConnection>,
    namespace: Arc<str>,
    group: Arc<str>,
    listed: Mutex<HashMap<String, Arc<OwnHosts>>>,
    /// What is known of the lists that it stands on, of consumers and of all others.
    consumer_lists: KnownLists,
    provider_lists: KnownLists,
    /// Whether the log says that lists cannot be looked at.
    has_told_looks: AtomicBool,
    /// How long a check holds that a service's list has our instances.
    check_holds: Duration,
    /// Held while a subscription begins or, for writing, ends: in this order they reach the server.
    subscribing: RwLock<()>,
    leaving: mpsc::Sender<String>,
}

impl Naming {
    /// The services of `connection`, and the task that ends subscriptions, which runs as long as they live.
    pub(super) fn new(
        connection: Arc<NacosConnection>,
        (namespace, group): (&Arc<str>, &Arc<str>),
        check_holds: Duration,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + use<>) {
        let (leaving, mut left) = mpsc::channel::<String>(LEAVING);
        let naming = Arc::new(Self {
            connection,
            namespace: Arc::clone(namespace),
            group: Arc::clone(group),
            listed: Mutex::default(),
            consumer_lists: KnownLists::default(),
            provider_lists: KnownLists::up_to(LONGEST_UNREAD),
            has_told_looks: AtomicBool::new(false),
            check_holds,
            subscribing: RwLock::default(),
            leaving,
        });
        let weak = Arc::downgrade(&naming);
        let task = async move {
            while let Some(name) = left.recv().await {
                let Some(naming) = weak.upgrade() else { return };
                naming.unsubscribe(&name).await;
            }
        };
        (naming, task)
    }

    /// Lists `host` under `service`, beside what this process lists there already. If it does so already,
    /// looks whether the server still has it.
    pub(super) async fn put(
        &self,
        service: &str,
        key: &str,
        host: &NacosHost,
    ) -> Result<(), Error> {
        let own = self.own(service);
        let version = own.put(key, host)?;
        let outcome = self.settle(&own, service, version, Some(key)).await;
        if outcome.as_ref().is_err_and(|refusal| refusal.code != 0) {
            // It may be this host that the server does not take; it must not cost the others their place.
            own.remove(key);
            if own.turn().await.has_nothing() {
                self.forget_empty(service, &own);
            }
        }
        outcome.map_err(|refusal| {
            let doing = format!("cannot register in `{service}`");
            match refusal.code {
                code::ILLEGAL => self.connection.final_error(&doing, &refusal, remedy(&refusal)),
                _ => self.connection.error(&doing, &refusal),
            }
        })
    }

    /// Takes off the list what was put under `key`.
    pub(super) async fn remove(&self, service: &str, key: &str) -> Result<(), Error> {
        let Some(own) = self.known_own(service) else { return Ok(()) };
        let version = own.remove(key);
        let outcome = self.settle(&own, service, version, None).await;
        if outcome.is_ok() {
            self.forget_empty(service, &own);
        }
        outcome.map_err(|refusal| {
            self.connection.error(&format!("cannot unregister from `{service}`"), &refusal)
        })
    }

    /// Forgets a service under which nothing is wanted, unless somebody is at it.
    fn forget_empty(&self, service: &str, own: &Arc<OwnHosts>) {
        let mut listed = locked(&self.listed);
        // One is the table's, and one the caller's.
        if own.is_empty() && Arc::strong_count(own) == 2 {
            listed.remove(service);
        }
    }

    /// Waits until the server has `version` of what is wanted; publishes it if nobody else does. With the key of a host
    /// it is looked at now and then whether the server still has it.
    async fn settle(
        &self,
        own: &OwnHosts,
        service: &str,
        version: u64,
        key: Option<&str>,
    ) -> Result<(), NacosRefusal> {
        let mut done = own.turn().await;
        let step = done.next_step(version, own.version(), key.map(|_| self.pause(service)));
        let off_list = match step {
            NextStep::Nothing => return Ok(()),
            NextStep::Check => self.off_list(service, own, &mut done).await?,
            NextStep::Publish => 0,
        };
        if step == NextStep::Check && !done.is_lost(off_list) {
            return Ok(());
        }
        let (hosts, newest) = own.hosts().map_err(NacosRefusal::silent)?;
        if let Err(refusal) = self.publish(service, &hosts).await {
            done.fail(refusal.code == 0);
            let others = own.taken_hosts(key).map_err(NacosRefusal::silent)?;
            // One of those that came with it may be to blame, which is told by the rest.
            let Some(hosts) = others.filter(|_| refusal.code == code::ILLEGAL) else {
                return Err(refusal);
            };
            self.publish(service, &hosts).await?;
            key.inspect(|key| own.take_one(key));
            return Ok(());
        }
        own.take(newest);
        done.reach(newest, off_list);
        if hosts.is_empty() {
            self.known_lists(service).count(&mut done, Done::forget);
        }
        Ok(())
    }

    /// How many of the hosts that are wanted the server does not list.
    async fn off_list(
        &self,
        service: &str,
        own: &OwnHosts,
        done: &mut Done,
    ) -> Result<usize, NacosRefusal> {
        let (hosts, version) = own.hosts().map_err(NacosRefusal::silent)?;
        let Some(list) = self.looked(service).await else {
            done.defer();
            return Ok(0);
        };
        let items = list.len();
        let look =
            move || list.read().map(|listed| (listed.hosts.len(), off_list(&listed.hosts, &hosts)));
        let looked = off_thread_if_long(items, look).await.map_err(NacosRefusal::silent)?;
        let (listed, off_list) = looked.map_err(NacosRefusal::silent)?;
        self.look(service, done, listed, (off_list, version));
        Ok(off_list)
    }

    /// Notes what a list that was read says of ours, and tells of those that stay off it.
    fn look(
        &self,
        service: &str,
        done: &mut Done,
        listed: usize,
        (off_list, version): (usize, u64),
    ) {
        let known = self.known_lists(service);
        if known.count(done, |done| done.look(listed, off_list, version)) {
            let registry = self.connection.registry();
            tracing::warn!(
                target: "dubhe::registry",
                registry, service,
                "registered and not listed: it is switched off in Nacos, or was changed there"
            );
        }
    }

    /// What this process lists of a service, and its version.
    ///
    /// # Errors
    /// It cannot be read any more.
    pub(super) fn ours(&self, service: &str) -> Result<(Vec<NacosHost>, u64), Error> {
        let Some(own) = self.known_own(service) else { return Ok((Vec::new(), 0)) };
        own.hosts().map_err(|why| self.unread(service, &NacosRefusal::silent(why)))
    }

    /// Notes that the list of a service was read for something else: how many hosts it has, and how many of this version of
    /// ours are not among them.
    pub(super) async fn note(
        &self,
        service: &str,
        listed: usize,
        (off_list, version): (usize, u64),
    ) {
        if let Some(own) = self.known_own(service) {
            self.look(service, &mut *own.turn().await, listed, (off_list, version));
        }
    }

    /// The list of a service, read to see whether ours are there; `None` if it does not come, and then they count as
    /// looked for.
    pub(super) async fn look_at(&self, service: &str) -> Option<UnreadList> {
        let list = self.looked(service).await;
        if let (None, Some(own)) = (&list, self.known_own(service)) {
            own.turn().await.defer();
        }
        list
    }

    /// The list of a service if it comes in time. That it is refused says nothing of what was registered, and is told
    /// once.
    async fn looked(&self, service: &str) -> Option<UnreadList> {
        let list = timeout(LOOK_LIMIT, self.query(service)).await.ok()?;
        let refused = |refusal: &NacosRefusal| {
            if refusal.code == code::NO_RIGHT && !self.has_told_looks.swap(true, Ordering::Relaxed)
            {
                let (registry, why) = (self.connection.registry(), &refusal.why);
                tracing::warn!(
                    target: "dubhe::registry",
                    registry, service, why,
                    "it cannot be seen whether what is registered is listed: let the user read the service"
                );
            }
        };
        list.inspect_err(refused).ok()
    }

    /// What paces the looks at a list. Consumers stand on many long lists, whose entries nobody needs for a call: they do
    /// not put off the looks at those of providers.
    fn known_lists(&self, service: &str) -> &KnownLists {
        if service.starts_with("consumers:") { &self.consumer_lists } else { &self.provider_lists }
    }

    fn pause(&self, service: &str) -> CheckPause {
        self.known_lists(service).pause(self.check_holds)
    }

    /// What is known of the host under `key` of a service without reading its list.
    pub(super) async fn known(&self, service: &str, key: &str) -> KnownHost {
        let Some(own) = self.known_own(service) else { return KnownHost::Unknown };
        let version = own.version();
        let done = own.turn().await;
        if done.next_step(version, version, Some(self.pause(service))) != NextStep::Nothing {
            return KnownHost::Unknown;
        }
        match own.host(key) {
            Some(_) if !done.is_listed() => KnownHost::OffList,
            Some(host) => KnownHost::Listed(host),
            None => KnownHost::Unknown,
        }
    }

    /// Replaces what this connection lists of `service`.
    async fn publish(&self, service: &str, hosts: &[NacosHost]) -> Result<(), NacosRefusal> {
        let service = self.named(service);
        match hosts {
            [] => {
                let instance = &NacosHost::default();
                let r#type = "deregisterInstance";
                self.connection.ask(&InstanceRequest { service, r#type, instance }).await?;
            }
            [instance] => {
                let r#type = "registerInstance";
                self.connection.ask(&InstanceRequest { service, r#type, instance }).await?;
            }
            instances => {
                let r#type = "batchRegisterInstance";
                self.connection.ask(&BatchInstanceRequest { service, r#type, instances }).await?;
            }
        }
        Ok(())
    }

    /// The list of a service now.
    pub(super) async fn list(&self, service: &str) -> Result<UnreadList, Error> {
        self.query(service).await.map_err(|refusal| self.unread(service, &refusal))
    }

    /// The error of a list that cannot be read.
    pub(super) fn unread(&self, service: &str, refusal: &NacosRefusal) -> Error {
        self.connection.error(&format!("cannot read `{service}`"), refusal)
    }

    async fn query(&self, service: &str) -> Result<UnreadList, NacosRefusal> {
        let (service, cluster) = (self.named(service), "");
        let query = ServiceQueryRequest { service, cluster, healthy_only: false, udp_port: 0 };
        self.connection.ask_list(&query).await
    }

    /// Has the server push the list of a service, which must be followed, and puts that of now.
    pub(super) async fn begin_pushes(&self, service: &str) -> Result<(), Error> {
        let _order = self.subscribing.read().await;
        // Also if another follows it: that one may be waiting for the answer, or have been given up.
        let asked = self.in_time(self.connection.ask_list(&self.subscription(service, true))).await;
        let list = asked.map_err(|refusal| {
            self.connection.error(&format!("cannot follow `{service}`"), &refusal)
        })?;
        self.pushes().put(service, list);
        Ok(())
    }

    fn subscription<'a>(
        &'a self,
        service: &'a str,
        subscribe: bool,
    ) -> SubscribeServiceRequest<'a> {
        SubscribeServiceRequest { service: self.named(service), subscribe, clusters: "" }
    }

    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, NacosRefusal>>,
    ) -> Result<T, NacosRefusal> {
        let late = |_| Err(NacosRefusal::silent(format!("no answer within {SUBSCRIBE_LIMIT:?}")));
        timeout(SUBSCRIBE_LIMIT, asked).await.unwrap_or_else(late)
    }

    async fn unsubscribe(&self, service: &str) {
        let _order = self.subscribing.write().await;
        if !self.connection.pushes().is_followed(service) {
            // If it fails, pushes that nobody follows are ignored.
            let _ = self.in_time(self.connection.ask(&self.subscription(service, false))).await;
        }
    }

    /// What the server pushes.
    pub(super) fn pushes(&self) -> &Pushes {
        self.connection.pushes()
    }

    /// Has the pushes of a service end that nobody follows.
    pub(super) fn end_pushes(&self, service: String) {
        // Full: the server pushes on, and that is ignored.
        let _ = self.leaving.try_send(service);
    }

    /// The names of all services of the group.
    pub(super) async fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for page_no in 1.. {
            let service = self.named("");
            let ask = ServiceListRequest { service, page_no, page_size: PAGE, selector: "" };
            let page =
                self.connection.ask(&ask).await.map_err(|refusal| {
                    self.connection.error("cannot list the services", &refusal)
                })?;
            let found = page.service_names.unwrap_or_default();
            let is_last = is_last_page(page_no, found.len(), page.count);
            names.extend(found.iter().map(|name| without_group(name).to_owned()));
            if is_last {
                if names.len() < page.count {
                    let (registry, left_out) =
                        (self.connection.registry(), page.count - names.len());
                    tracing::warn!(target: "dubhe::registry", registry, left_out, "too many services");
                }
                break;
            }
        }
        Ok(names)
    }

    fn named<'a>(&'a self, service: &'a str) -> Named<'a> {
        Named { namespace: &self.namespace, group_name: &self.group, service_name: service }
    }

    /// What is or was wanted under a service.
    fn known_own(&self, service: &str) -> Option<Arc<OwnHosts>> {
        locked(&self.listed).get(service).cloned()
    }

    fn own(&self, service: &str) -> Arc<OwnHosts> {
        Arc::clone(locked(&self.listed).entry(service.to_owned()).or_default())
    }
}

/// What to do where what a registration says is refused.
fn remedy(refusal: &NacosRefusal) -> &'static str {
    match refusal.why.contains("Metadata") {
        true => {
            "give the provider less metadata, leave out the interface level (register-mode=instance), or \
             have Nacos take more (nacos.naming.service.metadata.length)"
        }
        false => "register it under a name and an address that Nacos takes",
    }
}

/// Whether page `page_no`, which has so many names, is the last that is read of `count`.
fn is_last_page(page_no: usize, names: usize, count: usize) -> bool {
    names < PAGE || page_no * PAGE >= count.min(MAX_NAMES)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::task::JoinSet;
    use tokio::time;

    use super::*;
    use crate::Pace;
    use crate::nacos::connection::NacosServer;
    use crate::nacos::login::Login;
    use crate::nacos::played::{DONE, listen, play};

    async fn naming_at(address: &str) -> Arc<Naming> {
        let server = NacosServer { http: address.to_owned(), grpc: address.to_owned() };
        let login = Login { user: String::new(), password: String::new() };
        let (registry, pushes) = ("nacos://".into(), Arc::default());
        let opening = NacosConnection::open(&registry, &server, (&login, None), "public", pushes);
        let connection = Arc::new(opening.await.unwrap());
        Naming::new(connection, (&"public".into(), &"g".into()), HOLDS).0
    }

    const HOLDS: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_list_that_does_not_come_costs_no_registration_its_place() {
        let refused = r#"{"resultCode":500,"errorCode":403,"message":"no right to this"}"#;
        for list in [None, Some(refused), Some(r#"{"resultCode":200}"#)] {
            let (_, listener) = listen().await;
            let address = listener.local_addr().unwrap().to_string();
            let (queries, mut tasks) = (Arc::<AtomicUsize>::default(), JoinSet::new());
            let counted = Arc::clone(&queries);
            tasks.spawn(play(listener, move |kind| match kind {
                "ServiceQueryRequest" => {
                    counted.fetch_add(1, Ordering::Relaxed);
                    list
                }
                _ => Some(DONE),
            }));
            let naming = naming_at(&address).await;
            let host = NacosHost { ip: "10.0.0.1".to_owned(), port: 1, ..NacosHost::default() };
            naming.put("shop", "a", &host).await.unwrap();
            time::pause();
            for checks in 1..=3 {
                time::advance(HOLDS).await;
                let check =
                    timeout(Pace::default().request_timeout, naming.put("shop", "a", &host));
                check.await.expect("it comes in time").unwrap();
                // Not again at once, where there is too much to do.
                naming.put("shop", "a", &host).await.unwrap();
                assert_eq!(queries.load(Ordering::Relaxed), checks, "{list:?}");
            }
            assert!(naming.look_at("shop").await.is_none());
            time::resume();
        }
    }

    #[tokio::test]
    async fn a_service_under_which_nothing_is_wanted_any_more_is_forgotten() {
        let (_, listener) = listen().await;
        let address = listener.local_addr().unwrap().to_string();
        let mut tasks = JoinSet::new();
        tasks.spawn(play(listener, |_| Some(DONE)));
        let naming = naming_at(&address).await;
        let host = NacosHost { ip: "10.0.0.1".to_owned(), port: 1, ..NacosHost::default() };
        for key in ["a", "b"] {
            naming.put("shop", key, &host).await.unwrap();
        }
        naming.note("other", 9, (0, 0)).await;
        naming.remove("shop", "a").await.unwrap();
        assert_eq!(locked(&naming.listed).keys().collect::<Vec<_>>(), ["shop"]);
        naming.remove("shop", "b").await.unwrap();
        naming.remove("shop", "b").await.unwrap();
        assert!(locked(&naming.listed).is_empty());
        // It is as if it had never been there.
        naming.put("shop", "a", &host).await.unwrap();
        assert!(matches!(naming.known("shop", "a").await, KnownHost::Listed(_)));
    }

    #[tokio::test]
    async fn who_was_listed_before_a_refusal_is_taken_off_the_list() {
        let (_, listener) = listen().await;
        let address = listener.local_addr().unwrap().to_string();
        let (asked, mut tasks) = (Arc::<AtomicUsize>::default(), JoinSet::new());
        let counted = Arc::clone(&asked);
        tasks.spawn(play(listener, move |kind| match kind {
            "InstanceRequest" if counted.fetch_add(1, Ordering::Relaxed) == 1 => {
                Some(r#"{"resultCode":500,"errorCode":400,"message":"it is illegal"}"#)
            }
            _ => Some(DONE),
        }));
        let naming = naming_at(&address).await;
        let mut host = NacosHost { ip: "10.0.0.1".to_owned(), port: 1, ..NacosHost::default() };
        naming.put("shop", "a", &host).await.unwrap();
        host.weight = 7.0;
        naming.put("shop", "a", &host).await.unwrap_err();
        naming.remove("shop", "a").await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 3, "the server was asked to take it off");
    }

    #[tokio::test]
    async fn a_subscription_that_is_not_answered_holds_up_no_other_for_long() {
        let (_, listener) = listen().await;
        let address = listener.local_addr().unwrap().to_string();
        let mut tasks = JoinSet::new();
        tasks.spawn(play(listener, |kind| (kind != "SubscribeServiceRequest").then_some(DONE)));
        let naming = naming_at(&address).await;
        time::pause();
        let both = async { tokio::join!(naming.begin_pushes("shop"), naming.unsubscribe("other")) };
        let (followed, ()) = timeout(SUBSCRIBE_LIMIT * 3, both).await.expect("they come to an end");
        let error = followed.unwrap_err().to_string();
        assert!(error.contains("no answer within 4s") && error.contains("shop"), "{error}");
    }

    #[test]
    fn pages_are_read_to_the_last_and_not_without_end() {
        for (page_no, names, count, is_last) in [
            (1, 500, 501, false),
            (1, 500, 500, true),
            (2, 1, 501, true),
            // Services went while their names were read.
            (1, 499, 1000, true),
            (1, 0, usize::MAX, true),
            (199, 500, usize::MAX, false),
            (200, 500, usize::MAX, true),
        ] {
            assert_eq!(is_last_page(page_no, names, count), is_last, "{page_no} {names} {count}");
        }
    }
}
