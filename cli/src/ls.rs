//! `dubhe ls`: services, or the instances and methods of one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use dubhe::describe::ServiceDescription;
use dubhe::{Consumer, Instance, ServiceKey, Status};
use serde_json::{Value, json};

use crate::options::Options;
use crate::output::{Table, age};
use crate::{Outcome, output, target};

/// How long instances may take to describe themselves.
const PATIENCE: Duration = Duration::from_secs(2);

/// List services, or the instances and methods of one.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// A service, as [GROUP/]INTERFACE[:VERSION]
    service: Option<ServiceKey>,
}

impl Ls {
    pub(crate) async fn run(self, options: &Options) -> Outcome {
        let consumer = options.consumer()?;
        match self.service {
            None => services(&consumer, options).await,
            Some(service) => instances(&consumer, &service, options).await,
        }
    }
}

async fn services(consumer: &Consumer, options: &Options) -> Outcome {
    let mut rows = Vec::new();
    for service in consumer.services().await? {
        let instances = consumer.instances(&service).await?;
        let mut applications: Vec<String> = instances.into_iter().map(|i| i.application).collect();
        let count = applications.len();
        applications.retain(|name| !name.is_empty());
        applications.sort_unstable();
        applications.dedup();
        rows.push((service, count, applications));
    }
    if options.json {
        let rows = rows.iter().map(|(service, count, applications)| {
            json!({ "service": service.as_str(), "instances": count, "applications": applications })
        });
        return output::json(&json!({ "services": rows.collect::<Vec<_>>() }));
    }
    if rows.is_empty() {
        return output::text("no services\n");
    }
    let mut table = Table::new(["service", "instances", "applications"]);
    for (service, count, applications) in rows {
        table.row([service.to_string(), count.to_string(), applications.join(", ")]);
    }
    output::text(table)
}

type Described = HashMap<Arc<str>, Result<ServiceDescription, Status>>;

async fn instances(consumer: &Consumer, service: &ServiceKey, options: &Options) -> Outcome {
    let instances = consumer.instances(service).await?;
    if instances.is_empty() {
        return Err(target::unknown(service, &consumer.services().await?));
    }
    // None of them may be for this consumer, such as those that serve HTTP alone; they are listed.
    let (described, unasked) = match consumer.describe_each(service, PATIENCE).await {
        Ok(told) => (told.into_iter().collect(), None),
        Err(status) => (Described::new(), Some(status)),
    };
    // Instances of two versions may differ; the methods shown are those of the youngest.
    let mut by_age: Vec<&Instance> = instances.iter().collect();
    by_age.sort_by_key(|instance| std::cmp::Reverse(instance.started_ms));
    let description =
        by_age.into_iter().find_map(|instance| described.get(&instance.address)?.as_ref().ok());
    if options.json {
        let instances: Vec<Value> =
            instances.iter().map(|instance| instance_json(instance, &described)).collect();
        return output::json(&json!({
            "service": service.as_str(),
            "instances": instances,
            "methods": description.map(methods_json),
        }));
    }
    output::text(instance_table(&instances, &described))?;
    match (description, unasked) {
        (Some(description), _) => output::text(methods_text(description)),
        (None, Some(why)) => output::text(format_args!("\nnot asked: {}\n", why.message())),
        (None, None) => output::text("\nno instance describes its methods\n"),
    }
}

fn instance_table(instances: &[Instance], described: &Described) -> Table {
    let mut table = Table::new([
        "address",
        "state",
        "application",
        "weight",
        "up",
        "protocols",
        "codecs",
        "metadata",
    ]);
    for instance in instances {
        let metadata = instance.metadata.iter().map(|(key, value)| format!("{key}={value}"));
        table.row([
            instance.address.to_string(),
            match state(instance, described) {
                "undescribed" => "up, undescribed".to_owned(),
                state => state.replace('_', " "),
            },
            instance.application.clone(),
            instance.weight.to_string(),
            uptime(instance).map(age).unwrap_or_default(),
            instance.protocols.join(","),
            instance.codecs.join(","),
            metadata.collect::<Vec<_>>().join(" "),
        ]);
    }
    table
}

/// Whether it can be reached, as far as asking it has told; for programs.
fn state(instance: &Instance, described: &Described) -> &'static str {
    match described.get(&instance.address) {
        None => "not_asked",
        Some(Ok(_)) => "up",
        Some(Err(status)) => match status.code() {
            dubhe::Code::Unavailable | dubhe::Code::DeadlineExceeded => "unreachable",
            _ => "undescribed",
        },
    }
}

fn uptime(instance: &Instance) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let started = Duration::from_millis(instance.started_ms);
    (instance.started_ms > 0).then(|| now.saturating_sub(started))
}

fn methods_text(description: &ServiceDescription) -> String {
    let mut text = String::from("\n");
    for method in &description.methods {
        let mut notes = Vec::new();
        if method.is_idempotent {
            notes.push("idempotent");
        }
        if method.is_one_way {
            notes.push("one-way");
        }
        let notes =
            if notes.is_empty() { String::new() } else { format!("  [{}]", notes.join(", ")) };
        text += &format!("{}{notes}\n", description.signature(method));
        for line in method.doc.lines() {
            text += format!("    {line}").trim_end();
            text.push('\n');
        }
    }
    text
}

fn instance_json(instance: &Instance, described: &Described) -> Value {
    json!({
        "address": &*instance.address,
        "id": &*instance.id,
        "state": state(instance, described),
        "application": instance.application,
        "weight": instance.weight,
        "started_ms": instance.started_ms,
        "protocols": instance.protocols,
        "codecs": instance.codecs,
        "metadata": instance.metadata,
    })
}

fn methods_json(description: &ServiceDescription) -> Value {
    let methods = description.methods.iter().map(|method| {
        let fields = |name: &str| {
            let fields = description.message(name).map_or(&[][..], |message| &message.fields);
            let fields = fields.iter();
            let field = fields.map(|f| json!({ "name": f.json_name, "type": f.type_text() }));
            field.collect::<Vec<_>>()
        };
        json!({
            "name": method.name,
            "doc": method.doc,
            "idempotent": method.is_idempotent,
            "one_way": method.is_one_way,
            "arguments": fields(&method.arguments),
            "result": fields(&method.reply),
            "error": method.error,
        })
    });
    Value::Array(methods.collect())
}
