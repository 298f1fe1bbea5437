//! Why a call goes to an endpoint or not, in words.

use dubhe::describe::GateKind;
use dubhe::{ChannelState, Code, DisabledInstance, Dropped, EndpointHealth, ExplainedEndpoint};

use super::Shown;
use crate::output::millis;
use crate::status::why_unreached;

/// That it is full, if it has said so and is taken for it.
pub(super) fn full(endpoint: &ExplainedEndpoint) -> Option<String> {
    let left = endpoint.full?;
    Some(format!("it has said that it is full, for another {}", millis(left)))
}

/// Which setting has it get no call.
pub(super) fn why_disabled(disabled: &DisabledInstance) -> String {
    match &disabled.by {
        Some(by) => format!("disabled by {} ({})", by.key, by.origin),
        None if disabled.instance.metadata.get("disabled").is_some_and(|value| value == "true") => {
            "disabled by its provider".to_owned()
        }
        None => "disabled by this consumer".to_owned(),
    }
}

/// What a gate does, in a word, for people and for programs.
pub(super) const fn gate_name(state: GateKind) -> &'static str {
    match state {
        GateKind::Open => "none",
        GateKind::Off => "off",
        GateKind::Trial => "trial",
        GateKind::On => "on",
        _ => "unknown",
    }
}

impl Shown {
    /// Why a call does not go to `endpoint`; `None` if it may.
    pub(super) fn why_not(&self, endpoint: &ExplainedEndpoint) -> Option<String> {
        Some(match endpoint.dropped.as_ref()? {
            Dropped::Unfit => self.unfit(endpoint),
            Dropped::Weightless => "its weight is 0".to_owned(),
            Dropped::Router { name, why: None } => format!("removed by router {name}"),
            Dropped::Router { name, why: Some(why) } => format!("removed by router {name}: {why}"),
            _ => "left out".to_owned(),
        })
    }

    /// Why others are better.
    fn unfit(&self, endpoint: &ExplainedEndpoint) -> String {
        let EndpointHealth { why, last_error, .. } = &endpoint.health;
        if let Some(why) = why {
            let last = last_error.as_ref().map(|error| format!(", last {error}"));
            return format!("{why}{}", last.unwrap_or_default());
        }
        if let Some(full) = full(endpoint) {
            return full;
        }
        match (endpoint.state, self.unreached(endpoint)) {
            (ChannelState::Down, Some(why)) => why.to_owned(),
            (ChannelState::Down, None) => "it cannot be connected to".to_owned(),
            (ChannelState::Draining, _) => "it is shutting down".to_owned(),
            (ChannelState::Connecting, _) => "it is not connected yet".to_owned(),
            _ => "others are better".to_owned(),
        }
    }

    /// Why `endpoint` did not answer when it was asked what it is, if it did not.
    pub(super) fn unreached(&self, endpoint: &ExplainedEndpoint) -> Option<&str> {
        let status = self.told.get(&endpoint.instance.address)?.as_ref().err()?;
        let is_gone = matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded);
        is_gone.then(|| why_unreached(status))
    }

    /// What the connection of an endpoint can do, in a word.
    pub(super) fn state(&self, endpoint: &ExplainedEndpoint) -> &'static str {
        match endpoint.state {
            // The connection that it was asked by has failed, and nobody has kept it.
            ChannelState::Idle if self.unreached(endpoint).is_some() => "down",
            ChannelState::Idle => "idle",
            ChannelState::Connecting => "connecting",
            ChannelState::Ready => "ready",
            ChannelState::Down => "down",
            ChannelState::Draining => "draining",
        }
    }
}
