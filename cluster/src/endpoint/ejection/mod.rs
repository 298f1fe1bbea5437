//! Ejection of outliers: an endpoint that fails is called no more for a while, and comes back by
//! one call that succeeds.
//!
//! Each endpoint keeps its own [`Health`]; a call that succeeds costs one relaxed update in it and
//! a few reads. Only a change of standing takes a lock and makes the list of candidates anew.
//! How many ejections count is decided where candidates are made: if too many endpoints are
//! ejected, all are called. A task of the directory notices what no call would: that an ejection
//! is over, and that an endpoint which failed is not called any more.
//!
//! Sources: Finagle's failure accrual (rules, one probe, fail open), Linkerd's breaker (times,
//! equal jitter), Envoy's outlier detection (a level that decays while the host stays healthy).

mod comparison;
mod config;
mod eject;
mod health;
mod nested;
mod report;
mod shared;
mod silence;
#[cfg(test)]
mod tests;
mod verdict;
mod window;

pub(crate) use self::comparison::compare_nested;
pub use self::config::EjectionConfig;
pub(crate) use self::health::Health;
pub use self::report::{EndpointHealth, HealthState};
pub(crate) use self::shared::SharedEjection;
pub(crate) use self::verdict::Verdict;
