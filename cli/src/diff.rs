//! `dubhe diff`: two versions of a contract, and what breaks whom in which codec.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use dubhe::describe::{BodyForm, Contract, Difference, Finding, Peers, RolloutOrder, Severity};
use dubhe::{Consumer, ServiceKey};
use serde_json::{Value, json};

use crate::failure::{BREAKING, CommandResult, Failure};
use crate::options::Options;
use crate::target::MetadataArgs;
use crate::{idl, output};

/// Compare two versions of a contract: what breaks whom in which codec.
#[derive(Debug, Args)]
pub(crate) struct DiffCommand {
    /// The old version: a file that `dubhe idl --contract` wrote (- reads standard input); or a service
    /// that runs, as [GROUP/]INTERFACE[:VERSION]. What ends in .json or begins with / or . is a file,
    /// anything else if there is a file of that name
    #[arg(value_name = "OLD")]
    old: VersionTarget,
    /// The new version, likewise [default: the services of OLD as they run]
    #[arg(value_name = "NEW")]
    new: Option<VersionTarget>,
    /// Exit with 3 for what is risky, too
    #[arg(long)]
    strict: bool,
    /// A codec in use: protobuf, msgpack or json; may be given several times [default: all]
    #[arg(long, value_name = "CODEC", value_parser = form)]
    codec: Vec<BodyForm>,
    #[command(flatten)]
    metadata: MetadataArgs,
}

/// Where a version of a contract is.
#[derive(Debug, Clone, PartialEq)]
enum VersionTarget {
    Stdin,
    File(PathBuf),
    Service(ServiceKey),
}

impl FromStr for VersionTarget {
    type Err = String;

    /// A name that ends in `.json` or begins as a path is never asked of the network, whatever files
    /// there are.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_path = text.ends_with(".json") || text.starts_with(['.', '/']);
        match text {
            "-" => Ok(Self::Stdin),
            _ if is_path || Path::new(text).is_file() => Ok(Self::File(text.into())),
            _ => text
                .parse()
                .map(Self::Service)
                .map_err(|error| format!("{error}; and there is no file of that name")),
        }
    }
}

fn form(text: &str) -> Result<BodyForm, String> {
    let known = BodyForm::ALL.into_iter();
    known.clone().find(|form| form.name() == text).ok_or_else(|| {
        let names: Vec<&str> = known.map(BodyForm::name).collect();
        format!(
            "unknown codec, available: {}; others that write names are as msgpack",
            names.join(", ")
        )
    })
}

impl DiffCommand {
    pub(crate) async fn run(self, options: &Options) -> CommandResult {
        let consumer = options.consumer(&self.metadata)?;
        let (old, new) = self.versions(&consumer).await?;
        let mut difference = old.difference(&new);
        if !self.codec.is_empty() {
            difference = difference.in_forms(&self.codec);
        }
        let limit = if self.strict { Severity::Risky } else { Severity::Breaking };
        let printed = print(&difference, options);
        Failure::told_as((difference.severity() >= limit).then_some(BREAKING), printed)
    }

    /// Both versions. Where one names a service, of the other that service is compared, or the only
    /// one there is.
    async fn versions(&self, consumer: &Consumer) -> Result<(Contract, Contract), Failure> {
        use VersionTarget::{Service, Stdin};
        Ok(match (&self.old, &self.new) {
            (Service(_), None) => {
                return Err(Failure::usage(
                    "nothing to compare with: OLD is the service that runs, so write what is newer as \
                     NEW; or save what runs by `dubhe idl --contract`, and compare later",
                ));
            }
            (Stdin, Some(Stdin)) => {
                return Err(Failure::usage("only one of both can come from standard input"));
            }
            (old, None) => {
                let old = saved(old)?;
                let mut new = Vec::new();
                for described in &old.services {
                    let key = described.service.parse().map_err(|error| {
                        Failure::usage(format!("`{}`: {error}", described.service))
                    })?;
                    new.push(idl::description(consumer, &key).await?);
                }
                (old, Contract::new(new))
            }
            (Service(old), Some(Service(new))) => (
                Contract::new([idl::description(consumer, old).await?]),
                Contract::new([idl::description(consumer, new).await?]),
            ),
            (Service(old), Some(new)) => {
                let new = only(saved(new)?, old)?;
                (Contract::new([idl::description(consumer, old).await?]), new)
            }
            (old, Some(Service(new))) => {
                let old = only(saved(old)?, new)?;
                (old, Contract::new([idl::description(consumer, new).await?]))
            }
            (old, Some(new)) => (saved(old)?, saved(new)?),
        })
    }
}

