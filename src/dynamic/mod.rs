//! Calls without a stub: arguments and results as JSON, methods as instances describe them.
//!
//! For tools, gateways and scripts. A call passes through the same layers, policy, routers and
//! balancer as one of a generated client; it is written in the codec `json`, which the instances
//! must speak.

mod arguments;
mod json;
mod place;
mod scalar;

use std::sync::Arc;
use std::time::Duration;

use rpc_core::__private::Bytes;
use rpc_core::client::{CallOptions, Stub};
use rpc_core::{
    Body, BuildContext, Codec, Codecs, Deadline, Delivery, Error, Method, MethodKind, Reply,
    ServiceKey, Status,
};
use serde_json::Value;

pub(crate) use self::json::Json;
use crate::config::{MethodDefaults, Selector};
use crate::consumer::Consumer;
use crate::describe::{MethodDescription, ServiceDescription};
use crate::setup::set_up;

/// How long the description of a service may take to come.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Calls the methods of one service by name; cheap to clone.
///
/// It keeps the description it began with; make a new one to see newer methods.
#[derive(Debug, Clone)]
pub struct DynamicClient {
    description: Arc<ServiceDescription>,
    service: ServiceKey,
    stub: Stub,
}

impl Consumer {
    /// A client of `service` that needs no stub: its methods are those that an instance describes.
    /// Waits at most 3 s in all.
    ///
    /// # Errors
    /// No instance is known, can be reached or describes itself; settings for methods or arguments
    /// that do not exist; the codec `json` is not there.
    ///
    /// ```
    /// # use dubhe::prelude::*;
    /// # #[dubhe::service]
    /// # trait Greeter { #[rpc(idempotent)] async fn hello(&self, name: String) -> Result<String>; }
    /// # struct Me;
    /// # impl Greeter for Me {
    /// #     async fn hello(&self, name: String) -> Result<String> { Ok(format!("hi {name}")) }
    /// # }
    /// # #[tokio::main]
    /// # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Provider::new("memory://dynamic").set("provider.port", 0).set("provider.notice", "0s");
    /// # let running = provider.serve(GreeterServer::new(Me)).start().await?;
    /// # let consumer = Consumer::new("memory://dynamic").build()?;
    /// use serde_json::json;
    ///
    /// let greeter = consumer.dynamic(&"Greeter".parse()?).await?;
    /// let reply = greeter.call("hello", json!(["bob"])).await?;
    /// assert_eq!(reply, json!({ "value": "hi bob" }));
    /// # running.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future cancels the question what the service is.
    pub async fn dynamic(&self, service: &ServiceKey) -> Result<DynamicClient, Status> {
        self.dynamic_within(service, DESCRIBE_TIMEOUT).await
    }

    /// As [`dynamic`](Self::dynamic), but waits at most `timeout` in all, for the registry as for the
    /// description; at most 24 h.
    ///
    /// # Errors
    /// As [`dynamic`](Self::dynamic).
    ///
    /// # Cancel safety
    /// Dropping the future cancels the question what the service is.
    pub async fn dynamic_within(
        &self,
        service: &ServiceKey,
        timeout: Duration,
    ) -> Result<DynamicClient, Status> {
        let deadline = Deadline::after(timeout);
        // In use from the beginning on, so that list and rules are not asked for again, and told twice.
        let used = self.service_until(service, deadline).await?;
        let description = self.describe(service, deadline.remaining()).await;
        // Whatever became of asking, the call itself was not sent.
        let description = description.map_err(|status| status.with_delivery(Delivery::NotSent))?;
        let names = description.methods.iter().map(|method| method.name.as_str());
        self.0.check(&self.0.config.load(), service, names).map_err(set_up)?;
        self.0.warn_of_slips(service);
        let codecs = self.0.extensions.codecs("json").map_err(set_up)?;
        // Values are read and written as JSON only.
        let codecs = Codecs::new(codecs.first().clone(), []);
        let methods = description.methods.iter().map(|described| {
            let method = described.method(service, codecs.first());
            (method, self.defaults_of(described))
        });
        let client = self.live_client(&used, methods.collect(), Some(codecs.clone()));
        Ok(DynamicClient {
            description: Arc::new(description),
            service: service.clone(),
            stub: client.map_err(set_up)?.stub(),
        })
    }
}

impl Consumer {
    /// What the attribute of a method sets. A policy of the program's own, which only that program
    /// has, is left out.
    pub(crate) fn defaults_of(&self, method: &MethodDescription) -> MethodDefaults {
        let chosen = method.cluster.as_deref().map(Selector::new);
        let nobody = &BuildContext::default();
        let is_known = |chosen: &Selector| self.0.extensions.policy(chosen, nobody).is_ok();
        if let Some(unknown) = chosen.as_ref().filter(|chosen| !is_known(chosen)) {
            tracing::warn!(
                target: "dubhe::consumer",
                method = method.name, policy = unknown.name, "unknown here, left out"
            );
        }
        MethodDefaults {
            timeout: method.timeout_ms.map(Duration::from_millis),
            retries: method.retries,
            cluster: chosen.filter(is_known),
        }
    }
}

