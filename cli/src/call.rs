//! `dubhe call`: one call, its arguments and its result as JSON.

use clap::Args;
use dubhe::{AttemptLog, AttemptOutcome, AttemptRecord};
use serde_json::{Value, json};

use crate::options::Options;
use crate::output::ms;
use crate::target::{self, CallArgs, Target};
use crate::{Outcome, input, output};

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
        let client = client.with(self.call.options().attempts(&log));
        let result = client.call(&self.target.method, arguments).await?;
        match options.json {
            true => output::json(&json!({ "result": result, "attempts": attempts_json(&log) })),
            false => output::json(&result),
        }
    }
}

/// The attempts of a call for programs.
pub(crate) fn attempts_json(log: &AttemptLog) -> Value {
    log.records().iter().map(attempt_json).collect()
}

fn attempt_json(attempt: &AttemptRecord) -> Value {
    let (outcome, code, message) = match &attempt.outcome {
        AttemptOutcome::Replied => ("replied", None, None),
        AttemptOutcome::Failed(why) => ("failed", Some(why.code.name()), Some(&*why.message)),
        _ => ("given up", None, None),
    };
    json!({
        "address": &*attempt.address,
        "begun_ms": ms(attempt.begun),
        "elapsed_ms": ms(attempt.elapsed),
        "outcome": outcome,
        "code": code,
        "message": message,
    })
}
