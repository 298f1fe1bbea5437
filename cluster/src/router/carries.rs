//! Leaves the instances that a method can be called at, by what goes to and fro in its calls.

use std::sync::Arc;

use rpc_core::{Connector, Invocation, MethodKind};

use super::Router;
use crate::endpoint::Endpoint;

/// Removes instances that are called over a protocol which does not carry the kind of a method.
#[derive(Debug)]
pub struct Carries {
    connector: Arc<dyn Connector>,
    kind: MethodKind,
}

impl Carries {
    /// A router for methods of this kind, over the protocols of `connector`.
    #[must_use]
    pub fn new(connector: Arc<dyn Connector>, kind: MethodKind) -> Self {
        Self { connector, kind }
    }

    fn carries(&self, endpoint: &Endpoint) -> bool {
        self.connector.carries(endpoint.instance(), self.kind)
    }
}

impl Router for Carries {
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, _: &Invocation) {
        candidates.retain(|endpoint| self.carries(endpoint));
    }

    fn why(&self, endpoint: &Endpoint, _: &Invocation) -> Option<String> {
        let (kind, spoken) = (self.kind, endpoint.instance().protocols.join(", "));
        let why = format!(
            "it speaks {spoken}, over which {kind} calls are not carried; call it inside its process \
             by scope = \"local\""
        );
        (!self.carries(endpoint)).then_some(why)
    }
}
