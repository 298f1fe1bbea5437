//! Calls that failed, were answered in place of that, and are to be sent again later.
//!
//! The backlog is shared by the whole consumer and ends with it: a client may be gone long before
//! its calls are done. Each waiting call is a task that holds all of its state. If its runtime
//! ends, the call waits for the next one, which continues it in its own runtime. Nothing outlives
//! the process.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rpc_core::{Method, runtime};
use tokio::task::JoinSet;

/// Most bytes of the bodies of all waiting calls together.
const MAX_MIB: usize = 64;
const MAX_BYTES: usize = MAX_MIB << 20;

/// The waiting calls of a consumer, by method; dropping it ends them.
///
/// A policy reaches it by [`Picker::backlog`](crate::Picker::backlog). Its calls are in memory
/// only: they end with the consumer, and with the process.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), dubhe_cluster::BacklogFull> {
/// use dubhe_cluster::{Backlog, BacklogFull};
/// use rpc_core::{Method, MethodKind, ServiceKey};
///
/// let notify = Method::new(ServiceKey::new("shop.Mail"), "notify", MethodKind::Unary, true);
/// let backlog = Backlog::default();
/// // At most one call of the method may wait; this one holds a body of 200 bytes.
/// backlog.push(&notify, 1, 200, std::future::pending())?;
/// let refused = backlog.push(&notify, 1, 200, std::future::ready(()));
/// assert_eq!(refused, Err(BacklogFull::Calls(1)));
/// assert_eq!(backlog.waiting(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Backlog {
    methods: Mutex<HashMap<Arc<str>, JoinSet<()>>>,
    /// Calls whose runtime has ended.
    left: Mutex<Vec<Box<dyn Left>>>,
    /// Bytes of the bodies of the waiting calls.
    bytes: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
}

/// A waiting call that can go on in another runtime.
pub(crate) trait Waiting: Send + 'static {
    /// Repeats the call until it is done. May be dropped at any point, and is then started again.
    fn run(&mut self) -> impl Future<Output = ()> + Send;

    /// The backlog that it waits in; `None` once the consumer has ended.
    fn backlog(&self) -> Option<Arc<Backlog>>;
}

/// A waiting call whose runtime has ended.
trait Left: Send {
    fn method(&self) -> &Arc<str>;

    fn go_on(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// A waiting call in its task.
struct Task<W: Waiting> {
    call: Option<W>,
    method: Arc<str>,
    room: Option<Room>,
}

/// The reason why a [`Backlog`] has no room for a call; the status of the call has it as its hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BacklogFull {
    /// This number of calls of the method wait already.
    Calls(usize),
    /// The bodies of the waiting calls of all methods would hold more than 64 MiB.
    Bytes,
    /// There is no tokio runtime with timers in which it could wait.
    NoRuntime,
}

/// A waiting call's part of the bytes, for as long as it exists.
struct Room {
    bytes: Arc<AtomicUsize>,
    size: usize,
}

impl Backlog {
    /// How many calls wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        methods.values_mut().map(unfinished).sum::<usize>() + self.left().len()
    }

