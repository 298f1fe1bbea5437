//! The provider's part of adaptive balancing: an answer reports the load of the machine, if the
//! call asks for it.
//!
//! Key and form are Dubbo's: `lb_adaptive` asks, `curTime:<ms>,load:<percent>` answers. The source
//! of the load is passed in: this crate reads no file.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::metadata::Metadata;

/// The key of both the question and the answer.
const KEY: &str = "lb_adaptive";

/// The source of the machine's load.
#[derive(Clone)]
pub(super) struct MachineLoad(Arc<dyn Fn() -> Option<f64> + Send + Sync>);

impl MachineLoad {
    pub(super) fn new(read: impl Fn() -> Option<f64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Puts the load into the metadata of an answer; nothing if it is not known.
    pub(super) fn tell(&self, metadata: &mut Metadata) {
        if let Some(load) = (self.0)() {
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
            metadata.insert(KEY, format!("curTime:{now},load:{load:.2}"));
        }
    }
}

impl fmt::Debug for MachineLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MachineLoad")
    }
}

/// The metadata of an answer without the load report.
pub(crate) fn without(metadata: &Metadata) -> Metadata {
    let mut metadata = metadata.clone();
    metadata.remove(KEY);
    metadata
}

/// Whether a call of this metadata asks.
pub(super) fn is_asked(metadata: &Metadata) -> bool {
    metadata.value(KEY).is_some()
}
