//! The read loop of a dubbo connection of a provider. The task that serves the connection runs it,
//! and in its place another one for as long as a handler holds that task's thread.
//!
//! The connection is behind a lock that its task gives away while it polls a handler. The watcher
//! of blocked threads ([`HandOn`]) then spawns a substitute, which polls no handler itself and ends
//! once the first task is back.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rpc_core::Peer;
use rpc_core::protocol::Accepted;
use rpc_core::server::{DrivenId, HandOn};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

use super::connection::{Begins, Connection, Inline, Times};
use super::running::{AbortCalls, CallsShared};

/// After this many requests the task lets others run.
const FAIR: usize = 512;

/// How long a closing connection goes on reading what the peer still sends.
const LINGER: Duration = Duration::from_millis(500);

/// Serves a connection to its end.
pub(crate) async fn serve(accepted: Accepted, peer: Arc<Peer>) -> io::Result<()> {
    let Accepted { io, first, server, driver, .. } = accepted;
    let shared = CallsShared::new(server, driver);
    let connection = Connection::new(shared.clone(), io, first, peer);
    let wheel = Wheel {
        connection,
        away: false,
        closing: false,
        substitute: None,
        substitutes: 0,
        ended: None,
    };
    // With a single thread there is no other to drive it.
    let others = |runtime: &Handle| runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
    let runtime = Handle::try_current().ok().filter(others);
    let id = DrivenId::next();
    let driven = Arc::new(Driven { id, shared, runtime, wheel: Mutex::new(wheel) });
    // No caller waits for its calls once the connection is over, whatever the reason.
    let _calls = AbortCalls(driven.shared.clone());
    let _substitute = EndSubstitute(&driven);
    driven.drive(Role::First).await
}

/// A connection that is being driven.
struct Driven {
    id: DrivenId,
    shared: Arc<CallsShared>,
    /// The runtime in which a substitute can run.
    runtime: Option<Handle>,
    wheel: Mutex<Wheel>,
}

/// State of the task that drives.
struct Wheel {
    connection: Connection,
    /// Whether the first task is away: it polls a handler, or lets others run.
    away: bool,
    /// Whether all that is left is to write and close.
    closing: bool,
    substitute: Option<Substitute>,
    /// How many substitutes there have been.
    substitutes: u64,
    /// How the connection ended under a substitute.
    ended: Option<io::Result<()>>,
}

/// The task that drives in place of the first one.
struct Substitute {
    number: u64,
    task: AbortHandle,
}

type AtWheel<'a> = MutexGuard<'a, Wheel>;

/// Which task it is that drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    First,
    Substitute(u64),
}

/// The work that the task does outside of the lock.
enum Next {
    /// Lets others run.
    Yield,
    /// Lets other handlers end first, so that one write carries all of their answers.
    Gather,
    Close,
    /// The connection has ended, or is driven by another task.
    Leave,
}

impl Driven {
    fn wheel(&self) -> AtWheel<'_> {
        self.wheel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drives the connection in this `role`, until it ends or another task takes over.
    async fn drive(self: &Arc<Self>, role: Role) -> io::Result<()> {
        let due = self.wheel().connection.next_timer();
        let mut timer = pin!(tokio::time::sleep_until(due));
        loop {
            match poll_fn(|cx| self.poll(cx, timer.as_mut(), role)).await? {
                Next::Yield => self.let_others_run(role).await,
                Next::Gather => {
                    self.let_others_run(role).await;
                    self.wheel().connection.take_out();
                }
                Next::Close => return self.close().await,
                Next::Leave => return Ok(()),
            }
        }
    }

    /// Yields. A handler that runs before this task's turn comes back may hold the thread, and
    /// tokio lets no other thread take the task meanwhile: the connection is handed on then, too.
    async fn let_others_run(&self, role: Role) {
        if role != Role::First {
            return tokio::task::yield_now().await;
        }
        self.wheel().away = true;
        tokio::task::yield_now().await;
        let mut wheel = self.wheel();
        wheel.away = false;
        wheel.end_substitute();
    }

    fn poll(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        mut timer: Pin<&mut Sleep>,
        role: Role,
    ) -> Poll<io::Result<Next>> {
        let mut wheel = self.wheel();
        loop {
            if !wheel.is_held_by(role) {
                return Poll::Ready(Ok(Next::Leave));
            }
            if let Some(ended) = wheel.ended.take() {
                return Poll::Ready(ended.map(|()| Next::Leave));
            }
            if wheel.closing {
                return Poll::Ready(Ok(Next::Close));
            }
            let seen = ready!(wheel.connection.poll(cx, timer.as_mut()))?;
            if seen.read {
                let all;
                (wheel, all) = self.take_frames(wheel, cx, role)?;
                if !all {
                    return Poll::Ready(Ok(Next::Yield));
                }
            }
            if seen.phase {
                wheel.closing = wheel.connection.enter_phase();
            }
            if seen.timer {
                wheel.connection.check_time()?;
                timer.as_mut().reset(wheel.connection.next_timer());
            }
            if seen.flush {
                if self.shared.lock().running.len() > 1 {
                    return Poll::Ready(Ok(Next::Gather));
                }
                wheel.connection.take_out();
            }
        }
    }

