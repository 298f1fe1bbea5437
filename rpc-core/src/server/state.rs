//! What all connections of a server share: what it serves, how far down it is, who runs.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::dispatch::Dispatcher;
use super::serve::ServerConfig;
use crate::status::{Delivery, Status};

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
    /// Reads whose requests may begin.
    reading: AtomicUsize,
    running: AtomicUsize,
    connections: AtomicUsize,
    /// Calls that no connection owns.
    own: Mutex<JoinSet<()>>,
    /// Bytes of HTTP requests and answers.
    held: AtomicUsize,
    next_id: AtomicU64,
    /// Who must hear of a new phase, by connection.
    drivers: Mutex<Vec<(u64, Arc<AtomicWaker>)>>,
    /// Wakes whoever waits for calls or connections to end.
    drained: AtomicWaker,
}

impl ServerState {
    pub(super) fn new(dispatcher: Arc<Dispatcher>, config: ServerConfig) -> Self {
        Self {
            dispatcher,
            config,
            phase: watch::Sender::new(Phase::Serving),
            reading: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            own: Mutex::default(),
            held: AtomicUsize::new(0),
            next_id: AtomicU64::new(0),
            drivers: Mutex::default(),
            drained: AtomicWaker::new(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn watch_phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Lets the requests of one read begin; `None` once new calls are refused.
    ///
    /// Counts before it looks, so that a drain either is seen here or waits for these requests:
    /// none begins behind its back.
    pub(crate) fn begin_reading(&self) -> Option<Reading<'_>> {
        self.reading.fetch_add(1, Ordering::AcqRel);
        let reading = Reading(self);
        (self.phase() < Phase::Refusing).then_some(reading)
    }

    /// Runs a call that outlives its connection, as one-way calls do; it ends with the server.
    pub(crate) fn spawn_own(&self, call: impl Future<Output = ()> + Send + 'static) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        while own.try_join_next().is_some() {}
        // Under the lock, so that the end of the server finds it.
        if self.phase() < Phase::Closing {
            own.spawn(call);
        }
    }

    /// Ends the calls that have no connection.
    pub(super) fn abort_own(&self) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// Counts bytes held for HTTP peers, unless that passes `limit`.
    pub(crate) fn hold(&self, bytes: usize, limit: usize) -> bool {
        let fits = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= limit);
        self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok()
    }

    /// Takes them back.
    pub(crate) fn let_go(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::AcqRel);
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

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.send_modify(|current| *current = phase.max(*current));
        let wakers: Vec<Waker> = self.drivers().iter().filter_map(|(_, d)| d.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until no call runs and none can begin, at most until `deadline`; returns what is left.
    pub(super) async fn no_calls(&self, deadline: Instant) -> usize {
        self.wait_zero(&self.reading, deadline).await;
        self.wait_zero(&self.running, deadline).await
    }

    /// The same of connections.
    pub(super) async fn no_connections(&self, deadline: Instant) -> usize {
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

/// One read whose requests may begin; the count goes back when it is dropped.
pub(crate) struct Reading<'a>(&'a ServerState);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if self.0.reading.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.drained.wake();
        }
    }
}

/// What a request is told that comes too late.
pub(crate) fn shutting_down() -> Status {
    Status::unavailable("the provider is shutting down").with_delivery(Delivery::Refused)
}

/// A connection as the counts of running calls see it.
pub(crate) struct Caller {
    pub(crate) state: Arc<ServerState>,
    running: AtomicUsize,
}

impl Caller {
    pub(crate) fn new(state: Arc<ServerState>) -> Arc<Self> {
        Arc::new(Self { state, running: AtomicUsize::new(0) })
    }

    /// Whether one more call may run now.
    pub(crate) fn has_room(&self) -> bool {
        let all = self.state.running.load(Ordering::Acquire);
        self.room(all, self.running.load(Ordering::Acquire)) == Room::Left
    }

    /// What is left when `all` calls run, and `own` of them for this connection.
    fn room(&self, all: usize, own: usize) -> Room {
        let limit = self.state.config.max_in_flight;
        if all >= limit {
            Room::NoneAtAll
        } else if own >= limit.div_ceil(2) && self.state.connections.load(Ordering::Acquire) > 1 {
            Room::NoneForThis
        } else {
            Room::Left
        }
    }

    /// Counts a running call.
    ///
    /// # Errors
    /// `resource_exhausted`, refused: the limit is reached by all connections together, or half of
    /// it by this one while others are open.
    pub(crate) fn begin_call(self: &Arc<Self>) -> Result<CallGuard, Status> {
        let all = self.state.running.fetch_add(1, Ordering::AcqRel);
        let own = self.running.fetch_add(1, Ordering::AcqRel);
        let guard = CallGuard(self.clone());
        let limit = self.state.config.max_in_flight;
        let text = match self.room(all, own) {
            Room::Left => return Ok(guard),
            Room::NoneAtAll => {
                format!("{limit} calls run already; raise `provider.limits.in_flight`")
            }
            Room::NoneForThis => format!(
                "{own} calls of this connection run already, its share of {limit} while others \
                 are open; raise `provider.limits.in_flight`"
            ),
        };
        Err(Status::resource_exhausted(text).with_delivery(Delivery::Refused))
    }

    /// Counts a call that has begun, over the limit if there is no room: the first that a method
    /// ever waits in, or one that came together with others of other connections.
    pub(crate) fn count_call(self: &Arc<Self>) -> CallGuard {
        self.state.running.fetch_add(1, Ordering::AcqRel);
        self.running.fetch_add(1, Ordering::AcqRel);
        CallGuard(self.clone())
    }
}

/// Room for one more call.
#[derive(PartialEq, Eq)]
enum Room {
    Left,
    NoneAtAll,
    NoneForThis,
}

/// One running call; the counts go back when it is dropped.
pub(crate) struct CallGuard(Arc<Caller>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        let Caller { state, running } = &*self.0;
        running.fetch_sub(1, Ordering::AcqRel);
        if state.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            state.drained.wake();
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
