//! Options of a directory: the treatment of its instances, and overrides of what they publish.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Instance, Tally};

use crate::endpoint::ejection::EjectionConfig;
use crate::endpoint::{AttemptLayers, DEFAULT_WARMUP};

/// How a directory treats its instances.
///
/// ```
/// use std::time::Duration;
///
/// use dubhe_cluster::{DirectoryOptions, EjectionConfig, Overrides};
///
/// let options = DirectoryOptions {
///     // New instances get their full share after a minute.
///     warmup: Duration::from_secs(60),
///     ejection: Some(EjectionConfig { consecutive: 3, ..EjectionConfig::default() }),
///     ..DirectoryOptions::default()
/// };
/// assert_eq!(options.hold, Duration::from_secs(300));
/// ```
#[derive(Debug, Clone)]
pub struct DirectoryOptions {
    /// How long instances that an empty or shrunken list removed are kept while they answer; default
    /// 5 minutes.
    pub hold: Duration,
    /// How long a new instance takes to reach its weight, unless it says so itself; default 10
    /// minutes.
    pub warmup: Duration,
    /// Layers around each endpoint; default none.
    pub layers: AttemptLayers,
    /// Overrides of what instances publish; default none.
    pub overrides: Overrides,
    /// The rules by which endpoints that fail are ejected; the default is
    /// [`EjectionConfig::default`]. `None` ejects none.
    pub ejection: Option<EjectionConfig>,
    /// The counter of ejections; default one of its own.
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

/// The key in the metadata of an instance that is to get no call, as Dubbo has it; its value is then
/// `true`.
pub const DISABLED: &str = "disabled";

/// A function that changes instances before their directory sees them, or disables them.
///
/// It runs again whenever the list is made anew, so it only computes its result and has no other
/// effect. The default disables the instances that publish [`DISABLED`], and changes nothing.
///
/// ```
/// use dubhe_cluster::Overrides;
/// use rpc_core::Instance;
///
/// // Nothing goes to the old rack, and half as much as published to a small machine.
/// let overrides = Overrides::new(|instance: Instance| {
///     if instance.address.starts_with("10.0.9.") {
///         return None;
///     }
///     let is_small = instance.metadata.get("size").is_some_and(|size| size == "small");
///     let weight = if is_small { instance.weight / 2 } else { instance.weight };
///     Some(Instance { weight, ..instance })
/// });
/// # drop(overrides);
/// ```
#[derive(Clone, Default)]
pub struct Overrides(Option<Arc<dyn Fn(Instance) -> Option<Instance> + Send + Sync>>);

impl Overrides {
    /// Takes instances for what `amend` returns; `None` disables one. `amend` must keep address and
    /// id.
    #[must_use]
    pub fn new(amend: impl Fn(Instance) -> Option<Instance> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(amend)))
    }

    pub(super) fn apply(&self, instance: &Arc<Instance>) -> Option<Arc<Instance>> {
        let Some(amend) = &self.0 else {
            return (!publishes_disabled(instance)).then(|| Arc::clone(instance));
        };
        let amended = amend(Instance::clone(instance))?;
        // What they leave alone stays shared.
        Some(if amended == **instance { Arc::clone(instance) } else { Arc::new(amended) })
    }
}

/// Whether the instance publishes that it is to get no call.
#[must_use]
pub fn publishes_disabled(instance: &Instance) -> bool {
    instance.metadata.get(DISABLED).is_some_and(|value| value == "true")
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Overrides({})", if self.0.is_some() { "some" } else { "none" })
    }
}
