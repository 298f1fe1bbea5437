//! The health of an endpoint as people see it.

use std::sync::Arc;
use std::time::Duration;

/// The health of an endpoint, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Whether it is called.
    pub state: HealthState,
    /// The rule that took it out, in words. `None` while it is healthy.
    pub why: Option<&'static str>,
    /// The last failure that counts against it; `None` if there was none.
    pub last_error: Option<Arc<str>>,
    /// Calls of the last 10 s that it answered, as far as they say anything of it.
    pub successes: u64,
    /// Calls of the last 10 s that speak against it.
    pub failures: u64,
    /// Failures since the last success.
    pub in_row: u32,
}

/// Whether an endpoint is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthState {
    /// It is called.
    Healthy,
    /// It is not called, as long as there are better ones.
    Ejected {
        /// The rest of its ejection.
        left: Duration,
    },
    /// Its ejection is over; one call decides whether it comes back.
    Probation,
    /// It lacks the service: another program has its address now.
    Stale,
}