    /// How many calls were given up since it was made: no success within their retries, or too
    /// many waiting already.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Takes a call of `method` whose body holds `size` bytes
    /// ([`Body::size_hint`](rpc_core::Body::size_hint)); for policies that send failed calls again
    /// after their callers have gone on.
    ///
    /// `resending` does the rest: it is spawned at once, waits, asks
    /// [`may_resend_later`](rpc_core::status::may_resend_later), sends with a deadline of its own,
    /// and counts the call by [`note_dropped`](Self::note_dropped) if it gives up. It may hold a
    /// [`Picker`](crate::Picker) but no `Arc` of this backlog, because the end of the consumer
    /// drops the backlog and cancels it. If its runtime ends before, it is lost and counted as
    /// dropped.
    ///
    /// # Errors
    /// `bound` calls of the method wait already, the bodies of all would hold more than 64 MiB, or
    /// there is no runtime. The call is not counted as dropped; the caller counts it if it gives
    /// up.
    pub fn push<F>(
        &self,
        method: &Method,
        bound: usize,
        size: usize,
        resending: F,
    ) -> Result<(), BacklogFull>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.begin(method, bound, size, |room| {
            let lost = Lost(Some(self.dropped.clone()));
            async move {
                let _room = room;
                resending.await;
                lost.done();
            }
        })
    }

    /// Takes a call that goes on in the runtime of a later call if its own ends.
    pub(crate) fn push_waiting(
        &self,
        method: &Method,
        bound: usize,
        size: usize,
        call: impl Waiting,
    ) -> Result<(), BacklogFull> {
        self.resume();
        let path = method.path().clone();
        self.begin(method, bound, size, |room| {
            Task { call: Some(call), method: path, room: Some(room) }.run()
        })
    }

    fn begin<F: Future<Output = ()> + Send + 'static>(
        &self,
        method: &Method,
        bound: usize,
        size: usize,
        task: impl FnOnce(Room) -> F,
    ) -> Result<(), BacklogFull> {
        let runtime = runtime::with_timers().map_err(|_| BacklogFull::NoRuntime)?;
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = methods.entry(method.path().clone()).or_default();
        let left = self.left().iter().filter(|left| left.method() == method.path()).count();
        if unfinished(tasks) + left >= bound {
            return Err(BacklogFull::Calls(bound));
        }
        let room = Room::take(&self.bytes, size).ok_or(BacklogFull::Bytes)?;
        tasks.spawn_on(task(room), &runtime);
        Ok(())
    }

    /// Continues calls whose runtime has ended in the present one.
    pub(crate) fn resume(&self) {
        if self.left().is_empty() {
            return;
        }
        let Ok(runtime) = runtime::with_timers() else { return };
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let left = std::mem::take(&mut *self.left());
        for call in left {
            let tasks = methods.entry(call.method().clone()).or_default();
            tasks.spawn_on(call.go_on(), &runtime);
        }
    }

    fn left(&self) -> MutexGuard<'_, Vec<Box<dyn Left>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call that is given up.
    pub fn note_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        let waiting = self.waiting();
        if waiting > 0 {
            tracing::warn!(
                target: "dubhe::backlog",
                waiting,
                "the consumer ends, and with it calls that wait to be sent again; they are lost",
            );
        }
    }
}

impl fmt::Display for BacklogFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls(bound) => write!(f, "{bound} calls of the method wait already"),
            Self::Bytes => write!(f, "the calls that wait hold {MAX_MIB} MiB"),
            Self::NoRuntime => f.write_str("there is no tokio runtime with timers here"),
        }
    }
}

impl fmt::Debug for dyn Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method())
    }
}

// === impl Task ===

impl<W: Waiting> Task<W> {
    async fn run(mut self) {
        if let Some(call) = &mut self.call {
            call.run().await;
        }
        self.call = None;
    }
}

impl<W: Waiting> Left for Task<W> {
    fn method(&self) -> &Arc<str> {
        &self.method
    }

    fn go_on(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.run())
    }
}

impl<W: Waiting> Drop for Task<W> {
    /// Hands the call back when its runtime ends; if the consumer has ended, the call is lost.
    fn drop(&mut self) {
        let Some(call) = self.call.take() else { return };
        if let Some(backlog) = call.backlog() {
            let (method, room) = (self.method.clone(), self.room.take());
            backlog.left().push(Box::new(Self { call: Some(call), method, room }));
        }
    }
}

/// Counts a call that is dropped before it is done.
struct Lost(Option<Arc<AtomicU64>>);

impl Lost {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Lost {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            dropped.fetch_add(1, Relaxed);
        }
    }
}

// === impl Room ===

impl Room {
    /// `None` if that is too much.
    fn take(bytes: &Arc<AtomicUsize>, size: usize) -> Option<Self> {
        let add = |held: usize| held.checked_add(size).filter(|sum| *sum <= MAX_BYTES);
        bytes.fetch_update(Relaxed, Relaxed, add).ok()?;
        Some(Self { bytes: bytes.clone(), size })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.size, Relaxed);
    }
}

fn unfinished(tasks: &mut JoinSet<()>) -> usize {
    while tasks.try_join_next().is_some() {}
    tasks.len()
}
