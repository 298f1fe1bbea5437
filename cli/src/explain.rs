//! `dubhe explain`: why a call goes where it goes, and what became of each attempt of one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dubhe::describe::ServiceDescription;
use dubhe::prelude::CallOptions;
use dubhe::{
    AttemptLog, AttemptOutcome, ChannelState, Dropped, EndpointHealth, ExplainedEndpoint,
    HealthState, MethodExplanation, MethodKind, Status,
};
use serde_json::{Value, json};

use crate::call::written;
use crate::failure::{Failure, Outcome};
use crate::options::Options;
use crate::output::{Table, age, millis, ms};
use crate::status::{
    attempts_json, details_text, directory_json, status_json, stood_in_json, stood_in_text,
    why_unreached,
};
use crate::target::{self, CallArgs, Target};
use crate::{input, output};

/// How long instances may take to answer, and the registry to tell of them.
const PATIENCE: Duration = Duration::from_secs(2);

/// Show where a call would go and why; with arguments, make it and show its attempts.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The method, as SERVICE/METHOD
    #[arg(value_name = "SERVICE/METHOD")]
    target: Target,
    /// The arguments of a call to make, as for `dubhe call`
    #[arg(value_name = "JSON")]
    arguments: Option<String>,
    /// Make the call also if running it twice does harm
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    call: CallArgs,
}

/// What instances said of themselves, by address: shows who can be reached, and why not.
type Told = HashMap<Arc<str>, Result<ServiceDescription, Status>>;

/// What became of the call that was made.
struct Made {
    log: AttemptLog,
    result: Result<Value, Status>,
}

impl Explain {
    pub(crate) async fn run(self, options: &Options) -> Outcome {
        let arguments = input::arguments(self.arguments.as_deref())?;
        let consumer = options.consumer()?;
        let (service, name) = (&self.target.service, &self.target.method);
        let client = target::client(&consumer, service, &self.call).await?;
        let method = client.method(name)?;
        // Connects, so that what is shown of the connections is true.
        let told = consumer.describe_each(service, PATIENCE).await?.into_iter().collect();
        let mut made = None;
        if self.arguments.is_some() {
            client.check(name, &arguments)?;
            if !method.is_idempotent && !self.yes {
                return Err(Failure::usage(format!(
                    "{service}/{name} is not idempotent, so it is not called to explain it; leave \
                     the arguments away, or add --yes"
                )));
            }
            let log = AttemptLog::new();
            let calling = client.with(self.options(&log));
            let result = calling.call(name, arguments.clone()).await;
            if method.is_one_way && result.is_ok() {
                written(&consumer, service, &log).await?;
            }
            made = Some(Made { log, result });
        }
        let explained = consumer.explain(service, method, arguments, PATIENCE).await?;
        let printed = match options.json {
            true => output::json(&explanation_json(&explained, &told, made.as_ref())),
            false => output::text(explanation_text(&explained, &told, made.as_ref())),
        };
        Failure::told_if(made.is_some_and(|made| made.result.is_err()), printed)
    }

    fn options(&self, log: &AttemptLog) -> CallOptions {
        self.call.options().attempts(log)
    }
}

fn explanation_text(explained: &MethodExplanation, told: &Told, made: Option<&Made>) -> String {
    let method = &explained.method;
    let twice = if method.is_idempotent() { "idempotent" } else { "not idempotent" };
    let mut text = format!("{} ({twice})\n\n", method.path());
    let mut settings = Table::new(["setting", "value", "set by"]);
    for setting in explained.settings.settings() {
        settings.row([setting.key, setting.value, setting.origin.to_string()]);
    }
    text += &format!("{settings}\nlist: {}\n", explained.call.directory);
    for step in &explained.call.routers {
        text += &format!("router {}: {} of {} left\n", step.router, step.after, step.before);
    }
    let mut endpoints = Table::new([
        "address",
        "state",
        "health",
        "weight",
        "in flight",
        "latency",
        "score",
        "candidate",
    ]);
    for endpoint in &explained.call.endpoints {
        endpoints.row(endpoint_row(endpoint, told));
    }
    text += &format!("\n{endpoints}");
    if explained.call.endpoints.iter().any(|endpoint| endpoint.score.is_some()) {
        let unit = Some(explained.call.score_unit).filter(|unit| !unit.is_empty());
        let unit = unit.unwrap_or("in a unit of the balancer's own");
        text += &format!("score: {unit}; the lower, the better\n");
    }
    if let Some(made) = made {
        text += &made_text(explained, made);
    }
    text
}

fn endpoint_row(endpoint: &ExplainedEndpoint, told: &Told) -> [String; 8] {
    let weight = match (endpoint.weight, endpoint.instance.weight) {
        (now, full) if now < full => format!("{now} of {full}"),
        (now, _) => now.to_string(),
    };
    [
        endpoint.instance.address.to_string(),
        state(endpoint.state).to_owned(),
        health(&endpoint.health),
        weight,
        endpoint.in_flight.to_string(),
        endpoint.latency.map(millis).unwrap_or_default(),
        endpoint.score.map(score).unwrap_or_default(),
        match why_not(endpoint, told) {
            None => "yes".to_owned(),
            Some(why) => format!("no: {why}"),
        },
    ]
}

