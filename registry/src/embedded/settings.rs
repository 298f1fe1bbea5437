//! Limits and times of an embedded registry server.

use std::fmt;
use std::time::Duration;

/// How an [`EmbeddedServer`](super::EmbeddedServer) behaves.
///
/// The times are in proportion: a lease of three renewals survives two that are lost. The limits are
/// for a server that every process of a network can reach, so that none of them fills it alone.
///
/// ```
/// use std::time::Duration;
///
/// use dubhe_registry::embedded::{EmbeddedServer, RegistryServerConfig};
///
/// // Notices a lost machine within 9 s, for three times the renewals.
/// let config = RegistryServerConfig {
///     lease: Duration::from_secs(9),
///     renew: Duration::from_secs(3),
///     ..RegistryServerConfig::default()
/// };
/// let server = EmbeddedServer::builder().config(config).token("s3cret");
/// # drop(server);
/// ```
#[derive(Clone)]
pub struct RegistryServerConfig {
    /// The token that clients must send; empty, the default, for none.
    pub token: String,
    /// How long an instance stays listed without being renewed; default 30 s.
    pub lease: Duration,
    /// How often clients renew their instances; default 10 s.
    pub renew: Duration,
    /// The remaining lease once the client closes its connection; default 3 s.
    pub closed_lease: Duration,
    /// How long after its start the server withholds a list that is empty or shorter than the
    /// subscriber's, because its providers are on their way back; default 10 s.
    pub withhold: Duration,
    /// Share of all instances that one sweep may evict; default 0.15. At most one sweep a second.
    pub evict_share: f64,
    /// Share of the leases that must be renewed in time; default 0.85. Below it the server itself is
    /// probably cut off, and no silent instance is evicted.
    pub preserve_below: f64,
    /// Longest time for which silent instances are kept for that reason; default 15 min.
    pub preserve_limit: Duration,
    /// Least time between two pushes on one connection; default 100 ms. After long lists it is more: as
    /// long as they take at 8 MiB a second.
    pub push_gap: Duration,
    /// How long a client may take to say hello, or to read an answer; default 5 s.
    pub patience: Duration,
    /// Most connections at a time; default 4096.
    pub max_connections: usize,
    /// Most instances of all connections together; default 100,000.
    pub max_instances: usize,
    /// Most instances, and most subscriptions, of one connection; default 10,000.
    pub max_per_connection: usize,
    /// Largest instance, in bytes of JSON; default 64 KiB.
    pub max_instance: usize,
    /// Most bytes of JSON of the instances of one connection together, so that none fills a list or
    /// the registry alone; default 8 MiB.
    pub max_bytes_per_connection: usize,
    /// Largest frame of a client, in bytes; default 256 KiB.
    pub max_frame: usize,
    /// Largest list of one service, in bytes of JSON; default 32 MiB.
    pub max_list: usize,
    /// Most bytes of JSON of all instances together; default 256 MiB.
    pub max_bytes: usize,
}

impl Default for RegistryServerConfig {
    fn default() -> Self {
        Self {
            token: String::new(),
            lease: Duration::from_secs(30),
            renew: Duration::from_secs(10),
            closed_lease: Duration::from_secs(3),
            withhold: Duration::from_secs(10),
            evict_share: 0.15,
            preserve_below: 0.85,
            preserve_limit: Duration::from_secs(900),
            push_gap: Duration::from_millis(100),
            patience: Duration::from_secs(5),
            max_connections: 4096,
            max_instances: 100_000,
            max_per_connection: 10_000,
            max_instance: 64 * 1024,
            max_bytes_per_connection: 8 * 1024 * 1024,
            max_frame: 256 * 1024,
            max_list: 32 * 1024 * 1024,
            max_bytes: 256 * 1024 * 1024,
        }
    }
}

impl RegistryServerConfig {
    /// After this time without renewal a client is late, and another may have its addresses.
    pub(crate) fn longest_silence(&self) -> Duration {
        self.renew.mul_f64(1.5)
    }
}

impl fmt::Debug for RegistryServerConfig {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryServerConfig")
            .field("lease", &self.lease)
            .field("renew", &self.renew)
            .field("withhold", &self.withhold)
            .finish_non_exhaustive()
    }
}
