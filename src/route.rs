//! The ways from this machine to its registries: the addresses from which packets to them leave.
//!
//! Providers advertise one of them if nothing else is set (`address.rs`), and rules name this machine by
//! them. A name that cannot be looked up is looked up again while rules need it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{self, StreamExt as _};
use registry::{Registry, RegistryUrl};
use rpc_core::{Backoff, Error};
use tokio::net::lookup_host;
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::Config;

/// How long looking for the addresses by which rules name this machine may take.
pub(crate) const SEARCH: Duration = Duration::from_secs(1);

/// How long it takes until what was not found is looked for again, the first time and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Servers of one registry that are looked up at the same time.
const AT_ONCE: usize = 16;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Looks up the addresses of a `host:port`; none if that fails.
type Resolve = fn(String) -> BoxFuture<'static, Vec<SocketAddr>>;

/// The ways to the registries of a program, in their order.
#[derive(Debug, Clone)]
pub(crate) struct RegistryRoutes {
    all: Vec<Route>,
    resolve: Resolve,
}

/// The way to one registry.
#[derive(Debug, Clone)]
struct Route {
    /// Its address for people.
    registry: String,
    /// Its servers, as `host:port`; any port will do, as nothing is sent.
    servers: Vec<String>,
    /// Whether it may have rules that name this machine.
    has_rules: bool,
    /// The address of the interface from which packets leave, if it is known.
    source: Option<IpAddr>,
}

impl RegistryRoutes {
    /// Those to `registries`, which are those of `config` in its order. Of one that names no host the way is
    /// known: it is on this machine. The others have to be looked up.
    pub(crate) fn of(config: &Config, registries: &[Arc<dyn Registry>]) -> Self {
        let with_address = config.registry.address.iter().zip(registries);
        let all = with_address.map(|(address, registry)| {
            let servers = match registry.is_local() {
                true => Vec::new(),
                // Whoever reads it in another way has it looked up as it is.
                false => servers_of(address.as_str()).unwrap_or_else(|_| vec![address.to_string()]),
            };
            let source = servers.is_empty().then_some(LOOPBACK);
            let has_rules = registry.config_center().is_some();
            Route { registry: address.to_string(), servers, has_rules, source }
        });
        Self { all: all.collect(), resolve: look_up }
    }

    /// Looks up those that are not known yet, all at the same time, within `limit`.
    pub(crate) async fn look_up(&mut self, limit: Duration) {
        let (deadline, resolve) = (Instant::now() + limit, self.resolve);
        let missing = self.all.iter_mut().filter(|route| route.source.is_none());
        join_all(missing.map(|route| route.look_up(deadline, resolve))).await;
    }

    /// The addresses of this machine from which packets leave, as far as they are known.
    pub(crate) fn sources(&self) -> impl Iterator<Item = IpAddr> + Clone {
        self.all.iter().filter_map(|route| route.source)
    }

    /// The same as rules name them, each once.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let mut hosts = Vec::new();
        for source in self.sources() {
            let host = source.to_string();
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    /// Whether rules may name this machine by an address.
    pub(crate) fn are_needed_by_rules(&self) -> bool {
        self.all.iter().any(|route| route.has_rules)
    }

    /// Whether all are known by which rules may name this machine.
    pub(crate) fn are_known(&self) -> bool {
        self.unknown().next().is_none()
    }

    fn unknown(&self) -> impl Iterator<Item = &Route> {
        self.all.iter().filter(|route| route.has_rules && route.source.is_none())
    }

    /// Warns of those that are not known, if there are any.
    pub(crate) fn warn(&self) {
        let registries: Vec<&str> = self.unknown().map(|route| &*route.registry).collect();
        if !registries.is_empty() {
            tracing::warn!(
                target: "dubhe::config",
                registries = registries.join(", "),
                "the name or the route of a registry is not known: rules that name this machine by its \
                 address there do not hold until it is"
            );
        }
    }

    /// Looks on for what is not known; ends when all is, or when `found`, which is told what is known
    /// after each look, says that nobody needs it.
    pub(crate) async fn search(mut self, found: impl Fn(&Self) -> bool) {
        let mut waits = Backoff::new(AGAIN.0, AGAIN.1);
        while !self.are_known() {
            sleep(waits.next_wait()).await;
            self.look_up(SEARCH).await;
            if !found(&self) {
                return;
            }
        }
    }
}

impl Route {
    /// Asks for all servers at the same time; the first in their order to which a route leads decides.
    async fn look_up(&mut self, deadline: Instant, resolve: Resolve) {
        let ask = |server: &String| timeout_at(deadline, resolve(server.clone()));
        let mut found = stream::iter(self.servers.iter().map(ask)).buffered(AT_ONCE);
        // None waits for those that come after the first.
        while let Some(targets) = found.next().await {
            let mut targets = targets.unwrap_or_default();
            targets.sort_by_key(SocketAddr::is_ipv6);
            self.source = targets.into_iter().find_map(source_towards);
            if self.source.is_some() {
                return;
            }
        }
    }
}

/// The servers that a registry's address names, those of ZooKeeper's `backup` among them.
fn servers_of(registry: &str) -> Result<Vec<String>, Error> {
    let mut url = RegistryUrl::parse(registry)?;
    // What it means elsewhere is the registry's matter.
    let backup = url.query.get("backup").map(|more| format!("{}://{more}", url.scheme));
    if let Some(Ok(more)) = backup.map(|more| RegistryUrl::parse(&more)) {
        url.hosts.extend(more.hosts);
    }
    Ok(url.hosts.iter().map(|host| host.address(1)).collect())
}

fn look_up(server: String) -> BoxFuture<'static, Vec<SocketAddr>> {
    Box::pin(async { lookup_host(server).await.into_iter().flatten().collect() })
}

