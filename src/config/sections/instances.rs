//! The sections `[consumer.instances."…"]`: overrides of single instances.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `[consumer.instances."HOST:PORT"]`, or `"HOST"` for all of its ports: this consumer's overrides
/// of an instance. Anything that is not set is as the instance publishes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InstanceRule {
    /// Share of traffic relative to other instances.
    pub weight: Option<u32>,
    /// Whether it gets no call at all.
    pub disabled: Option<bool>,
    /// Metadata, such as a tag for routers; beside and above what it publishes.
    pub metadata: BTreeMap<String, String>,
}
