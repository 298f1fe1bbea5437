//! `dubhe doctor`: what is wrong between this machine and a registry.
//!
//! The registry says what it sees of itself (`Consumer::diagnose`); added here are the settings, who is
//! registered, and the instances of one service. Everything has a deadline.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use dubhe::diagnosis::{CheckResult, Diagnosis, reach};
use dubhe::{Consumer, Instance, ServiceKey};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::counted::ServiceCounts;
use crate::failure::{CommandResult, Failure, FailureKind, USAGE};
use crate::ls::{ListedService, PATIENCE, why_silent};
use crate::options::Options;
use crate::output;
use crate::target::MetadataArgs;

/// How long the services and their instances may take to be counted.
const COUNT: Duration = Duration::from_secs(3);

/// Applications that are named.
const NAMED: usize = 10;

/// Instances of a service that are looked at.
const MOST: usize = 100;

/// Find out what is wrong between this machine and a registry.
#[derive(Debug, Args)]
pub(crate) struct DoctorCommand {
    /// A service whose instances are looked at, too, as [GROUP/]INTERFACE[:VERSION]
    #[arg(value_name = "SERVICE")]
    service: Option<ServiceKey>,
    #[command(flatten)]
    metadata: MetadataArgs,
}

impl DoctorCommand {
    pub(crate) async fn run(self, options: &Options) -> CommandResult {
        let consumer = match options.consumer(&self.metadata) {
            Ok(consumer) => consumer,
            Err(failure) => return unset(failure, options),
        };
        let mut found = vec![settings(&consumer)];
        found.extend(consumer.diagnose().await?);
        let is_open = found.iter().any(|it| it.check == "session" && it.result == CheckResult::Ok);
        found.extend(match is_open {
            true => registered(&consumer, self.service.as_ref()).await,
            false => skipped(self.service.as_ref(), "no registry opens a session"),
        });
        let failed = found.iter().any(Diagnosis::has_failed);
        Failure::told_if(failed, print(&found, options))
    }
}

/// What is seen where the settings cannot work.
fn unset(failure: Failure, options: &Options) -> CommandResult {
    let FailureKind::Text(why) = &failure.kind else { return Err(failure) };
    let remedy = "do what the cause says; `dubhe config` shows every setting and its source";
    let found = [
        Diagnosis::fail("settings", "of this command", why, remedy),
        Diagnosis::skip("server", "of the registry", "the settings name none that can be"),
    ];
    Failure::told_as(Some(USAGE), print(&found, options))
}

/// Which registry is meant, and by whom.
fn settings(consumer: &Consumer) -> Diagnosis {
    let config = consumer.config();
    let address = config.registry.address.to_string();
    let sources = config.sources();
    let set_by = sources.iter().find(|setting| setting.key.starts_with("registry.address"));
    let origin = match set_by.map(|setting| setting.origin.to_string()) {
        // What this command sets is its default.
        Some(origin) if origin != "builder" => format!("set by {origin}"),
        _ => "the default of this command".to_owned(),
    };
    Diagnosis::ok("settings", address, origin)
}

fn skipped(service: Option<&ServiceKey>, why: &str) -> Vec<Diagnosis> {
    let all = Diagnosis::skip("registered", "services", why);
    let of_one = service.map(|service| Diagnosis::skip("registered", service.as_str(), why));
    [all].into_iter().chain(of_one).collect()
}

/// Who is registered, and the instances of `service`.
async fn registered(consumer: &Consumer, service: Option<&ServiceKey>) -> Vec<Diagnosis> {
    let mut found = match consumer.services().await {
        Ok(services) if services.is_empty() => addresses(consumer).await,
        Ok(services) => vec![counted(consumer, &services).await],
        Err(error) => {
            let remedy = "do what the cause says";
            vec![Diagnosis::fail("registered", "services", error.to_string(), remedy)]
        }
    };
    if let Some(service) = service {
        found.extend(of_service(consumer, service).await);
    }
    found
}

