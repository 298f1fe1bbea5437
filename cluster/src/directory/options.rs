//! Options of a directory: the treatment of its instances, and overrides of what they publish.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Instance, Tally};

use crate::endpoint::ejection::EjectionConfig;
use crate::endpoint::{AttemptLayers, DEFAULT_WARMUP};

/// How a directory treats its instances.
#[derive(Debug, Clone)]
pub struct DirectoryOptions {
    /// How long instances are held that an empty or shrunken list removed; default 5 minutes.
    pub hold: Duration,
    /// How long a new instance takes to reach its weight, unless it says so itself; default 10
    /// minutes.
    pub warmup: Duration,
    /// Layers around each endpoint; none.
    pub layers: AttemptLayers,
    /// Overrides of what instances publish; default none.
    pub overrides: Overrides,
    /// When endpoints that fail are taken out; by default they are. `None` leaves that to the
    /// balancer.
    pub ejection: Option<EjectionConfig>,
    /// Counts them; a counter of its own.
    pub ejections: Tally,
}

impl Default for DirectoryOptions {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(300),
            warmup: DEFAULT_WARMUP,
            layers: AttemptLayers::new(),
            overrides: Overrides::default(),
            ejection: Some(EjectionConfig::default()),
            ejections: Tally::default(),
        }
    }
}

/// Changes an instance before its directory sees it; `None` if no call may go there. Has no effect
/// of its own: it runs again whenever the list is made anew.
#[derive(Clone, Default)]
pub struct Overrides(Option<Arc<dyn Fn(Instance) -> Option<Instance> + Send + Sync>>);

impl Overrides {
    /// Instances are taken for what `amend` makes of them. It keeps address and id.
    #[must_use]
    pub fn new(amend: impl Fn(Instance) -> Option<Instance> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(amend)))
    }

    pub(super) fn apply(&self, instance: Instance) -> Option<Instance> {
        match &self.0 {
            Some(amend) => amend(instance),
            None => Some(instance),
        }
    }
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Overrides({})", if self.0.is_some() { "some" } else { "none" })
    }
}
