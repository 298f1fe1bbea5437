//! One provider, callable: what the registry says of it, the channel to it, and its load.
//!
//! An endpoint agrees on a codec, counts the call, passes it through the layers of position
//! `attempt` to the channel, and records how it went. The channel ends calls at their deadline.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use rpc_core::{
    BoxInvoker, Channel, Code, Codecs, Delivery, Instance, Invocation, Reply, ReplyFuture, Status,
};
use tokio::time::Instant;
use tracing::Span;

use crate::attempt_layers::AttemptLayers;
use crate::load::{FAILURE, Load};
use crate::load_balance::warmed_weight;
use crate::load_report::LoadReport;

/// An instance, the channel to it, and how loaded it is.
pub struct Endpoint {
    instance: Instance,
    channel: Arc<dyn Channel>,
    invoker: BoxInvoker,
    load: Arc<Load>,
    /// How long it had been up, and when that was so; `None` if it does not say.
    up: Option<(Duration, Instant)>,
    weight: AtomicU32,
    stale: AtomicBool,
}

impl Endpoint {
    /// An endpoint with its full weight, of whose load nothing is known.
    #[must_use]
    pub fn new(instance: Instance, channel: Arc<dyn Channel>, layers: &AttemptLayers) -> Self {
        let now = Instant::now();
        let invoker = layers.apply(&instance, BoxInvoker::from_arc(channel.clone()));
        Self {
            up: uptime(&instance).map(|uptime| (uptime, now)),
            weight: AtomicU32::new(instance.weight),
            stale: AtomicBool::new(false),
            load: Arc::new(Load::new(now)),
            instance,
            channel,
            invoker,
        }
    }

    /// The same endpoint after its instance has published other data of itself: the load stays.
    pub(crate) fn renewed(&self, instance: Instance, layers: &AttemptLayers) -> Self {
        let load = self.load.clone();
        Self { load, ..Self::new(instance, self.channel.clone(), layers) }
    }

    /// What the registry says of it.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Where it is: `host:port`.
    #[must_use]
    pub fn address(&self) -> &Arc<str> {
        &self.instance.address
    }

    /// The channel to it.
    #[must_use]
    pub fn channel(&self) -> &Arc<dyn Channel> {
        &self.channel
    }

    /// How loaded it is.
    #[must_use]
    pub fn load(&self) -> &Load {
        &self.load
    }

    /// Its share of traffic relative to others, reduced while it warms up.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Whether it answered that its service is not there: somebody else got its port.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale.load(Relaxed)
    }

    /// What stays the same while the endpoint lives, also when its data changes.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.load).addr()
    }

    /// Adapts the weight to the time it has been up; says whether that changed it.
    pub(crate) fn warm(&self, now: Instant, warmup: Duration) -> bool {
        let weight = self.instance.weight;
        let weight = self.up.map_or(weight, |(before, at)| {
            warmed_weight(weight, before + now.saturating_duration_since(at), warmup)
        });
        self.weight.swap(weight, Relaxed) != weight
    }

    /// Whether its weight is still growing.
    pub(crate) fn is_warming(&self) -> bool {
        self.weight() < self.instance.weight
    }

    /// Starts a call; `now` is the present time, which whoever picks has read already. Dropping
    /// the future cancels the call.
    ///
    /// # Errors
    /// `failed_precondition`, not sent, if caller and instance have no codec in common.
    pub fn call(
        self: &Arc<Self>,
        mut invocation: Invocation,
        now: Instant,
        number: u32,
    ) -> Result<EndpointFuture, Status> {
        self.agree_on_codec(&mut invocation)?;
        if self.load.known_report().is_some() {
            LoadReport::ask(&mut invocation.metadata);
        }
        let method = invocation.method();
        let span = tracing::info_span!(
            "attempt",
            service = %method.service(),
            method = method.name(),
            endpoint = %self.address(),
            attempt = number,
        );
        let in_flight = InFlight::begin(self.clone(), now);
        let call = span.in_scope(|| self.invoker.invoke(invocation));
        Ok(EndpointFuture { call, in_flight: Some(in_flight), span })
    }

    /// Puts first the codec the call prefers among those the instance speaks.
    fn agree_on_codec(&self, invocation: &mut Invocation) -> Result<(), Status> {
        let spoken = &self.instance.codecs;
        let speaks = |name: &str| spoken.is_empty() || spoken.iter().any(|codec| codec == name);
        // A body that came as bytes can only go out as these bytes.
        if let Some(own) = invocation.body.codec() {
            if !speaks(own.name()) {
                return Err(self.no_common_codec(&[own.name()]));
            }
            let others = invocation.codecs.iter().flat_map(Codecs::iter).cloned();
            invocation.codecs = Some(Codecs::new(own.clone(), others));
            return Ok(());
        }
        let Some(codecs) = &invocation.codecs else {
            return Ok(());
        };
        if speaks(codecs.first().name()) {
            return Ok(());
        }
        let chosen = codecs.names().find(|name| speaks(name));
        match chosen.and_then(|name| codecs.preferring(name)) {
            Some(codecs) => invocation.codecs = Some(codecs),
            None => return Err(self.no_common_codec(&codecs.names().collect::<Vec<_>>())),
        }
        Ok(())
    }

    fn no_common_codec(&self, offered: &[&str]) -> Status {
        // Without a load it would look idle and be tried first.
        self.load.observe(FAILURE, Instant::now());
        let (offered, spoken) = (offered.join(", "), self.instance.codecs.join(", "));
        Status::failed_precondition(format!(
            "no common codec: the caller offers {offered}, the provider speaks {spoken}; \
             enable one of them on the other side"
        ))
        .with_delivery(Delivery::NotSent)
        .with_address(self.address().clone())
    }

    fn record(&self, outcome: &Result<Reply, Status>, started: Instant) {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(started);
        let report = self.load.known_report();
        match outcome {
            Err(status) if is_endpoints_fault(status) => {
                self.load.observe(elapsed.max(FAILURE), now);
                report.inspect(|report| report.fail(now));
                if (status.delivery(), status.code()) == (Delivery::Refused, Code::Unimplemented) {
                    self.stale.store(true, Relaxed);
                }
            }
            Err(status) => {
                self.load.observe(elapsed, now);
                report.inspect(|report| report.succeed(status.metadata(), elapsed, now));
            }
            Ok(reply) => {
                self.load.observe(elapsed, now);
                report.inspect(|report| report.succeed(&reply.metadata, elapsed, now));
            }
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", self.address())
            .field("state", &self.channel.state())
            .field("weight", &self.weight())
            .field("in_flight", &self.load.in_flight())
            .finish_non_exhaustive()
    }
}

