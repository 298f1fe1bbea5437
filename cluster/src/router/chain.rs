//! The routers of a service in their order. An empty chain costs nothing.

use std::sync::Arc;

use rpc_core::{Connector, Delivery, Invocation, MethodKind, Status};

use super::{Carries, Router};
use crate::endpoint::Endpoint;

/// Routers, each narrowing what the one before has left; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RouterChain(Arc<[ChosenRouter]>);

/// A router, and how people know it.
#[derive(Debug, Clone)]
pub struct ChosenRouter {
    /// The router itself.
    pub router: Arc<dyn Router>,
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The setting that chose it, such as `consumer.routers (dubhe.toml:3:1)`.
    pub set_by: Arc<str>,
}

impl RouterChain {
    /// A chain of these routers.
    #[must_use]
    pub fn new(routers: Vec<ChosenRouter>) -> Self {
        Self(routers.into())
    }

    /// Adds a router in front that leaves the instances which `connector` can call with this kind of
    /// method.
    #[must_use]
    pub fn carrying(&self, connector: Arc<dyn Connector>, kind: MethodKind) -> Self {
        let carries = ChosenRouter {
            router: Arc::new(Carries::new(connector, kind)),
            name: "carries".into(),
            set_by: format!("the method's kind, {kind},").into(),
        };
        Self([carries].into_iter().chain(self.0.iter().cloned()).collect())
    }

    /// The routers in their order.
    pub(crate) fn routers(&self) -> &[ChosenRouter] {
        &self.0
    }

    /// Whether there is no router.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The status of a call for which the router at this place left no endpoint.
    pub(crate) fn nobody(
        &self,
        at: usize,
        endpoints: &[Arc<Endpoint>],
        invocation: &Invocation,
    ) -> Status {
        let ChosenRouter { router, name, set_by } = &self.0[at];
        // Once more what came before it: calls that are not in trouble need not note it.
        let mut given: Vec<&Arc<Endpoint>> = endpoints.iter().collect();
        for earlier in &self.0[..at] {
            earlier.router.narrow(&mut given, invocation);
        }
        let why = given.first().and_then(|endpoint| {
            Some(format!(" ({}: {})", endpoint.address(), router.why(endpoint, invocation)?))
        });
        let (why, service) = (why.unwrap_or_default(), invocation.method().service());
        Status::unavailable(format!(
            "no instance of {service} is left by the routing rules: router `{name}` of {set_by} \
             removed the last {} of {}{why}; check that rule",
            given.len(),
            endpoints.len()
        ))
        .with_delivery(Delivery::NotSent)
    }
}