fn why_not(endpoint: &ExplainedEndpoint, told: &Told) -> Option<String> {
    Some(match endpoint.dropped.as_ref()? {
        Dropped::Unfit => unfit(endpoint, told),
        Dropped::Weightless => "its weight is 0".to_owned(),
        Dropped::Router { name, why: None } => format!("removed by router {name}"),
        Dropped::Router { name, why: Some(why) } => format!("removed by router {name}: {why}"),
        _ => "left out".to_owned(),
    })
}

/// Why others are better.
fn unfit(endpoint: &ExplainedEndpoint, told: &Told) -> String {
    let EndpointHealth { why, last_error, .. } = &endpoint.health;
    if let Some(why) = why {
        let last = last_error.as_ref().map(|error| format!(", last {error}"));
        return format!("{why}{}", last.unwrap_or_default());
    }
    let unreached = told.get(&endpoint.instance.address).and_then(|told| told.as_ref().err());
    match (endpoint.state, unreached) {
        (ChannelState::Down, Some(status)) => why_unreached(status).to_owned(),
        (ChannelState::Down, None) => "it cannot be connected to".to_owned(),
        (ChannelState::Draining, _) => "it is shutting down".to_owned(),
        (ChannelState::Connecting, _) => "it is not connected yet".to_owned(),
        _ => "others are better".to_owned(),
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
fn dropped_json(endpoint: &ExplainedEndpoint, told: &Told) -> Option<Value> {
    let (reason, router) = match endpoint.dropped.as_ref()? {
        Dropped::Unfit => ("unfit", None),
        Dropped::Weightless => ("weightless", None),
        Dropped::Router { name, .. } => ("router", Some(name)),
        _ => ("unknown", None),
    };
    Some(json!({ "reason": reason, "router": router, "why": why_not(endpoint, told) }))
}

fn state(state: ChannelState) -> &'static str {
    match state {
        ChannelState::Idle => "idle",
        ChannelState::Connecting => "connecting",
        ChannelState::Ready => "ready",
        ChannelState::Down => "down",
        ChannelState::Draining => "draining",
    }
}

fn made_text(explained: &MethodExplanation, made: &Made) -> String {
    let mut attempts = Table::new(["attempt", "address", "begun", "took", "outcome"]);
    for (number, attempt) in (1..).zip(made.log.records()) {
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
    match &made.result {
        Ok(_) if explained.method.kind() == MethodKind::OneWay => text += "sent\n",
        Ok(value) => text += &format!("result: {value}\n"),
        Err(status) => {
            text += &format!("failed: {}: {}\n", status.code(), status.message());
            let hint = status.hint().map(|hint| format!("decided by {hint}"));
            for line in details_text(status).into_iter().chain(hint) {
                text += &format!("  {line}\n");
            }
        }
    }
    if let Some(note) = stood_in_text(&made.log) {
        text += &format!("note: {note}\n");
    }
    text
}

fn explanation_json(explained: &MethodExplanation, told: &Told, made: Option<&Made>) -> Value {
    let settings = explained.settings.settings();
    let routers =
        explained.call.routers.iter().map(
            |step| json!({ "router": step.router, "before": step.before, "after": step.after }),
        );
    let endpoints = explained.call.endpoints.iter().map(|endpoint| endpoint_json(endpoint, told));
    let mut whole = json!({
        "method": &**explained.method.path(),
        "idempotent": explained.method.is_idempotent(),
        "one_way": explained.method.kind() == MethodKind::OneWay,
        "settings": settings.iter().map(|s| json!(s)).collect::<Vec<_>>(),
        "directory": directory_json(&explained.call.directory),
        "routers": routers.collect::<Vec<_>>(),
        "endpoints": endpoints.collect::<Vec<_>>(),
        "score_unit": explained.call.score_unit,
    });
    if let Some(Made { log, result }) = made {
        whole["attempts"] = attempts_json(log);
        whole["stood_in_for"] = stood_in_json(log);
        match result {
            Ok(value) => whole["result"] = value.clone(),
            Err(status) => whole["error"] = status_json(status),
        }
    }
    whole
}

fn endpoint_json(endpoint: &ExplainedEndpoint, told: &Told) -> Value {
    json!({
        "address": &*endpoint.instance.address,
        "id": &*endpoint.instance.id,
        "state": state(endpoint.state),
        "health": health_json(&endpoint.health),
        "weight": endpoint.weight,
        "full_weight": endpoint.instance.weight,
        "in_flight": endpoint.in_flight,
        "latency_ms": endpoint.latency.map(ms),
        "score": endpoint.score,
        "candidate": endpoint.dropped.is_none(),
        "dropped": dropped_json(endpoint, told),
    })
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
