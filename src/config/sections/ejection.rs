//! The section `[consumer.ejection]`: when a provider whose calls fail is taken out, and for how
//! long.

use std::time::Duration;

use cluster::EjectionConfig;
use serde::{Deserialize, Serialize};

use super::value::{at_least_one, percent, positive};

/// `[consumer.ejection]`: each service keeps the health of its own instances by these rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EjectionSettings {
    /// Whether instances are taken out at all; otherwise that is left to the balancer.
    /// Default true.
    pub enabled: bool,
    /// Failures in a row that take one out. Default 5.
    #[serde(deserialize_with = "at_least_one")]
    pub consecutive: u32,
    /// Share of successes in the last 10 s, in percent, below which a failure does. Default 80.
    #[serde(deserialize_with = "percent")]
    pub success_percent: u32,
    /// Calls in these 10 s from which on the share says anything. Default 10.
    pub min_calls: u32,
    /// How long after a failure without a success one is taken out. Default 500 ms.
    #[serde(with = "positive")]
    pub failing_for: Duration,
    /// How long the first time lasts at most; each further one may last twice as long. Default 1 s.
    #[serde(with = "positive")]
    pub base: Duration,
    /// How long any time lasts at most. Default 60 s.
    #[serde(with = "positive")]
    pub max: Duration,
    /// Share of the connected instances, in percent, up to which they are left out; if more fail,
    /// all are called. Default 50.
    #[serde(deserialize_with = "percent")]
    pub max_percent: u32,
}

impl Default for EjectionSettings {
    fn default() -> Self {
        let rules = EjectionConfig::default();
        Self {
            enabled: true,
            consecutive: rules.consecutive,
            success_percent: rules.success_percent,
            min_calls: rules.min_calls,
            failing_for: rules.failing_for,
            base: rules.base,
            max: rules.max,
            max_percent: rules.max_percent,
        }
    }
}

impl EjectionSettings {
    /// The rules for a directory; `None` if nothing is to be ejected.
    pub(crate) fn rules(&self) -> Option<EjectionConfig> {
        let Self { enabled, consecutive, success_percent, min_calls, .. } = *self;
        let Self { failing_for, base, max, max_percent, .. } = *self;
        let rules = EjectionConfig {
            consecutive,
            success_percent,
            min_calls,
            failing_for,
            base,
            max,
            max_percent,
            ..EjectionConfig::default()
        };
        enabled.then_some(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_reaches_the_rules() {
        let settings: EjectionSettings = serde_json::from_value(serde_json::json!({
            "consecutive": 1, "success_percent": 2, "min_calls": 3, "failing_for": "4s",
            "base": "5s", "max": "6s", "max_percent": 7
        }))
        .unwrap();
        let expected = EjectionConfig {
            consecutive: 1,
            success_percent: 2,
            min_calls: 3,
            failing_for: Duration::from_secs(4),
            base: Duration::from_secs(5),
            max: Duration::from_secs(6),
            max_percent: 7,
            seed: None,
        };
        assert_eq!(settings.rules(), Some(expected));
        assert_eq!(EjectionSettings::default().rules(), Some(EjectionConfig::default()));
        let off = EjectionSettings { enabled: false, ..EjectionSettings::default() };
        assert_eq!(off.rules(), None);
    }
}
