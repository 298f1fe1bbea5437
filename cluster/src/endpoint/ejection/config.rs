//! The settings of ejection: its thresholds and times, with their defaults.

use std::time::Duration;

/// The rules by which endpoints are ejected. The numbers are Finagle's failure accrual with
/// Linkerd's times, the cap is Envoy's panic threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectionConfig {
    /// Failures in a row that eject; 5.
    pub consecutive: u32,
    /// Share of successes in the last 10 s, in percent, below which a failure ejects; 80.
    pub success_percent: u32,
    /// Calls in these 10 s from which on the share says anything; 10.
    pub min_calls: u32,
    /// How long after a failure without a success; 500 ms. For balancers that call an endpoint no
    /// more once it has failed: it would neither fail often enough nor ever be found well again.
    pub failing_for: Duration,
    /// How long the first ejection lasts at most; 1 s. Each further one may last twice as long.
    pub base: Duration,
    /// How long an ejection lasts at most; 60 s.
    pub max: Duration,
    /// Share of the connected endpoints, in percent, up to which ejections count; 50. If more are
    /// ejected, all are called: what looks like so many bad endpoints is something else.
    pub max_percent: u32,
    /// The seed of the jitter, for reproducible tests and simulations.
    pub seed: Option<u64>,
}

impl Default for EjectionConfig {
    fn default() -> Self {
        Self {
            consecutive: 5,
            success_percent: 80,
            min_calls: 10,
            failing_for: Duration::from_millis(500),
            base: Duration::from_secs(1),
            max: Duration::from_secs(60),
            max_percent: 50,
            seed: None,
        }
    }
}

impl EjectionConfig {
    /// How long the ejection of this level lasts at most, from 1.
    pub(super) fn longest(&self, level: u32) -> Duration {
        let doublings = level.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ejections_double_up_to_the_longest() {
        let config = EjectionConfig::default();
        let seconds = [1, 2, 3, 6, 7, 100, u32::MAX].map(|level| config.longest(level).as_secs());
        assert_eq!(seconds, [1, 2, 4, 32, 60, 60, 60]);
    }
}
