//! The settings of ejection: its thresholds and times, with their defaults.

use std::time::Duration;

/// The rules by which endpoints are ejected.
///
/// The thresholds are those of Finagle's failure accrual, the times Linkerd's, the cap is Envoy's
/// panic threshold. The default suits services of any rate; a method that fails often by nature
/// (`unavailable` as an everyday answer) wants a lower `success_percent`.
///
/// ```
/// use std::time::Duration;
///
/// use dubhe_cluster::EjectionConfig;
///
/// // Patient with single failures, and quick to try again.
/// let config = EjectionConfig {
///     consecutive: 20,
///     success_percent: 50,
///     max: Duration::from_secs(5),
///     ..EjectionConfig::default()
/// };
/// assert_eq!((config.base, config.max_percent), (Duration::from_secs(1), 50));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectionConfig {
    /// Failures in a row that eject an endpoint; default 5.
    pub consecutive: u32,
    /// Share of successes in the last 10 s, in percent, below which a failure ejects; default 80.
    pub success_percent: u32,
    /// Least number of calls in these 10 s for the share to count; default 10.
    pub min_calls: u32,
    /// How long after a failure without a success an endpoint is ejected; default 500 ms. This rule is
    /// for balancers that stop calling an endpoint once it has failed: it would neither fail often
    /// enough for the others nor ever be found healthy again.
    pub failing_for: Duration,
    /// Longest time of the first ejection; default 1 s. Each further one may last twice as long.
    pub base: Duration,
    /// Longest time of any ejection; default 60 s.
    pub max: Duration,
    /// Share of the connected endpoints, in percent, up to which ejections count; default 50. If more
    /// are ejected, all are called: so many failures have another cause.
    pub max_percent: u32,
    /// The seed of the jitter, for reproducible tests and simulations; default none.
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
