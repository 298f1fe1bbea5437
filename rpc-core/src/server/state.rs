//! What all connections of a server share: its services, the phase of its drain, its running calls.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::config::ServerConfig;
use super::dispatch::Dispatcher;
use super::limits::Quota;
use crate::protocol::Protocols;
use crate::status::{Delivery, Status};

/// How far a server is on its way down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serving.
    Serving,
    /// Consumers are asked to send no new calls; calls that arrive are still served.
    Notice,
    /// New calls are refused, running ones go on.
    Refusing,
    /// Connections write what they have and close.
    Closing,
}

/// The state that all connections of a server share.
pub struct ServerState {
    dispatcher: Arc<Dispatcher>,
    protocols: Protocols,
    config: ServerConfig,
    phase: watch::Sender<Phase>,
    /// Reads whose requests may begin.
    reading: AtomicUsize,
    /// Running calls.
    pub(super) calls: Quota,
    /// Those of them that go on without their connection.
    pub(super) one_way: AtomicUsize,
    /// Bytes of requests and answers.
    pub(super) bytes: Quota,
    connections: AtomicUsize,
    /// Who may have calls here: connections, and channels inside the process.
    pub(super) callers: Arc<AtomicUsize>,
    /// Calls that no connection owns.
    own: Mutex<JoinSet<()>>,
    next_id: AtomicU64,
    /// Who must hear of a new phase, by connection.
    drivers: Mutex<Vec<(u64, Arc<AtomicWaker>)>>,
    /// Wakes whoever waits for calls or connections to end.
    drained: AtomicWaker,
}

impl ServerState {
    /// The state of a server that has no connection yet.
    #[must_use]
    pub fn new(dispatcher: Arc<Dispatcher>, protocols: Protocols, config: ServerConfig) -> Self {
        Self {
            dispatcher,
            protocols,
            calls: Quota::new(config.in_flight),
            one_way: AtomicUsize::new(0),
            bytes: Quota::new(config.buffered),
            config,
            phase: watch::Sender::new(Phase::Serving),
            reading: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            callers: Arc::default(),
            own: Mutex::default(),
            next_id: AtomicU64::new(0),
            drivers: Mutex::default(),
            drained: AtomicWaker::new(),
        }
    }

    /// The table of what is served.
    #[must_use]
    #[inline]
    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    /// The protocols that may be spoken.
    #[must_use]
    pub fn protocols(&self) -> &Protocols {
        &self.protocols
    }

    /// Its limits and times.
    #[must_use]
    #[inline]
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// How far it is on its way down.
    #[must_use]
    #[inline]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Follows how far it is on its way down.
    #[must_use]
    pub fn watch_phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Allows the requests of one read to begin; `None` once new calls are refused.
    ///
    /// Counts before it looks, so that a drain either is seen here or waits for these requests:
    /// none begins behind its back.
    #[inline]
    pub fn begin_reading(&self) -> Option<Reading<'_>> {
        self.reading.fetch_add(1, Ordering::AcqRel);
        let reading = Reading(self);
        (self.phase() < Phase::Refusing).then_some(reading)
    }

    /// Runs a call that outlives its connection, as one-way calls do; it ends with the server.
    pub fn spawn_own(&self, call: impl Future<Output = ()> + Send + 'static) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        while own.try_join_next().is_some() {}
        // Under the lock, so that the end of the server finds it.
        if self.phase() < Phase::Closing {
            own.spawn(call);
        }
    }

    /// Ends the calls that have no connection.
    pub fn abort_own(&self) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// Wakes whoever waits for calls or connections to end.
    pub(super) fn wake_drain(&self) {
        self.drained.wake();
    }

    /// Counts a connection whose driver is woken at each new phase; `None` at the limit.
    pub fn begin_connection(self: &Arc<Self>, driver: Arc<AtomicWaker>) -> Option<ConnectionGuard> {
        let before = self.connections.fetch_add(1, Ordering::AcqRel);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.drivers().push((id, driver));
        let guard = ConnectionGuard { state: self.clone(), id };
        (before < self.config.connections).then_some(guard)
    }

    fn drivers(&self) -> MutexGuard<'_, Vec<(u64, Arc<AtomicWaker>)>> {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on to `phase` and wakes every connection; never back.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_modify(|current| *current = phase.max(*current));
        let wakers: Vec<Waker> = self.drivers().iter().filter_map(|(_, d)| d.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until no call runs and none can begin, at most until `deadline`; returns what is left.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn no_calls(&self, deadline: Instant) -> usize {
        self.wait_zero(&self.reading, deadline).await;
        self.wait_zero(self.calls.taken(), deadline).await
    }

    /// Waits until no connection is open, or until `deadline`; returns how many are left.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn no_connections(&self, deadline: Instant) -> usize {
        self.wait_zero(&self.connections, deadline).await
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

impl fmt::Debug for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerState").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

/// One read whose requests may begin; the count goes back when it is dropped.
#[derive(Debug)]
pub struct Reading<'a>(&'a ServerState);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if self.0.reading.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.drained.wake();
        }
    }
}

/// The status of a request that arrives too late.
pub fn shutting_down() -> Status {
    Status::unavailable("the provider is shutting down").with_delivery(Delivery::Refused)
}

/// One open connection; the count goes back when it is dropped.
#[derive(Debug)]
pub struct ConnectionGuard {
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
