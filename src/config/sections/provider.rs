//! The section `[provider]`: where services are served, how much at once, how they go down.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use rpc_core::server::ServerConfig;
use rpc_core::{AccessLog, ServiceKey};
use serde::{Deserialize, Serialize};

use super::address::{AdvertisedAddress, HostName};
use super::selector::{self, Selector};
use super::value::{at_least_one, duration, duration_or_none, ip, port, positive, size};

/// `[provider]`: settings of the serving side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ProviderConfig {
    /// TCP port; 0 takes any that is free. Default 20880.
    #[serde(deserialize_with = "port")]
    pub port: u16,
    /// Address to bind. Default: loopback if the registry is on this machine, else every
    /// interface.
    #[serde(deserialize_with = "ip")]
    pub bind: Option<IpAddr>,
    /// Address consumers connect to, if it is not the bound one.
    pub advertise: Option<AdvertisedAddress>,
    /// Names and addresses by which HTTP requests may call this provider, besides loopback's and
    /// those it is bound to and advertised by. Default: no other on loopback, elsewhere any.
    pub hosts: Vec<HostName>,
    /// Whether `GET /metrics` serves the metrics on a port that is not on loopback; on loopback it
    /// always does. Default: no.
    pub metrics: bool,
    /// Protocols served on the port, by name. Default: all that are built in.
    pub protocols: ProtocolNames,
    /// Share of traffic relative to other instances; 0 is none while others that have some can be
    /// called. Default 100.
    pub weight: u32,
    /// How long the share grows after a start until it is whole; zero for at once. Default 10 min.
    #[serde(with = "duration")]
    pub warmup: Duration,
    /// Whether its instances publish that they are to get no call. Default: no.
    pub disabled: bool,
    /// `[provider.metadata]`: what instances publish besides, for routers to read. Default:
    /// nothing.
    pub metadata: BTreeMap<String, String>,
    /// Filters around each handler, the first outermost. Default: none.
    #[serde(deserialize_with = "selector::list::deserialize")]
    pub filters: Vec<Selector>,
    /// Whether a method's calls are limited once most of them could not end in time. Default
    /// `adaptive`.
    pub gate: Gate,
    /// Which calls leave a line in the access log: `failures`, `all` or `off`. Default `failures`.
    pub access_log: AccessLog,
    /// How long calls are still served after unregistering, so that consumers hear of it.
    /// Default 3 s.
    #[serde(with = "duration")]
    pub notice: Duration,
    /// How long running calls may take to end before they are cut. Default 30 s.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// `[provider.limits]`
    pub limits: ProviderLimits,
    /// `[provider.services."…"]`, by interface or by `group/interface:version`.
    pub services: BTreeMap<ServiceKey, InstanceOverrides>,
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            port: 20880,
            bind: None,
            advertise: None,
            hosts: Vec::new(),
            metrics: false,
            protocols: ProtocolNames::default(),
            weight: 100,
            warmup: Duration::from_secs(600),
            disabled: false,
            metadata: BTreeMap::new(),
            filters: Vec::new(),
            gate: Gate::Adaptive,
            access_log: AccessLog::Failures,
            notice: Duration::from_secs(3),
            drain_timeout: Duration::from_secs(30),
            limits: ProviderLimits::default(),
            services: BTreeMap::new(),
        }
    }
}

/// `[provider.services."…"]`: how the instances of one service differ from the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InstanceOverrides {
    /// Share of traffic relative to other instances.
    pub weight: Option<u32>,
    /// How long the share grows after a start until it is whole.
    #[serde(with = "duration_or_none")]
    pub warmup: Option<Duration>,
    /// Whether the instance publishes that it is to get no call.
    pub disabled: Option<bool>,
    /// Whether calls of its methods are limited once most of them could not end in time.
    pub gate: Option<Gate>,
    /// Which calls of its methods leave a line in the access log.
    pub access_log: Option<AccessLog>,
    /// Filters around its handlers, instead of `provider.filters`.
    #[serde(deserialize_with = "selector::list::optional")]
    pub filters: Option<Vec<Selector>>,
    /// `[provider.services."…".methods.m]`, by name on the wire.
    pub methods: BTreeMap<String, HandlerOverrides>,
}

/// `[provider.services."…".methods.m]`: how the handler of one method differs from the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HandlerOverrides {
    /// Filters around it, instead of those of the service.
    #[serde(deserialize_with = "selector::list::optional")]
    pub filters: Option<Vec<Selector>>,
    /// Whether its calls are limited once most of them could not end in time.
    pub gate: Option<Gate>,
    /// Which of its calls leave a line in the access log.
    pub access_log: Option<AccessLog>,
}

