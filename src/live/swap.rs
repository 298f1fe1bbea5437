//! An invoker behind a pointer, so that it can change inside layers that stay.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rpc_core::{BoxInvoker, Invocation, Invoke, ReplyFuture};

/// Sends each call through the invoker that it holds at that time.
pub(crate) struct Swap(ArcSwap<BoxInvoker>);

impl Swap {
    pub(crate) fn new(inner: BoxInvoker) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(inner)))
    }

    pub(crate) fn set(&self, inner: BoxInvoker) {
        self.0.store(Arc::new(inner));
    }
}

impl Invoke for Swap {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        self.0.load().invoke(invocation)
    }
}

impl std::fmt::Debug for Swap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Swap")
    }
}
