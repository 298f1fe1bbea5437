//! Warm-up: a provider that has just started gets its full share only bit by bit.
//!
//! Dubbo's rule, with one mend: there a provider that has been up for 0 ms gets its full weight.

use std::time::{Duration, SystemTime};

use rpc_core::Instance;

/// How long a provider warms up: 10 minutes, as in Dubbo.
pub const DEFAULT_WARMUP: Duration = Duration::from_secs(600);

/// Where an instance's metadata says how long it warms up, in milliseconds; Dubbo's name.
pub const WARMUP: &str = "warmup";

/// The weight of a provider that has been up for `uptime`: grows evenly over `warmup` from 1 to
/// `weight`. A weight of 0 stays 0.
///
/// ```
/// use dubhe_cluster::{DEFAULT_WARMUP, warmed_weight};
///
/// let after = |minutes: u64| {
///     warmed_weight(100, std::time::Duration::from_secs(60 * minutes), DEFAULT_WARMUP)
/// };
/// assert_eq!([0, 1, 5, 10, 60].map(after), [1, 10, 50, 100, 100]);
/// ```
#[must_use]
pub fn warmed_weight(weight: u32, uptime: Duration, warmup: Duration) -> u32 {
    if uptime >= warmup {
        return weight;
    }
    let share = uptime.as_secs_f64() / warmup.as_secs_f64();
    let warmed = (f64::from(weight) * share) as u32;
    warmed.max(1).min(weight)
}

/// How long the instance says it has been up, by this machine's clock.
pub(crate) fn uptime(instance: &Instance) -> Option<Duration> {
    let started = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(instance.started_ms))?;
    let uptime = || SystemTime::now().duration_since(started);
    // A start in the future is a clock that differs: it has just started.
    (instance.started_ms > 0).then(|| uptime().unwrap_or_default())
}

/// How long the instance says that it warms up.
pub(crate) fn published_warmup(instance: &Instance) -> Option<Duration> {
    instance.metadata.get(WARMUP)?.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64, weight: u32) -> u32 {
        warmed_weight(weight, Duration::from_secs(seconds), DEFAULT_WARMUP)
    }

    #[test]
    fn the_weight_grows_evenly_from_one_to_the_whole() {
        let grown: Vec<u32> =
            [0, 6, 60, 300, 599, 600, 9999].iter().map(|seconds| after(*seconds, 100)).collect();
        assert_eq!(grown, [1, 1, 10, 50, 99, 100, 100]);
    }

    #[test]
    fn a_weight_of_nothing_stays_nothing() {
        assert_eq!(after(0, 0), 0);
        assert_eq!(after(9999, 0), 0);
        assert_eq!(warmed_weight(7, Duration::ZERO, Duration::ZERO), 7);
    }
}
