//! A counter that a part of the program keeps for a service.

use prometheus_client::metrics::counter::Counter;

/// A counter; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Tally(pub(super) Counter);

impl Tally {
    /// Counts one more.
    pub fn add_one(&self) {
        self.0.inc();
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.get()
    }
}
