//! A typed call becomes an [`Invocation`]: the ground under every generated client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use crate::body::Body;
use crate::client::options::CallOptions;
use crate::codec::Codecs;
use crate::descriptor::ServiceDescriptor;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::invoker::BoxInvoker;
use crate::message::Message;
use crate::method::{Method, MethodKind};
use crate::metrics::MethodMetrics;
use crate::reply::Reply;
use crate::server::context;
use crate::status::{Delivery, Status};

/// What generated clients are: built from a stub, described by their trait.
pub trait ServiceClient: Clone + Send + Sync + 'static {
    /// The trait as data.
    const DESCRIPTOR: &'static ServiceDescriptor;

    /// The client over `stub`, whose methods are in the order of the descriptor.
    fn from_stub(stub: Stub) -> Self;
}

/// One method of a stub: what to call, through what, how long.
#[derive(Debug, Clone)]
pub struct StubMethod {
    /// What is called.
    pub method: Arc<Method>,
    /// What it is called through.
    pub invoker: BoxInvoker,
    /// How long a call may take that says nothing.
    pub timeout: Duration,
    /// The codecs to write it in, the preferred first.
    pub codecs: Codecs,
    /// Its counters.
    pub metrics: MethodMetrics,
}

/// The methods of a service and the options of the calls made through it; cheap to clone.
#[derive(Clone)]
pub struct Stub {
    methods: Arc<[StubMethod]>,
    options: Option<Arc<CallOptions>>,
    owner: Arc<dyn Send + Sync>,
}

impl Stub {
    /// A stub of these methods; `owner` lives as long as any clone of it.
    #[must_use]
    pub fn new(methods: Vec<StubMethod>, owner: Arc<dyn Send + Sync>) -> Self {
        Self { methods: methods.into(), options: None, owner }
    }

    /// The same stub with options for every call made through it.
    #[must_use]
    pub fn with_options(&self, options: CallOptions) -> Self {
        Self {
            methods: self.methods.clone(),
            options: Some(Arc::new(options)),
            owner: self.owner.clone(),
        }
    }

    /// Calls the method at `index` and reads its reply.
    ///
    /// # Errors
    /// The call's status, naming the call.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call, down to the provider's handler.
    pub async fn call<A, R>(&self, index: usize, arguments: A) -> Result<R, Status>
    where
        A: Message,
        R: Message + Default,
    {
        let target = &self.methods[index];
        let started = Instant::now();
        let span = tracing::info_span!(
            "call",
            service = %target.method.service(),
            method = target.method.name(),
        );
        let call = self.invoke(target, Body::typed(arguments), started);
        // An Instrumented future enters its span at every poll; a disabled one is not worth that.
        let result = if span.is_disabled() { call.await } else { call.instrument(span).await };
        let result = result.and_then(|reply| match target.method.kind() {
            MethodKind::OneWay => Ok(R::default()),
            _ => reply.body.decode().map_err(|error| {
                let path = target.method.path();
                error.into_reply_status(path).with_call(path.clone())
            }),
        });
        target.metrics.record(&result, started.elapsed());
        if result.is_err() {
            // A call can fail without waiting for anything. Callers that try on in a loop must not
            // keep the thread from the tasks that would heal what fails.
            tokio::task::consume_budget().await;
        }
        result
    }

    async fn invoke(
        &self,
        target: &StubMethod,
        body: Body,
        started: Instant,
    ) -> Result<Reply, Status> {
        let invocation = self.invocation(target, body, started)?;
        if invocation.deadline.instant() <= started {
            let text = "no time was left when the call was made";
            return Err(Status::deadline_exceeded(text)
                .with_delivery(Delivery::NotSent)
                .with_call(target.method.path().clone()));
        }
        target.invoker.invoke(invocation).await.map_err(|status| match status.call() {
            Some(_) => status,
            None => status.with_call(target.method.path().clone()),
        })
    }

    fn invocation(
        &self,
        target: &StubMethod,
        body: Body,
        started: Instant,
    ) -> Result<Invocation, Status> {
        let Some(options) = self.options.as_deref() else {
            let deadline = context::inherited_deadline(started, target.timeout);
            let mut invocation = Invocation::new(target.method.clone(), body, deadline);
            invocation.codecs = Some(target.codecs.clone());
            return Ok(invocation);
        };
        let timeout = options.timeout.unwrap_or(target.timeout);
        let deadline = context::inherited_deadline(started, timeout);
        let mut invocation = Invocation::new(target.method.clone(), body, deadline);
        invocation.metadata = options.metadata.clone();
        invocation.hash_key = options.hash_key;
        invocation.attempts.clone_from(&options.attempts);
        invocation.codecs = Some(match &options.codec {
            None => target.codecs.clone(),
            Some(name) => target.codecs.preferring(name).ok_or_else(|| {
                let error = Error::unknown_name("codec", name, target.codecs.names());
                Status::invalid_argument(error.to_string())
                    .with_delivery(Delivery::NotSent)
                    .with_call(target.method.path().clone())
            })?,
        });
        Ok(invocation)
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.methods.iter().map(|target| &target.method)).finish()
    }
}
