//! `dubhe explain`: why a call goes where it goes, and what became of each attempt of one.

use std::time::Duration;

use clap::Args;
use dubhe::prelude::CallOptions;
use dubhe::{
    AttemptLog, AttemptOutcome, ChannelState, DirectoryState, Dropped, EndpointHealth,
    ExplainedEndpoint, HealthState, MethodExplanation, Source, Status,
};
use serde_json::{Value, json};

use crate::call::attempts_json;
use crate::failure::{Failure, status_json};
use crate::options::Options;
use crate::output::{Table, age, millis, ms};
use crate::target::{self, CallArgs, Target};
use crate::{Outcome, input, output};

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
        let client = target::client(&consumer, service).await?;
        let method = client.method(name)?;
        // Connects, so that what is shown of the connections is true.
        consumer.describe_each(service, PATIENCE).await?;
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
            made = Some(Made { log, result });
        }
        let explained = consumer.explain(service, method, arguments, PATIENCE).await?;
        let printed = match options.json {
            true => output::json(&explanation_json(&explained, made.as_ref())),
            false => output::text(explanation_text(&explained, made.as_ref())),
        };
        Failure::told_if(made.is_some_and(|made| made.result.is_err()), printed)
    }

    fn options(&self, log: &AttemptLog) -> CallOptions {
        self.call.options().attempts(log)
    }
}

fn explanation_text(explained: &MethodExplanation, made: Option<&Made>) -> String {
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
        endpoints.row(endpoint_row(endpoint));
    }
    text += &format!("\n{endpoints}");
    if let Some(made) = made {
        text += &made_text(made);
    }
    text
}

fn endpoint_row(endpoint: &ExplainedEndpoint) -> [String; 8] {
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
        match why_not(endpoint) {
            None => "yes".to_owned(),
            Some(why) => format!("no: {why}"),
        },
    ]
}

fn why_not(endpoint: &ExplainedEndpoint) -> Option<String> {
    match endpoint.dropped.as_ref()? {
        Dropped::Unfit => Some("others are better".to_owned()),
        Dropped::Weightless => Some("weight 0".to_owned()),
        Dropped::Router(router) => Some(format!("removed by router {router}")),
        _ => Some("left out".to_owned()),
    }
}

/// Balancers have units of their own, from shares of one to nanoseconds.
fn score(score: f64) -> String {
    if score.abs() < 1000.0 { format!("{score:.3}") } else { format!("{score:.0}") }
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
        "recent_successes": health.successes,
        "recent_failures": health.failures,
    })
}

/// Why it is no candidate, for programs.
fn dropped_json(dropped: &Dropped) -> Value {
    match dropped {
        Dropped::Unfit => json!({ "reason": "unfit", "router": null }),
        Dropped::Weightless => json!({ "reason": "weightless", "router": null }),
        Dropped::Router(router) => json!({ "reason": "router", "router": router }),
        _ => json!({ "reason": "unknown", "router": null }),
    }
}

/// What the list is worth, for programs.
fn directory_json(directory: &DirectoryState) -> Value {
    let source = match directory.source {
        Source::Pending => "pending",
        Source::Live => "live",
        Source::Cache { .. } => "cache",
        _ => "unknown",
    };
    let trouble = directory.trouble.as_ref().map(
        |trouble| json!({ "since_ms": ms(trouble.since.elapsed()), "error": &*trouble.error }),
    );
    json!({
        "source": source,
        "trouble": trouble,
        "age_ms": ms(directory.age),
        "endpoints": directory.endpoints,
        "held": directory.held,
        "candidates": directory.candidates,
    })
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

fn made_text(made: &Made) -> String {
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
    match &made.result {
        Ok(value) => format!("\n{attempts}\nresult: {value}\n"),
        Err(status) => {
            let hint = status.hint().map(|hint| format!("; decided by {hint}"));
            let (code, message) = (status.code(), status.message());
            format!("\n{attempts}\nfailed: {code}: {message}{}\n", hint.unwrap_or_default())
        }
    }
}

fn explanation_json(explained: &MethodExplanation, made: Option<&Made>) -> Value {
    let settings = explained.settings.settings();
    let routers =
        explained.call.routers.iter().map(
            |step| json!({ "router": step.router, "before": step.before, "after": step.after }),
        );
    let mut whole = json!({
        "method": &**explained.method.path(),
        "idempotent": explained.method.is_idempotent(),
        "settings": settings.iter().map(|s| json!(s)).collect::<Vec<_>>(),
        "directory": directory_json(&explained.call.directory),
        "routers": routers.collect::<Vec<_>>(),
        "endpoints": explained.call.endpoints.iter().map(endpoint_json).collect::<Vec<_>>(),
    });
    if let Some(Made { log, result }) = made {
        whole["attempts"] = attempts_json(log);
        match result {
            Ok(value) => whole["result"] = value.clone(),
            Err(status) => whole["error"] = status_json(status),
        }
    }
    whole
}

fn endpoint_json(endpoint: &ExplainedEndpoint) -> Value {
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
        "dropped": endpoint.dropped.as_ref().map(dropped_json),
    })
}