/// How many instances there are, and of which applications.
pub(crate) async fn counted(consumer: &Consumer, services: &[ServiceKey]) -> Diagnosis {
    const REMEDY: &str = "do what the cause says";
    let all = services.len();
    let deadline = Some(Instant::now() + COUNT);
    let ServiceCounts { services, unread, .. } =
        match ServiceCounts::of(consumer, services, deadline).await {
            Ok(counts) => counts,
            Err(error) => {
                let seen = format!("{all} services; {error}");
                return Diagnosis::warn("registered", "services", seen, REMEDY);
            }
        };
    let instances: usize = services.values().map(|counted| counted.instances).sum();
    let mut seen = match services.len() {
        counted if counted == all => format!("{all} services, {instances} instances"),
        counted if counted + unread.len() == all => {
            format!("{all} services; {instances} instances of the {counted} that can be listed")
        }
        counted => {
            format!(
                "{all} services; {instances} instances of the first {counted}, read in {COUNT:?}"
            )
        }
    };
    let applications: BTreeSet<String> =
        services.into_values().flat_map(|counted| counted.applications).collect();
    let named: Vec<&str> = applications.iter().take(NAMED).map(String::as_str).collect();
    if !named.is_empty() {
        seen += &format!(", of {}", named.join(", "));
    }
    let more = applications.len().saturating_sub(NAMED);
    if more > 0 {
        seen += &format!(" and {more} applications more");
    }
    let Some((service, error)) = unread.first() else {
        return Diagnosis::ok("registered", "services", seen);
    };
    seen += &match unread.len() - 1 {
        0 => format!("; {service} cannot be listed: {error}"),
        more => format!("; {service} and {more} more cannot be listed: {error}"),
    };
    Diagnosis::warn("registered", "services", seen, REMEDY)
}

/// What the addresses serve of a registry that knows nothing else.
async fn addresses(consumer: &Consumer) -> Vec<Diagnosis> {
    let nobody = || {
        let remedy =
            "start a provider with this registry, or correct the address to that of theirs";
        vec![Diagnosis::warn("registered", "services", "nobody is registered", remedy)]
    };
    let told = match consumer.served(PATIENCE).await {
        Ok(told) if told.is_empty() => return nobody(),
        Ok(told) => told,
        Err(error) => {
            let remedy = "do what the cause says";
            return vec![Diagnosis::fail("registered", "services", error.to_string(), remedy)];
        }
    };
    let of_one = |(address, told): (std::sync::Arc<str>, Result<Vec<ServiceKey>, _>)| match told {
        Ok(services) => {
            let names: Vec<&str> = services.iter().map(ServiceKey::as_str).collect();
            Diagnosis::ok("instance", &*address, format!("serves {}", names.join(", ")))
        }
        Err(status) => {
            let remedy = "start the provider, or take its address off the list";
            Diagnosis::fail("instance", &*address, why_silent(&status), remedy)
        }
    };
    let left_out = not_looked_at(told.len());
    told.into_iter().take(MOST).map(of_one).chain(left_out).collect()
}

/// Each instance of one service.
async fn of_service(consumer: &Consumer, service: &ServiceKey) -> Vec<Diagnosis> {
    let listing = match ListedService::of(consumer, service.clone()).await {
        Ok(listing) => listing,
        Err(failure) => {
            let why = match failure.kind {
                FailureKind::Text(why) => why,
                FailureKind::Call(status) => status.message().to_owned(),
                FailureKind::Told | FailureKind::Unread => "it cannot be listed".to_owned(),
            };
            let remedy = "start a provider of it with this registry, or correct its name, group and \
                          version";
            return vec![Diagnosis::fail("registered", service.as_str(), why, remedy)];
        }
    };
    let mut looks = JoinSet::new();
    for (at, instance) in listing.instances.iter().take(MOST).enumerate() {
        let address = instance.address.clone();
        looks.spawn(async move { (at, reach(&address).await) });
    }
    let mut reached: Vec<_> = looks.join_all().await;
    reached.sort_by_key(|(at, _)| *at);
    let instances = listing.instances.iter().zip(reached);
    let looked_at = instances.map(|(instance, (_, seen))| of_instance(&listing, instance, &seen));
    looked_at.chain(not_looked_at(listing.instances.len())).collect()
}

