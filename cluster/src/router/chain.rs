//! The routers of a service in their order. An empty chain costs nothing.

use std::sync::Arc;

use rpc_core::{Delivery, Invocation, Status};

use super::Router;
use crate::endpoint::Endpoint;

/// Routers, each narrowing what the one before has left; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RouterChain(Arc<[Arc<dyn Router>]>);

impl RouterChain {
    /// A chain of these routers.
    #[must_use]
    pub fn new(routers: Vec<Arc<dyn Router>>) -> Self {
        Self(routers.into())
    }

    /// The routers in their order.
    pub(crate) fn routers(&self) -> &[Arc<dyn Router>] {
        &self.0
    }

    /// Whether there is no router.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What all routers leave of `endpoints`.
    ///
    /// # Errors
    /// `unavailable`, not sent, naming the router that left none.
    pub fn narrow<'a>(
        &self,
        endpoints: &'a [Arc<Endpoint>],
        invocation: &Invocation,
    ) -> Result<Vec<&'a Arc<Endpoint>>, Status> {
        let mut left: Vec<&Arc<Endpoint>> = endpoints.iter().collect();
        for router in self.0.iter() {
            let before = left.len();
            router.narrow(&mut left, invocation);
            if left.is_empty() && before > 0 {
                let service = invocation.method().service();
                return Err(Status::unavailable(format!(
                    "no instance of {service} is left by the routing rules: {router:?} removed \
                     the last {before} of {}; check that rule",
                    endpoints.len()
                ))
                .with_delivery(Delivery::NotSent));
            }
        }
        Ok(left)
    }
}
