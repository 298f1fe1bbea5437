//! `dubhe ls`: services, or the instances and methods of one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dubhe::describe::ServiceDescription;
use dubhe::{Code, Consumer, Error, Instance, ServiceKey, Status};
use serde_json::{Value, json};

use crate::consumers::ServiceConsumers;
use crate::counted::{CountedService, ServiceCounts};
use crate::failure::{CommandResult, Failure};
use crate::methods::Methods;
use crate::options::Options;
use crate::output::{TextTable, age, since};
use crate::status::{status_json, why_unreached};
use crate::target::{MetadataArgs, MethodTarget, PAST_GUARDS};
use crate::{output, target};

/// How long instances may take to describe themselves.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// List services, or the instances and methods of one.
#[derive(Debug, Args)]
pub(crate) struct LsCommand {
    /// A service, as [GROUP/]INTERFACE[:VERSION], or one of its methods, as SERVICE/METHOD
    #[arg(value_name = "SERVICE[/METHOD]")]
    service: Option<ServiceKey>,
    #[command(flatten)]
    metadata: MetadataArgs,
}

impl LsCommand {
    pub(crate) async fn run(self, options: &Options) -> CommandResult {
        let consumer = options.consumer(&self.metadata)?;
        match self.service {
            None => services(&consumer, options).await,
            Some(name) => one(&consumer, name, options).await,
        }
    }
}

async fn services(consumer: &Consumer, options: &Options) -> CommandResult {
    let named = consumer.services().await?;
    let ServiceCounts { services: mut rows, unread, .. } =
        ServiceCounts::of(consumer, &named, None).await?;
    let (served, silent) = told(consumer).await?;
    served.into_iter().for_each(|it| rows.entry(it).or_default().instances += 1);
    if rows.is_empty() && unread.is_empty() {
        nobody_tells(&silent)?;
    }
    let failed = !unread.is_empty();
    Failure::told_if(failed, print_services(rows, &unread, &silent, options))
}

/// Prints the services, and what is not known of others.
fn print_services(
    rows: BTreeMap<ServiceKey, CountedService>,
    unread: &[(ServiceKey, Error)],
    silent: &Silent,
    options: &Options,
) -> CommandResult {
    if options.json {
        let services = rows.iter().map(|(service, CountedService { instances, applications })| {
            json!({ "service": service.as_str(), "instances": instances, "applications": applications })
        });
        let unread = unread.iter().map(|(service, error)| {
            json!({ "service": service.as_str(), "error": { "message": error.to_string() } })
        });
        let silent = silent.iter().map(
            |(address, status)| json!({ "address": &**address, "error": status_json(status) }),
        );
        return output::json(&json!({
            "services": services.collect::<Vec<_>>(),
            "unread": unread.collect::<Vec<_>>(),
            "silent": silent.collect::<Vec<_>>(),
        }));
    }
    for (service, error) in unread {
        output::aside("note", &format!("{service} cannot be listed: {error}"))?;
    }
    for (address, status) in silent {
        let text = format!("{address} does not tell what it serves: {}", why_silent(status));
        output::aside("note", &text)?;
    }
    if rows.is_empty() {
        // Of those that cannot be listed it is not known whether they have an instance.
        return output::text(if unread.is_empty() { "no services\n" } else { "" });
    }
    let mut table = TextTable::new(["service", "instances", "applications"]);
    for (service, CountedService { instances, applications }) in rows {
        let applications: Vec<String> = applications.into_iter().collect();
        table.row([service.to_string(), instances.to_string(), applications.join(", ")]);
    }
    output::text(table)
}

/// Every service there is, sorted.
///
/// # Errors
/// The registry does not answer, or knows addresses alone and none of them tells what it serves.
pub(crate) async fn listed(consumer: &Consumer) -> Result<Vec<ServiceKey>, Failure> {
    let mut all: BTreeSet<ServiceKey> = consumer.services().await?.into_iter().collect();
    let (served, silent) = told(consumer).await?;
    all.extend(served);
    if all.is_empty() {
        nobody_tells(&silent)?;
    }
    Ok(all.into_iter().collect())
}

