//! One provider, callable: what the registry says of it, the channel to it, its load and its
//! health.
//!
//! An endpoint agrees on a codec (`call.rs`), counts the call, passes it through the layers of
//! position `attempt` to the channel, and records how it went (`future.rs`). The channel ends calls
//! at their deadline.

mod attempt_span;
mod call;
mod condition;
pub(crate) mod ejection;
mod fullness;
mod future;
mod layers;
pub(crate) mod load;
pub(crate) mod state;
mod stream;
mod vitals;
mod warmup;
mod watch;

use std::fmt;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rpc_core::{BoxInvoker, Channel, Codecs, Instance, Tally};
use tokio::time::Instant;

use self::ejection::{Health, SharedEjection};
pub use self::future::EndpointFuture;
pub use self::layers::AttemptLayers;
pub use self::load::Load;
pub use self::state::{EndedCall, EndpointState};
pub(crate) use self::vitals::Vitals;
pub use self::warmup::{DEFAULT_WARMUP, WARMUP, warmed_weight};
use self::warmup::{published_warmup, uptime};
pub(crate) use self::watch::give_up;

/// An instance of a service, the channel to it, its load and its health.
///
/// Balancers and routers see endpoints; they read [`instance`](Self::instance) for what the
/// provider publishes, [`weight`](Self::weight) for its share, [`load`](Self::load) for the calls
/// of this consumer, and keep data of their own in [`state`](Self::state).
// What every call needs comes first: of ten thousand endpoints each is cold, and a cache line less
// is time.
#[repr(C)]
pub struct Endpoint {
    vitals: Arc<Vitals>,
    invoker: BoxInvoker,
    instance: Arc<Instance>,
    channel: Arc<dyn Channel>,
    /// How long it had been up, and when that was so; `None` if it does not say.
    up: Option<(Duration, Instant)>,
    /// How long it says it warms up.
    warmup: Option<Duration>,
    weight: AtomicU32,
    /// The codec that was agreed on for the first caller whose own it was not, as a list of one, so
    /// that it is not made anew for each call.
    agreed: OnceLock<Codecs>,
    /// The layers that `invoker` is wrapped in.
    layers: AttemptLayers,
}

impl Endpoint {
    /// An endpoint with its full weight and without a known load, which is never ejected. Those of
    /// a [`Directory`](crate::Directory) warm up and can be ejected.
    #[must_use]
    pub fn new(instance: Instance, channel: Arc<dyn Channel>, layers: &AttemptLayers) -> Self {
        Self::watched(
            Arc::new(instance),
            channel,
            layers,
            Arc::new(SharedEjection::new(None, Tally::default())),
        )
    }

    /// An endpoint under the rules of its directory.
    pub(crate) fn watched(
        instance: Arc<Instance>,
        channel: Arc<dyn Channel>,
        layers: &AttemptLayers,
        rules: Arc<SharedEjection>,
    ) -> Self {
        channel.report_to(rules.changes());
        let origin = rules.origin();
        let health = Health::new(rules, instance.address.clone(), origin);
        let vitals = Arc::new(Vitals::new(health, origin));
        Self::with_vitals(instance, channel, layers, vitals, Instant::now())
    }

    fn with_vitals(
        instance: Arc<Instance>,
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
        instance: Arc<Instance>,
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

    /// The instance as the registry lists it.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// As [`instance`](Self::instance), to share it.
    pub(crate) fn shared_instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// Its address, as `host:port`.
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
        self.vitals.load()
    }

    /// The state of type `T` that a balancer keeps of this endpoint; created on first use. It lives
    /// as long as the endpoint, also when the instance publishes other data. Takes no lock, and
    /// allocates only the first time.
    #[must_use]
    pub fn state<T: EndpointState + Default>(&self) -> &T {
        self.vitals.states().get_or_init(T::default)
    }

    /// The state of type `T` if it was made before; for scores, which change nothing.
    #[must_use]
    pub fn known_state<T: EndpointState>(&self) -> Option<&T> {
        self.vitals.states().known()
    }

    pub(crate) fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// Whether its calls pass these very layers.
    pub(crate) fn has(&self, layers: &AttemptLayers) -> bool {
        self.layers.is(layers)
    }

    /// The part that stays while the endpoint lives, also when its data changes.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.vitals).addr()
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
