//! The explanation for programs.

use dubhe::{Choice, Dropped, EndpointHealth, ExplainedEndpoint, HealthState, MethodKind};
use serde_json::{Value, json};

use super::why::{gate_name, why_disabled};
use super::{Asked, CODEC, Shown};
use crate::config::unheard_json;
use crate::output::ms;
use crate::status::{attempts_json, directory_json, fallback_json, status_json};

/// The whole, for programs.
pub(super) fn explanation(shown: &Shown) -> Value {
    let explained = &shown.explained;
    let is_known = !matches!(shown.asked, Asked::Unknown(_));
    let settings = explained.settings.settings();
    let routers =
        explained.call.routers.iter().map(
            |step| json!({ "router": step.router, "before": step.before, "after": step.after }),
        );
    let endpoints = explained.call.endpoints.iter().map(|endpoint| endpoint_json(endpoint, shown));
    let disabled = explained.disabled.iter().map(|disabled| {
        json!({
            "address": &*disabled.instance.address,
            "id": &*disabled.instance.id,
            "why": why_disabled(disabled),
            "by": disabled.by,
        })
    });
    let mut whole = json!({
        "method": &**explained.method.path(),
        "idempotent": is_known.then(|| explained.method.is_idempotent()),
        "one_way": is_known.then(|| explained.method.kind() == MethodKind::OneWay),
        "settings": settings.iter().map(|s| json!(s)).collect::<Vec<_>>(),
        "codec": CODEC,
        "choice": choice(explained.call.choice),
        "directory": directory_json(&explained.call.directory),
        "routers": routers.collect::<Vec<_>>(),
        "endpoints": endpoints.collect::<Vec<_>>(),
        "disabled": disabled.collect::<Vec<_>>(),
        "unheard": unheard_json(&explained.unheard),
        "score_unit": explained.call.score_unit,
    });
    match &shown.asked {
        Asked::Nothing => {}
        Asked::Called { log, result, .. } => {
            whole["attempts"] = attempts_json(log);
            whole["fell_back_from"] = fallback_json(log);
            match result {
                Ok(value) => whole["result"] = value.clone(),
                Err(status) => whole["error"] = status_json(status),
            }
        }
        Asked::Unknown(status) => whole["error"] = status_json(status),
    }
    whole
}

fn choice(choice: Choice) -> &'static str {
    match choice {
        Choice::Balanced => "balanced",
        Choice::First => "first",
        Choice::Everyone => "everyone",
        _ => "unknown",
    }
}

fn endpoint_json(endpoint: &ExplainedEndpoint, shown: &Shown) -> Value {
    json!({
        "address": &*endpoint.instance.address,
        "id": &*endpoint.instance.id,
        "state": shown.state(endpoint),
        "health": health_json(&endpoint.health),
        "weight": endpoint.weight,
        "full_weight": endpoint.instance.weight,
        "in_flight": endpoint.in_flight,
        "latency_ms": endpoint.latency.map(ms),
        "full_ms": endpoint.full.map(ms),
        "score": endpoint.score,
        "gate": shown.gates.get(&endpoint.instance.address).map(
            |gate| json!({ "state": gate_name(gate.state), "limit": gate.limit }),
        ),
        "candidate": endpoint.dropped.is_none(),
        "dropped": dropped_json(endpoint, shown),
        "unreached": shown.unreached(endpoint),
    })
}

/// The health for programs; the time left is that of an ejection.
fn health_json(health: &EndpointHealth) -> Value {
    let (state, left) = match health.state {
        HealthState::Healthy => ("healthy", None),
        HealthState::Ejected { left } => ("ejected", Some(left)),
        HealthState::Probation => ("probation", None),
        HealthState::Stale => ("stale", None),
        _ => ("unknown", None),
    };
    json!({
        "state": state,
        "left_ms": left.map(ms),
        "why": health.why,
        "last_error": health.last_error.as_deref(),
        "recent_successes": health.successes,
        "recent_failures": health.failures,
    })
}

/// Why it is no candidate, for programs.
fn dropped_json(endpoint: &ExplainedEndpoint, shown: &Shown) -> Option<Value> {
    let (reason, router) = match endpoint.dropped.as_ref()? {
        Dropped::Unfit => ("unfit", None),
        Dropped::Weightless => ("weightless", None),
        Dropped::Router { name, .. } => ("router", Some(name)),
        _ => ("unknown", None),
    };
    Some(json!({ "reason": reason, "router": router, "why": shown.why_not(endpoint) }))
}
