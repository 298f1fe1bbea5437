//! A client as a tower service, and a client over a service: for layers, gateways and tests.

use std::sync::Arc;

use tokio::time::Instant;

use super::said;
use super::stub::{Arguments, Stub, StubMethod};
use crate::error::Error;
use crate::invocation::Invocation;
use crate::invoker::{BoxInvoker, Invoke, Invoker, ReplyFuture};
use crate::status::{Delivery, Status};

impl Stub {
    /// Returns the tower service that the calls of this stub pass through: the layers around calls,
    /// the policy of the method, routers and balancer, by the settings in force when a call comes.
    ///
    /// Any call of a method of the service may be handed to it, with a deadline of its own; without
    /// codecs it is written in those of the plan. Options, spans and metrics of calls are the
    /// stub's: a call that is made through this service has those of its attempts alone.
    #[must_use]
    pub fn service(&self) -> BoxInvoker {
        let (methods, owner) = (self.methods.clone(), self.owner.clone());
        match &self.through {
            Some(service) => service.clone(),
            None => BoxInvoker::from_invoke(ByName { methods, _owner: owner }),
        }
    }

    /// Returns this stub over `service`, which receives its calls with their deadline, metadata and
    /// codecs: layers around [`service`](Self::service), a policy around a picker, or a mock in a
    /// test. Broadcasts do not go through it.
    #[must_use]
    pub fn through(&self, service: impl Invoker) -> Self {
        Self { through: Some(BoxInvoker::new(service)), ..self.clone() }
    }

    /// The call of `method` that this stub would make now: with its deadline, metadata, options and
    /// codecs. `arguments` is a message of the fields that the method's arguments are.
    ///
    /// # Errors
    /// `unimplemented`, not sent, for a method that the service does not have; else as those of a
    /// call before it is sent.
    pub fn invocation_of(
        &self,
        method: &str,
        arguments: impl Arguments,
    ) -> Result<Invocation, Status> {
        let target = self.methods.iter().find(|target| target.method().name() == method);
        let target = target.ok_or_else(|| no_such(&self.methods, method))?;
        let plan = target.plan();
        let (deadline, inherits) = self.inherit(target, &plan, Instant::now())?;
        let body = said::here(arguments.into_body())?;
        let mut invocation = Invocation::new(target.method().clone(), body, deadline);
        self.set_options(&mut invocation, target, &plan, inherits)?;
        Ok(invocation)
    }
}

fn no_such(methods: &[StubMethod], method: &str) -> Status {
    let known = methods.iter().map(|target| target.method().name());
    let service =
        methods.first().map_or("the service", |target| target.method().service().as_str());
    let error = Error::unknown_name(&format!("method of {service}"), method, known);
    Status::unimplemented(error.to_string()).with_delivery(Delivery::NotSent)
}

/// Sends each call by the plan of its method.
struct ByName {
    methods: Arc<[StubMethod]>,
    /// Lives as long as this, as with a stub.
    _owner: Arc<dyn Send + Sync>,
}

impl Invoke for ByName {
    fn invoke(&self, mut invocation: Invocation) -> ReplyFuture {
        let path = invocation.method().path();
        let Some(target) = self.methods.iter().find(|target| target.method().path() == path) else {
            let status = no_such(&self.methods, path).with_call(path.clone());
            return Box::pin(std::future::ready(Err(status)));
        };
        let plan = target.plan();
        invocation.codecs.get_or_insert_with(|| plan.codecs.clone());
        plan.invoker.invoke(invocation)
    }
}
