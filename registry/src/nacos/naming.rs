//! Services of Nacos on one connection: what this process lists, and what it follows.
//!
//! A connection holds one entry for each service, with one instance or several, and each publication
//! replaces it. So everything that this process lists of a service is kept here and published together:
//! while one publication is under way, whatever comes waits for the next, which takes it all.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_core::Error;
use tokio::sync::{Mutex as AsyncMutex, RwLock, mpsc, watch};
use tokio::time::Instant;

use super::connection::{NacosConnection, NacosRefusal};
use super::messages::{
    BatchInstanceRequest, InstanceRequest, NacosHost, NacosService, Named, ServiceListRequest,
    ServiceQueryRequest, SubscribeServiceRequest,
};
use super::pushes::NewestList;
use crate::lock::locked;

/// How long a check holds that a service's list has our instances.
const CHECK_HOLDS: Duration = Duration::from_secs(10);

/// Names asked for at a time.
const PAGE: usize = 500;

/// Most names of services that are read.
const MAX_NAMES: usize = 100_000;

/// Services whose pushes are to end, which may wait for it.
const LEAVING: usize = 4096;

/// The services of one connection, in one namespace and group.
#[derive(Debug)]
pub(super) struct Naming {
    connection: Arc<NacosConnection>,
    namespace: Arc<str>,
    group: Arc<str>,
    listed: Mutex<HashMap<String, Arc<Slot>>>,
    /// Held while a subscription begins or, for writing, ends: in this order they reach the server.
    subscribing: RwLock<()>,
    leaving: mpsc::Sender<String>,
}

/// What this process lists of one service.
#[derive(Debug, Default)]
struct Slot {
    wanted: Mutex<Wanted>,
    /// Held while one of them publishes or checks.
    turn: AsyncMutex<Done>,
}

#[derive(Debug, Default)]
struct Wanted {
    /// By a key of the caller's.
    hosts: BTreeMap<String, NacosHost>,
    /// Grows with every change.
    version: u64,
}

#[derive(Debug, Default)]
struct Done {
    /// The version that the server has.
    version: u64,
    /// When that was last true.
    checked: Option<Instant>,
}

impl Slot {
    /// What is wanted, and its version.
    fn hosts(&self) -> (Vec<NacosHost>, u64) {
        let wanted = locked(&self.wanted);
        (wanted.hosts.values().cloned().collect(), wanted.version)
    }
}

