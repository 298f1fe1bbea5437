//! One provider, callable: what the registry says of it, the channel to it, and its load.
//!
//! An endpoint agrees on a codec, counts the call, passes it through the layers of position
//! `attempt` to the channel, and records how it went. The channel ends calls at their deadline.

use std::fmt;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rpc_core::{
    BoxInvoker, Channel, Codecs, Delivery, Instance, Invocation, MethodKind, Status, Tally,
};
use tokio::time::Instant;

use crate::attempt_layers::AttemptLayers;
use crate::ejection::{Ejector, EndpointHealth, Health};
use crate::endpoint_future::{EndpointFuture, InFlight};
use crate::endpoint_state::{EndedCall, EndpointState, States};
use crate::endpoint_stream;
use crate::fullness::{self, Fullness};
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
    /// What `invoker` is wrapped in.
    layers: AttemptLayers,
}

/// What calls change of an endpoint, in cache lines of its own, in the order they look at it.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Vitals {
    load: Load,
    states: States,
    health: Health,
    fullness: Fullness,
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
        let vitals = Arc::new(Vitals {
            load: Load::new(now),
            states: States::default(),
            health,
            fullness: Fullness::default(),
        });
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
            layers: layers.clone(),
            vitals,
            instance,
            channel,
            invoker,
        }
    }

    /// The same endpoint with other data or layers: load and health stay. If it `is_news` that its
    /// instance has published, it is not stale.
    pub(crate) fn renewed(
        &self,
        instance: Instance,
        layers: &AttemptLayers,
        is_news: bool,
    ) -> Self {
        let (now, vitals) = (Instant::now(), self.vitals.clone());
        if is_news && vitals.health.is_stale() {
            vitals.forget();
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

    /// What a balancer keeps of it, of a type of its own; made when it is first asked for. It lives as
    /// long as the endpoint, also when the instance publishes other data. Takes no lock and
    /// allocates the first time alone.
    #[must_use]
    pub fn state<T: EndpointState + Default>(&self) -> &T {
        self.vitals.states.get_or_init(T::default)
    }

    /// The same, if it was asked for before; for scores, which change nothing.
    #[must_use]
    pub fn known_state<T: EndpointState>(&self) -> Option<&T> {
        self.vitals.states.known()
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

    /// Whether it has said that it is full, and the time after which to come back is not over at `now`.
    /// It is called meanwhile only if all are full.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_until(now).is_some()
    }

    /// Until when it is full, if it is at `now`.
    pub(crate) fn full_until(&self, now: Instant) -> Option<Instant> {
        self.vitals.fullness.until(self.load().origin(), now)
    }

    /// Notes that it has refused a call for fullness. It is asked no sooner than it says, and those
    /// that were turned away together do not come back together.
    pub(crate) fn note_full(&self, refusal: &Status, now: Instant) {
        let named = refusal.retry_after().unwrap_or(fullness::DEFAULT).min(fullness::LONGEST);
        let ejector = self.condition().ejector();
        let end = now + named / 2 + ejector.jitter(named);
        if self.vitals.fullness.begin(self.load().origin(), now, end) {
            ejector.changed();
        }
    }

    pub(crate) fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    pub(crate) fn condition(&self) -> &Health {
        &self.vitals.health
    }

    /// Whether its calls pass these very layers.
    pub(crate) fn has(&self, layers: &AttemptLayers) -> bool {
        self.layers.is(layers)
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
        invocation: Invocation,
        now: Instant,
        number: u32,
    ) -> Result<EndpointFuture, Status> {
        self.clone().called(invocation, now, number)
    }

    /// The same for whoever has a handle to give away.
    pub(crate) fn called(
        self: Arc<Self>,
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
        Some(self.clone().start(invocation, now, 1, true))
    }

    fn start(
        self: Arc<Self>,
        mut invocation: Invocation,
        now: Instant,
        number: u32,
        probe: bool,
    ) -> EndpointFuture {
        self.vitals.states.all().for_each(|state| state.begin(&mut invocation, now));
        let method = invocation.method();
        let span = tracing::info_span!(
            target: "dubhe::call",
            "attempt",
            service = %method.service(),
            method = method.name(),
            endpoint = %self.address(),
            attempt = number,
        );
        let (deadline, end) = (invocation.deadline, invocation.end_deadline());
        let streams = method.kind().streams_reply();
        let in_flight = InFlight::begin(self, now, &invocation, probe);
        let call = span.in_scope(|| in_flight.endpoint.invoker.invoke(invocation));
        let call = if streams { endpoint_stream::begun(call, now, deadline, end) } else { call };
        EndpointFuture::new(call, in_flight, span)
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
        let (latency, now) = (Some(FAILURE), Instant::now());
        self.vitals.end(&EndedCall { outcome: None, is_failure: true, latency, now });
        let (offered, spoken) = (offered.join(", "), self.instance.codecs.join(", "));
        Status::failed_precondition(format!(
            "no common codec: the caller offers {offered}, the provider speaks {spoken}; \
             enable one of them on the other side"
        ))
        .with_delivery(Delivery::NotSent)
        .with_address(self.address().clone())
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

// === impl Vitals ===

impl Vitals {
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    pub(crate) fn states(&self) -> &States {
        &self.states
    }

    /// Notes a call that has ended.
    pub(crate) fn end(&self, call: &EndedCall<'_>) {
        if let Some(latency) = call.latency {
            self.load.observe(latency, call.now);
        }
        self.states.all().for_each(|state| state.end(call));
    }

    /// Lets the past be the past: nothing is known until a call has ended.
    pub(crate) fn forget(&self) {
        self.load.forget();
        self.states.all().for_each(EndpointState::forget);
    }

    /// Has its cache lines fetched.
    pub(crate) fn touch(&self) {
        black_box(self.load.in_flight());
        self.health.touch();
    }
}
