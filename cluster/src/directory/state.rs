//! What a directory is told and what it tells: its options, and its state for people.

use std::time::Duration;

use rpc_core::Source;

use crate::attempt_layers::AttemptLayers;
use crate::ejection::EjectionConfig;
use crate::load_balance::DEFAULT_WARMUP;

/// How a directory treats its instances.
#[derive(Debug, Clone)]
pub struct DirectoryOptions {
    /// For how long instances are held that an empty or shrunken list removed; 5 minutes.
    pub hold: Duration,
    /// For how long an instance that has just started grows to its weight; 10 minutes.
    pub warmup: Duration,
    /// Layers around each endpoint; none.
    pub layers: AttemptLayers,
    /// When endpoints that fail are taken out; by default they are. `None` leaves that to the
    /// balancer.
    pub ejection: Option<EjectionConfig>,
}

impl Default for DirectoryOptions {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(300),
            warmup: DEFAULT_WARMUP,
            layers: AttemptLayers::new(),
            ejection: Some(EjectionConfig::default()),
        }
    }
}

/// What a directory knows at one time, for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryState {
    /// Where the list comes from.
    pub source: Source,
    /// How old the list is: since it arrived, plus its age in the cache if it came from there.
    pub age: Duration,
    /// How many endpoints there are, those held included.
    pub endpoints: usize,
    /// How many of them the registry no longer lists.
    pub held: usize,
    /// How many of them calls may go to now.
    pub candidates: usize,
    /// How many of them are ejected or on probation because their calls failed.
    pub ejected: usize,
    /// How many of them do not have the service: their address belongs to another program now.
    pub stale: usize,
    /// How often one was ejected since the directory was made.
    pub ejections: u64,
}
