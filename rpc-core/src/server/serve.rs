//! A provider's port: accepts connections, tells their faces apart, and drains at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::dispatch::Dispatcher;
use super::state::{Phase, ServerState};
use crate::error::Error;
use crate::port::Port;
use crate::runtime;
use crate::transport::listener::{self, Listener};

/// What a provider's port keeps to.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Whether the dubbo face is served.
    pub dubbo: bool,
    /// Whether the json face is served.
    pub json: bool,
    /// Largest body of a request or reply, in bytes; 8 MiB.
    pub max_payload: usize,
    /// Largest head of an HTTP request, in bytes; 16 KiB.
    pub max_header: usize,
    /// Most connections at a time; 10,000.
    pub max_connections: usize,
    /// Most calls that run at a time, those that end at once not counted; 10,000. A connection has
    /// at most as many as it leaves, unless it is the only one.
    pub max_in_flight: usize,
    /// Most bytes of requests and answers that all connections hold; 512 MiB. A connection has at
    /// most as many as it leaves, so half of them.
    pub max_buffered: usize,
    /// How long a connection may take until its face is known; 5 s.
    pub sniff_timeout: Duration,
    /// How long a frame or an HTTP head that has begun may take; 10 s. A frame or a body has longer
    /// as long as it brings 1 KiB a second.
    pub frame_timeout: Duration,
    /// How long a peer may take no byte of its answers; 10 s.
    pub write_timeout: Duration,
    /// Silence after which a connection is closed; 600 s.
    pub idle_timeout: Duration,
    /// How long a call may run whose caller names no time; 60 s.
    pub default_timeout: Duration,
}

/// Bytes a second that a frame or a body brings at least, once it has taken long.
const SLOWEST: u64 = 1024;

impl ServerConfig {
    /// Whether it is too little that a frame brought so much in this time.
    pub(crate) fn is_slow(&self, bytes: usize, took: Duration) -> bool {
        (bytes as u128) < took.as_millis() * u128::from(SLOWEST) / 1000
    }

    /// How long a body may have taken of which `bytes` are here.
    pub(crate) fn time_for(&self, bytes: usize) -> Duration {
        self.frame_timeout + Duration::from_millis(bytes as u64 * 1000 / SLOWEST)
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            dubbo: true,
            json: true,
            max_payload: 8 * 1024 * 1024,
            max_header: 16 * 1024,
            max_connections: 10_000,
            max_in_flight: 10_000,
            max_buffered: 512 * 1024 * 1024,
            sniff_timeout: Duration::from_secs(5),
            frame_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(600),
            default_timeout: Duration::from_secs(60),
        }
    }
}

/// How long connections may take to write what they have, once no call runs.
const FLUSH: Duration = Duration::from_secs(1);

/// How long is waited for what was ended: tasks end when they are polled, and a handler may hold its
/// thread.
const ENDING: Duration = Duration::from_secs(1);

/// A bound port and the task that accepts on it.
///
/// Dropping it frees the port at once. Connections and calls are cut, each when the runtime gets to
/// its task; [`drain`](Self::drain) waits for that.
pub struct Server {
    local_addr: SocketAddr,
    port: Port,
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
    /// Binds `address` and begins to accept; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound, the message names it and what to do; there is no tokio runtime here,
    /// or one without timers and IO.
    pub async fn bind(
        address: SocketAddr,
        dispatcher: Arc<Dispatcher>,
        config: ServerConfig,
    ) -> Result<Self, Error> {
        runtime::whole()?;
        let (listener, port) = Listener::bind(address).await?;
        let local_addr = listener.local_addr();
        let state = Arc::new(ServerState::new(dispatcher, config));
        let accepting = tokio::spawn(listener::accept_loop(listener, state.clone()));
        Ok(Self { local_addr, port, state, accepting })
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
    /// second more at most, or two if a handler holds its thread. The port is free afterwards, and
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
        self.port.close();
        let cut_calls = state.no_calls(limit).await;
        state.enter(Phase::Closing);
        let cut_connections = state.no_connections(Instant::now() + FLUSH).await;
        self.end().await;
        DrainReport { cut_calls, cut_connections, took: started.elapsed() }
    }

    /// Ends what is left, and waits until it is gone.
    async fn end(&mut self) {
        self.abort();
        let (limit, accepting) = (Instant::now() + ENDING, &mut self.accepting);
        // An error says that it was aborted.
        let _ = tokio::time::timeout_at(limit, accepting).await;
        self.state.no_connections(limit).await;
        self.state.no_calls(limit).await;
    }

    fn abort(&self) {
        self.port.close();
        self.accepting.abort();
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
        f.debug_struct("Server").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}