/// The service of this key alone, unless it is the only one anyway.
fn only(contract: Contract, key: &ServiceKey) -> Result<Contract, Failure> {
    if contract.services.len() == 1 {
        return Ok(contract);
    }
    Ok(Contract::new([contract.service(key.as_str())?.clone()]))
}

/// What a file or standard input holds.
fn saved(version: &VersionTarget) -> Result<Contract, Failure> {
    let (name, text) = match version {
        VersionTarget::File(path) => (path.display().to_string(), std::fs::read_to_string(path)),
        _ => ("standard input".to_owned(), io::read_to_string(io::stdin().lock())),
    };
    let text = text.map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    let contract = Contract::parse(&text);
    let contract = contract.map_err(|error| Failure::usage(format!("{name} {error}")))?;
    match contract.services.is_empty() {
        true => Err(Failure::usage(format!("{name} has no service"))),
        false => Ok(contract),
    }
}

fn print(difference: &Difference, options: &Options) -> CommandResult {
    if options.json {
        let findings: Vec<Value> = difference.findings.iter().map(finding_json).collect();
        return output::json(&json!({
            "severity": difference.severity().name(),
            "findings": findings,
        }));
    }
    let count = |severity| difference.findings.iter().filter(|it| it.severity == severity).count();
    let counts = [Severity::Breaking, Severity::Risky, Severity::Compatible].map(|severity| {
        let count = count(severity);
        (count > 0).then(|| format!("{count} {severity}"))
    });
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    match counts.is_empty() {
        true => output::text("no changes\n"),
        false => output::text(format_args!("{difference}{}\n", counts.join(", "))),
    }
}

fn finding_json(finding: &Finding) -> Value {
    let word = |text: &str| text.replace(' ', "_");
    let effects = finding.effects.iter().map(|effect| {
        json!({
            "peers": match effect.peers {
                Peers::OldCallers => "old_callers",
                Peers::NewCallers => "new_callers",
            },
            "part": effect.part.name(),
            "codec": effect.form.name(),
            "outcome": word(effect.outcome.name()),
            "only_new": effect.is_new,
        })
    });
    let order = finding.order.map(|order| match order {
        RolloutOrder::ProvidersFirst => "providers_first",
        RolloutOrder::CallersFirst => "callers_first",
        _ => "readers_first",
    });
    json!({
        "service": finding.service,
        "place": finding.place,
        "kind": word(finding.kind.name()),
        "change": finding.change,
        "severity": finding.severity.name(),
        "rollout": order,
        "methods": finding.methods,
        "effects": effects.collect::<Vec<_>>(),
        "remedy": finding.remedy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_file_by_its_form_or_because_there_is_one() {
        let read = |text: &str| text.parse::<VersionTarget>().unwrap();
        for file in ["old.json", "./old", "../a/b", "/tmp/old", "a/b.json"] {
            assert_eq!(read(file), VersionTarget::File(file.into()));
        }
        assert_eq!(read("-"), VersionTarget::Stdin);
        for service in ["shop.Orders", "blue/shop.Orders:2"] {
            assert_eq!(read(service), VersionTarget::Service(service.parse().unwrap()));
        }
        // Tests run in the folder of their package.
        assert_eq!(read("Cargo.toml"), VersionTarget::File("Cargo.toml".into()));
        assert_eq!(read("src"), VersionTarget::Service("src".parse().unwrap()), "a folder");
        let error = "a b".parse::<VersionTarget>().unwrap_err();
        assert!(error.ends_with("; and there is no file of that name"), "{error}");
    }
}
