//! Where a provider listens and which address it advertises: two settings, one default.
//!
//! `dev://` and other registries on loopback bind loopback. Elsewhere the port is bound on every
//! interface, and the advertised address is that of the interface that routes to the registry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use protocols::TcpListen;
use registry::Registry;
use rpc_core::Error;
use rpc_core::transport::Listen;

use crate::config::{AdvertisedAddress, Config};
use crate::route::RegistryRoutes;

/// How long the names of the registries' hosts may take to be looked up, all of them.
const LOOKUP: Duration = Duration::from_secs(2);

/// Where a provider listens.
pub(crate) struct Listening {
    pub(crate) bind: SocketAddr,
    /// Whether another port will do if this one is taken.
    may_move: bool,
    advertise: Option<AdvertisedAddress>,
    /// The advertised address if none is set and every interface is bound.
    route: IpAddr,
    /// The ways to the registries, as far as they are known.
    pub(crate) routes: RegistryRoutes,
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
        let mut routes = RegistryRoutes::of(config, registries);
        // What is advertised then needs no route.
        let is_told = provider.advertise.is_some()
            || provider.bind.is_some_and(|bind| !bind.is_unspecified());
        if !is_told || provider.bind.is_none() || routes.are_needed_by_rules() {
            routes.look_up(LOOKUP).await;
        }
        let route = match best_of(routes.sources()) {
            Some(route) => route,
            None if is_told => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            None => {
                return Err(Error::invalid_config(format!(
                    "cannot tell which of this machine's addresses routes to {}; set \
                     `provider.advertise`, or `provider.bind` to the address",
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
        Ok(Self { bind, may_move, advertise: provider.advertise.clone(), route, routes })
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

/// The first registry that is not on this machine decides: its consumers are not on this machine
/// either. `None` if no other has a route.
fn best_of(routes: impl Iterator<Item = IpAddr> + Clone) -> Option<IpAddr> {
    routes.clone().find(|route| !route.is_loopback()).or_else(|| routes.clone().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, Sources};

    async fn listening(settings: &[(&str, &str)]) -> Result<Listening, Error> {
        let mut builder = Layer::new().set("registry.address", "dubhe://no-such-host.invalid:1");
        for (key, value) in settings {
            builder = builder.set(key, *value);
        }
        let config = Config::load(Sources { builder, ..Sources::default() }).unwrap();
        let registries = crate::Extensions::default().registries(&config).unwrap();
        Listening::of(&config, &registries).await
    }

    #[tokio::test]
    async fn an_address_to_bind_needs_no_route_to_the_registry() {
        let of_two = ("registry.address", "zookeeper://no-such-host.invalid,127.0.0.1");
        assert!(listening(&[of_two]).await.unwrap().is_registry_here());
        let bound = SocketAddr::from(([127, 0, 0, 1], 4711));
        for told in [("provider.bind", "127.0.0.1"), ("provider.advertise", "127.0.0.1")] {
            let listening = listening(&[told]).await.unwrap();
            assert_eq!(listening.advertised(bound), "127.0.0.1:4711", "{told:?}");
        }
        for unknown in [&[][..], &[("provider.bind", "0.0.0.0")]] {
            let error = listening(unknown).await.err().unwrap().to_string();
            assert!(error.contains("or `provider.bind` to the address"), "{error}");
        }
    }

    #[test]
    fn of_several_registries_one_on_another_machine_decides() {
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let there = IpAddr::from([10, 1, 2, 3]);
        assert_eq!(best_of([here, there].into_iter()), Some(there));
        assert_eq!(best_of([here].into_iter()), Some(here));
        assert_eq!(best_of([].into_iter()), None);
    }
}
