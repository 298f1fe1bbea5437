//! What is called, as people write it: `SERVICE/METHOD`.

use std::error::Error as _;
use std::str::FromStr;
use std::time::Duration;

use dubhe::extend::amount::show_duration;
use dubhe::prelude::CallOptions;
use dubhe::{Code, Consumer, Delivery, DynamicClient, Error, ServiceKey, Status};

use crate::failure::Failure;
use crate::input;

/// A method of a service.
#[derive(Debug, Clone)]
pub(crate) struct MethodTarget {
    pub(crate) service: ServiceKey,
    pub(crate) method: String,
}

impl FromStr for MethodTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write SERVICE/METHOD, such as shop.Inventory/reserve";
        let (service, method) =
            text.rsplit_once('/').ok_or_else(|| format!("`{text}` names no method: {form}"))?;
        if method.is_empty() {
            return Err(format!("`{text}` names no method: {form}"));
        }
        let service = service.parse().map_err(|error| format!("{error}; {form}"))?;
        Ok(Self { service, method: method.to_owned() })
    }
}

/// What goes along with everything that is asked of providers.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct MetadataArgs {
    /// A key/value for the provider, also when it is asked what it serves; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = input::pair)]
    pub(crate) metadata: Vec<(String, String)>,
}

/// Options of the calls that are made.
#[derive(Debug, clap::Args)]
pub(crate) struct CallArgs {
    /// How long a call may take in all, such as 300ms; else what is configured
    #[arg(long, value_name = "TIME", value_parser = input::timeout)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) metadata: MetadataArgs,
}

impl CallArgs {
    pub(crate) fn options(&self) -> CallOptions {
        let mut options = CallOptions::new();
        if let Some(timeout) = self.timeout {
            options = options.timeout(timeout);
        }
        for (key, value) in &self.metadata.metadata {
            options = options.metadata(key, value);
        }
        options
    }
}

/// A client of the service, within the time of a call; where there is none, what there is.
pub(crate) async fn client(
    consumer: &Consumer,
    service: &ServiceKey,
    call: &CallArgs,
) -> Result<DynamicClient, Failure> {
    let made = match call.timeout {
        Some(timeout) => consumer.dynamic_within(service, timeout).await,
        None => consumer.dynamic(service).await,
    };
    match made {
        Err(status) if is_nobody(&status) => Err(nobody(consumer, service, status).await),
        Err(status) if status.code() == Code::DeadlineExceeded => Err(match call.timeout {
            Some(timeout) => status.with_hint(format!("--timeout {}", show_duration(timeout))),
            None => status,
        }
        .into()),
        client => Ok(client.map_err(unguarded)?),
    }
}

/// Adds the way past a guard to the failure, if a guard refused the description.
pub(crate) fn unguarded(status: Status) -> Status {
    // One with a source is of the registry.
    let is_guards = matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied);
    if !is_guards || status.source().is_some() {
        return status;
    }
    let text = format!("{}; {PAST_GUARDS}", status.message());
    Status::new(status.code(), text)
        .with_delivery(status.delivery())
        .with_attempts(status.attempts().to_vec())
}

/// What helps where layers of a provider let nobody in who does not say something.
pub(crate) const PAST_GUARDS: &str = "what its layers ask for goes along by --metadata KEY=VALUE";

/// Whether no instance was found, rather than found and not reached.
pub(crate) fn is_nobody(status: &Status) -> bool {
    status.code() == Code::Unavailable
        && status.delivery() == Delivery::NotSent
        && status.address().is_none()
        && status.attempts().is_empty()
}

/// Adds the services that exist to the failure, if the registry lists them.
pub(crate) async fn nobody(consumer: &Consumer, service: &ServiceKey, status: Status) -> Failure {
    match consumer.services().await {
        Ok(known) if !known.contains(service) => unknown(service, &known),
        _ => status.into(),
    }
}

/// No instance of `service` is listed, but of `known`.
pub(crate) fn unknown(service: &ServiceKey, known: &[ServiceKey]) -> Failure {
    Failure::failed(why_unknown(service, known))
}

/// That nobody serves it, and which of the `known` may be meant.
pub(crate) fn why_unknown(service: &ServiceKey, known: &[ServiceKey]) -> String {
    if known.is_empty() {
        return format!(
            "no instance of {service}: the registry lists no service at all; start a provider, or \
             check --registry"
        );
    }
    let names = known.iter().map(ServiceKey::as_str);
    Error::unknown_service("service", service.as_str(), names).to_string()
}
