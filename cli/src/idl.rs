//! `dubhe idl`: services as `.proto` files, or as the contract that `dubhe diff` compares, as their
//! instances describe them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use dubhe::describe::{Contract, ServiceDescription};
use dubhe::{Consumer, ServiceKey};
use serde_json::{Value, json};

use crate::failure::{CommandResult, Failure, FailureKind};
use crate::options::Options;
use crate::status::status_text;
use crate::target::MetadataArgs;
use crate::{ls, output, target};

/// How long an instance may take to describe itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// Print the .proto of a service, or write those of all services.
#[derive(Debug, Args)]
pub(crate) struct IdlCommand {
    /// A service, as [GROUP/]INTERFACE[:VERSION] [default: all]
    #[arg(value_name = "SERVICE")]
    service: Option<ServiceKey>,
    /// Write a self-contained file for each service into this folder, which is created if missing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print what `dubhe diff` compares, in place of the .proto: one JSON document of all services
    #[arg(long, conflicts_with = "out")]
    contract: bool,
    #[command(flatten)]
    metadata: MetadataArgs,
}

impl IdlCommand {
    pub(crate) async fn run(self, options: &Options) -> CommandResult {
        let consumer = options.consumer(&self.metadata)?;
        let services = match &self.service {
            Some(service) => vec![service.clone()],
            None => ls::listed(&consumer).await?,
        };
        if services.is_empty() {
            return Err(Failure::failed("no services"));
        }
        if let (None, false, [_, _, ..]) = (&self.out, self.contract, &services[..]) {
            let names: Vec<&str> = services.iter().map(ServiceKey::as_str).collect();
            return Err(Failure::usage(format!(
                "there are {} services, and a `.proto` is of one: name one, or give --out a folder; \
                 available: {}",
                names.len(),
                names.join(", ")
            )));
        }
        let files = names_of(&services);
        let (mut told, mut described, mut failed) = (Vec::new(), Vec::new(), None);
        for service in services {
            let asked = match self.contract {
                true => description(&consumer, &service).await.map(|it| described.push(it)),
                false => {
                    proto(&consumer, &service).await.map(|it| told.push((service.clone(), it)))
                }
            };
            match asked {
                Ok(()) => {}
                // The others are worth having all the same.
                Err(failure) if self.service.is_none() => {
                    let why = match &failure.kind {
                        FailureKind::Text(text) => text.clone(),
                        FailureKind::Call(status) => status_text(status),
                        FailureKind::Told | FailureKind::Unread => String::new(),
                    };
                    output::aside("error", &format!("{service}: {why}"))?;
                    failed = Some(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        let printed = match self.contract {
            true => output::json_text(&Contract::new(described).to_json()),
            false => self.print(&told, &files, options),
        };
        Failure::told_if(failed.is_some(), printed)
    }

    fn print(
        &self,
        told: &[(ServiceKey, String)],
        files: &BTreeMap<ServiceKey, String>,
        options: &Options,
    ) -> CommandResult {
        let mut written = Vec::new();
        if let Some(folder) = &self.out {
            let failed = |path: &Path, error| {
                Failure::failed(format!("--out: cannot write {}: {error}", path.display()))
            };
            fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
            for (service, proto) in told {
                let path = folder.join(&files[service]);
                fs::write(&path, output::plain(proto)).map_err(|error| failed(&path, error))?;
                written.push(path.display().to_string());
            }
        }
        if options.json {
            let file = |index: usize| written.get(index).map_or(Value::Null, |it| json!(it));
            let services = told.iter().enumerate().map(|(index, (service, proto))| {
                json!({ "service": service.as_str(), "proto": proto, "file": file(index) })
            });
            return output::json(&json!({ "services": services.collect::<Vec<_>>() }));
        }
        match self.out {
            Some(_) => {
                output::text(written.join("\n") + if written.is_empty() { "" } else { "\n" })
            }
            None => output::text(told.iter().map(|(_, proto)| &**proto).collect::<String>()),
        }
    }
}

/// What an instance of `service` says that it is.
pub(crate) async fn description(
    consumer: &Consumer,
    service: &ServiceKey,
) -> Result<ServiceDescription, Failure> {
    match consumer.describe(service, PATIENCE).await {
        Err(status) if target::is_nobody(&status) => {
            Err(target::nobody(consumer, service, status).await)
        }
        described => Ok(described.map_err(target::unguarded)?),
    }
}

async fn proto(consumer: &Consumer, service: &ServiceKey) -> Result<String, Failure> {
    let described = description(consumer, service).await?;
    // What cannot be written is no fault of the command line.
    described.to_proto().map_err(|error| Failure::failed(error.to_string()))
}

/// A file for each service: named by its interface, with version and group where that is not enough.
fn names_of(services: &[ServiceKey]) -> BTreeMap<ServiceKey, String> {
    let safe = |text: &str| {
        let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        text.replace(|c| !is_safe(c), "_").trim_start_matches('.').to_owned()
    };
    let name = |key: &ServiceKey| {
        let others = services.iter().filter(|other| other.interface() == key.interface());
        let parts = [key.interface(), key.version(), key.group()];
        let many = if others.count() > 1 { 3 } else { 1 };
        let parts = parts.into_iter().take(many).filter(|part| !part.is_empty());
        parts.map(safe).collect::<Vec<_>>().join("-")
    };
    let mut names: BTreeMap<ServiceKey, String> = BTreeMap::new();
    for key in services {
        let mut file = name(key);
        while names.values().any(|taken| *taken == format!("{file}.proto")) {
            file.push('_');
        }
        names.insert(key.clone(), format!("{file}.proto"));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_interface_and_stay_in_their_folder() {
        let keys = ["shop.Stock", "blue/shop.Till:1", "shop.Till", "../x:/../y", "x\u{e4}", "x_"];
        let services: Vec<ServiceKey> = keys.iter().filter_map(|key| key.parse().ok()).collect();
        let names = names_of(&services);
        let name =
            |key: &str| key.parse().ok().and_then(|key: ServiceKey| names.get(&key).cloned());
        assert_eq!(name("shop.Stock").as_deref(), Some("shop.Stock.proto"));
        assert_eq!(name("blue/shop.Till:1").as_deref(), Some("shop.Till-1-blue.proto"));
        assert_eq!(name("shop.Till").as_deref(), Some("shop.Till.proto"));
        assert!(names.values().all(|file| !file.contains('/') && !file.starts_with('.')));
        let mut distinct: Vec<_> = names.values().collect();
        distinct.dedup();
        assert_eq!(distinct.len(), names.len());
    }
}