/// Says how many instances of so many are left out, if any are.
fn not_looked_at(all: usize) -> Option<Diagnosis> {
    let more = all.checked_sub(MOST).filter(|more| *more > 0)?;
    Some(Diagnosis::skip(
        "instance",
        format!("{more} more"),
        format!("the first {MOST} are looked at"),
    ))
}

/// One instance: who it is, whether its port accepts, whether it can be called.
fn of_instance(listing: &ListedService, instance: &Instance, seen: &[Diagnosis]) -> Diagnosis {
    let application = match &*instance.application {
        "" => "no application",
        application => application,
    };
    let protocols = instance.protocols.join(",");
    let who = format!("{application}, speaks {protocols}");
    let of = instance.address.to_string();
    if let Some(closed) = seen.iter().find(|seen| seen.has_failed()) {
        let remedy = closed.remedy.clone().unwrap_or_default();
        let seen = format!("{who}; its {} {}", closed.check, closed.seen);
        return Diagnosis::fail("instance", of, seen, remedy);
    }
    if let Some(why) = instance.metadata.get("dubhe.unread") {
        let remedy = "register what it serves in the registry (metadata-type=remote over there)";
        return Diagnosis::warn("instance", of, format!("{who}; not called: {why}"), remedy);
    }
    let (state, why) = listing.state(instance);
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    match state {
        "up" => Diagnosis::ok("instance", of, format!("{who}; accepts and answers")),
        "unreachable" => {
            let remedy = "see whether it hangs, or is overloaded";
            Diagnosis::fail(
                "instance",
                of,
                format!("{who}; accepts, and is not reached{why}"),
                remedy,
            )
        }
        "not_served" => {
            let remedy = "take its address off the list of this service";
            Diagnosis::fail("instance", of, format!("{who}; does not serve it{why}"), remedy)
        }
        "undescribed" => {
            let remedy = "it can be called; to see its methods, give what its layers ask for by \
                          --metadata KEY=VALUE, or update it if it is an older Dubhe";
            let seen = format!("{who}; answers, and does not describe itself{why}");
            Diagnosis::warn("instance", of, seen, remedy)
        }
        _ => {
            let remedy = "calls go to instances that speak a protocol of this consumer";
            Diagnosis::warn(
                "instance",
                of,
                format!("{who}; accepts, and was not asked{why}"),
                remedy,
            )
        }
    }
}

fn print(found: &[Diagnosis], options: &Options) -> CommandResult {
    let count = |result| found.iter().filter(|it| it.result == result).count();
    let (failed, warned) = (count(CheckResult::Fail), count(CheckResult::Warn));
    if options.json {
        let checks: Vec<Value> = found.iter().map(check_json).collect();
        return output::json(&json!({ "checks": checks, "failed": failed, "warned": warned }));
    }
    let width = |text: fn(&Diagnosis) -> &str| {
        found.iter().map(|it| text(it).chars().count()).max().unwrap_or_default()
    };
    let (checks, things) = (width(|it| it.check), width(|it| &it.of).min(40));
    let mut text = String::new();
    for Diagnosis { check, of, result, seen, remedy, .. } in found {
        let line = format!("{:<4}  {check:<checks$}  {of:<things$}  {seen}", result.to_string());
        text += &format!("{}\n", line.replace('\n', " "));
        if let Some(remedy) = remedy {
            text += &format!("      {:checks$}  -> {}\n", "", remedy.replace('\n', " "));
        }
    }
    let skipped = count(CheckResult::Skip);
    text += &format!("{failed} failed, {warned} warnings, {skipped} skipped\n");
    output::text(text)
}

fn check_json(found: &Diagnosis) -> Value {
    json!({
        "check": found.check,
        "of": found.of,
        "result": found.result.to_string(),
        "seen": found.seen,
        "remedy": found.remedy,
    })
}
