//! Settings that may change while a directory lives: overrides of its instances, layers around
//! them, the rules of ejection.

use std::sync::Arc;

use super::shared::Around;
use super::{Directory, Overrides};
use crate::endpoint::AttemptLayers;
use crate::endpoint::ejection::EjectionConfig;

impl Directory {
    /// Applies other overrides to instances from now on. Connections, load and health stay.
    pub fn set_overrides(&self, overrides: Overrides) {
        let layers = self.shared.around.load().layers.clone();
        self.set_around(Around { layers, overrides });
    }

    /// Puts other layers around its endpoints, for calls that begin from then on. Connections, load
    /// and health stay.
    pub fn set_layers(&self, layers: AttemptLayers) {
        let overrides = self.shared.around.load().overrides.clone();
        self.set_around(Around { layers, overrides });
    }

    fn set_around(&self, around: Around) {
        self.shared.around.store(Arc::new(around));
        self.shared.changed.notify_one();
    }

    /// Ejects by other rules from now on, or not at all. Endpoints ejected by the old rules come
    /// back by the new ones.
    pub fn set_ejection(&self, ejection: Option<EjectionConfig>) {
        self.shared.ejection.set_config(ejection);
    }
}
