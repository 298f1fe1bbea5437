//! A provider's listeners and the tasks that accept on them.

use std::sync::Arc;

use rpc_core::server::{Dispatcher, Phase, ServerConfig, ServerState, Watching};
use rpc_core::transport::{Listen, TransportAddr};
use rpc_core::{Port, Protocols};
use tokio::task::JoinHandle;

use super::accept;

/// The running server of a provider: its listeners, and the tasks that accept on them.
///
/// Each connection has a task, which recognizes its protocol by the first bytes and hands it over.
/// Several listeners, of several transports, share limits and counts.
///
/// Dropping it frees the ports at once. Connections and calls are cut, each when the runtime gets to
/// its task; [`drain`](Self::drain) waits for that, and lets calls end first.
pub struct Server {
    local_addrs: Vec<TransportAddr>,
    ports: Vec<Port<Box<dyn Listen>>>,
    pub(super) state: Arc<ServerState>,
    pub(super) accepting: Vec<JoinHandle<()>>,
    /// Handlers that hold their thread are noticed.
    _watching: Watching,
}

impl Server {
    /// Begins to accept on `listeners`, and to serve what `dispatcher` has in the protocols that
    /// `protocols` serves.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(
        listeners: Vec<Box<dyn Listen>>,
        dispatcher: Arc<Dispatcher>,
        protocols: Protocols,
        config: ServerConfig,
    ) -> Self {
        let local_addrs = listeners.iter().map(|listener| listener.local_addr()).collect();
        let state = Arc::new(ServerState::new(dispatcher, protocols, config));
        let (ports, acceptors): (Vec<_>, Vec<_>) = listeners.into_iter().map(Port::of).unzip();
        let accepting = acceptors.into_iter();
        let accepting = accepting
            .map(|listener| tokio::spawn(accept::accept_loop(listener, state.clone())))
            .collect();
        Self { local_addrs, ports, state, accepting, _watching: Watching::begin() }
    }

    /// The state that its connections share: counts, limits, the phase of a drain.
    #[must_use]
    pub fn state(&self) -> &Arc<ServerState> {
        &self.state
    }

    /// The addresses it listens on, in the order of its listeners.
    #[must_use]
    pub fn local_addrs(&self) -> &[TransportAddr] {
        &self.local_addrs
    }

    pub(super) fn close_ports(&self) {
        self.ports.iter().for_each(Port::close);
    }

    pub(super) fn abort(&self) {
        self.close_ports();
        self.accepting.iter().for_each(JoinHandle::abort);
        // First the phase: from then on none is added to the calls that are ended.
        self.state.enter(Phase::Closing);
        self.state.abort_own();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.abort();
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("local_addrs", &self.local_addrs).finish_non_exhaustive()
    }
}