/// The address of the interface from which packets to `target` leave; `None` if there is no route.
/// Connecting a datagram socket asks the routing table and sends nothing.
fn source_towards(target: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(target).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use super::*;

    fn towards(url: &str, resolve: Resolve) -> RegistryRoutes {
        let (registry, servers) = (url.to_owned(), servers_of(url).unwrap());
        let source = servers.is_empty().then_some(LOOPBACK);
        RegistryRoutes { all: vec![Route { registry, servers, has_rules: true, source }], resolve }
    }

    /// A name server that knows nobody, and never answers for `silent`.
    fn of_nobody(server: String) -> BoxFuture<'static, Vec<SocketAddr>> {
        match server.parse() {
            Ok(address) => Box::pin(ready(vec![address])),
            Err(_) if server.starts_with("silent") => Box::pin(pending()),
            Err(_) => Box::pin(ready(Vec::new())),
        }
    }

    #[tokio::test]
    async fn the_route_to_a_registry_on_loopback_is_loopback() {
        for (url, expected) in [
            ("dubhe://127.0.0.1:2090", LOOPBACK),
            ("dubhe://me:secret@127.0.0.1:1,10.0.0.1:2/x?y=z", LOOPBACK),
            ("dubhe://127.0.0.1", LOOPBACK),
            ("dubhe://localhost", LOOPBACK),
            ("hosts:///etc/hosts", LOOPBACK),
            ("dubhe://[::1]:1", Ipv6Addr::LOCALHOST.into()),
        ] {
            let mut routes = towards(url, look_up);
            routes.look_up(Duration::from_secs(20)).await;
            assert_eq!(routes.sources().collect::<Vec<_>>(), [expected], "{url}");
        }
    }

    #[tokio::test]
    async fn a_registry_to_which_nothing_routes_is_not_taken_for_loopback() {
        let mut routes = towards("dubhe://no-such-host.invalid:1", look_up);
        routes.look_up(Duration::from_secs(2)).await;
        assert_eq!(routes.sources().next(), None);
        assert!(!routes.are_known());
    }

    #[tokio::test(start_paused = true)]
    async fn one_server_with_a_route_is_enough_wherever_it_stands() {
        for url in [
            "zookeeper://nobody,127.0.0.1",
            "zookeeper://silent,also-silent,127.0.0.1:2181",
            "zookeeper://nobody:2181?backup=silent:2181,127.0.0.1:2181",
        ] {
            let (mut routes, begun) = (towards(url, of_nobody), Instant::now());
            routes.look_up(SEARCH).await;
            assert_eq!(routes.sources().next(), Some(LOOPBACK), "{url}");
            assert!(begun.elapsed() <= SEARCH + Duration::from_millis(1), "{url}");
        }
        let (mut routes, begun) =
            (towards("zookeeper://127.0.0.1,silent", of_nobody), Instant::now());
        routes.look_up(SEARCH).await;
        assert_eq!((routes.sources().next(), begun.elapsed()), (Some(LOOPBACK), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn all_registries_are_looked_up_at_the_same_time_and_what_is_missing_again() {
        fn later(server: String) -> BoxFuture<'static, Vec<SocketAddr>> {
            thread_local! {
                static ASKED: Cell<usize> = const { Cell::new(0) };
            }
            let asked = ASKED.replace(ASKED.get() + 1);
            match asked < 6 {
                true => Box::pin(pending()),
                false => of_nobody(server.replace("silent", "127.0.0.1")),
            }
        }
        let mut routes = towards("dubhe://silent:1", later);
        routes.all.extend([routes.all[0].clone(), routes.all[0].clone()]);
        let begun = Instant::now();
        routes.look_up(SEARCH).await;
        assert!(begun.elapsed() <= SEARCH + Duration::from_millis(1), "{:?}", begun.elapsed());
        assert_eq!(routes.hosts(), [""; 0]);
        let looks = Cell::new(0);
        let found = |routes: &RegistryRoutes| {
            looks.set(looks.get() + 1);
            assert_eq!(routes.are_known(), looks.get() == 2);
            true
        };
        routes.clone().search(found).await;
        assert_eq!(looks.get(), 2);
        // Nobody needs it any more, or never did.
        let mut without_rules = towards("dubhe://nobody:1", of_nobody);
        without_rules.all[0].has_rules = false;
        assert!(without_rules.are_known());
        towards("dubhe://nobody:1", of_nobody).search(|_| false).await;
    }
}
