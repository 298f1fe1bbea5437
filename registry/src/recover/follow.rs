//! Keeps up what a registry says of one target, a list or a text: watched, watched again after every
//! loss, and read again every 30 s.
//!
//! What arrives replaces what was before as a whole, so a lost push is repaired by the next, or by the
//! next reading. While there is no session the last value stays, and its listeners see the reason as
//! its trouble. A value outlives the task that brings it, which ends with its runtime: a listener in
//! another one has it begun again.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rpc_core::{Error, Latest, LatestReader, Trouble, runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::link::{Link, RUNTIME_ENDED, State, until_closing};
use super::pace::RetryPause;
use super::tasks::Tasks;
use crate::backend::Session;
use crate::lock::locked;
use crate::newest::{Newest, WatchNews};

/// How long the end of a session, or of following, waits for work beside the value.
const CATCH_UP_LIMIT: Duration = Duration::from_millis(500);

/// What is followed at a registry: the list of a service, or the text of a key.
pub(super) trait WatchTarget: fmt::Display + Send + Sync + 'static {
    /// What a session says of it.
    type Update: Clone + Send + Sync;

    /// Where a watch puts that.
    type Updates: AsRef<Newest<Self::Update>> + Send + Sync;

    /// What listeners get.
    type Value: Send + Sync;

    /// Where the next watch puts what it sees; `present` is what listeners have.
    fn updates(&self, present: &Self::Value) -> Self::Updates;

    /// Puts what was read as the watch does.
    fn put(updates: &Self::Updates, update: Self::Update);

    /// Puts each update into `updates` until the watch or the session is lost.
    fn watch<'a>(
        &'a self,
        session: &'a dyn Session,
        updates: &'a Self::Updates,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// What the registry says of it now.
    fn read<'a>(&'a self, session: &'a dyn Session) -> BoxFuture<'a, Result<Self::Update, Error>>;

    /// Hands an update to the listeners.
    fn publish<'a>(
        &'a self,
        link: &'a Arc<Link>,
        update: Self::Update,
        ends: &'a Ends<Self::Value>,
    ) -> BoxFuture<'a, ()>;

    /// When work beside the value is due; `None` if there is none.
    fn due(&self, ends: &Ends<Self::Value>) -> Option<Instant> {
        let _ = ends;
        None
    }

    /// Does that work, for the present value.
    fn catch_up(
        self: Arc<Self>,
        link: &Arc<Link>,
        ends: &Ends<Self::Value>,
    ) -> BoxFuture<'static, ()> {
        let _ = (link, ends);
        Box::pin(std::future::ready(()))
    }
}

/// The senders of values, and of the reason why they are not confirmed.
pub(super) struct Ends<V> {
    pub(super) values: Latest<V>,
    trouble: Latest<Option<Trouble>>,
}

// Derived, it would ask for values that are `Clone`.
impl<V> Clone for Ends<V> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), trouble: self.trouble.clone() }
    }
}

impl<V> Ends<V> {
    /// The value is confirmed. Said after it is sent, so that no reader takes the one before for
    /// confirmed.
    pub(super) fn confirm(&self) {
        self.trouble.send_if_modified(|trouble| trouble.take().is_some());
    }

    /// The value is not confirmed any more, for this reason; it stays.
    pub(super) fn doubt(&self, why: &str) {
        self.trouble.send_if_modified(|trouble| {
            let since = trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
            let present = Some(Trouble::new(why, since));
            let is_news = *trouble != present;
            *trouble = present;
            is_news
        });
    }

    /// Whether this is the reason already.
    pub(super) fn is_doubted_for(&self, why: &str) -> bool {
        self.trouble.borrow().as_ref().is_some_and(|known| &*known.error == why)
    }
}

/// A value that is kept up for its listeners, who hold this.
pub(super) struct Followed<S: WatchTarget> {
    tasks: Arc<Tasks>,
    target: Arc<S>,
    /// `None` once the registry is shut down, which listeners are to notice.
    ends: Mutex<Option<Ends<S::Value>>>,
    is_followed: AtomicBool,
    /// Ends the task when this is dropped, as nobody listens any more.
    listened: Mutex<Option<oneshot::Sender<Infallible>>>,
}

/// A value that has begun to be followed: who keeps it up, and what listeners read from.
pub(super) struct FollowBegun<S: WatchTarget> {
    pub(super) followed: Arc<Followed<S>>,
    pub(super) values: LatestReader<S::Value>,
    pub(super) trouble: LatestReader<Option<Trouble>>,
}

