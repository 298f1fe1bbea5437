//! A connection to one address that reopens by itself: connects, watches, connects again with
//! backoff.
//!
//! The state that calls see ([`ChannelState`]):
//!
//! ```text
//! Idle --first call--> Connecting --heartbeat answered--> Ready --"no new calls"--> Draining
//!                          |                                |                          |
//!                          +--failed, or lost---------------+--lost--------------------+
//!                          v
//!                         Down --answered on a new connection--> Ready
//! ```
//!
//! Calls that opened the channel are written as soon as there is a connection. After a loss or a
//! failed try, the channel stays down until the provider has answered on a new connection, because
//! the kernel of a process that hangs accepts connections, too. A connection that lasted for less
//! than [`SHORT_LIVED`] counts as a failed try; after a longer one the next try comes at once.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use rpc_core::client::ClientConfig;
use rpc_core::protocol::Target;
use rpc_core::status::{Delivery, Status};
use rpc_core::transport::Dial;
use rpc_core::{Backoff, ChannelState, Invocation, Listeners, panics, runtime};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::driver::Driver;
use super::shared::{ConnectionLife, ConnectionShared};

/// However many calls press for it, a channel that is down tries no more often than this.
const HURRY: Duration = Duration::from_millis(250);

/// A connection that ends sooner counts as a failed try: its peer accepts and hangs up.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// State that a channel keeps across its connections.
pub(super) struct Reconnect {
    address: Arc<str>,
    config: Arc<ClientConfig>,
    dial: Arc<dyn Dial>,
    state: AtomicU8,
    listeners: Listeners,
    link: Mutex<Link>,
    /// Grows with every connect attempt that ended; calls that wait for one watch it.
    attempts: watch::Sender<u64>,
    /// Ends a backoff early.
    hurry: Notify,
}

/// The state of the channel's connection to its address.
enum Link {
    /// No connection yet; the first call, or a request to connect ahead of it, starts the task that
    /// keeps one.
    Idle,
    /// The task is connecting, or waits to try again at the instant.
    Waiting { next_try: Instant, last_error: Option<Status> },
    /// Connected.
    Up(Arc<ConnectionShared>),
}

impl Reconnect {
    pub(super) fn new(target: Target) -> Arc<Self> {
        let Target { address, config, dial, local: _ } = target;
        let (state, link) = (AtomicU8::new(ChannelState::Idle as u8), Mutex::new(Link::Idle));
        let (attempts, hurry) = (watch::Sender::new(0), Notify::new());
        let listeners = Listeners::default();
        Arc::new(Self { address, config, dial, state, listeners, link, attempts, hurry })
    }

    pub(super) fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// The directories that are notified when the state changes.
    pub(super) fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// The connection, if it is open to calls.
    pub(super) fn open(&self) -> Option<Arc<ConnectionShared>> {
        match &*self.lock() {
            Link::Up(shared) if shared.life() != ConnectionLife::Closed => Some(shared.clone()),
            Link::Up(_) | Link::Idle | Link::Waiting { .. } => None,
        }
    }

    /// Starts to connect unless that is under way; `false` without a runtime that can.
    pub(super) fn connect(self: &Arc<Self>) -> bool {
        // Checked before anything changes: without a runtime no task would connect.
        let Ok(runtime) = runtime::with_timers() else { return false };
        let starting = self.begin(&mut self.lock());
        self.start(&runtime, starting);
        true
    }

    /// Ends a backoff early.
    pub(super) fn hurry(&self) {
        if self.state() == ChannelState::Down {
            self.hurry.notify_one();
        }
    }

