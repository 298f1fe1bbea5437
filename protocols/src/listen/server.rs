//! A provider's listeners: they accept connections, and drain at the end.

use std::sync::Arc;
use std::time::Duration;

use rpc_core::server::{Dispatcher, Phase, ServerConfig, ServerState, Watching};
use rpc_core::transport::{Listen, TransportAddr};
use rpc_core::{Port, Protocols};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::accept;

/// How long connections may take to write what they have, once no call runs.
const FLUSH: Duration = Duration::from_secs(1);

/// How long is waited for what was ended: tasks end when they are polled, and a handler may hold its
/// thread.
const ENDING: Duration = Duration::from_secs(1);

/// Listeners and the tasks that accept on them.
///
/// Dropping it frees the ports at once. Connections and calls are cut, each when the runtime gets to
/// its task; [`drain`](Self::drain) waits for that.
pub struct Server {
    local_addrs: Vec<TransportAddr>,
    ports: Vec<Port<Box<dyn Listen>>>,
    state: Arc<ServerState>,
    accepting: Vec<JoinHandle<()>>,
    /// Handlers that hold their thread are noticed.
    _watching: Watching,
}

/// The result of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Calls that were still running at the limit and were dropped.
    pub cut_calls: usize,
    /// Connections that did not close by themselves.
    pub cut_connections: usize,
    /// How long it took.
    pub took: Duration,
}

impl Server {
    /// Begins to accept on `listeners`. Needs a tokio runtime.
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

    /// The state that its connections share, for callers without a connection.
    #[must_use]
    pub fn state(&self) -> &Arc<ServerState> {
        &self.state
    }

    /// The addresses it listens on, in the order of its listeners.
    #[must_use]
    pub fn local_addrs(&self) -> &[TransportAddr] {
        &self.local_addrs
    }

    /// Asks consumers for no new calls; those that come all the same are served.
    pub fn announce_drain(&self) {
        self.state.enter(Phase::Notice);
    }

    /// Ends politely: serves on for at most `notice` while consumers go, then refuses new calls
    /// and waits for the running ones until `limit` has passed in all, then closes, which takes a
    /// second more at most, or two if a handler holds its thread. The ports are free afterwards, and
    /// neither connections nor calls are left.
    ///
    /// # Cancel safety
    /// Dropping the future drops the server: everything is closed at once, and calls that run are
    /// cut.
    pub async fn drain(mut self, notice: Duration, limit: Duration) -> DrainReport {
        let (started, state) = (Instant::now(), self.state.clone());
        let limit = started + limit;
        state.enter(Phase::Notice);
        state.no_connections((started + notice).min(limit)).await;
        state.enter(Phase::Refusing);
        self.close_ports();
        let cut_calls = state.no_calls(limit).await;
        state.enter(Phase::Closing);
        let cut_connections = state.no_connections(Instant::now() + FLUSH).await;
        self.end().await;
        DrainReport { cut_calls, cut_connections, took: started.elapsed() }
    }

    /// Ends what is left, and waits until it is gone.
    async fn end(&mut self) {
        self.abort();
        let limit = Instant::now() + ENDING;
        for accepting in &mut self.accepting {
            // An error says that it was aborted.
            let _ = tokio::time::timeout_at(limit, accepting).await;
        }
        self.state.no_connections(limit).await;
        self.state.no_calls(limit).await;
    }

    fn close_ports(&self) {
        self.ports.iter().for_each(Port::close);
    }

    fn abort(&self) {
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
