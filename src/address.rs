//! Where a provider listens and what address consumers are told: two settings, one default.
//!
//! `dev://` and other registries on loopback bind loopback. Elsewhere the port is bound on every
//! interface, and the address told is that of the interface which routes to the registry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rpc_core::Error;

use crate::config::{AdvertisedAddress, Config};

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
        let registry = config.registry_address()?;
        let is_dev = registry.scheme() == "dev";
        let route = match is_dev {
            true => IpAddr::V4(Ipv4Addr::LOCALHOST),
            false => route_to(registry.as_str()),
        };
        let ip = provider.bind.unwrap_or_else(|| match route {
            route if route.is_loopback() => route,
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
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

/// The address of the interface from which packets to the registry leave; loopback if its address
/// names no host. Connecting a datagram socket asks the routing table and sends nothing.
fn route_to(registry: &str) -> IpAddr {
    let rest = registry.split_once("://").map_or(registry, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let host = hosts.split(',').next().unwrap_or_default();
    let routed = || {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect(host).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    routed().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_to_a_registry_on_loopback_is_loopback() {
        for url in ["dubhe://127.0.0.1:2090", "dubhe://me:secret@127.0.0.1:1,10.0.0.1:2/x?y=z"] {
            assert_eq!(route_to(url), IpAddr::V4(Ipv4Addr::LOCALHOST), "{url}");
        }
    }

    #[test]
    fn a_registry_without_a_host_is_on_this_machine() {
        assert_eq!(route_to("memory://shop"), IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(route_to("static://"), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
}