/// How long the instance says it has been up, by this machine's clock.
fn uptime(instance: &Instance) -> Option<Duration> {
    let started = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(instance.started_ms))?;
    let uptime = || SystemTime::now().duration_since(started);
    // A start in the future is a clock that differs: it has just started.
    (instance.started_ms > 0).then(|| uptime().unwrap_or_default())
}

/// Whether a failure speaks against the endpoint, rather than against the call.
fn is_endpoints_fault(status: &Status) -> bool {
    let overloaded_or_gone = matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted
    );
    let callers_fault = matches!(
        status.code(),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange | Code::Cancelled
    );
    match status.delivery() {
        Delivery::Answered => overloaded_or_gone && status.details().is_none(),
        Delivery::NotSent | Delivery::MaybeSent | Delivery::Refused => !callers_fault,
    }
}

// === impl EndpointFuture ===

/// A call in flight at one endpoint.
#[must_use = "futures do nothing unless polled"]
pub struct EndpointFuture {
    call: ReplyFuture,
    in_flight: Option<InFlight>,
    span: Span,
}

impl Future for EndpointFuture {
    type Output = Result<Reply, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let _entered = this.span.enter();
        let Poll::Ready(outcome) = this.call.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        // Taken here, so that the count is down when the caller sees the outcome.
        let Some(in_flight) = this.in_flight.take() else {
            return Poll::Ready(outcome);
        };
        Poll::Ready(in_flight.finish(outcome))
    }
}

impl fmt::Debug for EndpointFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointFuture")
    }
}

// === impl InFlight ===

/// Counts a call for as long as it exists, also when it is given up.
struct InFlight {
    endpoint: Arc<Endpoint>,
    started: Instant,
    finished: bool,
}

impl InFlight {
    fn begin(endpoint: Arc<Endpoint>, started: Instant) -> Self {
        endpoint.load.begin();
        Self { endpoint, started, finished: false }
    }

    fn finish(mut self, outcome: Result<Reply, Status>) -> Result<Reply, Status> {
        self.finished = true;
        self.endpoint.record(&outcome, self.started);
        outcome.map_err(|status| match status.address() {
            Some(_) => status,
            None => status.with_address(self.endpoint.address().clone()),
        })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let load = &self.endpoint.load;
        load.end();
        if !self.finished {
            let now = Instant::now();
            load.observe_at_least(now.saturating_duration_since(self.started), now);
        }
    }
}
