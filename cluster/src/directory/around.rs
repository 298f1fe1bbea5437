//! Settings that may change while a directory lives: overrides of its instances, layers around
//! them, the rules of ejection.

use std::time::Duration;

use tokio::time::timeout;

use super::shared::Around;
use super::{Directory, Overrides};
use crate::endpoint::AttemptLayers;
use crate::endpoint::ejection::EjectionConfig;

/// How long a list may take to have other overrides before nobody waits for that.
const APPLIES: Duration = Duration::from_secs(1);

impl Directory {
    /// Applies other overrides to instances from now on. Connections, load and health stay.
    pub fn set_overrides(&self, overrides: Overrides) {
        self.set_around(|now| Around {
            version: now.version + 1,
            layers: now.layers.clone(),
            overrides: overrides.clone(),
        });
    }

    /// Puts other layers around its endpoints, for calls that begin from then on. Connections, load
    /// and health stay.
    pub fn set_layers(&self, layers: AttemptLayers) {
        self.set_around(|now| Around {
            version: now.version + 1,
            layers: layers.clone(),
            overrides: now.overrides.clone(),
        });
    }

    fn set_around(&self, next: impl Fn(&Around) -> Around) {
        self.shared.around.rcu(|now| next(now));
        self.shared.changed.notify_one();
    }

    /// Waits until the list has the overrides and layers of now, for at most a second: it has them later where the
    /// runtime that follows it has ended. Cancel safe.
    pub async fn wait_applied(&self) {
        let version = self.shared.around.load().version;
        let mut applied = self.shared.applied.subscribe();
        let _ = timeout(APPLIES, applied.wait_for(|applied| *applied >= version)).await;
    }

    /// Ejects by other rules from now on, or not at all. Endpoints ejected by the old rules come
    /// back by the new ones.
    pub fn set_ejection(&self, ejection: Option<EjectionConfig>) {
        self.shared.ejection.set_config(ejection);
    }
}
