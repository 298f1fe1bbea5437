//! What an extension is given besides its parameters when it is made.

use std::fmt;
use std::sync::Arc;

use crate::discovery::Instance;
use crate::metrics::{Metrics, Tally};
use crate::service_key::ServiceKey;

type List = Arc<dyn Fn() -> Vec<Instance> + Send + Sync>;

/// The surroundings of an extension: the service it is made for, the seed of its draws, its
/// counters, the instances it can call.
///
/// It is cheap to clone; an extension keeps a clone to ask again.
///
/// The default is empty, as while settings are only checked. Time is tokio's clock, which tests
/// pause; it needs no handle. Rules that change while a program runs come as parameters: one whose
/// parameters change is made anew.
#[derive(Clone, Default)]
pub struct BuildContext {
    seed: Option<u64>,
    metrics: Option<Metrics>,
    service: Option<ServiceKey>,
    instances: Option<List>,
}

impl BuildContext {
    /// Sets the seed that makes draws reproducible.
    #[must_use]
    pub fn with_seed(mut self, seed: Option<u64>) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the metrics of its consumer or provider.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Sets the service whose calls the extension is for.
    #[must_use]
    pub fn for_service(mut self, service: ServiceKey) -> Self {
        self.service = Some(service);
        self
    }

    /// Sets the function that lists the instances of the service. The function must hold what it
    /// asks weakly, because that may own the extension.
    #[must_use]
    pub fn with_instances(
        mut self,
        list: impl Fn() -> Vec<Instance> + Send + Sync + 'static,
    ) -> Self {
        self.instances = Some(Arc::new(list));
        self
    }

    /// The seed that makes draws reproducible, if one is set; a parameter of the extension's own is
    /// stronger.
    #[must_use]
    pub const fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// The service whose calls it is for; `None` where it serves several.
    #[must_use]
    pub const fn service(&self) -> Option<&ServiceKey> {
        self.service.as_ref()
    }

    /// A counter of its service beside those of the consumer or provider,
    /// `dubhe_consumer_NAME_total`; the same name gives the same counter. Without a service it
    /// appears nowhere.
    #[must_use]
    pub fn tally(&self, name: &str, help: &str) -> Tally {
        match (&self.metrics, &self.service) {
            (Some(metrics), Some(service)) => metrics.tally(name, help, service),
            _ => Tally::default(),
        }
    }

    /// The instances of its service now, in any state; empty where no directory follows them, as at
    /// a provider. It copies a list, so do not call it for every call.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        self.instances.as_ref().map_or_else(Vec::new, |list| list())
    }
}

impl fmt::Debug for BuildContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildContext")
            .field("seed", &self.seed)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}
