//! A channel: what a consumer holds to one address of a provider, connected or not.
//!
//! The contract between the cluster layer, which chooses channels, and the protocols, which open
//! them. A channel connects on first use, reconnects by itself and never goes away while held.

use std::fmt;
use std::sync::Arc;

use crate::changes::Changes;
use crate::discovery::Instance;
use crate::invoker::Invoke;
use crate::method::MethodKind;

/// The state of a channel, for a call made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChannelState {
    /// Never used; the first call connects, or [`Channel::connect`].
    Idle = 0,
    /// Connecting for the first time, or connected to a provider that has not said a word yet.
    Connecting = 1,
    /// Connected, and the provider has answered.
    Ready = 2,
    /// Lost, or the last try to connect failed; so until the provider answers on a new connection.
    Down = 3,
    /// Connected, but the provider asked for no new calls.
    Draining = 4,
}

/// A connection to one address that reconnects by itself; all directories of a consumer share it.
///
/// A call is written in the first codec of its invocation; the endpoint has put one there that the
/// instance speaks. The channel ends a call at its deadline, and wakes the caller's task when half of
/// the call's time has passed, so that it can try another provider.
pub trait Channel: Invoke + fmt::Debug {
    /// The address that it leads to, as `host:port`.
    fn address(&self) -> &Arc<str>;

    /// Its present state. Read for each call, so it costs no more than an atomic.
    fn state(&self) -> ChannelState;

    /// Records every change of its state in `changes` from now on, so that a filtered list of
    /// channels knows when to filter again.
    fn report_to(&self, changes: &Changes);

    /// Connects without a call and without waiting if it was never used, so that calls come once the
    /// provider has answered. Returns `false`, the default, if only a call can open it.
    fn connect(&self) -> bool {
        false
    }

    /// Ends a wait between two tries to connect, because the provider has probably come back. Does
    /// nothing by default.
    fn hurry(&self) {}
}

/// Opens channels; owned by a consumer, and shared by all of its services.
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// The channel to `instance`, which it [reaches](Self::reaches). Instances with the same address
    /// and protocol share one; dropping the last handle closes it once its calls are done. Does no I/O.
    fn channel(&self, instance: &Instance) -> Arc<dyn Channel>;

    /// Whether it speaks a protocol that `instance` speaks; `true` by default.
    fn reaches(&self, _: &Instance) -> bool {
        true
    }

    /// The protocols that it speaks, by the names that instances publish, for error messages; none by
    /// default.
    fn protocols(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Whether methods of this kind can be called at `instance`; `true` by default.
    fn carries(&self, _: &Instance, _: MethodKind) -> bool {
        true
    }
}
