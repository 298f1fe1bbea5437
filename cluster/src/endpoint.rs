//! One provider, callable: what the registry says of it, the channel to it, and its load.
//!
//! An endpoint agrees on a codec, counts the call, passes it through the layers of position
//! `attempt` to the channel, and records how it went. The channel ends calls at their deadline.

use std::fmt;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rpc_core::{
    AttemptLog, BoxInvoker, Channel, ChannelState, Code, Codecs, Delivery, Instance, Invocation,
    MethodKind, Reply, ReplyFuture, Status, Tally,
};
use tokio::time::Instant;
use tracing::Span;

use crate::attempt_layers::AttemptLayers;
use crate::ejection::{Ejector, EndpointHealth, Health, Verdict};
use crate::load::{FAILURE, Load};
use crate::load_balance::{published_warmup, uptime, warmed_weight};

/// An instance, the channel to it, how loaded it is and whether it is well. What every call needs
/// comes first: of ten thousand endpoints each is cold, and a cache line less is time.
#[repr(C)]
pub struct Endpoint {
    vitals: Arc<Vitals>,
    invoker: BoxInvoker,
    instance: Instance,
    channel: Arc<dyn Channel>,
    /// How long it had been up, and when that was so; `None` if it does not say.
    up: Option<(Duration, Instant)>,
    /// How long it says it warms up.
    warmup: Option<Duration>,
    weight: AtomicU32,
    /// The codec that was agreed on for the first caller whose own it was not, as a list of one, so
    /// that it is not made anew for each call.
    agreed: OnceLock<Codecs>,
}

/// What calls change of an endpoint, in cache lines of its own, in the order they look at it.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Vitals {
    load: Load,
    health: Health,
}

impl Endpoint {
    /// An endpoint with its full weight, of whose load nothing is known, and that is never ejected.
    #[must_use]
    pub fn new(instance: Instance, channel: Arc<dyn Channel>, layers: &AttemptLayers) -> Self {
        Self::watched(instance, channel, layers, Arc::new(Ejector::new(None, Tally::default())))
    }

    /// The same by the rules of its directory.
    pub(crate) fn watched(
        instance: Instance,
        channel: Arc<dyn Channel>,
        layers: &AttemptLayers,
        ejector: Arc<Ejector>,
    ) -> Self {
        let now = Instant::now();
        channel.report_to(ejector.changes());
        let health = Health::new(ejector, instance.address.clone(), now);
        let vitals = Arc::new(Vitals { load: Load::new(now), health });
        Self::with_vitals(instance, channel, layers, vitals, now)
    }

    fn with_vitals(
        instance: Instance,
        channel: Arc<dyn Channel>,
        layers: &AttemptLayers,
        vitals: Arc<Vitals>,
        now: Instant,
    ) -> Self {
        let invoker = layers.apply(&instance, BoxInvoker::from_arc(channel.clone()));
        Self {
            up: uptime(&instance).map(|uptime| (uptime, now)),
            warmup: published_warmup(&instance),
            weight: AtomicU32::new(instance.weight),
            agreed: OnceLock::new(),
            vitals,
            instance,
            channel,
            invoker,
        }
    }

    /// The same endpoint after its instance has published other data of itself: load and health
    /// stay, but it is not stale.
    pub(crate) fn renewed(&self, instance: Instance, layers: &AttemptLayers) -> Self {
        let (now, vitals) = (Instant::now(), self.vitals.clone());
        if vitals.health.is_stale() {
            vitals.load.forget();
            vitals.health.relisted(now);
        }
        Self::with_vitals(instance, self.channel.clone(), layers, vitals, now)
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
        &self.vitals.load
    }

    /// Its share of traffic relative to others, reduced while it warms up.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Whether its calls go well, for people to look at.
    #[must_use]
    pub fn health(&self) -> EndpointHealth {
        self.condition().report(Instant::now())
    }