impl<S: WatchTarget> Followed<S> {
    /// Begins with `first`, and waits until something is known, or is known not to be at present.
    pub(super) async fn begin(
        tasks: &Arc<Tasks>,
        target: S,
        first: S::Value,
        is_known: impl FnMut(&S::Value) -> bool + Send,
    ) -> FollowBegun<S> {
        let (values, mut newest) = Latest::channel(first);
        let (troubled, trouble) = Latest::channel(None);
        let followed = Arc::new(Self {
            tasks: Arc::clone(tasks),
            target: Arc::new(target),
            ends: Mutex::new(Some(Ends { values, trouble: troubled })),
            is_followed: AtomicBool::new(false),
            listened: Mutex::default(),
        });
        followed.follow();
        let mut doubted = trouble.clone();
        let _ = timeout(tasks.link.pace.settle, async {
            tokio::select! {
                _ = newest.wait_for(is_known) => {}
                _ = doubted.wait_for(Option::is_some) => {}
            }
        })
        .await;
        FollowBegun { followed, values: newest, trouble }
    }

    /// Has it followed in the runtime here, unless it is; says whether it was not.
    pub(super) fn follow(self: &Arc<Self>) -> bool {
        if self.is_followed.load(Ordering::Acquire) || runtime::with_timers().is_err() {
            return false;
        }
        let Some(ends) = locked(&self.ends).clone() else { return false };
        if self.is_followed.swap(true, Ordering::AcqRel) {
            return false;
        }
        // Without a session it waits for one, and the task that opens sessions wakes it.
        let _ = self.tasks.link.begin();
        let (listened, deserted) = oneshot::channel();
        *locked(&self.listened) = Some(listened);
        let guard = FollowGuard { followed: Arc::downgrade(self), is_over: false };
        let link = Arc::clone(&self.tasks.link);
        let (state, target) = (link.state.subscribe(), Arc::clone(&self.target));
        let mut task = Follow { link, target, ends, state };
        self.tasks.spawn(async move {
            task.run_while_wanted(deserted).await;
            guard.over();
        });
        true
    }
}

/// Notes the end of the following task, even if it never began.
struct FollowGuard<S: WatchTarget> {
    followed: Weak<Followed<S>>,
    /// Whether it ended by itself: nobody listens, or the registry is shut down.
    is_over: bool,
}

impl<S: WatchTarget> FollowGuard<S> {
    fn over(mut self) {
        self.is_over = true;
    }
}

impl<S: WatchTarget> Drop for FollowGuard<S> {
    fn drop(&mut self) {
        let Some(followed) = self.followed.upgrade() else { return };
        if self.is_over {
            // Dropped where no lock is held, as it wakes those who wait for the end.
            let ends = locked(&followed.ends).take();
            drop(ends);
            return;
        }
        if let Some(ends) = &*locked(&followed.ends) {
            ends.doubt(RUNTIME_ENDED);
        }
        followed.is_followed.store(false, Ordering::Release);
    }
}

/// Waits until then, or for ever. Hardly any task has such a time, so it takes no room in the others.
async fn sleep_if_due(due: Option<Instant>) {
    match due {
        Some(due) => Box::pin(sleep_until(due)).await,
        None => pending().await,
    }
}

/// Work beside a value, one piece at most; it ends with this. Mostly there is none.
#[derive(Default)]
struct WorkBeside(Option<JoinSet<()>>);

impl WorkBeside {
    fn begin(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.get_or_insert_default().spawn(work);
    }

    fn is_done(&self) -> bool {
        self.0.is_none()
    }

    /// Waits for its end, if there is some.
    ///
    /// # Cancel safety
    /// The work goes on if it is dropped.
    async fn done(&mut self) {
        if let Some(work) = &mut self.0 {
            while work.join_next().await.is_some() {}
            self.0 = None;
        }
    }

    /// As that; without end if there is none.
    async fn end_of_work(&mut self) {
        match self.is_done() {
            true => pending().await,
            false => self.done().await,
        }
    }
}

/// The task of one target.
struct Follow<S: WatchTarget> {
    link: Arc<Link>,
    target: Arc<S>,
    ends: Ends<S::Value>,
    state: LatestReader<State>,
}

impl<S: WatchTarget> Follow<S> {
    /// Ends when the last listener has gone or the registry is shut down.
    async fn run_while_wanted(&mut self, deserted: oneshot::Receiver<Infallible>) {
        let mut closing = self.link.closing.subscribe();
        let mut beside = WorkBeside::default();
        tokio::select! {
            () = self.run(&mut beside) => {}
            _ = deserted => {}
            () = until_closing(&mut closing) => {}
        }
        let _ = timeout(CATCH_UP_LIMIT, beside.done()).await;
    }