pub(crate) type Silent = Vec<(Arc<str>, Status)>;

/// What each address says it serves, where the registry knows addresses alone, as `static://` does; and
/// which do not say.
async fn told(consumer: &Consumer) -> Result<(Vec<ServiceKey>, Silent), Failure> {
    let (mut all, mut silent) = (Vec::new(), Vec::new());
    for (address, told) in consumer.served(PATIENCE).await? {
        match told {
            Ok(served) => all.extend(served),
            Err(status) => silent.push((address, status)),
        }
    }
    Ok((all, silent))
}

/// # Errors
/// If there are any.
fn nobody_tells(silent: &Silent) -> CommandResult {
    silent.first().map_or(Ok(()), |(address, status)| {
        Err(Failure::failed(format!(
            "no address says what it serves, {address}: {}; if you know the service, try \
             `dubhe ls SERVICE` or `dubhe call SERVICE/METHOD`",
            why_silent(status)
        )))
    })
}

/// Why an instance does not tell.
pub(crate) fn why_silent(status: &Status) -> String {
    let why = why_unreached(status);
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => format!("{why}; {PAST_GUARDS}"),
        _ => why.to_owned(),
    }
}

type Described = HashMap<Arc<str>, Result<ServiceDescription, Status>>;

/// What there is of one service.
pub(crate) struct ListedService {
    service: ServiceKey,
    pub(crate) instances: Vec<Instance>,
    described: Described,
    /// Why none was asked.
    unasked: Option<Status>,
}

impl ListedService {
    pub(crate) async fn of(consumer: &Consumer, service: ServiceKey) -> Result<Self, Failure> {
        let instances = consumer.instances(&service).await?;
        if instances.is_empty() {
            return Err(target::unknown(&service, &consumer.services().await?));
        }
        Self::asked(consumer, service, instances).await
    }

    /// The service with its consumers; it may have those alone.
    async fn with_consumers(
        consumer: &Consumer,
        service: ServiceKey,
    ) -> Result<(Self, ServiceConsumers), Failure> {
        // Before this process is one of them.
        let consumers = ServiceConsumers::of(consumer, &service).await;
        let instances = consumer.instances(&service).await?;
        let listed = match instances.is_empty() {
            true if consumers.are_there() => {
                // Whoever called it by a wrong name is among them, such as this command.
                let why = target::why_unknown(&service, &consumer.services().await?);
                output::aside("note", &why)?;
                Self { service, instances, described: Described::new(), unasked: None }
            }
            true => return Err(target::unknown(&service, &consumer.services().await?)),
            false => Self::asked(consumer, service, instances).await?,
        };
        Ok((listed, consumers))
    }

    /// Asks the instances what they are.
    async fn asked(
        consumer: &Consumer,
        service: ServiceKey,
        instances: Vec<Instance>,
    ) -> Result<Self, Failure> {
        // None of them may be for this consumer, such as those that serve HTTP alone; they are
        // listed.
        let (described, unasked): (Described, _) =
            match consumer.describe_each(&service, PATIENCE).await {
                Ok(told) => (told.into_iter().collect(), None),
                Err(status) => (Described::new(), Some(status)),
            };
        if let Some(status) = nowhere(&described) {
            return Err(Failure::failed(status.message()));
        }
        Ok(Self { service, instances, described, unasked })
    }

    /// Whether the instance can be reached, as [`state`] has it, and the reason if it does not say so.
    pub(crate) fn state(&self, instance: &Instance) -> (&'static str, Option<String>) {
        let status = match self.described.get(&instance.address) {
            Some(Ok(_)) => None,
            Some(Err(status)) => Some(status),
            None => self.unasked.as_ref(),
        };
        (state(instance, &self.described), status.map(why_silent))
    }

