//! `dubhe explain`: why a call goes where it goes, and what became of each attempt of one.

mod json;
mod text;
mod why;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dubhe::describe::{GateDescription, MethodDescription, ServiceDescription};
use dubhe::{
    AttemptLog, Code, Consumer, DynamicClient, MethodExplanation, MethodKind, ServiceKey, Status,
};
use serde_json::Value;

use crate::call::written;
use crate::config::note_unheard;
use crate::failure::{CommandResult, FAILED, Failure, FailureKind};
use crate::options::Options;
use crate::target::{self, CallArgs, MethodTarget};
use crate::{input, output};

/// How long instances may take to answer, and the registry to list them.
const PATIENCE: Duration = Duration::from_secs(2);

/// What calls without a stub are written in.
const CODEC: &str = "json";

/// Show where a call would go and why; with arguments, make it and show its attempts.
#[derive(Debug, Args)]
pub(crate) struct ExplainCommand {
    /// The method, as SERVICE/METHOD
    #[arg(value_name = "SERVICE/METHOD")]
    target: MethodTarget,
    /// The arguments of a call to make, as for `dubhe call`
    #[arg(value_name = "JSON")]
    arguments: Option<String>,
    /// Call the method even if it is not idempotent
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    call: CallArgs,
}

/// Everything there is to show.
struct Shown {
    explained: MethodExplanation,
    /// What instances said of themselves, by address, or why one cannot be reached.
    told: HashMap<Arc<str>, Result<ServiceDescription, Status>>,
    /// What limits the method at those that say so, by address.
    gates: HashMap<Arc<str>, GateDescription>,
    asked: Asked,
}

/// What became of the call.
enum Asked {
    /// None was to be made.
    Nothing,
    /// It was made.
    Called { client: DynamicClient, log: AttemptLog, result: Result<Value, Status> },
    /// None could be made: no instance says what the method is.
    Unknown(Box<Status>),
}

impl ExplainCommand {
    pub(crate) async fn run(self, options: &Options) -> CommandResult {
        let arguments = input::arguments(self.arguments.as_deref())?;
        let consumer = options.caller(&self.call.metadata)?;
        let shown = match target::client(&consumer, &self.target.service, &self.call).await {
            Ok(client) => self.known(&consumer, client, arguments).await?,
            Err(failure) => self.unknown(&consumer, failure).await?,
        };
        let printed = match options.json {
            true => output::json(&json::explanation(&shown)),
            false => note_unheard(&shown.explained.unheard)
                .and_then(|()| output::text(text::explanation(&shown))),
        };
        Failure::told_if(shown.has_failed(), printed)
    }

    /// The method is known, so it can be called.
    async fn known(
        &self,
        consumer: &Consumer,
        client: DynamicClient,
        mut arguments: Value,
    ) -> Result<Shown, Failure> {
        let MethodTarget { service, method: name } = &self.target;
        let method = client.method(name)?.clone();
        // Connects, so that what is shown of the connections is true.
        let told = consumer.describe_each(service, PATIENCE).await?.into_iter().collect();
        let mut asked = Asked::Nothing;
        if self.arguments.is_some() {
            arguments = client.arguments(name, arguments)?;
            if !method.is_idempotent && !self.yes {
                return Err(Failure::usage(format!(
                    "{service}/{name} is not idempotent, so it is not called to explain it; leave \
                     the arguments away, or add --yes"
                )));
            }
            let log = AttemptLog::new();
            let calling = client.with(self.call.options().attempts(&log));
            let result = calling.call(name, arguments.clone()).await;
            if method.kind() == Some(MethodKind::OneWay) && result.is_ok() {
                written(consumer, service, &log).await?;
            }
            asked = Asked::Called { client, log, result };
        }
        let gates = gates(consumer, service, name).await;
        let explained = consumer.explain(service, &method, arguments, PATIENCE).await?;
        Ok(Shown { explained, told, gates, asked })
    }

    /// No instance says what the method is: shows what is known without that, if there are any.
    async fn unknown(&self, consumer: &Consumer, failure: Failure) -> Result<Shown, Failure> {
        let status = match failure {
            Failure { code: FAILED, kind: FailureKind::Call(status) }
                if status.code() != Code::NotFound && !target::is_nobody(&status) =>
            {
                status
            }
            failure => return Err(failure),
        };
        let MethodTarget { service, method } = &self.target;
        let told = consumer.describe_each(service, PATIENCE).await?.into_iter().collect();
        let method = MethodDescription::unknown(method);
        let explained = consumer.explain(service, &method, Value::Null, PATIENCE).await?;
        let gates = HashMap::new();
        Ok(Shown { explained, told, gates, asked: Asked::Unknown(status) })
    }
}

/// What limits `method` at each instance that says so; older ones do not.
async fn gates(
    consumer: &Consumer,
    service: &ServiceKey,
    method: &str,
) -> HashMap<Arc<str>, GateDescription> {
    let told = consumer.gates(service, PATIENCE).await.unwrap_or_default();
    let of_method = |(address, gates): (Arc<str>, Result<Vec<GateDescription>, Status>)| {
        let gate = gates.ok()?.into_iter().find(|gate| gate.method == method)?;
        Some((address, gate))
    };
    told.into_iter().filter_map(of_method).collect()
}

impl Shown {
    fn has_failed(&self) -> bool {
        match &self.asked {
            Asked::Nothing => false,
            Asked::Called { result, .. } => result.is_err(),
            Asked::Unknown(_) => true,
        }
    }
}