    /// Acts on every whole frame of the input; `false` if some are left because others are to run.
    fn take_frames<'a>(
        self: &'a Arc<Self>,
        mut wheel: AtWheel<'a>,
        cx: &mut Context<'_>,
        role: Role,
    ) -> io::Result<(AtWheel<'a>, bool)> {
        // Held until the requests of this read have begun.
        let reading = self.shared.state.begin_reading();
        let begins = match (&reading, role) {
            (None, _) => Begins::Nothing,
            (Some(_), Role::First) => Begins::Here,
            (Some(_), Role::Substitute(_)) => Begins::Apart,
        };
        if begins == Begins::Here && self.runtime.is_some() {
            let this = || -> Weak<dyn HandOn> { Arc::<Self>::downgrade(self) };
            self.id.driven_here(this);
        }
        let mut times = Times::read_at(Instant::now());
        let (mut taken, mut all) = (0_usize, true);
        // In one place, as it is too large to be moved for each step.
        let mut call = None;
        wheel.connection.begin_taking(times.arrived);
        while let Some(frame) = wheel.connection.next_frame()? {
            wheel.connection.take_frame(frame, begins, times, &mut call);
            if call.is_some() {
                let handed_on;
                (wheel, handed_on) = self.poll_handler(wheel, &mut call, &mut times);
                if handed_on {
                    // What lies here now came later.
                    times = Times::read_at(times.now);
                    if wheel.ended.is_some() {
                        break;
                    }
                }
            }
            taken += 1;
            if wheel.connection.has_gathered(taken) && !wheel.connection.write_some(cx)? {
                break;
            }
            if taken.is_multiple_of(FAIR) {
                wheel.connection.leave_rest();
                all = false;
                break;
            }
        }
        wheel.connection.end_taking(times.arrived);
        Ok((wheel, all))
    }

    /// Polls a handler without the lock; `true` if a substitute has driven meanwhile.
    fn poll_handler<'a>(
        &'a self,
        mut wheel: AtWheel<'a>,
        call: &mut Option<Inline>,
        times: &mut Times,
    ) -> (AtWheel<'a>, bool) {
        let Some(Inline { answer, .. }) = call else { return (wheel, false) };
        wheel.away = true;
        drop(wheel);
        let polled = Pin::new(&mut *answer).poll(&mut Context::from_waker(Waker::noop()));
        let mut wheel = self.wheel();
        wheel.away = false;
        let took = times.go_on(Instant::now());
        answer.route().note_first_poll(took, times.now);
        let handed_on = wheel.end_substitute();
        wheel.connection.take_polled(call, polled, *times);
        (wheel, handed_on)
    }

    /// Writes the rest and closes; the drain limits the time.
    async fn close(&self) -> io::Result<()> {
        self.wheel().connection.take_out();
        poll_fn(|cx| self.wheel().connection.poll_flush(cx)).await?;
        poll_fn(|cx| self.wheel().connection.poll_shutdown(cx)).await?;
        // Closing with unread input would reset the connection and lose answers on their way.
        let discard = poll_fn(|cx| self.wheel().connection.poll_discard(cx));
        tokio::time::timeout(LINGER, discard).await.unwrap_or(Ok(()))
    }

    /// Drives in place of the first task, until that is back or the connection ends.
    async fn substitute(self: Arc<Self>, number: u64) {
        let ended = self.drive(Role::Substitute(number)).await;
        let mut wheel = self.wheel();
        if wheel.is_held_by(Role::Substitute(number)) {
            wheel.ended = Some(ended);
            drop(wheel);
            drop(AbortCalls(self.shared.clone()));
        }
    }
}

impl HandOn for Driven {
    fn hand_on(self: Arc<Self>) {
        let Some(runtime) = &self.runtime else { return };
        let mut wheel = self.wheel();
        if wheel.away && wheel.substitute.is_none() && wheel.ended.is_none() {
            wheel.substitutes += 1;
            let number = wheel.substitutes;
            let task = runtime.spawn(self.clone().substitute(number)).abort_handle();
            wheel.substitute = Some(Substitute { number, task });
        }
    }
}

impl Wheel {
    fn is_held_by(&self, role: Role) -> bool {
        match (role, &self.substitute) {
            (Role::First, _) => true,
            (Role::Substitute(number), Some(substitute)) => substitute.number == number,
            (Role::Substitute(_), None) => false,
        }
    }

    /// Ends the substitute; `true` if there was one.
    fn end_substitute(&mut self) -> bool {
        let substitute = self.substitute.take();
        if let Some(substitute) = &substitute {
            substitute.task.abort();
        }
        substitute.is_some()
    }
}

/// Ends the substitute together with the first task.
struct EndSubstitute<'a>(&'a Driven);

impl Drop for EndSubstitute<'_> {
    fn drop(&mut self) {
        self.0.wheel().end_substitute();
    }
}
