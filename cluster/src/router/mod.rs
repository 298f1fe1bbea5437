//! Routers narrow the candidates of a call before one is chosen; their order is the config's.

mod carries;
mod chain;

use std::fmt;
use std::sync::Arc;

use rpc_core::{ExtensionPoint, Invocation};

pub use self::carries::Carries;
pub use self::chain::{ChosenRouter, RouterChain};
use crate::endpoint::Endpoint;

/// Narrows the candidates of a call.
#[diagnostic::on_unimplemented(note = "a router implements `Debug` and `Router::narrow`")]
pub trait Router: fmt::Debug + Send + Sync + 'static {
    /// Removes the endpoints this call must not go to. Runs for each attempt of each call, so it
    /// takes no lock for long and does no I/O.
    fn narrow(&self, candidates: &mut Vec<&Arc<Endpoint>>, invocation: &Invocation);

    /// Why `endpoint`, which it removes, is not for this call, in words such as `its zone is b`.
    /// Asked only to explain: when it leaves nobody, and by `dubhe explain`. By default it does not
    /// say.
    fn why(&self, endpoint: &Endpoint, invocation: &Invocation) -> Option<String> {
        let _ = (endpoint, invocation);
        None
    }
}

/// The routers that come with Dubhe.
#[must_use]
pub fn builtin() -> ExtensionPoint<dyn Router> {
    ExtensionPoint::new("router")
}
