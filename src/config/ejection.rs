//! `[consumer.ejection]`: when a provider that fails is called no more for a while.

use std::time::Duration;

use cluster::EjectionConfig;
use serde::{Deserialize, Serialize};

use super::value::{percent, positive};

/// `[consumer.ejection]`: which providers are taken out, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EjectionSettings {
    /// Whether any is. Default true.
    pub enabled: bool,
    /// Failures in a row that take it out. Default 5.
    pub consecutive: u32,
    /// Share of successes in the last 10 s, in percent, below which a failure does. Default 80.
    #[serde(with = "percent")]
    pub success_percent: u32,
    /// Calls in these 10 s from which on the share counts. Default 10.
    pub min_calls: u32,
    /// How long after a failure without a success. Default 500 ms.
    #[serde(with = "positive")]
    pub failing_for: Duration,
    /// How long it is out the first time, at most; each further time may last twice as long.
    /// Default 1 s.
    #[serde(with = "positive")]
    pub base: Duration,
    /// How long at most. Default 60 s.
    #[serde(with = "positive")]
    pub max: Duration,
    /// If more of the connected ones are out, in percent, all are called. Default 50.
    #[serde(with = "percent")]
    pub max_percent: u32,
}

impl Default for EjectionSettings {
    fn default() -> Self {
        let EjectionConfig {
            consecutive,
            success_percent,
            min_calls,
            failing_for,
            base,
            max,
            max_percent,
            ..
        } = EjectionConfig::default();
        Self {
            enabled: true,
            consecutive,
            success_percent,
            min_calls,
            failing_for,
            base,
            max,
            max_percent,
        }
    }
}

impl EjectionSettings {
    /// What directories are told; `None` if nothing is to be taken out.
    pub(crate) fn rules(&self) -> Option<EjectionConfig> {
        self.enabled.then_some(EjectionConfig {
            consecutive: self.consecutive,
            success_percent: self.success_percent,
            min_calls: self.min_calls,
            failing_for: self.failing_for,
            base: self.base,
            max: self.max,
            max_percent: self.max_percent,
            seed: None,
        })
    }
}
