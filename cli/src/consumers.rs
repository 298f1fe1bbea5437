//! The consumers of a service, for `dubhe ls SERVICE`.

use dubhe::{Consumer, Error, ListedConsumer, ServiceKey};
use serde_json::{Value, json};

use crate::failure::CommandResult;
use crate::output::{self, TextTable, age, since};

/// The consumers of a service, or why they are not known. Those cost nobody the rest of the list.
pub(crate) struct ServiceConsumers(Result<Option<Vec<ListedConsumer>>, Error>);

impl ServiceConsumers {
    pub(crate) async fn of(consumer: &Consumer, service: &ServiceKey) -> Self {
        Self(consumer.consumers(service).await)
    }

    /// Whether there are some, as far as is known.
    pub(crate) fn are_there(&self) -> bool {
        matches!(&self.0, Ok(Some(consumers)) if !consumers.is_empty())
    }

    /// `null` where they are not known.
    pub(crate) fn json(&self) -> Value {
        let Ok(Some(consumers)) = &self.0 else { return Value::Null };
        let consumers = consumers.iter().map(|ListedConsumer { host, application, pid, started_ms }| {
            json!({ "host": host, "application": application, "pid": pid, "started_ms": started_ms })
        });
        consumers.collect()
    }

    /// Says on standard error why they are not known.
    pub(crate) fn note(&self) -> CommandResult {
        match &self.0 {
            Err(error) => output::aside("note", &format!("consumers cannot be listed: {error}")),
            Ok(_) => Ok(()),
        }
    }

    /// Says nothing where the registry does not keep them.
    pub(crate) fn print(&self) -> CommandResult {
        let consumers = match &self.0 {
            Ok(Some(consumers)) if consumers.is_empty() => return output::text("\nno consumers\n"),
            Ok(Some(consumers)) => consumers,
            Ok(None) => return Ok(()),
            Err(_) => return self.note(),
        };
        let mut table = TextTable::new(["consumer", "application", "pid", "up"]);
        for ListedConsumer { host, application, pid, started_ms } in consumers {
            let pid = if *pid > 0 { pid.to_string() } else { String::new() };
            let up = since(*started_ms).map(age);
            table.row([host.clone(), application.clone(), pid, up.unwrap_or_default()]);
        }
        output::text(format_args!("\n{table}"))
    }
}
