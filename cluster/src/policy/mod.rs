//! Cluster policies: what to do when an attempt fails.
//!
//! A policy is a tower layer over the [`Picker`], erased at once: what it returns is the cluster
//! invoker. Whether a call may be sent again is decided by [`rpc_core::status::may_resend`] alone;
//! policies add limits, the budget and the deadline.

mod failfast;
mod failover;
mod history;

use std::fmt;

use rpc_core::{BoxInvoker, ExtensionPoint};

pub use self::failfast::Failfast;
pub use self::failover::{Failover, FailoverConfig};
pub use self::history::History;
use crate::picker::Picker;

/// What to do when an attempt fails.
#[diagnostic::on_unimplemented(note = "a policy implements `Debug` and `ClusterPolicy::layer`")]
pub trait ClusterPolicy: fmt::Debug + Send + Sync + 'static {
    /// The invoker that sends calls through `picker` by this policy.
    fn layer(&self, picker: Picker) -> BoxInvoker;
}

/// The policies that come with Dubhe.
#[must_use]
pub fn builtin() -> ExtensionPoint<dyn ClusterPolicy> {
    ExtensionPoint::new("cluster").with::<Failfast>().with::<Failover>()
}
