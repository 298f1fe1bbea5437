//! Where a provider listens and what address consumers are told: two settings, one default.
//!
//! `dev://` and other registries on loopback bind loopback. Elsewhere the port is bound on every
//! interface, and the address told is that of the interface which routes to the registry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use registry::RegistryUrl;
use rpc_core::Error;

use crate::config::{AdvertisedAddress, Config, RegistryAddress, RegistryAddresses};

/// Where a provider listens.
pub(crate) struct Place {
    pub(crate) bind: SocketAddr,
    /// Whether another port will do if this one is taken.
    pub(crate) may_move: bool,
    advertise: Option<AdvertisedAddress>,
    /// The address told when none is set and every interface is bound.
    route: IpAddr,
}

impl Place {
    pub(crate) fn of(config: &Config) -> Result<Self, Error> {
        let provider = &config.provider;
        config.registry_address()?;
        let route =
            match route_to_all(&config.registry.address, |address| route_to(address.as_str()))? {
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

    /// What consumers are told once `bound` is known.
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

/// Of several registries the first counts that is not on this machine: who is reached through it
/// is not on this machine either. `None` if no other has a route.
fn route_to_all(
    registries: &RegistryAddresses,
    route: impl Fn(&RegistryAddress) -> Result<Option<IpAddr>, Error>,
) -> Result<Option<IpAddr>, Error> {
    let mut best = None;
    for address in registries.iter() {
        match route(address)? {
            Some(found) if !found.is_loopback() => return Ok(Some(found)),
            found => best = best.or(found),
        }
    }
    Ok(best)
}

/// The address of the interface from which packets to the registry leave; loopback if its address
/// names no host, `None` if there is no route. Connecting a datagram socket asks the routing table
/// and sends nothing.
fn route_to(registry: &str) -> Result<Option<IpAddr>, Error> {
    let url = RegistryUrl::parse(registry)?;
    // Names of `dev://` and `memory://` are no hosts.
    let is_local = matches!(&*url.scheme, "dev" | "memory");
    let Some(host) = url.hosts.first().filter(|_| !is_local) else {
        return Ok(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    };
    // Any port will do: nothing is sent.
    let target = host.address(1);
    let from = |any: IpAddr| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(&*target).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    Ok(from(Ipv4Addr::UNSPECIFIED.into()).or_else(|| from(Ipv6Addr::UNSPECIFIED.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_to_a_registry_on_loopback_is_loopback() {
        for url in ["dubhe://127.0.0.1:2090", "dubhe://me:secret@127.0.0.1:1,10.0.0.1:2/x?y=z"] {
            assert_eq!(route_to(url).unwrap(), Some(Ipv4Addr::LOCALHOST.into()), "{url}");
        }
        assert_eq!(route_to("dubhe://127.0.0.1").unwrap(), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(route_to("dubhe://[::1]:1").unwrap(), Some(Ipv6Addr::LOCALHOST.into()));
    }

    #[test]
    fn a_registry_to_which_nothing_routes_is_not_taken_for_loopback() {
        assert_eq!(route_to("dubhe://no-such-host.invalid:1").unwrap(), None);
    }

    #[test]
    fn of_several_registries_one_on_another_machine_decides() {
        let registries: RegistryAddresses =
            serde_json::from_value("dev://,dubhe://b:1,dubhe://c:1".into()).unwrap();
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 1, 2, 3]));
        let route = |address: &RegistryAddress| match address.as_str() {
            "dev://" => Ok(Some(here)),
            "dubhe://b:1" => Ok(None),
            _ => Ok(Some(there)),
        };
        assert_eq!(route_to_all(&registries, route).unwrap(), Some(there));
        assert_eq!(route_to_all(&registries, |_| Ok(Some(here))).unwrap(), Some(here));
        assert_eq!(route_to_all(&registries, |_| Ok(None)).unwrap(), None);
    }

    #[test]
    fn a_registry_without_a_host_is_on_this_machine() {
        for url in ["memory://shop", "dev://", "dev://shop"] {
            assert_eq!(route_to(url).unwrap(), Some(Ipv4Addr::LOCALHOST.into()), "{url}");
        }
    }
}
