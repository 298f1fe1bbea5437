//! The explanation for people.

use dubhe::describe::GateDescription;
use dubhe::{
    AttemptLog, AttemptOutcome, Choice, DynamicClient, EndpointHealth, ExplainedEndpoint,
    HealthState, Method, MethodKind, Status,
};
use serde_json::Value;

use super::why::{full, gate_name, why_disabled};
use super::{Asked, CODEC, Shown};
use crate::ordered::Ordered;
use crate::output::{TextTable, age, millis};
use crate::status::{details_text, fallback_text};

/// The whole, as tables.
pub(super) fn explanation(shown: &Shown) -> String {
    let explained = &shown.explained;
    let method = &explained.method;
    let what = match shown.asked {
        Asked::Unknown(_) => {
            "no instance says what it is, settings are those without its attribute"
        }
        _ if method.is_idempotent() => "idempotent",
        _ => "not idempotent",
    };
    let mut text = format!("{} ({what})\n\n", method.path());
    let mut settings = TextTable::new(["setting", "value", "set by"]);
    for setting in explained.settings.settings() {
        settings.row([setting.key, setting.value, setting.origin.to_string()]);
    }
    text += &settings.to_string();
    if explained.settings.codec.value != CODEC {
        text += &format!("calls of this command go out as {CODEC}, whatever the codec is\n");
    }
    text += &format!("\nlist: {}\n", explained.call.directory);
    for step in &explained.call.routers {
        text += &format!("router {}: {} of {} left\n", step.router, step.after, step.before);
    }
    text += &format!("policy: {}\n", choice(explained.call.choice));
    text += &endpoints_text(shown);
    match &shown.asked {
        Asked::Nothing => {}
        Asked::Called { client, log, result } => {
            text += &call_text(method, client, log, result);
        }
        Asked::Unknown(status) => {
            text += &format!("\nnothing was called: {}: {}\n", status.code(), status.message());
        }
    }
    text
}

/// Whom the policy calls.
fn choice(choice: Choice) -> &'static str {
    match choice {
        Choice::Balanced => "calls candidates that the balancer selects",
        Choice::First => "calls the first candidate, the next if that is not reached",
        Choice::Everyone => "calls every candidate, whatever its state",
        _ => "has a choice of its own",
    }
}

fn endpoints_text(shown: &Shown) -> String {
    let explained = &shown.explained;
    let mut endpoints = TextTable::new([
        "address",
        "state",
        "health",
        "weight",
        "in flight",
        "latency",
        "score",
        "gate",
        "candidate",
    ]);
    for endpoint in &explained.call.endpoints {
        endpoints.row(endpoint_row(endpoint, shown));
    }
    for disabled in &explained.disabled {
        let mut row: [String; 9] = Default::default();
        row[0] = disabled.instance.address.to_string();
        row[1] = "disabled".to_owned();
        row[8] = format!("no: {}", why_disabled(disabled));
        endpoints.row(row);
    }
    let mut text = format!("\n{endpoints}");
    if explained.call.endpoints.iter().any(|endpoint| endpoint.score.is_some()) {
        let unit = Some(explained.call.score_unit).filter(|unit| !unit.is_empty());
        let unit = unit.unwrap_or("in a unit of the balancer's own");
        text += &format!("score: {unit}; lower is better\n");
    }
    text
}

fn endpoint_row(endpoint: &ExplainedEndpoint, shown: &Shown) -> [String; 9] {
    let weight = match (endpoint.weight, endpoint.instance.weight) {
        (now, full) if now < full => format!("{now} of {full}"),
        (now, _) => now.to_string(),
    };
    [
        endpoint.instance.address.to_string(),
        shown.state(endpoint).to_owned(),
        health(&endpoint.health),
        weight,
        endpoint.in_flight.to_string(),
        endpoint.latency.map(millis).unwrap_or_default(),
        endpoint.score.map(score).unwrap_or_default(),
        shown.gates.get(&endpoint.instance.address).map(gate).unwrap_or_default(),
        match (shown.why_not(endpoint), shown.unreached(endpoint), full(endpoint)) {
            (None, None, None) => "yes".to_owned(),
            (None, Some(why), _) => format!("yes, but {why}"),
            (None, None, Some(full)) => format!("yes, but {full}"),
            (Some(why), ..) => format!("no: {why}"),
        },
    ]
}

/// What the gate of the method does there.
fn gate(gate: &GateDescription) -> String {
    match (gate_name(gate.state), gate.limit) {
        (name, Some(limit)) => format!("{name}, {limit}"),
        (name, None) => name.to_owned(),
    }
}

/// To six digits: balancers have units of their own, from shares of one to nanoseconds, and scores
/// that differ must look so.
fn score(score: f64) -> String {
    let magnitude = if score == 0.0 { 0.0 } else { score.abs().log10().floor() };
    let decimals = (5.0 - magnitude).clamp(0.0, 15.0) as usize;
    let shown = format!("{score:.decimals$}");
    match shown.contains('.') {
        true => shown.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => shown,
    }
}

fn health(health: &EndpointHealth) -> String {
    match health.state {
        HealthState::Healthy => "healthy".to_owned(),
        HealthState::Ejected { left } => format!("ejected for {}", age(left)),
        HealthState::Probation => "on probation".to_owned(),
        HealthState::Stale => "stale".to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn call_text(
    method: &Method,
    client: &DynamicClient,
    log: &AttemptLog,
    result: &Result<Value, Status>,
) -> String {
    let mut attempts = TextTable::new(["attempt", "address", "begun", "took", "outcome"]);
    for (number, attempt) in (1..).zip(log.records()) {
        let outcome = match &attempt.outcome {
            AttemptOutcome::Replied => "replied".to_owned(),
            AttemptOutcome::Failed(why) => {
                format!("{} ({}): {}", why.code, why.delivery.as_str(), why.message)
            }
            _ => "given up".to_owned(),
        };
        attempts.row([
            format!("{number}"),
            attempt.address.to_string(),
            millis(attempt.begun),
            millis(attempt.elapsed),
            outcome,
        ]);
    }
    let mut text = format!("\n{attempts}\n");
    match result {
        Ok(_) if method.kind() == MethodKind::OneWay => text += "sent\n",
        Ok(value) => {
            text += &format!("result: {}\n", Ordered::reply(client, method.name(), value));
        }
        Err(status) => {
            text += &format!("failed: {}: {}\n", status.code(), status.message());
            for line in details_text(status).into_iter().chain(status.ending()) {
                text += &format!("  {line}\n");
            }
        }
    }
    if let Some(note) = fallback_text(log) {
        text += &format!("note: {note}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn scores_that_differ_look_so_in_every_unit() {
        let shown = [0.0, 15_744_920.4, 1.0 / 3.0, 0.000_812_3, 0.000_812_4, 2.5].map(score);
        assert_eq!(shown, ["0", "15744920", "0.333333", "0.0008123", "0.0008124", "2.5"]);
    }
}
