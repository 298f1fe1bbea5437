//! The section `[consumer]`: how calls are made, for all services, for one, for one method of one.

use std::collections::BTreeMap;
use std::time::Duration;

use rpc_core::client::ClientConfig;
use rpc_core::{AccessLog, Deadline, ServiceKey, TraceForwarding};
use serde::{Deserialize, Serialize};

use super::ejection::EjectionSettings;
use super::instances::InstanceRule;
use super::selector::{self, Selector};
use super::value::{at_least_one, optional, positive, size};

/// `[consumer]`: settings of the calling side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// Codec to prefer, by name. Default `protobuf`.
    pub codec: String,
    /// Cluster policy. Default `failover`.
    pub cluster: Selector,
    /// Load balancer. Default `p2c`.
    pub loadbalance: Selector,
    /// What narrows the instances a call may go to, in this order. Default: nothing.
    #[serde(deserialize_with = "selector::list::deserialize")]
    pub routers: Vec<Selector>,
    /// Filters around each call, the first outermost. Default: none.
    #[serde(deserialize_with = "selector::list::deserialize")]
    pub filters: Vec<Selector>,
    /// Filters around each attempt of a call, the first outermost. Default: none.
    #[serde(deserialize_with = "selector::list::deserialize")]
    pub attempt_filters: Vec<Selector>,
    /// How long a call may take in all, retries included. Default 1 s.
    #[serde(with = "positive")]
    pub timeout: Duration,
    /// How often a call may be sent again. Default 2.
    pub retries: u32,
    /// Which calls leave a line in the access log: `failures`, `all` or `off`. Default `failures`.
    pub access_log: AccessLog,
    /// How much of the trace of the call being handled a call passes on: `all`, `ids` without the
    /// baggage, or `off`. Default `all`.
    pub trace_context: TraceForwarding,
    /// How long an attempt to connect may take. Default 1 s.
    #[serde(with = "positive")]
    pub connect_timeout: Duration,
    /// Silence after which a connection is asked whether it lives. Default 10 s.
    #[serde(with = "positive")]
    pub heartbeat: Duration,
    /// How long the answer may take before the connection counts as dead. Default 5 s.
    #[serde(with = "positive")]
    pub heartbeat_timeout: Duration,
    /// `[consumer.retry_budget]`
    pub retry_budget: RetryBudgetConfig,
    /// `[consumer.ejection]`
    pub ejection: EjectionSettings,
    /// `[consumer.limits]`
    pub limits: ConsumerLimits,
    /// `[consumer.instances."…"]`, by `host:port` or by `host`.
    pub instances: BTreeMap<String, InstanceRule>,
    /// `[consumer.services."…"]`, by interface or by `group/interface:version`.
    pub services: BTreeMap<ServiceKey, ServiceOverrides>,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            codec: "protobuf".to_owned(),
            cluster: Selector::new("failover"),
            loadbalance: Selector::new("p2c"),
            routers: Vec::new(),
            filters: Vec::new(),
            attempt_filters: Vec::new(),
            timeout: Deadline::DEFAULT_TIMEOUT,
            retries: 2,
            access_log: AccessLog::Failures,
            trace_context: TraceForwarding::All,
            connect_timeout: Duration::from_secs(1),
            heartbeat: Duration::from_secs(10),
            heartbeat_timeout: Duration::from_secs(5),
            retry_budget: RetryBudgetConfig::default(),
            ejection: EjectionSettings::default(),
            limits: ConsumerLimits::default(),
            instances: BTreeMap::new(),
            services: BTreeMap::new(),
        }
    }
}

/// `[consumer.retry_budget]`: how many calls that may have run are sent again, over all services
/// and a window of ten seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryBudgetConfig {
    /// Share of all calls, in percent. Default 20.
    pub percent: u32,
    /// Additional re-sends in each second. Default 10.
    pub per_second: u32,
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self { percent: 20, per_second: 10 }
    }
}

/// `[consumer.limits]`: what a consumer holds and takes; past one a call fails and names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConsumerLimits {
    /// Largest body of a request or an answer, in bytes. Default 8 MiB; exactly that much passes.
    #[serde(with = "size")]
    pub payload: usize,
    /// Most memory that the reply of one call takes, in bytes. Default 64 MiB.
    #[serde(with = "size")]
    pub decoded: usize,
    /// Calls waiting on one connection. Default 65,536.
    #[serde(deserialize_with = "at_least_one")]
    pub in_flight: u32,
    /// Bytes waiting to be written on one connection. Default 64 MiB.
    #[serde(with = "size")]
    pub queued: usize,
}

