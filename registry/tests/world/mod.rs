//! What the tests of registries share: places to register at, and waiting for what must come.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "this is test code")]

pub(crate) mod flaky;
pub(crate) mod log;
#[cfg(feature = "store")]
pub(crate) mod process;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dubhe_registry::embedded::{EmbeddedServer, RegistryServerConfig};
use dubhe_registry::{Registration, Registry, RegistryParams, builtin, open, several};
use rpc_core::{Instance, ServiceKey, Snapshot, Source, Subscription};
use tempfile::TempDir;
use tokio::time::timeout;

/// More than anything here may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// More than news may take where nothing restarts: less than the 22.5 s after which a list is read again at the
/// earliest, so that it was a watch that brought them.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A registry that several clients can open.
pub(crate) struct Place {
    pub(crate) config: RegistryParams,
    /// A client that hosts or at least keeps the place alive.
    _keeper: Option<(Arc<dyn Registry>, Registration)>,
    pub(crate) server: Option<EmbeddedServer>,
    /// A second place; together they act as one.
    second: Option<Box<Self>>,
    _dir: Option<TempDir>,
    /// Whether it keeps Dubbo's layout, in which each start of a provider has an entry of its own,
    /// whoever listed the address before.
    pub(crate) lists_each_start: bool,
    /// Whether it refuses an instance whose metadata is longer than 1,024 characters.
    pub(crate) limits_metadata: bool,
    /// A server that runs for it.
    _running: Option<Arc<dyn Any + Send + Sync>>,
}

impl Place {
    /// A place with nothing to keep alive.
    fn at(url: String) -> Self {
        Self {
            config: RegistryParams::new(url),
            _keeper: None,
            server: None,
            second: None,
            _dir: None,
            lists_each_start: false,
            limits_metadata: false,
            _running: None,
        }
    }

    /// A new client of the place.
    pub(crate) fn open(&self) -> Arc<dyn Registry> {
        let registry = open(&builtin(), &self.config).unwrap();
        let second = self.second.as_ref().map(|second| second.open());
        several([registry].into_iter().chain(second).collect()).unwrap()
    }

    /// New clients of its two places, each for itself.
    pub(crate) fn apart(&self) -> (Arc<dyn Registry>, Arc<dyn Registry>) {
        let second = self.second.as_ref().expect("it has a second place");
        (open(&builtin(), &self.config).unwrap(), second.open())
    }
}

/// A fresh place for each built-in registry that takes registrations; a scheme that is missing here
/// fails.
pub(crate) async fn places(test: &str) -> Vec<Place> {
    let mut places = Vec::new();
    for scheme in builtin().names() {
        match scheme {
            "memory" => places.push(Place::at(format!("memory://{test}"))),
            "dubhe" => {
                let second = Some(Box::new(dubhe(quick()).await));
                places.push(Place { second, ..dubhe(quick()).await });
                places.push(dubhe(quick()).await);
                #[cfg(feature = "store")]
                places.push(kept(quick()).await);
            }
            "dev" => places.push(dev().await),
            #[cfg(feature = "etcd")]
            "etcd" => places.extend(etcd(test)),
            #[cfg(feature = "nacos")]
            "nacos" => places.extend(nacos(test)),
            "dns" | "static" => {}
            #[cfg(feature = "zookeeper")]
            "zookeeper" => {
                places.extend(zookeeper(test));
                #[cfg(feature = "etcd")]
                places.extend(mixed(test));
            }
            other => panic!("add `{other}` to the contract suite"),
        }
    }
    places
}

/// A place on each of the servers with Dubbo's layouts that tests start, and share; parameters can be added to its
/// address.
#[cfg(any(feature = "etcd", feature = "zookeeper"))]
pub(crate) fn real_servers(test: &str) -> Vec<Place> {
    let mut places = Vec::new();
    #[cfg(feature = "etcd")]
    places.extend(servers::EtcdServer::shared().map(|server| {
        let place = Place::at(format!("etcd://{}?group={test}&", server.address()));
        Place { _running: Some(server), ..place }
    }));
    #[cfg(feature = "zookeeper")]
    places.extend(servers::ZooKeeperServer::shared().map(|server| {
        let place = Place::at(format!("zookeeper://{}/{test}?", server.address()));
        Place { _running: Some(server), ..place }
    }));
    places
}

/// A server whose leases end soon.
pub(crate) fn quick() -> RegistryServerConfig {
    RegistryServerConfig {
        renew: Duration::from_millis(100),
        closed_lease: Duration::from_millis(100),
        withhold: Duration::from_secs(1),
        push_gap: Duration::from_millis(5),
        ..RegistryServerConfig::default()
    }
}

pub(crate) async fn dubhe(config: RegistryServerConfig) -> Place {
    let server = EmbeddedServer::bind("127.0.0.1:0", config).await.unwrap();
    let place = Place::at(format!("dubhe://{}", server.local_addr()));
    Place { server: Some(server), ..place }
}

/// As [`dubhe`], with a data folder.
#[cfg(feature = "store")]
pub(crate) async fn kept(config: RegistryServerConfig) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let server = EmbeddedServer::builder().listen("127.0.0.1:0").config(config);
    let server = server.data_dir(dir.path()).start().await.unwrap();
    let place = Place::at(format!("dubhe://{}", server.local_addr()));
    Place { server: Some(server), _dir: Some(dir), ..place }
}