    /// What the youngest instance says, because instances of two versions may differ.
    fn description(&self) -> Option<&ServiceDescription> {
        let mut by_age: Vec<&Instance> = self.instances.iter().collect();
        by_age.sort_by_key(|instance| std::cmp::Reverse(instance.started_ms));
        let mut told = by_age.into_iter().map(|instance| self.described.get(&instance.address));
        told.find_map(|told| told?.as_ref().ok())
    }

    /// Prints it, of its methods only `method` if there is one.
    fn print(
        &self,
        consumers: &ServiceConsumers,
        method: Option<&str>,
        options: &Options,
    ) -> CommandResult {
        let Self { service, instances, described, unasked } = self;
        let shown = self.description().map(|of| Methods::of(of, method)).transpose()?;
        if options.json {
            let instances: Vec<Value> =
                instances.iter().map(|instance| instance_json(instance, described)).collect();
            consumers.note()?;
            return output::json(&json!({
                "service": service.as_str(),
                "instances": instances,
                "methods": shown.as_ref().map(Methods::json),
                "types": shown.as_ref().map(Methods::types_json),
                "consumers": consumers.json(),
            }));
        }
        if instances.is_empty() {
            output::text("no provider\n")?;
            return consumers.print();
        }
        for instance in instances {
            let Some(Err(status)) = described.get(&instance.address) else { continue };
            let what = match (state(instance, described), status.code()) {
                ("unreachable", _) => "is unreachable",
                (_, Code::Unauthenticated | Code::PermissionDenied) => "does not describe itself",
                _ => continue,
            };
            let why = why_silent(status);
            output::aside("note", &format!("{} {what}: {why}", instance.address))?;
        }
        output::text(instance_table(instances, described))?;
        match (shown, unasked) {
            (Some(shown), _) => output::text(shown.text())?,
            (None, Some(why)) => output::text(format_args!("\nnot asked: {}\n", why.message()))?,
            (None, None) => output::text("\nno instance describes its methods\n")?,
        }
        consumers.print()
    }
}

/// The service of this name, or else a method of one, which a group and a service look like.
async fn one(consumer: &Consumer, name: ServiceKey, options: &Options) -> CommandResult {
    let method = name.as_str().parse::<MethodTarget>();
    let failure = match ListedService::with_consumers(consumer, name).await {
        Ok((listed, consumers)) => return listed.print(&consumers, None, options),
        Err(failure) => failure,
    };
    let Ok(MethodTarget { service, method }) = method else { return Err(failure) };
    match ListedService::with_consumers(consumer, service.clone()).await {
        Ok((listed, consumers)) => listed.print(&consumers, Some(&method), options),
        // Names of groups have no dots, as a rule, and those of interfaces do.
        Err(of_service) if service.interface().contains('.') => Err(of_service),
        Err(_) => Err(failure),
    }
}

/// The refusal of one of the instances, if all say that they do not serve it: their addresses were
/// given by hand.
fn nowhere(described: &Described) -> Option<&Status> {
    let mut refusals = described
        .values()
        .map(|told| told.as_ref().err().filter(|status| status.code() == Code::NotFound));
    let first = refusals.next()??;
    refusals.all(|refusal| refusal.is_some()).then_some(first)
}

fn instance_table(instances: &[Instance], described: &Described) -> TextTable {
    let mut table = TextTable::new([
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
            instance.application.to_string(),
            instance.weight.to_string(),
            since(instance.started_ms).map(age).unwrap_or_default(),
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
            Code::Unavailable | Code::DeadlineExceeded => "unreachable",
            Code::NotFound => "not_served",
            _ => "undescribed",
        },
    }
}

fn instance_json(instance: &Instance, described: &Described) -> Value {
    json!({
        "address": &*instance.address,
        "id": &*instance.id,
        "state": state(instance, described),
        "error": described.get(&instance.address).and_then(|told| told.as_ref().err()).map(status_json),
        "application": &*instance.application,
        "weight": instance.weight,
        "started_ms": instance.started_ms,
        "protocols": &*instance.protocols,
        "codecs": &*instance.codecs,
        "metadata": instance.metadata,
    })
}