    /// Ends the connection, because its channel was dropped.
    pub(super) fn close(&self) {
        // The task that keeps the connection holds this weakly between its steps.
        if let Link::Up(shared) = &*self.lock() {
            shared.close();
        }
        self.hurry.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> ChannelState {
        match self.state.load(Ordering::Acquire) {
            0 => ChannelState::Idle,
            1 => ChannelState::Connecting,
            2 => ChannelState::Ready,
            3 => ChannelState::Down,
            _ => ChannelState::Draining,
        }
    }

    fn set_state(&self, state: ChannelState) {
        if self.state.swap(state as u8, Ordering::AcqRel) != state as u8 {
            self.listeners.note();
            tracing::debug!(target: "dubhe::channel", endpoint = %self.address, ?state, "channel");
        }
    }

    /// Idle => Waiting; what it returns is to be [started](Self::start) once the lock is free: a
    /// runtime that shuts down drops the task at once.
    fn begin(self: &Arc<Self>, link: &mut Link) -> Option<Keeping> {
        matches!(link, Link::Idle).then(|| {
            *link = Link::Waiting { next_try: Instant::now(), last_error: None };
            Keeping(Arc::downgrade(self))
        })
    }

    /// Starts the task that keeps a connection.
    fn start(&self, runtime: &Handle, starting: Option<Keeping>) {
        if let Some(keeping) = starting {
            self.set_state(ChannelState::Connecting);
            runtime.spawn(keep_connected(keeping));
        }
    }

    /// The open connection, waiting for the attempt under way, never past the deadline.
    pub(super) async fn connected(
        self: &Arc<Self>,
        invocation: &Invocation,
    ) -> Result<Arc<ConnectionShared>, Status> {
        // Before anything changes: a caller would wait forever for a task that cannot start.
        let runtime = runtime::with_timers()?;
        let mut attempts = self.attempts.subscribe();
        let seen = *attempts.borrow_and_update();
        let mut starting = None;
        {
            let mut link = self.lock();
            match &*link {
                Link::Up(shared) if shared.life() != ConnectionLife::Closed => {
                    return Ok(shared.clone());
                }
                Link::Up(_) => {}
                Link::Idle => starting = self.begin(&mut link),
                // Calls come here while it is down only if no other provider is up: ask at once.
                Link::Waiting { next_try, .. } if *next_try > Instant::now() + HURRY => {
                    *link = Link::Waiting { next_try: Instant::now() + HURRY, last_error: None };
                    self.hurry.notify_one();
                }
                Link::Waiting { .. } => {}
            }
        }
        self.start(&runtime, starting);
        // Half of what is left: the rest is for another provider, should this one not answer.
        let patience = invocation.deadline.remaining() / 2;
        let ended = attempts.wait_for(|attempt| *attempt != seen);
        if tokio::time::timeout(patience, ended).await.is_err() {
            return Err(self.unreached("no connection within half of the time that was left"));
        }
        match &*self.lock() {
            Link::Up(shared) => Ok(shared.clone()),
            Link::Waiting { last_error: Some(error), .. } => Err(error.clone()),
            Link::Waiting { .. } | Link::Idle => {
                Err(self.unreached("the connection was lost at once"))
            }
        }
    }

    /// The status of a call that found no connection. It names the address, so the text does not.
    fn unreached(&self, text: &str) -> Status {
        Status::unavailable(text)
            .with_delivery(Delivery::NotSent)
            .with_address(self.address.clone())
    }

    /// Is down for `wait`, or until the address is listed anew. Down, not connecting: calls go
    /// elsewhere until it is proven to be back.
    async fn wait_down(&self, wait: Duration, last_error: Option<Status>) {
        self.set_state(ChannelState::Down);
        let down = Link::Waiting { next_try: Instant::now() + wait, last_error };
        match self.is_up() {
            true => *self.lock() = down,
            false => self.attempt_ended(down),
        }
        if !wait.is_zero() {
            // Even if it is urgent, a peer that refuses is not asked all the time.
            let least = wait.min(HURRY / 2);
            tokio::time::sleep(least).await;
            let _ = tokio::time::timeout(wait - least, self.hurry.notified()).await;
        }
    }

    /// Notes what the connection has become; `shared` is open to calls from its first word on.
    fn became(&self, life: ConnectionLife, shared: &Arc<ConnectionShared>) {
        if !self.is_up() {
            self.attempt_ended(Link::Up(shared.clone()));
        }
        self.set_state(match life {
            ConnectionLife::Open => ChannelState::Ready,
            ConnectionLife::Unproven | ConnectionLife::Draining | ConnectionLife::Closed => {
                ChannelState::Draining
            }
        });
    }

    fn is_up(&self) -> bool {
        matches!(*self.lock(), Link::Up(_))
    }

    fn attempt_ended(&self, link: Link) {
        *self.lock() = link;
        self.attempts.send_modify(|attempts| *attempts += 1);
    }
}

impl Drop for Reconnect {
    /// The last call that waited for a connection may outlive the channel.
    fn drop(&mut self) {
        if let Link::Up(shared) = self.link.get_mut().unwrap_or_else(PoisonError::into_inner) {
            shared.close();
        }
    }
}

/// Lets the next call start anew when the task that keeps the connection is ended from outside, as
/// by the end of its runtime, be it before it began.
struct Keeping(Weak<Reconnect>);

impl Drop for Keeping {
    fn drop(&mut self) {
        if let Some(core) = self.0.upgrade() {
            core.set_state(ChannelState::Idle);
            core.attempt_ended(Link::Idle);
        }
    }
}

/// Connects, watches, and connects again with backoff. Ends when the channel is dropped.
///
/// Calls that have opened the channel are written as soon as there is a connection. Once it was
/// lost, or failed, they wait until the provider has said a word on a new one: the kernel of a
/// process that hangs accepts too.
async fn keep_connected(keeping: Keeping) {
    let channel = &keeping.0;
    let (mut backoff, mut first) = (Backoff::default(), true);
    loop {
        let Some(core) = held(channel) else { return };
        let mut lived = Duration::ZERO;
        let failed = match connect(&core).await {
            Ok((shared, driver)) => {
                if std::mem::take(&mut first) {
                    core.attempt_ended(Link::Up(shared.clone()));
                }
                if Arc::strong_count(&core) == 1 {
                    return;
                }
                drop(core);
                let opened = Instant::now();
                driver.await;
                lived = opened.elapsed();
                shared.lock().closed.clone()
            }
            Err(status) => {
                first = false;
                drop(core);
                Some(status)
            }
        };
        let Some(core) = held(channel) else { return };
        let wait = match core.is_up() && lived >= SHORT_LIVED {
            true => {
                backoff.reset();
                Duration::ZERO
            }
            false => backoff.next_wait(),
        };
        core.wait_down(wait, failed).await;
    }
}

/// The core while anybody but its own task holds it.
fn held(channel: &Weak<Reconnect>) -> Option<Arc<Reconnect>> {
    channel.upgrade().filter(|core| Arc::strong_count(core) > 1)
}

type Driving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One try to connect: the connection, and the future that drives it.
async fn connect(core: &Arc<Reconnect>) -> Result<(Arc<ConnectionShared>, Driving), Status> {
    let Reconnect { address, config, dial, .. } = &**core;
    let fail = |why: String| core.unreached(&format!("cannot connect: {why}"));
    let mut dialling = dial.dial(address);
    // As of a runtime without IO: the channel must not end with it.
    let dialled = poll_fn(|cx| match panics::catch(|| dialling.as_mut().poll(cx)) {
        Ok(polled) => polled,
        Err(message) => Poll::Ready(Err(io::Error::other(message))),
    });
    let io = match tokio::time::timeout(config.connect_timeout, dialled).await {
        Ok(Ok(io)) => io,
        Ok(Err(error)) => return Err(fail(error.to_string())),
        Err(_) => {
            return Err(fail(format!("no answer within {:?}", config.connect_timeout)));
        }
    };
    let shared = Arc::new(ConnectionShared::new(address.clone(), config.clone()));
    let (weak, watched) = (Arc::downgrade(core), shared.clone());
    let driver = Driver::new(shared.clone(), io, move |life| match weak.upgrade() {
        Some(core) => core.became(life, &watched),
        None => watched.close(),
    });
    Ok((shared, Box::pin(driver.run())))
}
