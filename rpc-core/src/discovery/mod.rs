//! What registries speak of: instances, complete snapshots of them, and subscriptions.
//!
//! A registry always pushes the whole list; only the directory computes differences. Lists heal
//! themselves that way: a lost push is repaired by the next.

mod hold;
mod sharing;
mod subscription;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::hold::{Held, hold};
pub use self::sharing::{InstancePool, WeakPool};
pub use self::subscription::{LostRegistry, Subscription, Trouble};
use crate::service_key::ServiceKey;

/// Where an instance's metadata says in which zone it runs; Dubbo's name.
pub const ZONE: &str = "zone";

/// One provider of one service, as registries list it.
///
/// A program that serves several services is several instances on one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The service that it provides.
    pub service: ServiceKey,
    /// The address that consumers connect to, as `host:port`.
    pub address: Arc<str>,
    /// The identity of one start of a provider, so that a restart on the same address is another
    /// instance.
    pub id: Arc<str>,
    /// Name of the application it belongs to, or the empty string.
    #[serde(default)]
    pub application: Arc<str>,
    /// Share of traffic relative to others; 100 is usual, 0 is none while others that have some can
    /// be called.
    #[serde(default = "default_weight")]
    pub weight: u32,
    /// When it started, in milliseconds since 1970; 0 if unknown.
    #[serde(default)]
    pub started_ms: u64,
    /// Protocols it serves, such as `dubbo` and `json`; empty means unknown.
    #[serde(default)]
    pub protocols: Arc<[String]>,
    /// Codecs it speaks, by name; empty means unknown.
    #[serde(default)]
    pub codecs: Arc<[String]>,
    /// The addresses of protocols that it serves elsewhere than at [`address`](Self::address), as
    /// `host:port` by protocol; empty for most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, Arc<str>>,
    /// Everything else it publishes; shared by all clones, because it can be large and lists are copied
    /// often. [`Arc::make_mut`] changes it.
    #[serde(default)]
    pub metadata: Arc<BTreeMap<String, String>>,
}

fn default_weight() -> u32 {
    100
}

impl Instance {
    /// An instance with service, address and id, and defaults for the rest.
    #[must_use]
    pub fn new(service: ServiceKey, address: &str, id: &str) -> Self {
        Self {
            service,
            address: address.into(),
            id: id.into(),
            application: Arc::default(),
            weight: default_weight(),
            started_ms: 0,
            protocols: Arc::default(),
            codecs: Arc::default(),
            endpoints: BTreeMap::new(),
            metadata: Arc::default(),
        }
    }

    /// Whether it serves `protocol`; one that names none is taken at its word.
    #[must_use]
    pub fn speaks(&self, protocol: &str) -> bool {
        self.protocols.is_empty() || self.protocols.iter().any(|name| name == protocol)
    }

    /// The address at which it serves `protocol`.
    #[must_use]
    pub fn address_of(&self, protocol: &str) -> &Arc<str> {
        self.endpoints.get(protocol).unwrap_or(&self.address)
    }
}

/// The source of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// No list has come yet; this one is empty for that reason alone.
    Pending,
    /// The registry itself.
    Live,
    /// The cache on disk, written this long ago.
    Cache {
        /// Age of the list when it was read.
        age: Duration,
    },
}

/// The complete list of a service's instances at one time; cheap to clone. Lists share the instances
/// that did not change from one to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The instances, sorted by address and unique in it.
    pub instances: Arc<[Arc<Instance>]>,
    /// The source of the list.
    pub source: Source,
}

impl Snapshot {
    /// The snapshot of a subscription before the first list.
    #[must_use]
    pub fn pending() -> Self {
        Self { instances: Arc::new([]), source: Source::Pending }
    }

    /// A list from `source`; sorts it and keeps the youngest instance of each address.
    #[must_use]
    pub fn new(instances: Vec<Instance>, source: Source) -> Self {
        Self::shared(instances.into_iter().map(Arc::new).collect(), source)
    }

    /// As [`new`](Self::new), of instances that others hold too.
    #[must_use]
    pub fn shared(mut instances: Vec<Arc<Instance>>, source: Source) -> Self {
        instances.sort_by(|a, b| {
            a.address.cmp(&b.address).then(b.started_ms.cmp(&a.started_ms)).then(b.id.cmp(&a.id))
        });
        instances.dedup_by(|later, kept| later.address == kept.address);
        Self { instances: instances.into(), source }
    }

    /// A copy of its instances.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Instance> {
        self.instances.iter().map(|instance| Instance::clone(instance)).collect()
    }
}