impl Default for ConsumerLimits {
    /// The defaults of connections.
    fn default() -> Self {
        let ClientConfig { payload, decoded, in_flight, queued, .. } = ClientConfig::default();
        let in_flight = u32::try_from(in_flight).unwrap_or(u32::MAX);
        Self { payload, decoded, in_flight, queued }
    }
}

/// `[consumer.services."…"]`: settings of the calls of one service, and of its methods.
///
/// No `deny_unknown_fields`: serde cannot combine it with `flatten`. Unknown keys are found before,
/// against the list of known ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ServiceOverrides {
    /// For all its methods.
    #[serde(flatten)]
    pub call: CallOverrides,
    /// Which of its providers are called: those of the registry, or those of this process alone.
    /// Default `remote`.
    pub scope: Option<CallScope>,
    /// What narrows its instances, in this order, instead of `consumer.routers`.
    #[serde(deserialize_with = "selector::list::optional")]
    pub routers: Option<Vec<Selector>>,
    /// Filters around each of its calls, instead of `consumer.filters`.
    #[serde(deserialize_with = "selector::list::optional")]
    pub filters: Option<Vec<Selector>>,
    /// Filters around each attempt of its calls, instead of `consumer.attempt_filters`.
    #[serde(deserialize_with = "selector::list::optional")]
    pub attempt_filters: Option<Vec<Selector>>,
    /// `[consumer.services."…".instances."…"]`, by `host:port` or by `host`; what is set here is
    /// stronger than what `[consumer.instances]` sets.
    pub instances: BTreeMap<String, InstanceRule>,
    /// `[consumer.services."…".methods.m]`, by name on the wire.
    pub methods: BTreeMap<String, MethodOverrides>,
}

/// `scope` of a service: where its providers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CallScope {
    /// In this process, without a socket. Calls fail while it has none.
    Local,
    /// At the addresses that the registry lists, over the network, even if that is this process.
    Remote,
}

/// `[consumer.services."…".methods.m]`: settings of the calls of one method. As for
/// [`ServiceOverrides`], unknown keys are found before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MethodOverrides {
    /// What a service has too.
    #[serde(flatten)]
    pub call: CallOverrides,
    /// What narrows the instances of its calls, in this order, instead of the routers of the
    /// service. Not below `call`, where a mistake in the list could not be pointed at.
    #[serde(deserialize_with = "selector::list::optional")]
    pub routers: Option<Vec<Selector>>,
    /// Filters around each of its calls, instead of those of the service.
    #[serde(deserialize_with = "selector::list::optional")]
    pub filters: Option<Vec<Selector>>,
    /// Filters around each attempt of its calls, instead of those of the service.
    #[serde(deserialize_with = "selector::list::optional")]
    pub attempt_filters: Option<Vec<Selector>>,
}

impl ConsumerConfig {
    /// The limits and times of its connections.
    pub(crate) fn client(&self) -> ClientConfig {
        ClientConfig {
            connect_timeout: self.connect_timeout,
            heartbeat: self.heartbeat,
            heartbeat_timeout: self.heartbeat_timeout,
            payload: self.limits.payload,
            decoded: self.limits.decoded,
            in_flight: self.limits.in_flight as usize,
            queued: self.limits.queued,
        }
    }
}

/// What can be set for the calls of one service or method; what is not set comes from the next
/// wider level.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CallOverrides {
    /// Codec to prefer, by name.
    pub codec: Option<String>,
    /// Cluster policy.
    pub cluster: Option<Selector>,
    /// Load balancer.
    pub loadbalance: Option<Selector>,
    /// How long a call may take in all.
    #[serde(with = "optional")]
    pub timeout: Option<Duration>,
    /// How often a call may be sent again.
    pub retries: Option<u32>,
    /// Which calls leave a line in the access log.
    pub access_log: Option<AccessLog>,
    /// How much of the trace of the call being handled a call passes on.
    pub trace_context: Option<TraceForwarding>,
}