    /// Whether it answered that its service is not there: somebody else got its port.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.condition().is_stale()
    }

    pub(crate) fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    pub(crate) fn condition(&self) -> &Health {
        &self.vitals.health
    }

    /// What stays the same while the endpoint lives, also when its data changes.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.vitals).addr()
    }

    /// Adapts the weight to the time it has been up; says whether that changed it. `warmup` is for
    /// those that do not say how long they warm up.
    pub(crate) fn warm(&self, now: Instant, warmup: Duration) -> bool {
        let (weight, warmup) = (self.instance.weight, self.warmup.unwrap_or(warmup));
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
        // Whoever comes to an endpoint on probation first is the probe.
        let probe = self.condition().is_on_probation()
            && invocation.method().kind() != MethodKind::OneWay
            && self.condition().begin_probe();
        Ok(self.start(invocation, now, number, probe))
    }

    /// Starts a call that finds out whether the endpoint is well again; `None` if another does so,
    /// or if it cannot be called.
    pub(crate) fn probe(
        self: &Arc<Self>,
        invocation: Invocation,
        now: Instant,
    ) -> Option<EndpointFuture> {
        self.probe_if(invocation, now, || true)
    }

    /// The same, unless `may` refuses; it is asked once nothing else stands in the way.
    pub(crate) fn probe_if(
        self: &Arc<Self>,
        mut invocation: Invocation,
        now: Instant,
        may: impl FnOnce() -> bool,
    ) -> Option<EndpointFuture> {
        self.agree_on_codec(&mut invocation).ok()?;
        if !self.condition().begin_probe() {
            return None;
        }
        if !may() {
            self.condition().undo_probe();
            return None;
        }
        Some(self.start(invocation, now, 1, true))
    }

    fn start(
        self: &Arc<Self>,
        mut invocation: Invocation,
        now: Instant,
        number: u32,
        probe: bool,
    ) -> EndpointFuture {
        if let Some(report) = self.load().known_report() {
            let timeout = invocation.deadline.remaining_from(now);
            report.begin(&mut invocation.metadata, now, timeout);
        }
        let method = invocation.method();
        let span = tracing::info_span!(
            "attempt",
            service = %method.service(),
            method = method.name(),
            endpoint = %self.address(),
            attempt = number,
        );
        let in_flight = InFlight::begin(self.clone(), now, &invocation, probe);
        let call = span.in_scope(|| self.invoker.invoke(invocation));
        EndpointFuture { call, in_flight: Some(in_flight), span }
    }

    /// Leaves, or puts first, the codec the call prefers among those the instance speaks.
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
        let Some(chosen) = codecs.iter().find(|codec| speaks(codec.name())) else {
            return Err(self.no_common_codec(&codecs.names().collect::<Vec<_>>()));
        };
        let agreed = self.agreed.get_or_init(|| Codecs::new(chosen.clone(), []));
        invocation.codecs = Some(match Arc::ptr_eq(agreed.first(), chosen) {
            true => agreed.clone(),
            false => Codecs::new(chosen.clone(), []),
        });
        Ok(())
    }

    fn no_common_codec(&self, offered: &[&str]) -> Status {
        // Without a load it would look idle and be tried first.
        self.load().observe(FAILURE, Instant::now());
        let (offered, spoken) = (offered.join(", "), self.instance.codecs.join(", "));
        Status::failed_precondition(format!(
            "no common codec: the caller offers {offered}, the provider speaks {spoken}; \
             enable one of them on the other side"
        ))
        .with_delivery(Delivery::NotSent)
        .with_address(self.address().clone())
    }

    fn record(&self, outcome: &Result<Reply, Status>, call: &InFlight) {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(call.started);
        let verdict = Verdict::of(outcome, call.kind);
        if let (Verdict::Failure | Verdict::Missing, Err(status)) = (verdict, outcome) {
            self.condition().note_error(status);
        }
        if !call.probe {
            self.condition().record(verdict, call.started, now);
        } else if self.condition().end_probe(verdict, now) {
            self.load().forget();
        }
        if !self.condition().speaks_of_now(call.started) {
            return;
        }
        let report = self.load().known_report();
        match outcome {
            Err(status) if is_endpoints_fault(status) => {
                self.load().observe(elapsed.max(FAILURE), now);
                report.inspect(|report| report.fail(now));
            }
            Err(status) => {
                self.load().observe(elapsed, now);
                report.inspect(|report| report.succeed(status.metadata(), Some(elapsed), now));
            }
            Ok(reply) => {
                let elapsed = (!call.connects).then_some(elapsed);
                elapsed.inspect(|elapsed| self.load().observe(*elapsed, now));
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
            .field("health", &self.health().state)
            .field("weight", &self.weight())
            .field("in_flight", &self.load().in_flight())
            .finish_non_exhaustive()
    }
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

// === impl Vitals ===

impl Vitals {
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// Has its cache lines fetched.
    pub(crate) fn touch(&self) {
        black_box(self.load.in_flight());
        self.health.touch();
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

impl EndpointFuture {
    /// Where the call is.
    pub(crate) fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        self.in_flight.as_ref().map(|in_flight| &in_flight.endpoint)
    }

    /// Gives the call up because its answer is overdue, which speaks against the endpoint.
    pub(crate) fn overdue(mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            let text = "no answer in half of the call's time";
            let late = Status::deadline_exceeded(text).with_delivery(Delivery::MaybeSent);
            // The outcome is for the records alone.
            let _ = in_flight.finish(Err(late));
        }
    }
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
    kind: MethodKind,
    /// Whether it decides that the endpoint is well again.
    probe: bool,
    /// Whether it waited for the connection, which says nothing of the provider.
    connects: bool,
    log: Option<AttemptLog>,
    finished: bool,
}

impl InFlight {
    fn begin(endpoint: Arc<Endpoint>, started: Instant, call: &Invocation, probe: bool) -> Self {
        endpoint.load().begin();
        let (kind, log) = (call.method().kind(), call.attempts.clone());
        let connects = endpoint.channel.state() != ChannelState::Ready;
        Self { endpoint, started, kind, probe, connects, log, finished: false }
    }

    fn finish(mut self, outcome: Result<Reply, Status>) -> Result<Reply, Status> {
        self.finished = true;
        self.endpoint.record(&outcome, &self);
        if let Some(log) = &self.log {
            let outcome = outcome.as_ref().map(|_| ());
            log.note(self.endpoint.address(), self.started, Some(outcome));
        }
        outcome.map_err(|status| match status.address() {
            Some(_) => status,
            None => status.with_address(self.endpoint.address().clone()),
        })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let load = self.endpoint.load();
        load.end();
        if !self.finished {
            let (now, health) = (Instant::now(), self.endpoint.condition());
            if self.probe {
                health.end_probe(Verdict::Nothing, now);
            }
            if health.speaks_of_now(self.started) {
                load.observe_at_least(now.saturating_duration_since(self.started), now);
            }
            if let Some(log) = &self.log {
                log.note(self.endpoint.address(), self.started, None);
            }
        }
    }
}
