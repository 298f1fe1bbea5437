//! The part of an endpoint that calls change, apart from the part that stays.

use std::hint::black_box;

use tokio::time::Instant;

use super::ejection::Health;
use super::fullness::Fullness;
use super::load::Load;
use super::state::{EndedCall, EndpointState, States};

/// The state of an endpoint that calls change, in its own cache lines, in the order of access.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Vitals {
    load: Load,
    states: States,
    pub(super) health: Health,
    pub(super) fullness: Fullness,
}

impl Vitals {
    /// The state of an endpoint that has not been called, with a clock that begins at `origin`.
    pub(super) fn new(health: Health, origin: Instant) -> Self {
        let (load, states, fullness) = (Load::new(origin), States::default(), Fullness::default());
        Self { load, states, health, fullness }
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    pub(crate) fn states(&self) -> &States {
        &self.states
    }

    /// Notes a call that has ended.
    pub(crate) fn end(&self, call: &EndedCall<'_>) {
        if let Some(latency) = call.latency {
            self.load.observe(latency, call.now);
        }
        self.states.all().for_each(|state| state.end(call));
    }

    /// Lets the past be the past: nothing is known until a call has ended.
    pub(crate) fn forget(&self) {
        self.load.forget();
        self.states.all().for_each(EndpointState::forget);
    }

    /// Has its cache lines fetched.
    pub(crate) fn touch(&self) {
        black_box(self.load.in_flight());
        self.health.touch();
    }
}
