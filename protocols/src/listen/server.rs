//! A provider's port: accepts connections, tells their faces apart, and drains at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::Error;
use rpc_core::server::{Dispatcher, Phase, ServerConfig, ServerState};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::accept::{self, Listener};

/// How long connections may take to write what they have, once no call runs.
const FLUSH: Duration = Duration::from_secs(1);

/// A bound port and the task that accepts on it; dropping it closes everything at once.
pub struct Server {
    local_addr: SocketAddr,
    state: Arc<ServerState>,
    accepting: JoinHandle<()>,
}

/// What a drain found.
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
    /// Binds `address` and begins to accept; port 0 takes a free one. Needs a tokio runtime.
    ///
    /// # Errors
    /// The address cannot be bound; the message names it and what to do.
    pub async fn bind(
        address: SocketAddr,
        dispatcher: Arc<Dispatcher>,
        config: ServerConfig,
    ) -> Result<Self, Error> {
        let listener = Listener::bind(address).await?;
        let local_addr = listener.local_addr();
        let state = Arc::new(ServerState::new(dispatcher, config));
        let accepting = tokio::spawn(accept::accept_loop(listener, state.clone()));
        Ok(Self { local_addr, state, accepting })
    }

    /// The address that is bound, with the port the system chose if 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Asks consumers for no new calls; those that come all the same are served.
    pub fn announce_drain(&self) {
        self.state.enter(Phase::Notice);
    }

    /// Ends politely: serves on for at most `notice` while consumers go, then refuses new calls
    /// and waits for the running ones until `limit` has passed in all, then closes, which takes a
    /// second more at most.
    ///
    /// # Cancel safety
    /// Dropping the future drops the server: everything is closed at once, and calls that run are
    /// cut.
    pub async fn drain(self, notice: Duration, limit: Duration) -> DrainReport {
        let (started, state) = (Instant::now(), self.state.clone());
        let limit = started + limit;
        state.enter(Phase::Notice);
        state.no_connections((started + notice).min(limit)).await;
        state.enter(Phase::Refusing);
        let cut_calls = state.no_calls(limit).await;
        state.enter(Phase::Closing);
        let cut_connections = state.no_connections(Instant::now() + FLUSH).await;
        DrainReport { cut_calls, cut_connections, took: started.elapsed() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        // First the phase: from then on none is added to the calls that are ended.
        self.state.enter(Phase::Closing);
        self.state.abort_own();
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}
