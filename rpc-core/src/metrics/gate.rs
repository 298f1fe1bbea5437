//! Metrics of a provider's gates: state and limit of each, refused calls and trials.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::Metrics;
use super::families::Families;
use super::labels::MethodLabels;
use crate::method::Method;
use crate::service_key::ServiceKey;

/// The state of a method's gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateState {
    /// It watches.
    Off,
    /// It tries whether a limit helps.
    Trial,
    /// It limits.
    On,
}

impl GateState {
    /// As logs write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Trial => "trial",
            Self::On => "on",
        }
    }
}

/// The families that all gates share.
#[derive(Debug, Default)]
pub(super) struct GateFamilies {
    state: Family<MethodLabels, Gauge>,
    limit: Family<MethodLabels, Gauge>,
    refused: Family<MethodLabels, Counter>,
    trials: Family<MethodLabels, Counter>,
}

impl GateFamilies {
    fn added_to(all: &Families) -> Self {
        let families = Self::default();
        let Self { state, limit, refused, trials } = &families;
        let help = "Whether a method is limited: 0 off, 1 on trial, 2 on";
        all.add("gate_state", help, state.clone());
        let help = "Most calls of a method that may run; 0 while its gate is off";
        all.add("gate_limit", help, limit.clone());
        let help = "Calls that were turned away as more would not end in time";
        all.add("gate_refused", help, refused.clone());
        all.add("gate_trials", "How often a limit was tried", trials.clone());
        families
    }

    fn of(&self, labels: &MethodLabels) -> GateMetrics {
        GateMetrics {
            state: self.state.get_or_create(labels).clone(),
            limit: self.limit.get_or_create(labels).clone(),
            refused: self.refused.get_or_create(labels).clone(),
            trials: self.trials.get_or_create(labels).clone(),
        }
    }
}

impl Metrics {
    /// The state of the gate of `method` at a provider, and its limit while it has one; `None` if
    /// the method has no gate.
    #[must_use]
    pub fn gate_state(
        &self,
        service: &ServiceKey,
        method: &str,
    ) -> Option<(GateState, Option<u32>)> {
        let families = self.0.gates.get()?;
        let (service, method) = (service.as_str().to_owned(), method.to_owned());
        let labels = MethodLabels { service, method };
        let state = match families.state.get(&labels)?.get() {
            0 => GateState::Off,
            1 => GateState::Trial,
            _ => GateState::On,
        };
        let limit = families.limit.get(&labels).and_then(|limit| u32::try_from(limit.get()).ok());
        Some((state, limit.filter(|limit| *limit > 0)))
    }

    /// The metrics of the gate of `method`.
    pub(crate) fn gate(&self, method: &Method) -> GateMetrics {
        let families = self.0.gates.get_or_init(|| GateFamilies::added_to(&self.0.families));
        let (service, method) = (method.service().as_str().to_owned(), method.name().to_owned());
        families.of(&MethodLabels { service, method })
    }
}

/// The handles of one gate.
#[derive(Debug, Default)]
pub(crate) struct GateMetrics {
    state: Gauge,
    limit: Gauge,
    refused: Counter,
    trials: Counter,
}

impl GateMetrics {
    /// Notes that the gate does something else.
    pub(crate) fn changed(&self, state: GateState) {
        self.state.set(state as i64);
        if state == GateState::Trial {
            self.trials.inc();
        }
    }

    /// Notes the limit; `u32::MAX` is none.
    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.set(if limit == u32::MAX { 0 } else { limit.into() });
    }

    /// Counts a refusal.
    pub(crate) fn add_refused(&self) {
        self.refused.inc();
    }

    /// How often a limit was tried.
    #[cfg(test)]
    pub(crate) fn trials(&self) -> u64 {
        self.trials.get()
    }

    /// The state in force.
    #[cfg(test)]
    pub(crate) fn state(&self) -> i64 {
        self.state.get()
    }
}