impl Naming {
    /// The services of `connection`, and the task that ends subscriptions, which runs as long as they live.
    pub(super) fn new(
        connection: Arc<NacosConnection>,
        namespace: &Arc<str>,
        group: &Arc<str>,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + use<>) {
        let (leaving, mut left) = mpsc::channel::<String>(LEAVING);
        let naming = Arc::new(Self {
            connection,
            namespace: Arc::clone(namespace),
            group: Arc::clone(group),
            listed: Mutex::default(),
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
    pub(super) async fn put(&self, service: &str, key: &str, host: NacosHost) -> Result<(), Error> {
        let slot = self.slot(service);
        let version = {
            let mut wanted = locked(&slot.wanted);
            if wanted.hosts.get(key) != Some(&host) {
                wanted.hosts.insert(key.to_owned(), host);
                wanted.version += 1;
            }
            wanted.version
        };
        let outcome = self.settle(&slot, service, version, true).await;
        outcome.map_err(|refusal| {
            if refusal.code != 0 {
                // It may be this host that the server does not take; it must not cost the others their place.
                let mut wanted = locked(&slot.wanted);
                wanted.hosts.remove(key);
                wanted.version += 1;
            }
            self.connection.error(&format!("cannot register in `{service}`"), &refusal)
        })
    }

    /// Takes off the list what was put under `key`.
    pub(super) async fn remove(&self, service: &str, key: &str) -> Result<(), Error> {
        let Some(slot) = locked(&self.listed).get(service).cloned() else {
            return Ok(());
        };
        let version = {
            let mut wanted = locked(&slot.wanted);
            wanted.version += u64::from(wanted.hosts.remove(key).is_some());
            wanted.version
        };
        let outcome = self.settle(&slot, service, version, false).await;
        outcome.map_err(|refusal| {
            self.connection.error(&format!("cannot unregister from `{service}`"), &refusal)
        })
    }

    /// Waits until the server has `version` of what is wanted; publishes it if nobody else does.
    async fn settle(
        &self,
        slot: &Slot,
        service: &str,
        version: u64,
        checks: bool,
    ) -> Result<(), NacosRefusal> {
        let mut done = slot.turn.lock().await;
        if done.version >= version {
            let is_newest = done.version == locked(&slot.wanted).version;
            let holds = done.checked.is_some_and(|at| at.elapsed() < CHECK_HOLDS);
            // A change of somebody else's is published by that one.
            if !checks || holds || !is_newest {
                return Ok(());
            }
            if self.has(service, &slot.hosts().0).await? {
                done.checked = Some(Instant::now());
                return Ok(());
            }
        }
        let (hosts, newest) = slot.hosts();
        self.publish(service, &hosts).await?;
        *done = Done { version: newest, checked: Some(Instant::now()) };
        Ok(())
    }

    /// Whether the server lists all of `hosts`.
    async fn has(&self, service: &str, hosts: &[NacosHost]) -> Result<bool, NacosRefusal> {
        let info = self.query(service).await?;
        // Two starts of a program may be listed at one address.
        let mut listed: HashMap<_, Vec<_>> = HashMap::new();
        for host in info.hosts.iter().flatten() {
            listed.entry((&*host.ip, host.port)).or_default().push(&host.metadata);
        }
        Ok(hosts.iter().all(|ours| {
            let theirs = listed.get(&(&*ours.ip, ours.port));
            theirs.is_some_and(|theirs| theirs.contains(&&ours.metadata))
        }))
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
    pub(super) async fn list(&self, service: &str) -> Result<NacosService, Error> {
        let asked = self.query(service).await;
        asked
            .map_err(|refusal| self.connection.error(&format!("cannot read `{service}`"), &refusal))
    }

    async fn query(&self, service: &str) -> Result<NacosService, NacosRefusal> {
        let (service, cluster) = (self.named(service), "");
        let query = ServiceQueryRequest { service, cluster, healthy_only: false, udp_port: 0 };
        Ok(self.connection.ask(&query).await?.service_info.unwrap_or_default())
    }

    /// Follows a service: the server pushes its list until the last that follows it is dropped.
    pub(super) async fn follow(self: &Arc<Self>, service: &str) -> Result<FollowedService, Error> {
        let _order = self.subscribing.read().await;
        let (list, _) = self.connection.pushes().follow_service(service);
        let followed =
            FollowedService { naming: Arc::clone(self), service: service.to_owned(), list };
        // Also if another follows it: that one may be waiting for the answer, or have been given up.
        let asked = self.subscribe(service, true).await;
        let info = asked.map_err(|refusal| {
            self.connection.error(&format!("cannot follow `{service}`"), &refusal)
        })?;
        self.connection.pushes().put(service, info);
        Ok(followed)
    }

    async fn subscribe(
        &self,
        service: &str,
        subscribe: bool,
    ) -> Result<NacosService, NacosRefusal> {
        let (service, clusters) = (self.named(service), "");
        let ask = SubscribeServiceRequest { service, subscribe, clusters };
        Ok(self.connection.ask(&ask).await?.service_info.unwrap_or_default())
    }

    async fn unsubscribe(&self, service: &str) {
        let _order = self.subscribing.write().await;
        if !self.connection.pushes().is_followed(service) {
            // If it fails, pushes that nobody follows are ignored.
            let _ = self.subscribe(service, false).await;
        }
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
            let is_last = found.len() < PAGE || page_no * PAGE >= page.count.min(MAX_NAMES);
            names.extend(found.into_iter().map(|name| match name.split_once("@@") {
                Some((_, name)) => name.to_owned(),
                None => name,
            }));
            if is_last {
                break;
            }
        }
        Ok(names)
    }

    fn named<'a>(&'a self, service: &'a str) -> Named<'a> {
        Named { namespace: &self.namespace, group_name: &self.group, service_name: service }
    }

    fn slot(&self, service: &str) -> Arc<Slot> {
        Arc::clone(locked(&self.listed).entry(service.to_owned()).or_default())
    }
}

/// A service that is followed.
#[derive(Debug)]
pub(super) struct FollowedService {
    naming: Arc<Naming>,
    service: String,
    list: watch::Receiver<NewestList>,
}

impl FollowedService {
    /// The newest list, unless it was taken already.
    pub(super) fn take(&mut self) -> Option<NacosService> {
        self.list.mark_unchanged();
        self.naming.connection.pushes().take_service(&self.service)
    }

    /// Waits for a list that was not taken; says whether one may still come.
    pub(super) async fn changed(&mut self) -> bool {
        self.list.changed().await.is_ok()
    }
}

impl Drop for FollowedService {
    fn drop(&mut self) {
        if self.naming.connection.pushes().leave_service(&self.service) {
            // Full: the server pushes on, and that is ignored.
            let _ = self.naming.leaving.try_send(std::mem::take(&mut self.service));
        }
    }
}
