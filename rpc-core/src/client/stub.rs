//! A typed call becomes an [`Invocation`]: the ground under every generated client.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::access_log::AccessLog;
use crate::amount::show_duration;
use crate::body::Body;
use crate::broadcast::{NodeReplies, NodeResult};
use crate::client::call_span::{self, ObservedCall};
use crate::client::options::CallOptions;
use crate::client::said;
use crate::codec::Codecs;
use crate::deadline::Deadline;
use crate::descriptor::ServiceDescriptor;
use crate::invocation::Invocation;
use crate::invoker::{BoxInvoker, ReplyFuture};
use crate::message::Message;
use crate::method::{Method, MethodKind};
use crate::metrics::MethodMetrics;
use crate::panics;
use crate::reply::Reply;
use crate::server::{context, load_report};
use crate::status::{Code, Delivery, Status};
use crate::trace::TraceForwarding;

/// A generated client: it is built from a stub and described by its trait.
pub trait ServiceClient: Clone + Send + Sync + 'static {
    /// The trait as data.
    const DESCRIPTOR: &'static ServiceDescriptor;

    /// The client over `stub`, whose methods are in the order of the descriptor.
    fn from_stub(stub: Stub) -> Self;

    /// The stub of `client`, with its service and options. It is not a method, so that a method of
    /// the trait may have this name.
    fn stub(client: &Self) -> &Stub;
}

/// Arguments of a call: a message, or a body that is a stream of them.
pub trait Arguments: Send + 'static {
    /// The body of the call.
    fn into_body(self) -> Body;
}

impl<M: Message> Arguments for M {
    fn into_body(self) -> Body {
        Body::typed(self)
    }
}

impl Arguments for Body {
    fn into_body(self) -> Body {
        self
    }
}

/// One method of a stub: what to call, and the plan that its calls follow.
#[derive(Debug)]
pub struct StubMethod {
    method: Arc<Method>,
    pub(super) metrics: MethodMetrics,
    plan: ArcSwap<Plan>,
}

impl StubMethod {
    /// A method whose calls follow `plan`.
    #[must_use]
    pub fn new(method: Arc<Method>, metrics: MethodMetrics, plan: Plan) -> Self {
        Self { method, metrics, plan: ArcSwap::from_pointee(plan) }
    }

    /// The method that is called.
    #[must_use]
    pub fn method(&self) -> &Arc<Method> {
        &self.method
    }

    /// The plan of calls that begin now.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    /// Makes calls that begin from now on follow `plan`; calls under way end by the plan they began
    /// with.
    pub fn follow(&self, plan: Plan) {
        self.plan.store(Arc::new(plan));
    }
}

/// How the calls of one method are made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The service that its calls go through.
    pub invoker: BoxInvoker,
    /// The service that calls every provider of it, and leaves their answers in the call's
    /// `NodeReplies`.
    pub broadcast: BoxInvoker,
    /// How long a call without a timeout of its own may take; for the first message, if its reply
    /// streams.
    pub timeout: Duration,
    /// The source of the timeout, for people, such as `consumer.timeout = 1s (default)`.
    pub timeout_set_by: Arc<str>,
    /// The codecs to write it in, the preferred first.
    pub codecs: Codecs,
    /// What its calls forward of the trace that they belong to.
    pub trace: TraceForwarding,
    /// Which of its calls leave a line in the access log.
    pub access_log: AccessLog,
}

/// The methods of a service and the options of the calls made through it; cheap to clone.
#[derive(Clone)]
pub struct Stub {
    pub(super) methods: Arc<[StubMethod]>,
    pub(super) options: Option<Arc<CallOptions>>,
    /// What calls go through instead of the invokers of their plans.
    pub(super) through: Option<BoxInvoker>,
    pub(super) owner: Arc<dyn Send + Sync>,
}

impl Stub {
    /// A stub of these methods; `owner` lives as long as any clone of it.
    #[must_use]
    pub fn new(methods: Arc<[StubMethod]>, owner: Arc<dyn Send + Sync>) -> Self {
        Self { methods, options: None, through: None, owner }
    }

