//! The provider's side: `dubhe.Describe`, served beside the services it describes.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rpc_core::descriptor::{MethodDescriptor, ServiceDescriptor};
use rpc_core::server::Handler;
use rpc_core::{Codec, Error, GateState, Metrics, Result, ServiceKey, Status};
use rpc_macros::service;

use super::collect::collect;
use super::types::{GateDescription, GateKind, ServiceDescription};

/// The name of the service by which an instance describes the others, as the scope of a layer has it.
pub const DESCRIBE: &str = "dubhe.Describe";

/// Describes the services of an instance.
#[service(crate = crate, name = "dubhe.Describe")]
pub(super) trait Describe {
    /// The service of this key, `[group/]interface[:version]`; `not_found` lists those there are.
    #[rpc(idempotent)]
    async fn describe(&self, service: String) -> Result<ServiceDescription>;

    /// The keys of the services of the program, sorted.
    #[rpc(idempotent)]
    async fn services(&self) -> Result<Vec<String>>;

    /// What limits the calls of each method of the service of this key now.
    #[rpc(idempotent)]
    async fn gates(&self, service: String) -> Result<Vec<GateDescription>>;
}

/// A handler that describes these services, itself included.
pub(crate) fn describing<'a>(
    services: impl IntoIterator<Item = (&'a ServiceKey, &'a Arc<dyn Handler>)>,
    json: Option<Arc<dyn Codec>>,
    metrics: Metrics,
) -> impl Handler {
    let served = services.into_iter().map(|(service, handler)| (service, handler.descriptor()));
    let own = ServiceKey::new(DESCRIBE);
    let served =
        served.chain([(&own, <DescribeClient as rpc_core::client::ServiceClient>::DESCRIPTOR)]);
    let entries = served.map(|(service, descriptor)| {
        let entry = Entry { service: service.clone(), descriptor, described: OnceLock::new() };
        (service.to_string(), entry)
    });
    DescribeServer::new(Services { entries: entries.collect(), json, metrics })
}

/// The services of an instance by their keys.
struct Services {
    entries: HashMap<String, Entry>,
    /// What answers in place of failures are written in.
    json: Option<Arc<dyn Codec>>,
    /// What gates write their state into.
    metrics: Metrics,
}

struct Entry {
    service: ServiceKey,
    descriptor: &'static ServiceDescriptor,
    /// Made once, by the first question.
    described: OnceLock<ServiceDescription>,
}

impl Services {
    fn entry(&self, service: &str) -> Result<&Entry> {
        self.entries.get(service).ok_or_else(|| {
            let known = self.of_the_program();
            Status::not_found(Error::unknown_service("service", service, known).to_string())
        })
    }

    /// The keys of all but the describing one, sorted.
    fn of_the_program(&self) -> Vec<&str> {
        let mut known: Vec<&str> = self.entries.keys().map(String::as_str).collect();
        known.retain(|service| *service != DESCRIBE);
        known.sort_unstable();
        known
    }
}

impl Describe for Services {
    async fn describe(&self, service: String) -> Result<ServiceDescription> {
        let entry = self.entry(&service)?;
        let describe = || collect(&entry.service, entry.descriptor, self.json.as_deref());
        Ok(entry.described.get_or_init(describe).clone())
    }

    async fn services(&self) -> Result<Vec<String>> {
        Ok(self.of_the_program().into_iter().map(str::to_owned).collect())
    }

    async fn gates(&self, service: String) -> Result<Vec<GateDescription>> {
        let Entry { service, descriptor, .. } = self.entry(&service)?;
        let gate = |method: &MethodDescriptor| {
            let (state, limit) = match self.metrics.gate_state(service, method.name) {
                None => (GateKind::Open, None),
                Some((GateState::Off, limit)) => (GateKind::Off, limit),
                Some((GateState::Trial, limit)) => (GateKind::Trial, limit),
                Some((GateState::On, limit)) => (GateKind::On, limit),
            };
            GateDescription { method: method.name.to_owned(), state, limit }
        };
        Ok(descriptor.methods.iter().map(gate).collect())
    }
}