/// Treatment of a method's calls when more arrive than can be answered in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Gate {
    /// Only as many run as end in time; the others are turned away at once.
    #[default]
    Adaptive,
    /// All run.
    Off,
}

/// `[provider.limits]`: what a peer may ask of a provider; past one it gets an error that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ProviderLimits {
    /// Largest body of a request or an answer, in bytes. Default 8 MiB; exactly that much passes.
    #[serde(with = "size")]
    pub payload: usize,
    /// Most memory that the arguments of one call take, in bytes. Default 64 MiB.
    #[serde(with = "size")]
    pub decoded: usize,
    /// Largest header of a request, in bytes. Default 16 KiB.
    #[serde(with = "size")]
    pub header: usize,
    /// Open connections. Default 10,000.
    #[serde(deserialize_with = "at_least_one")]
    pub connections: u32,
    /// Calls running at once, over all connections; one has at most as many as it leaves to others.
    /// Default 10,000.
    #[serde(deserialize_with = "at_least_one")]
    pub in_flight: u32,
    /// Bytes of requests and answers that all connections hold; one has at most half of it, two a
    /// third each, and so on. Default 512 MiB.
    #[serde(with = "size")]
    pub buffered: usize,
    /// Time for the first bytes of a connection, which determine its protocol. Default 5 s.
    #[serde(with = "positive")]
    pub sniff_timeout: Duration,
    /// Time for each request's header once it has begun. Default 10 s.
    #[serde(with = "positive")]
    pub header_timeout: Duration,
    /// How long a peer may take no byte of its answers. Default 10 s.
    #[serde(with = "positive")]
    pub write_timeout: Duration,
    /// How long a connection may be silent before it is closed. Default 10 min.
    #[serde(with = "positive")]
    pub idle_timeout: Duration,
    /// How long a call may run whose caller names no time, as `curl` does. Default 60 s.
    #[serde(with = "positive")]
    pub default_timeout: Duration,
}

impl Default for ProviderLimits {
    /// The defaults of a server.
    fn default() -> Self {
        let server = ServerConfig::default();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            payload: server.payload,
            decoded: server.decoded,
            header: server.header,
            connections: count(server.connections),
            in_flight: count(server.in_flight),
            buffered: server.buffered,
            sniff_timeout: server.sniff_timeout,
            header_timeout: server.header_timeout,
            write_timeout: server.write_timeout,
            idle_timeout: server.idle_timeout,
            default_timeout: server.default_timeout,
        }
    }
}

impl ProviderLimits {
    /// The limits of a server that accepts HTTP requests for the names `hosts`, and serves its
    /// metrics or not.
    pub(crate) fn server(&self, hosts: Option<Vec<String>>, serves_metrics: bool) -> ServerConfig {
        ServerConfig {
            hosts,
            serves_metrics,
            payload: self.payload,
            decoded: self.decoded,
            header: self.header,
            connections: self.connections as usize,
            in_flight: self.in_flight as usize,
            buffered: self.buffered,
            sniff_timeout: self.sniff_timeout,
            header_timeout: self.header_timeout,
            write_timeout: self.write_timeout,
            idle_timeout: self.idle_timeout,
            default_timeout: self.default_timeout,
        }
    }
}

// === impl ProtocolNames ===

/// The wire protocols a provider speaks, by name; all share one port. One at least, none twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct ProtocolNames(Vec<String>);

impl ProtocolNames {
    /// Whether the protocol `name` is served.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names().any(|served| served == name)
    }

    /// The names, as instances publish them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl Default for ProtocolNames {
    /// Every protocol that is built in.
    fn default() -> Self {
        let table = protocols::table().ok();
        let names = table.iter().flat_map(rpc_core::Protocols::names);
        Self(names.map(str::to_owned).collect())
    }
}

impl TryFrom<Vec<String>> for ProtocolNames {
    type Error = &'static str;

    fn try_from(names: Vec<String>) -> Result<Self, Self::Error> {
        let mut kept = Vec::new();
        for name in names {
            if !kept.contains(&name) {
                kept.push(name);
            }
        }
        if kept.is_empty() {
            return Err("an empty list serves no protocol: name one protocol at least");
        }
        Ok(Self(kept))
    }
}