    /// Returns this stub with `options` for every call made through it.
    #[must_use]
    pub fn with_options(&self, options: CallOptions) -> Self {
        Self { options: Some(Arc::new(options)), ..self.clone() }
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
        A: Arguments,
        R: Message + Default,
    {
        let target = &self.methods[index];
        let started = Instant::now();
        let span = call_span::call(&target.method);
        let mut begun = Begun::within(&span);
        let result = {
            // Pinned here: awaiting it in either branch would move it, invocation and all.
            let mut call = pin!(async {
                let body = arguments.into_body();
                finish(target, self.begin(target, body, started, None, &mut begun)?).await
            });
            // An Instrumented future enters its span at every poll; a disabled one is not worth that.
            match span.is_disabled() {
                true => call.as_mut().await,
                false => call.as_mut().instrument(span.clone()).await,
            }
        };
        let result = result.and_then(|reply| {
            self.show(&reply);
            read(target, reply)
        });
        let took = started.elapsed();
        target.metrics.record(&result, took);
        let result =
            result.map_err(|status| self.blame_deadline(target, status, started, begun.timeout));
        begun.observed.end(&span, &target.method, result.as_ref().map(|_| ()), took);
        if result.is_err() {
            // A call can fail without waiting for anything. Callers that try on in a loop must not
            // keep the thread from the tasks that would heal what fails.
            tokio::task::consume_budget().await;
        }
        result
    }

    /// Calls the method at `index` at every provider, whatever policy is configured, and reads
    /// what each answers; in the order of their addresses.
    ///
    /// # Errors
    /// The call's status if no provider could be asked: there is none, or no time is left.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the calls, down to the providers' handlers.
    pub async fn broadcast<A, R>(
        &self,
        index: usize,
        arguments: A,
    ) -> Result<Vec<NodeResult<R>>, Status>
    where
        A: Arguments,
        R: Message + Default,
    {
        let target = &self.methods[index];
        let started = Instant::now();
        let span = call_span::broadcast(&target.method);
        let nodes = NodeReplies::default();
        let mut begun = Begun::within(&span);
        let call = async {
            let body = arguments.into_body();
            finish(target, self.begin(target, body, started, Some(&nodes), &mut begun)?).await
        };
        let result = call.instrument(span.clone()).await;
        let took = started.elapsed();
        target.metrics.record(&result, took);
        begun.observed.end(&span, &target.method, result.as_ref().map(|_| ()), took);
        let Some(nodes) = nodes.take() else {
            tokio::task::consume_budget().await;
            // A layer that answers by itself asked nobody.
            return match result {
                Ok(_) => Ok(Vec::new()),
                Err(status) => Err(self.blame_deadline(target, status, started, begun.timeout)),
            };
        };
        let read = |NodeResult { address, result }: NodeResult<Reply>| NodeResult {
            result: result.and_then(|reply| read(target, reply)).map_err(|status| {
                let status = named(target, status);
                match status.address() {
                    Some(_) => status,
                    None => status.with_address(address.clone()),
                }
            }),
            address,
        };
        Ok(nodes.into_iter().map(read).collect())
    }

    /// Starts a call by the plan of now, at every provider if there are `nodes` to leave answers in;
    /// notes what its end asks for.
    pub(super) fn begin(
        &self,
        target: &StubMethod,
        body: Body,
        started: Instant,
        nodes: Option<&NodeReplies>,
        begun: &mut Begun,
    ) -> Result<ReplyFuture, Status> {
        // Let go before anything is awaited: a guard that is held long makes others slower.
        let plan = target.plan.load();
        begun.timeout = plan.timeout;
        // Filled in here, where it is, instead of moved out of who makes it.
        let (deadline, inherits) = self.inherit(target, &plan, started)?;
        let mut invocation = Invocation::new(target.method.clone(), said::here(body)?, deadline);
        self.set_options(&mut invocation, target, &plan, inherits)?;
        begun.observed.begin(&mut invocation, plan.access_log);
        if target.method.kind().streams_reply() {
            self.set_end(&mut invocation, started);
        }
        let through = match nodes {
            None => self.through.as_ref().unwrap_or(&plan.invoker),
            Some(nodes) => {
                invocation.extensions.insert(nodes.clone());
                &plan.broadcast
            }
        };
        // Layers, policy, router and balancer may be a program's own. One that panics fails this call,
        // as a handler does, and not the task of whoever makes it.
        let call = panics::catch(|| through.invoke(invocation));
        call.map_err(|message| named(target, panicked(target, &message)))
    }

    /// Passes the metadata of the reply to a caller that asked for it.
    pub(super) fn show(&self, reply: &Reply) {
        if let Some(seen) = self.options.as_deref().and_then(|o| o.reply_metadata.as_ref()) {
            seen.note(load_report::without(&reply.metadata));
        }
    }

    /// Which setting the deadline came from, if that is what ended the call; `planned` is what the
    /// plan gave it.
    pub(super) fn blame_deadline(
        &self,
        target: &StubMethod,
        status: Status,
        started: Instant,
        planned: Duration,
    ) -> Status {
        let hint = Deadline::HINT;
        let is_late =
            status.code() == Code::DeadlineExceeded && status.delivery() != Delivery::Answered;
        let hint = match status.hint() {
            Some(before) if before == hint => hint.to_owned(),
            Some(before) if is_late => format!("{before}, {hint}"),
            None if is_late => hint.to_owned(),
            _ => return status,
        };
        let own = self.options.as_deref().and_then(|options| options.timeout);
        let timeout = own.unwrap_or(planned);
        let due = context::inherited_deadline(started, timeout);
        if is_late && !due.is_past() {
            return status.with_hint(format!("{hint}: set by a layer"));
        }
        if due < Deadline::after_from(started, timeout) {
            return status.with_hint(format!("{hint} of the call that is being handled"));
        }
        status.with_hint(match own {
            Some(own) => format!("{hint}: {}, set for this call", show_duration(own)),
            None => match target.plan.load() {
                plan if plan.timeout == planned => format!("{hint}: {}", plan.timeout_set_by),
                _ => format!("{hint}: {}, which has changed since", show_duration(planned)),
            },
        })
    }
}

/// What the end of a call asks for.
#[derive(Debug)]
pub(super) struct Begun {
    /// How long it may take by its plan.
    pub(super) timeout: Duration,
    pub(super) observed: ObservedCall,
}

impl Begun {
    pub(super) fn within(span: &Span) -> Self {
        Self { timeout: Duration::ZERO, observed: ObservedCall::within(span) }
    }
}

pub(super) async fn finish(target: &StubMethod, mut call: ReplyFuture) -> Result<Reply, Status> {
    let outcome = poll_fn(|cx| match panics::catch(|| call.as_mut().poll(cx)) {
        Ok(polled) => polled,
        Err(message) => Poll::Ready(Err(panicked(target, &message))),
    });
    outcome.await.map_err(|status| named(target, status))
}

/// The status of a call in which something on this side has panicked, perhaps after it was sent.
fn panicked(target: &StubMethod, message: &str) -> Status {
    let call = target.method.path();
    tracing::error!(
        target: "dubhe::consumer",
        %call, message, "an extension of this consumer panicked"
    );
    Status::internal(format!(
        "a layer, policy, router, balancer or codec of this consumer panicked: {message}"
    ))
    .with_delivery(Delivery::MaybeSent)
}

pub(super) fn named(target: &StubMethod, status: Status) -> Status {
    match status.call() {
        Some(_) => status,
        None => status.with_call(target.method.path().clone()),
    }
}

fn read<R: Message + Default>(target: &StubMethod, reply: Reply) -> Result<R, Status> {
    match target.method.kind() {
        MethodKind::OneWay => Ok(R::default()),
        _ => match panics::catch(|| reply.body.into_message()) {
            Ok(decoded) => decoded.map_err(|error| {
                let path = target.method.path();
                error.into_reply_status(path).with_call(path.clone())
            }),
            Err(message) => Err(named(target, panicked(target, &message))),
        },
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.methods.iter().map(|target| &target.method)).finish()
    }
}
