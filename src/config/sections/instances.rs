//! The sections `[consumer.instances."…"]`: what single instances are taken for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `[consumer.instances."HOST:PORT"]`, or `"HOST"` for every port of it: what this consumer takes an
/// instance for. What is not set is as the instance publishes it.
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