impl DynamicClient {
    /// The description of the service.
    #[must_use]
    pub fn description(&self) -> &ServiceDescription {
        &self.description
    }

    /// Returns a client with `options` for every call made through it.
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { stub: self.stub.with_options(options), ..self.clone() }
    }

    /// The method of this name.
    ///
    /// # Errors
    /// `unimplemented`, not sent, with the methods there are.
    pub fn method(&self, name: &str) -> Result<&MethodDescription, Status> {
        self.index(name).map(|index| &self.description.methods[index])
    }

    /// Checks whether the arguments fit the method, as [`call`](Self::call) does before it sends
    /// them.
    ///
    /// # Errors
    /// Those of [`call`](Self::call) that occur before anything is sent.
    pub fn check(&self, method: &str, arguments: &Value) -> Result<(), Status> {
        let described = self.method(method)?;
        self.check_kind(described)?;
        let path = format!("{}/{method}", self.service);
        arguments::check(&self.description, described, &path, arguments).map_err(|message| {
            Status::invalid_argument(message)
                .with_delivery(Delivery::NotSent)
                .with_call(path.into())
        })
    }

    /// The arguments as a call sends them: those given by name as a list in the order of
    /// declaration, as a stub has them. Balancers that hash find each at its position.
    ///
    /// # Errors
    /// As those of [`check`](Self::check).
    pub fn arguments(&self, method: &str, arguments: Value) -> Result<Value, Status> {
        self.check(method, &arguments)?;
        let described = self.method(method)?;
        Ok(arguments::in_order(&self.description, described, arguments))
    }

    /// Calls `method`. `arguments` is a list in their order, or an object by their names; a method
    /// whose only argument is a message takes that message. Optional arguments, lists and maps may
    /// be left out or null, others may not; every value must fit its type, down to the width of
    /// integers. The result is in protobuf's JSON mapping; one that is not a message is the field
    /// `value` of an object. A one-way method gives `null`; a streaming method cannot be called
    /// this way, nor one of a kind that this version does not know.
    ///
    /// # Errors
    /// `unimplemented`, not sent, for an unknown method, with the known ones; `invalid_argument`,
    /// not sent, for arguments that do not fit, with what is expected; else the call's status.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call, down to the provider's handler.
    pub async fn call(&self, method: &str, arguments: Value) -> Result<Value, Status> {
        let index = self.index(method)?;
        let arguments = self.arguments(method, arguments)?;
        let Json(value) = self.stub.call(index, Json(arguments)).await?;
        Ok(value)
    }

    /// The typed business error that a failed call carries, in protobuf's JSON mapping: an object
    /// of one entry, the variant and its fields. `None` if it carries none.
    #[must_use]
    pub fn details(status: &Status) -> Option<Value> {
        let Json(value) = status.details()?.body.decode().ok()?;
        Some(value)
    }

    /// # Errors
    /// `unimplemented`, not sent, for a method that one message each way cannot call.
    fn check_kind(&self, method: &MethodDescription) -> Result<(), Status> {
        let (service, name) = (&self.service, &method.name);
        let text = match method.kind() {
            Some(kind) if kind.is_streaming() => format!(
                "{service}/{name} is {kind}, and calls without a stub carry one message each way: \
                 call it by the client of its trait"
            ),
            Some(_) => return Ok(()),
            None => format!(
                "{service}/{name} is of a kind that this version does not know, as its provider is \
                 newer: update what calls it"
            ),
        };
        Err(Status::unimplemented(text).with_delivery(Delivery::NotSent))
    }

    fn index(&self, name: &str) -> Result<usize, Status> {
        let methods = &self.description.methods;
        methods.iter().position(|method| method.name == name).ok_or_else(|| {
            let known = methods.iter().map(|method| method.name.as_str());
            let error = Error::unknown_name(&format!("method of {}", self.service), name, known);
            Status::unimplemented(error.to_string()).with_delivery(Delivery::NotSent)
        })
    }
}

impl MethodDescription {
    /// The method as a call of `service` names it; `json` reads its answer in place of a failure.
    pub(crate) fn method(&self, service: &ServiceKey, json: &Arc<dyn Codec>) -> Method {
        let fallback = self.fallback.as_ref().map(|text| {
            let bytes = Bytes::copy_from_slice(text.as_bytes());
            Reply::from_body(Body::from_bytes(json.clone(), bytes))
        });
        // One of an unknown kind is never called, but settings may name it.
        let kind = self.kind().unwrap_or(MethodKind::Unary);
        Method::new(service.clone(), &self.name, kind, self.is_idempotent)
            .with_fallback(fallback)
            .with_arguments(self.argument_count.and_then(|count| count.try_into().ok()))
    }
}
