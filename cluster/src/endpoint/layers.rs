//! Tower layers at position `attempt`: around each endpoint, run once for each attempt.
//!
//! They are applied when an endpoint is made and live as long as it: what they keep (a breaker's
//! state, a limit) belongs to one instance of one service.

use std::fmt;
use std::sync::Arc;

use rpc_core::{BoxInvoker, Instance, Invoker};
use tower_layer::Layer;

type Wrap = Arc<dyn Fn(&Instance, BoxInvoker) -> BoxInvoker + Send + Sync>;

/// Layers to put around every endpoint, the first outermost; cheap to clone.
///
/// ```
/// use dubhe_cluster::AttemptLayers;
/// use rpc_core::{BoxInvoker, Instance, Invocation, Invoke, ReplyFuture};
///
/// /// Names the rack that an attempt goes to in its metadata.
/// struct Rack(String, BoxInvoker);
///
/// impl Invoke for Rack {
///     fn invoke(&self, mut call: Invocation) -> ReplyFuture {
///         call.metadata.insert("rack", self.0.clone());
///         self.1.invoke(call)
///     }
/// }
///
/// let layers = AttemptLayers::new().wrap(|instance: &Instance, inner: BoxInvoker| {
///     match instance.metadata.get("rack") {
///         Some(rack) => BoxInvoker::from_invoke(Rack(rack.clone(), inner)),
///         None => inner,
///     }
/// });
/// # drop(layers);
/// ```
#[derive(Clone, Default)]
pub struct AttemptLayers(Arc<Vec<Wrap>>);

impl AttemptLayers {
    /// No layers: costs nothing per call.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tower layer inside the present ones.
    #[must_use]
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.wrap(move |_, inner| BoxInvoker::new(layer.layer(inner)))
    }

    /// Adds a layer that depends on the instance it surrounds.
    #[must_use]
    pub fn wrap<F>(mut self, wrap: F) -> Self
    where
        F: Fn(&Instance, BoxInvoker) -> BoxInvoker + Send + Sync + 'static,
    {
        Arc::make_mut(&mut self.0).push(Arc::new(wrap));
        self
    }

    /// Whether they are the very same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.is_empty() && other.0.is_empty()
    }

    pub(crate) fn apply(&self, instance: &Instance, inner: BoxInvoker) -> BoxInvoker {
        let outward = self.0.iter().rev();
        outward.fold(inner, |inner, wrap| wrap(instance, inner))
    }
}

impl fmt::Debug for AttemptLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttemptLayers({})", self.0.len())
    }
}
