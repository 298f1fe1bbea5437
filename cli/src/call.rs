//! `dubhe call`: one call, its arguments and its result as JSON.

use std::time::Duration;

use clap::Args;
use dubhe::{
    AttemptLog, Consumer, Delivery, DirectoryState, MethodKind, ReplyMetadata, ServiceKey, Source,
};
use serde_json::json;

use crate::failure::{CommandResult, Failure};
use crate::options::Options;
use crate::ordered::Ordered;
use crate::status::{
    attempts_json, directory_json, fallback_json, fallback_text, metadata_json, why_unreached,
};
use crate::target::{self, CallArgs, MethodTarget};
use crate::{input, output};

/// How long a one-way call may take to be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// Call a method.
#[derive(Debug, Args)]
pub(crate) struct CallCommand {
    /// The method, as SERVICE/METHOD
    #[arg(value_name = "SERVICE/METHOD")]
    target: MethodTarget,
    /// The arguments: a JSON list in their order, or an object by their names; - reads them from
    /// standard input
    #[arg(value_name = "JSON")]
    arguments: Option<String>,
    #[command(flatten)]
    call: CallArgs,
}

impl CallCommand {
    pub(crate) async fn run(self, options: &Options) -> CommandResult {
        let arguments = input::arguments(self.arguments.as_deref())?;
        let consumer = options.caller(&self.call.metadata)?;
        let client = target::client(&consumer, &self.target.service, &self.call).await?;
        let (log, beside) = (AttemptLog::new(), ReplyMetadata::new());
        let options_of_call = self.call.options().attempts(&log).reply_metadata(&beside);
        let calling = client.with(options_of_call);
        let result = calling.call(&self.target.method, arguments).await?;
        let is_one_way = client.method(&self.target.method)?.kind() == Some(MethodKind::OneWay);
        if is_one_way {
            written(&consumer, &self.target.service, &log).await?;
        }
        let list = consumer.directory_state(&self.target.service);
        if options.json {
            return output::json(&json!({
                "directory": list.as_ref().map(directory_json),
                "result": result,
                "one_way": is_one_way,
                "metadata": metadata_json(&beside.last()),
                "fell_back_from": fallback_json(&log),
                "attempts": attempts_json(&log),
            }));
        }
        if let Some(note) = fallback_text(&log) {
            output::aside("note", &note)?;
        }
        for (key, value) in beside.last().iter() {
            output::aside("metadata", &format!("{key}={value}"))?;
        }
        tell_doubtful_list(&consumer, &self.target.service)?;
        match is_one_way {
            true => output::text("sent\n"),
            false => output::json(&Ordered::reply(&client, &self.target.method, &result)),
        }
    }
}

/// Notes that the providers are those of the list on disk, or of a registry that has gone, if they are.
pub(crate) fn tell_doubtful_list(consumer: &Consumer, service: &ServiceKey) -> CommandResult {
    let is_doubtful = |list: &DirectoryState| {
        list.trouble.is_some() || matches!(list.source, Source::Cache { .. })
    };
    match consumer.directory_state(service).filter(is_doubtful) {
        Some(list) => output::aside("note", &format!("list of providers: {list}")),
        None => Ok(()),
    }
}

/// Waits until a one-way call has left this process, which would take it along when it ends: what
/// is asked after it on the same connections is answered after it was read.
pub(crate) async fn written(
    consumer: &Consumer,
    service: &ServiceKey,
    log: &AttemptLog,
) -> CommandResult {
    let sent_to: Vec<_> = log.records().into_iter().map(|attempt| attempt.address).collect();
    let told = consumer.describe_at(service, &sent_to, PATIENCE).await?;
    let lost = told.into_iter().find_map(|(address, told)| {
        let status = told.err()?;
        (status.delivery() != Delivery::Answered).then_some((address, status))
    });
    lost.map_or(Ok(()), |(address, status)| {
        let why = why_unreached(&status);
        Err(Failure::failed(format!("the call may not have reached {address}: {why}")))
    })
}
