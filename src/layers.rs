//! A program's own tower layers, at the three positions around a call.
//!
//! *call* runs once for each call a consumer makes, *attempt* once for each provider it is sent
//! to, *provider* around each handler.

use std::fmt;
use std::sync::Arc;

use rpc_core::{BoxInvoker, Invoker};
use tower_layer::Layer;

/// Layers of one position, the first outermost.
#[derive(Clone, Default)]
pub(crate) struct Layers(Vec<Arc<dyn Fn(BoxInvoker) -> BoxInvoker + Send + Sync>>);

impl Layers {
    /// Adds a layer inside those there are.
    pub(crate) fn push<L>(&mut self, layer: L)
    where
        L: Layer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
    {
        self.0.push(Arc::new(move |inner| BoxInvoker::new(layer.layer(inner))));
    }

    pub(crate) fn apply(&self, inner: BoxInvoker) -> BoxInvoker {
        self.0.iter().rev().fold(inner, |inner, wrap| wrap(inner))
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layers({})", self.0.len())
    }
}