/// Binds a port that was in use a moment ago.
pub(crate) async fn rebind(address: SocketAddr, config: RegistryServerConfig) -> EmbeddedServer {
    let bound = async {
        loop {
            match EmbeddedServer::bind(address, config.clone()).await {
                Ok(server) => return server,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    timeout(LIMIT, bound).await.expect("the port stays in use")
}

async fn dev() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let mut place = Place::at("dev://contract".to_owned());
    place.config.runtime_dir = Some(dir.path().join("run"));
    let keeper = open(&builtin(), &place.config).unwrap();
    let registration = keeper.register(instance("keeper", "k:1")).await.unwrap();
    Place { _keeper: Some((keeper, registration)), _dir: Some(dir), ..place }
}

/// The servers that tests share, without TLS and with, and a root for each test.
#[cfg(feature = "etcd")]
fn etcd(test: &str) -> Vec<Place> {
    let query = format!("session=2s&group={test}");
    let plain = servers::EtcdServer::shared().map(|server| {
        let place = Place::at(format!("etcd://{}?{query}", server.address()));
        Place { lists_each_start: true, _running: Some(server), ..place }
    });
    let secure = servers::SecureServer::shared_etcd().map(|secure| {
        let (at, tls) = (secure.server.address(), secure.parameters());
        let place = Place::at(format!("etcd://{at}?{query}&{tls}"));
        Place { lists_each_start: true, _running: Some(secure), ..place }
    });
    plain.into_iter().chain(secure).collect()
}

/// A namespace for a test, on each version that is there.
#[cfg(feature = "nacos")]
pub(crate) fn nacos(test: &str) -> Vec<Place> {
    let run = std::process::id();
    let place = |version| {
        let at = servers::Nacos::shared(version)?;
        let place = Place::at(format!("nacos://{at}?namespace=contract-{test}-{run}"));
        let limits_metadata = version == servers::NacosVersion::Three;
        Some(Place { lists_each_start: true, limits_metadata, ..place })
    };
    servers::NacosVersion::ALL.into_iter().filter_map(place).collect()
}

/// The servers that tests share, without TLS and with, and a path for each test.
#[cfg(feature = "zookeeper")]
fn zookeeper(test: &str) -> Vec<Place> {
    let plain = servers::ZooKeeperServer::shared().map(|server| {
        let place = Place::at(format!("zookeeper://{}/{test}", server.address()));
        Place { lists_each_start: true, _running: Some(server), ..place }
    });
    let secure = servers::SecureServer::shared_zookeeper().map(|secure| {
        let (at, tls) = (secure.server.secure_address(), secure.parameters());
        let place = Place::at(format!("zookeeper://{at}/{test}?{tls}"));
        Place { lists_each_start: true, _running: Some(secure), ..place }
    });
    plain.into_iter().chain(secure).collect()
}

/// ZooKeeper and etcd as one: whoever registers there is listed by both.
#[cfg(all(feature = "etcd", feature = "zookeeper"))]
pub(crate) fn mixed(test: &str) -> Option<Place> {
    let test = format!("mixed-{test}");
    let (first, second) = (zookeeper(&test).into_iter().next()?, etcd(&test).into_iter().next()?);
    Some(Place { second: Some(Box::new(second)), ..first })
}

pub(crate) fn key(service: &str) -> ServiceKey {
    service.parse().unwrap()
}

pub(crate) fn instance(service: &str, address: &str) -> Instance {
    Instance::new(key(service), address, &format!("start of {address}"))
}

pub(crate) fn addresses(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.instances.iter().map(|i| &*i.address).collect()
}

/// Waits until the subscription shows exactly these addresses, live.
pub(crate) async fn shows(subscription: &mut Subscription, expected: &[&str]) -> Snapshot {
    until(subscription, is_live(expected)).await
}

/// As [`shows`], where nothing restarts.
pub(crate) async fn shows_soon(subscription: &mut Subscription, expected: &[&str]) -> Snapshot {
    until_soon(subscription, is_live(expected)).await
}

fn is_live(expected: &[&str]) -> impl Fn(&Snapshot) -> bool {
    move |snapshot| snapshot.source == Source::Live && addresses(snapshot) == expected
}

/// Waits until a snapshot fits.
pub(crate) async fn until(
    subscription: &mut Subscription,
    fits: impl Fn(&Snapshot) -> bool,
) -> Snapshot {
    within(LIMIT, subscription, fits).await
}

/// As [`until`], where nothing restarts.
pub(crate) async fn until_soon(
    subscription: &mut Subscription,
    fits: impl Fn(&Snapshot) -> bool,
) -> Snapshot {
    within(SOON, subscription, fits).await
}

async fn within(
    limit: Duration,
    subscription: &mut Subscription,
    fits: impl Fn(&Snapshot) -> bool,
) -> Snapshot {
    let waiting = async {
        loop {
            let latest = subscription.latest();
            if fits(&latest) {
                return latest;
            }
            subscription.next().await.expect("the registry goes on");
        }
    };
    match timeout(limit, waiting).await {
        Ok(snapshot) => snapshot,
        Err(_) => panic!("it stays at {:?}", subscription.latest()),
    }
}

/// Waits for what can only be looked at.
pub(crate) async fn eventually(is_so: impl Fn() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, looking).await.expect("it does not become so");
}
