//! A provider's port: accepts connections, tells their faces apart, and drains at the end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::dispatch::Dispatcher;
use crate::error::Error;
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
    /// Most calls that run at a time, those that end at once not counted; 20,000.
    pub max_in_flight: usize,
    /// How long a connection may take until its face is known; 5 s.
    pub sniff_timeout: Duration,
    /// How long a frame or an HTTP head that has begun may take; 10 s.
    pub frame_timeout: Duration,
    /// How long a peer may take no byte of its answers; 10 s.
    pub write_timeout: Duration,
    /// Silence after which a connection is closed; 600 s.
    pub idle_timeout: Duration,
    /// How long a call may run whose caller names no time; 60 s.
    pub default_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            dubbo: true,
            json: true,
            max_payload: 8 * 1024 * 1024,
            max_header: 16 * 1024,
            max_connections: 10_000,
            max_in_flight: 20_000,
            sniff_timeout: Duration::from_secs(5),
            frame_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(600),
            default_timeout: Duration::from_secs(60),
        }
    }
}

/// How far a server is on its way down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Serving.
    Serving,
    /// Consumers are told to send no new calls; those that come are still served.
    Notice,
    /// New calls are refused, running ones go on.
    Refusing,
    /// Connections write what they have and close.
    Closing,
}

/// What all connections of a server share.
pub(crate) struct ServerState {
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) config: ServerConfig,
    phase: watch::Sender<Phase>,
    running: AtomicUsize,
    connections: AtomicUsize,
    next_id: AtomicU64,
    /// Who must hear of a new phase, by connection.
    drivers: Mutex<Vec<(u64, Arc<AtomicWaker>)>>,
    /// Wakes whoever waits for calls or connections to end.
    drained: AtomicWaker,
}

impl ServerState {
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn watch_phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Counts a running call; `None` when the limit is reached.
    pub(crate) fn begin_call(self: &Arc<Self>) -> Option<CallGuard> {
        let before = self.running.fetch_add(1, Ordering::AcqRel);
        let guard = CallGuard(self.clone());
        (before < self.config.max_in_flight).then_some(guard)
    }

    /// Counts a connection whose driver is woken at each new phase; `None` at the limit.
    pub(crate) fn begin_connection(
        self: &Arc<Self>,
        driver: Arc<AtomicWaker>,
    ) -> Option<ConnectionGuard> {
        let before = self.connections.fetch_add(1, Ordering::AcqRel);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.drivers().push((id, driver));
        let guard = ConnectionGuard { state: self.clone(), id };
        (before < self.config.max_connections).then_some(guard)
    }

    fn drivers(&self) -> MutexGuard<'_, Vec<(u64, Arc<AtomicWaker>)>> {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        self.phase.send_modify(|current| *current = phase.max(*current));
        let wakers: Vec<Waker> = self.drivers().iter().filter_map(|(_, d)| d.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until `count` is zero, at most until `deadline`; returns what is left.
    async fn wait_zero(&self, count: &AtomicUsize, deadline: Instant) -> usize {
        let zero = std::future::poll_fn(|cx| {
            self.drained.register(cx.waker());
            match count.load(Ordering::Acquire) {
                0 => std::task::Poll::Ready(()),
                _ => std::task::Poll::Pending,
            }
        });
        match tokio::time::timeout_at(deadline, zero).await {
            Ok(()) => 0,
            Err(_) => count.load(Ordering::Acquire),
        }
    }
}

/// One running call; the count goes back when it is dropped.
pub(crate) struct CallGuard(Arc<ServerState>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.drained.wake();
        }
    }
}

/// One open connection; the count goes back when it is dropped.
pub(crate) struct ConnectionGuard {
    state: Arc<ServerState>,
    id: u64,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.state.drivers().retain(|(id, _)| *id != self.id);
        if self.state.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.state.drained.wake();
        }
    }
}

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
    /// Binds `address` and begins to accept.
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
        let state = Arc::new(ServerState {
            dispatcher,
            config,
            phase: watch::Sender::new(Phase::Serving),
            running: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            next_id: AtomicU64::new(0),
            drivers: Mutex::default(),
            drained: AtomicWaker::new(),
        });
        let accepting = tokio::spawn(listener::accept_loop(listener, state.clone()));
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
    /// and waits for the running ones until `limit` has passed in all, then closes.
    pub async fn drain(self, notice: Duration, limit: Duration) -> DrainReport {
        let (started, state) = (Instant::now(), self.state.clone());
        let limit = started + limit;
        state.enter(Phase::Notice);
        state.wait_zero(&state.connections, (started + notice).min(limit)).await;
        state.enter(Phase::Refusing);
        let cut_calls = state.wait_zero(&state.running, limit).await;
        state.enter(Phase::Closing);
        let flush = Instant::now() + Duration::from_secs(1);
        let cut_connections = state.wait_zero(&state.connections, flush).await;
        DrainReport { cut_calls, cut_connections, took: started.elapsed() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.state.enter(Phase::Closing);
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}
