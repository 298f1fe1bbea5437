//! The provider's part of adaptive balancing: an answer tells how loaded the machine is, if the
//! call asks for it.
//!
//! Key and form are Dubbo's: `lb_adaptive` asks, `curTime:<ms>,load:<percent>` answers. Where the
//! load comes from is not known here: this crate reads no file.

use std::time::SystemTime;

use crate::metadata::Metadata;

/// The key of both the question and the answer.
const KEY: &str = "lb_adaptive";

/// The load of the machine now, in percent of all its processors; `None` if that is not known.
/// Called for every answer that tells it, so it does not wait for anything.
pub type MachineLoad = fn() -> Option<f64>;

/// Whether a call of this metadata asks.
pub(super) fn is_asked(metadata: &Metadata) -> bool {
    metadata.value(KEY).is_some()
}

/// Puts what `machine` knows into the metadata of an answer; nothing if it knows nothing.
pub(super) fn tell(machine: Option<MachineLoad>, metadata: &mut Metadata) {
    if let Some(load) = machine.and_then(|load| load()) {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        metadata.insert(KEY, format!("curTime:{now},load:{load:.2}"));
    }
}
