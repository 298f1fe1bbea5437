//! `dubhe call`: one call, its arguments and its result as JSON.

use std::time::Duration;

use clap::Args;
use dubhe::{AttemptLog, AttemptOutcome, Consumer, Delivery, MethodKind};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::ms;
use crate::target::{self, CallArgs, Target};
use crate::{Outcome, input, output};

/// How long a one-way call may take to be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// Call a method.
#[derive(Debug, Args)]
pub(crate) struct Call {
    /// The method, as SERVICE/METHOD
    #[arg(value_name = "SERVICE/METHOD")]
    target: Target,
    /// The arguments: a JSON list in their order, or an object by their names; - reads them from
    /// standard input
    #[arg(value_name = "JSON")]
    arguments: Option<String>,
    #[command(flatten)]
    call: CallArgs,
}

impl Call {
    pub(crate) async fn run(self, options: &Options) -> Outcome {
        let arguments = input::arguments(self.arguments.as_deref())?;
        let consumer = options.consumer()?;
        let client = target::client(&consumer, &self.target.service).await?;
        let log = AttemptLog::new();
        let calling = client.with(self.call.options().attempts(&log));
        let result = calling.call(&self.target.method, arguments).await?;
        if client.method(&self.target.method)?.kind() == MethodKind::OneWay {
            self.written(&consumer, &log).await?;
        }
        match options.json {
            true => output::json(&json!({ "result": result, "attempts": attempts_json(&log) })),
            false => output::json(&result),
        }
    }
}

impl Call {
    /// Waits until a one-way call has left this process, which would take it along when it ends: what
    /// is asked after it on the same connections is answered after it was read.
    async fn written(&self, consumer: &Consumer, log: &AttemptLog) -> Outcome {
        let told = consumer.describe_each(&self.target.service, PATIENCE).await?;
        let records = log.records();
        let lost = told.into_iter().find_map(|(address, told)| {
            let status = told.err()?;
            let is_answer = status.delivery() == Delivery::Answered;
            let is_it = records.iter().any(|attempt| attempt.address == address);
            (is_it && !is_answer).then_some((address, status))
        });
        lost.map_or(Ok(()), |(address, status)| {
            let why = status.message();
            Err(Failure::failed(format!("the call may not have reached {address}: {why}")))
        })
    }
}

/// The attempts of a call for programs.
pub(crate) fn attempts_json(log: &AttemptLog) -> Value {
    let records = log.records();
    let records = records.iter();
    records.map(|a| attempt_json(&a.address, Some(a.begun), a.elapsed, &a.outcome)).collect()
}

/// An attempt for programs, in one form wherever it comes from; a status does not tell when its
/// attempts began.
pub(crate) fn attempt_json(
    address: &str,
    begun: Option<Duration>,
    elapsed: Duration,
    outcome: &AttemptOutcome,
) -> Value {
    let (outcome, why) = match outcome {
        AttemptOutcome::Replied => ("replied", None),
        AttemptOutcome::Failed(why) => ("failed", Some(why)),
        _ => ("given_up", None),
    };
    json!({
        "address": address,
        "begun_ms": begun.map(ms),
        "elapsed_ms": ms(elapsed),
        "outcome": outcome,
        "code": why.map(|why| why.code.name()),
        "delivery": why.map(|why| why.delivery.as_str()),
        "message": why.map(|why| why.message.as_str()),
    })
}
