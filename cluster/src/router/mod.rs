//! Routers narrow the candidates of a call before one is chosen; their order is the config's.

mod carries;
mod chain;
mod zone;

use std::fmt;
use std::sync::Arc;

use rpc_core::{ExtensionPoint, Invocation};

pub use self::carries::Carries;
pub use self::chain::{ChosenRouter, RouterChain};
pub use self::zone::{Zone, ZoneConfig};
use crate::endpoint::Endpoint;

/// Narrows the candidates of a call.
///
/// Routers run in the order of `consumer.routers`, each on what the one before left. If nothing is
/// left, the call fails as *not sent*, with the name of the router.
///
/// ```
/// use std::sync::Arc;
///
/// use dubhe_cluster::Endpoint;
/// use dubhe_cluster::router::Router;
/// use rpc_core::Invocation;
///
/// /// Leaves the instances of one rack, unless there are none.
/// #[derive(Debug)]
/// struct Rack(String);
///
/// impl Rack {
///     fn is_mine(&self, endpoint: &Endpoint) -> bool {
///         endpoint.instance().metadata.get("rack") == Some(&self.0)
///     }
/// }
///
/// impl Router for Rack {
///     fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, _: &Invocation) {
///         if candidates.iter().any(|endpoint| self.is_mine(endpoint)) {
///             candidates.retain(|endpoint| self.is_mine(endpoint));
///         }
///     }
///
///     fn why(&self, endpoint: &Endpoint, _: &Invocation) -> Option<String> {
///         let rack = endpoint.instance().metadata.get("rack").map_or("unknown", String::as_str);
///         (!self.is_mine(endpoint)).then(|| format!("its rack is {rack}"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(note = "a router implements `Debug` and `Router::narrow`")]
pub trait Router: fmt::Debug + Send + Sync + 'static {
    /// Removes the endpoints this call must not go to. Runs for each attempt of each call, so it
    /// takes no lock for long and does no I/O.
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, invocation: &Invocation);

    /// The reason why it removes `endpoint` for this call, in words such as `its rack is b`. It is
    /// asked only to explain: when the router leaves nothing, and by `dubhe explain`. The default
    /// gives no reason.
    fn why(&self, endpoint: &Endpoint, invocation: &Invocation) -> Option<String> {
        let _ = (endpoint, invocation);
        None
    }
}

/// The routers that come with Dubhe.
#[must_use]
pub fn builtin() -> ExtensionPoint<dyn Router> {
    ExtensionPoint::new("router").with::<Zone>()
}