    /// Follows one session after the other; in between the last value stays, in doubt.
    async fn run(&mut self, beside: &mut WorkBeside) {
        let mut backoff = RetryPause::new(self.link.pace);
        while let Some(session) = self.session(&mut backoff).await {
            let began = Instant::now();
            let error = self.follow_session(&*session, beside).await;
            self.doubt(&error);
            // What came last has its turn, however soon after the one before.
            let _ = timeout(CATCH_UP_LIMIT, beside.done()).await;
            if beside.is_done() && self.target.due(&self.ends).is_some() {
                self.catch_up(beside);
            }
            tracing::debug!(
                target: "dubhe::registry",
                watched = %self.target, %error, "watch ended, beginning it again"
            );
            if began.elapsed() >= self.link.pace.longest_pause {
                backoff.reset();
            }
            tokio::select! {
                () = sleep(backoff.pause()) => {}
                _ = self.state.changed() => {}
            }
        }
    }

    /// The next session; `None` if there will be none.
    async fn session(&mut self, backoff: &mut RetryPause) -> Option<Arc<dyn Session>> {
        loop {
            let state = self.state.borrow_and_update().clone();
            if let State::Up(session) = state {
                return Some(session);
            }
            if let State::Down(error) = state {
                self.doubt(&error);
                if self.link.is_left() {
                    // With pauses, as it may not have been a runtime that ended it.
                    sleep(backoff.pause()).await;
                    let _ = self.link.begin();
                }
            }
            self.state.changed().await.ok()?;
        }
    }

    /// Begins the work beside the value.
    fn catch_up(&self, beside: &mut WorkBeside) {
        beside.begin(Arc::clone(&self.target).catch_up(&self.link, &self.ends));
    }

    /// When the work beside the value is due, unless some is being done; begins it if it is by now.
    fn due(&self, beside: &mut WorkBeside) -> Option<Instant> {
        let due = self.target.due(&self.ends).filter(|_| beside.is_done())?;
        if due > Instant::now() {
            return Some(due);
        }
        self.catch_up(beside);
        None
    }

    /// Follows one session until it is lost, or its watch or a reading fails.
    async fn follow_session(&self, session: &dyn Session, beside: &mut WorkBeside) -> Error {
        let updates = self.target.updates(&self.ends.values.borrow());
        let (mut newest, mut seen) = (updates.as_ref().subscribe(), 0);
        let mut replaced = self.state.clone();
        let mut watching = self.target.watch(session, &updates);
        // Pinned where it is made, as one that is moved takes its room twice.
        let mut reading = pin!(self.read_again(session, &updates));
        loop {
            let due = self.due(beside);
            // The watch before the state, so that what was read of the session first is seen first.
            let ended = tokio::select! {
                biased;
                _ = newest.changed() => None,
                ended = &mut watching => {
                    Some(ended.err().unwrap_or_else(|| Error::closed("the watch ended")))
                }
                // A watch may not notice the end of its session: an old one is not trusted.
                _ = replaced.changed() => Some(match &*replaced.borrow() {
                    State::Down(error) => error.clone(),
                    State::Connecting | State::Up(_) => Error::closed("the session ended"),
                }),
                error = &mut reading => Some(error),
                () = beside.end_of_work() => continue,
                () = sleep_if_due(due) => continue,
            };
            // Also at the end: what came whole before it counts.
            if ended.is_none() || newest.has_changed() {
                let (update, puts, doubt) = {
                    let WatchNews { value, puts, doubt } = &*newest.borrow_and_update();
                    (value.clone().filter(|_| *puts != seen), *puts, doubt.clone())
                };
                seen = puts;
                match update {
                    Some(update) => self.target.publish(&self.link, update, &self.ends).await,
                    // An older one has come, and confirms it.
                    None if doubt.is_none() && puts > 0 => self.ends.confirm(),
                    None => {}
                }
                // Told after the value, which it came after.
                doubt.iter().for_each(|why| self.doubt(why));
            }
            if let Some(error) = ended {
                return error;
            }
        }
    }

    /// Reads it again from time to time, and so repairs what the watch has missed.
    #[expect(
        clippy::manual_async_fn,
        reason = "that of an async function holds its arguments twice"
    )]
    fn read_again<'a>(
        &'a self,
        session: &'a dyn Session,
        updates: &'a S::Updates,
    ) -> impl Future<Output = Error> + Send + 'a {
        async move {
            loop {
                sleep(self.link.until_reconcile()).await;
                match Box::pin(self.link.request(self.target.read(session))).await {
                    Ok(update) => S::put(updates, update),
                    Err(error) => return error,
                }
            }
        }
    }

    /// The value is not confirmed any more, for this reason, which is told without the address.
    fn doubt(&self, error: &Error) {
        let address = self.link.backend.address();
        let text = error.to_string();
        self.ends.doubt(text.strip_prefix(&format!("registry {address}: ")).unwrap_or(&text));
    }
}
