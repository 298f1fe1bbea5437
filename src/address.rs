//! Where a provider listens and which address it advertises: two settings, one default.
//!
//! `dev://` and other registries on loopback bind loopback. Elsewhere the port is bound on every
//! interface, and the advertised address is that of the interface that routes to the registry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use protocols::TcpListen;
use registry::{Registry, RegistryUrl};
use rpc_core::Error;
use rpc_core::transport::Listen;
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::config::{AdvertisedAddress, Config};

/// How long the name of a registry's host may take to be looked up.
const LOOKUP: Duration = Duration::from_secs(2);

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where a provider listens.
pub(crate) struct Listening {
    pub(crate) bind: SocketAddr,
    /// Whether another port will do if this one is taken.
    may_move: bool,
    advertise: Option<AdvertisedAddress>,
    /// The advertised address if none is set and every interface is bound.
    route: IpAddr,
}

impl Listening {
    /// The provider's own port and `others` that it accepts on, and the address of the port.
    pub(crate) fn listen(
        &self,
        others: Vec<Box<dyn Listen>>,
    ) -> Result<(Vec<Box<dyn Listen>>, SocketAddr), Error> {
        let port = self.bind()?;
        let local_addr = port.socket_addr();
        let port: Box<dyn Listen> = Box::new(port);
        Ok(([port].into_iter().chain(others).collect(), local_addr))
    }

    /// Binds the provider's own port.
    fn bind(&self) -> Result<TcpListen, Error> {
        match TcpListen::bind(self.bind) {
            Err(error) if error.is_bind() && self.may_move => {
                // Several providers of one machine share the default port in development.
                let listener = TcpListen::bind(SocketAddr::new(self.bind.ip(), 0))?;
                let (taken, port) = (self.bind.port(), listener.socket_addr().port());
                tracing::warn!(
                    target: "dubhe::provider",
                    taken, port, "the default port is taken, using a free one"
                );
                Ok(listener)
            }
            bound => bound,
        }
    }

    /// Where a provider of these `registries` listens, which are those of `config` in its order.
    pub(crate) async fn of(
        config: &Config,
        registries: &[Arc<dyn Registry>],
    ) -> Result<Self, Error> {
        let provider = &config.provider;
        let mut routes = Vec::new();
        for (address, registry) in config.registry.address.iter().zip(registries) {
            routes.push(match registry.is_local() {
                true => Some(LOOPBACK),
                false => route_to(address.as_str()).await?,
            });
        }
        let route = match best_of(&routes) {
            Some(route) => route,
            None if provider.advertise.is_some() => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            None => {
                return Err(Error::invalid_config(format!(
                    "cannot tell which of this machine's addresses routes to {}; set \
                     `provider.advertise`, and `provider.bind` if need be",
                    config.registry.address
                )));
            }
        };
        let ip = provider.bind.unwrap_or_else(|| match route {
            route if route.is_loopback() => route,
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
        let is_dev = config.registry.address.iter().all(|address| address.scheme() == "dev");
        let may_move = is_dev && config.is_default("provider.port");
        let bind = SocketAddr::new(ip, provider.port);
        Ok(Self { bind, may_move, advertise: provider.advertise.clone(), route })
    }

    /// Whether the way to the registries does not leave this machine.
    pub(crate) fn is_registry_here(&self) -> bool {
        self.route.is_loopback()
    }

    /// Names and addresses by which HTTP requests may call the provider besides those of loopback;
    /// `None` for any. A web page reaches loopback under a name of its own, so there they count.
    pub(crate) fn hosts(&self, config: &Config) -> Option<Vec<String>> {
        let (own, bound) = (&config.provider.hosts, self.bind.ip());
        if own.is_empty() && !bound.is_loopback() {
            return None;
        }
        let advertised = match &self.advertise {
            Some(advertise) => advertise.host.clone(),
            None if bound.is_unspecified() => self.route.to_string(),
            None => bound.to_string(),
        };
        let own = own.iter().map(|name| name.as_str().to_owned());
        Some(own.chain([bound.to_string(), advertised]).collect())
    }

    /// The advertised address, once `bound` is known.
    pub(crate) fn advertised(&self, bound: SocketAddr) -> String {
        match &self.advertise {
            Some(advertise) => advertise.with_bound_port(bound.port()),
            None if bound.ip().is_unspecified() => {
                SocketAddr::new(self.route, bound.port()).to_string()
            }
            None => bound.to_string(),
        }
    }
}

/// The addresses of this machine that lead to its registries, without port, by which rules name it;
/// what cannot be found is left out.
pub(crate) async fn own_hosts(config: &Config) -> Vec<String> {
    let mut hosts = Vec::new();
    for address in config.registry.address.iter() {
        let route = route_to(address.as_str()).await.ok().flatten();
        let host = route.map(|route| route.to_string());
        hosts.extend(host.filter(|host| !hosts.contains(host)));
    }
    hosts
}

/// The first registry that is not on this machine decides: its consumers are not on this machine
/// either. `None` if no other has a route.
fn best_of(routes: &[Option<IpAddr>]) -> Option<IpAddr> {
    let known = || routes.iter().flatten();
    known().find(|route| !route.is_loopback()).or_else(|| known().next()).copied()
}

/// The address of the interface from which packets to the registry leave; loopback if its address
/// names no host, `None` if there is no route. Connecting a datagram socket asks the routing table
/// and sends nothing.
async fn route_to(registry: &str) -> Result<Option<IpAddr>, Error> {
    let url = RegistryUrl::parse(registry)?;
    let Some(host) = url.hosts.first() else {
        return Ok(Some(LOOPBACK));
    };
    // Any port will do: nothing is sent.
    let found = timeout(LOOKUP, lookup_host(host.address(1))).await;
    let mut targets: Vec<SocketAddr> =
        found.ok().and_then(Result::ok).into_iter().flatten().collect();
    targets.sort_by_key(SocketAddr::is_ipv6);
    let from = |target: SocketAddr| {
        let any: IpAddr = match target {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(target).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    Ok(targets.into_iter().find_map(from))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[tokio::test]
    async fn the_route_to_a_registry_on_loopback_is_loopback() {
        for url in [
            "dubhe://127.0.0.1:2090",
            "dubhe://me:secret@127.0.0.1:1,10.0.0.1:2/x?y=z",
            "dubhe://127.0.0.1",
            "dubhe://localhost",
            "hosts:///etc/hosts",
        ] {
            assert_eq!(route_to(url).await.unwrap(), Some(LOOPBACK), "{url}");
        }
        let six = route_to("dubhe://[::1]:1").await.unwrap();
        assert_eq!(six, Some(Ipv6Addr::LOCALHOST.into()));
    }

    #[tokio::test]
    async fn a_registry_to_which_nothing_routes_is_not_taken_for_loopback() {
        assert_eq!(route_to("dubhe://no-such-host.invalid:1").await.unwrap(), None);
    }

    #[test]
    fn of_several_registries_one_on_another_machine_decides() {
        let there = IpAddr::from([10, 1, 2, 3]);
        assert_eq!(best_of(&[Some(LOOPBACK), None, Some(there)]), Some(there));
        assert_eq!(best_of(&[Some(LOOPBACK), None, None]), Some(LOOPBACK));
        assert_eq!(best_of(&[None, None]), None);
    }
}
