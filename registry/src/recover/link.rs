//! The session of a registry, opened again whenever it is lost.
//!
//! ```text
//! Connecting --opened--> Up(session) --lost--> Down(why) --opened--> Up(session)
//!     |                                           ^  |
//!     +-----------------failed--------------------+  +-- failed: growing pauses
//! ```
//!
//! One task opens sessions; registrations and subscriptions watch its state and work on the session
//! of the moment. It starts with the first of them, so a registry that nothing uses is never
//! connected. A process that only reads waits longer after a loss, because providers have to be
//! back before lists are complete.

use std::collections::HashMap;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_core::{
    Error, Instance, Latest, LatestReader, ServiceKey, Snapshot, Source, ZONE, runtime,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::pace::{Pace, RetryPause};
use crate::backend::{Backend, Demand, Listing, Session};
use crate::cache::Cache;
use crate::listed_consumer::ListedConsumer;
use crate::lock::locked;
use crate::sound::{self, Teller};

/// How long a process that only reads, and starts before the registry, waits before that is
/// trouble.
const FIRST_CONNECT: Duration = Duration::from_secs(3);

/// The reason why a list is not confirmed once no task follows it.
pub(crate) const RUNTIME_ENDED: &str =
    "the runtime that followed it has ended, the next call follows it again";

/// The text about a registry that does not answer.
const SILENT: &str = "it does not answer in time, check that it is running and reachable";

/// State that the loops of one registry share.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) pace: Pace,
    pub(crate) cache: Option<Cache>,
    /// Of instances that name none.
    zone: Option<Box<str>>,
    pub(crate) state: Latest<State>,
    /// How many instances this process wants registered.
    pub(crate) providers: watch::Sender<usize>,
    pub(crate) closing: Latest<bool>,
    /// Log lines about lists that were already written.
    pub(crate) told: Teller,
    /// Ends the pause before the next attempt.
    hurry: Notify,
    /// Whether a task opens sessions.
    is_opening: AtomicBool,
    opener: Mutex<Option<JoinHandle<()>>>,
    /// When it was made.
    since: Instant,
    /// When what belongs to the present session is checked first.
    first_check: Mutex<Instant>,
    /// Turns of registrations that have ended and may be listed still.
    leaving: Arc<Semaphore>,
    /// What is kept listed, and by how many.
    held: Mutex<HashMap<PlaceOfInstance, usize>>,
}

/// Most registrations that have ended and go on to be taken off the list.
const MOST_LEAVING: usize = 1000;

/// By which a registry tells instances apart: service, address and start.
type PlaceOfInstance = (ServiceKey, Arc<str>, Arc<str>);

/// Counts one who keeps an instance listed, for as long as it lives.
pub(super) struct HeldPlace {
    link: Arc<Link>,
    place: PlaceOfInstance,
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        let mut held = locked(&self.link.held);
        if let Some(count) = held.get_mut(&self.place) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.place);
            }
        }
    }
}

/// Notes the end of the task that opens sessions, even if it never began.
struct Opening(Arc<Link>);

impl Drop for Opening {
    fn drop(&mut self) {
        let link = &self.0;
        link.is_opening.store(false, Ordering::Release);
        let is_closing = *link.closing.borrow();
        let mut other = State::Down(link.backend_lost(RUNTIME_ENDED));
        // A task that waits for a session and goes on opens it again, unless another has by now.
        link.state.send_if_modified(|state| {
            let is_news = !is_closing && !link.is_opening.load(Ordering::Acquire);
            if is_news {
                mem::swap(state, &mut other);
            }
            is_news
        });
        // A session is dropped here, where no lock is held.
    }
}

/// Waits until the registry is shut down. It holds no lock once it is, while other futures are dropped.
pub(super) async fn until_closing(closing: &mut LatestReader<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

/// What has been logged about the present outage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    Away,
    Refused,
}

/// The present time without a session, and what people know of it.
struct Outage {
    told: Told,
    since: Instant,
    /// Whether there was none before either.
    is_first: bool,
}

/// Whether there is a session.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Nothing was tried yet, or the first attempt runs.
    Connecting,
    /// There is one.
    Up(Arc<dyn Session>),
    /// The last attempt failed, or the session was lost.
    Down(Error),
}

impl State {
    pub(crate) fn session(&self) -> Option<Arc<dyn Session>> {
        match self {
            Self::Up(session) => Some(Arc::clone(session)),
            Self::Connecting | Self::Down(_) => None,
        }
    }
}

impl Link {
    pub(crate) fn new(backend: Arc<dyn Backend>, cache: Option<Cache>, zone: Option<&str>) -> Self {
        Self {
            pace: backend.pace(),
            cache: cache.filter(|_| backend.is_cached()),
            zone: zone.map(Into::into),
            backend,
            state: Latest::new(State::Connecting),
            providers: watch::Sender::new(0),
            closing: Latest::new(false),
            told: Teller::default(),
            hurry: Notify::new(),
            is_opening: AtomicBool::new(false),
            opener: Mutex::new(None),
            since: Instant::now(),
            first_check: Mutex::new(Instant::now()),
            leaving: Arc::new(Semaphore::new(MOST_LEAVING)),
            held: Mutex::default(),
        }
    }

    /// Has `instance` counted as kept listed.
    pub(super) fn hold(self: &Arc<Self>, instance: &Instance) -> HeldPlace {
        let place = place_of(instance);
        *locked(&self.held).entry(place.clone()).or_default() += 1;
        HeldPlace { link: Arc::clone(self), place }
    }

    /// A turn to take off the list, later, what could not be taken off; `None` if very many have one. What is left then
    /// ends with the session.
    pub(super) fn leave(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.leaving).try_acquire_owned().ok()
    }

    /// Whether anybody keeps `instance` listed.
    pub(super) fn is_held(&self, instance: &Instance) -> bool {
        locked(&self.held).contains_key(&place_of(instance))
    }

    /// The time until the next check.
    pub(crate) fn until_reconcile(&self) -> Duration {
        let first = locked(&self.first_check).saturating_duration_since(Instant::now());
        self.pace.until_reconcile(self.since.elapsed(), first)
    }

    /// Starts the task that opens sessions, in the present runtime, if there is none.
    ///
    /// # Errors
    /// There is no runtime here.
    pub(crate) fn begin(self: &Arc<Self>) -> Result<(), runtime::Missing> {
        if self.is_opening.load(Ordering::Acquire) || *self.closing.borrow() {
            return Ok(());
        }
        let runtime = runtime::with_timers()?;
        if self.is_opening.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.state.send(State::Connecting);
        let opening = Opening(Arc::clone(self));
        let opener = runtime.spawn(async move { Arc::clone(&opening.0).keep_open().await });
        *locked(&self.opener) = Some(opener);
        Ok(())
    }

    /// Whether the task that opens sessions has ended with its runtime.
    pub(crate) fn is_left(&self) -> bool {
        !self.is_opening.load(Ordering::Acquire)
    }

    /// Ends the task that opens sessions; the returned handle waits for its end.
    pub(crate) fn end(&self) -> Option<JoinHandle<()>> {
        locked(&self.opener).take().inspect(JoinHandle::abort)
    }

    /// Opens the session again and again; ends only by being aborted.
    async fn keep_open(self: Arc<Self>) {
        let mut backoff = RetryPause::new(self.pace);
        let mut providers = self.providers.subscribe();
        let mut outage = Outage { told: Told::Nothing, since: Instant::now(), is_first: true };
        let mut peers = None;
        loop {
            let provides = *providers.borrow_and_update() > 0;
            let demand = Demand { provides, reconcile: self.pace.reconcile };
            let pause = match self.open(demand).await {
                Ok(session) => {
                    let opened = Instant::now();
                    if outage.told != Told::Nothing {
                        tracing::info!(
                            target: "dubhe::registry",
                            registry = self.backend.address(), "registry is back"
                        );
                    }
                    outage.is_first = false;
                    let first_check = opened.checked_add(self.pace.until_first_check());
                    *locked(&self.first_check) = first_check.unwrap_or(opened);
                    self.state.send(State::Up(Arc::clone(&session)));
                    session.closed().await;
                    // Who came in with all others has not heard of all yet.
                    peers = match opened.elapsed() < self.pace.reconcile {
                        true => peers.max(session.peers()),
                        false => session.peers().or(peers),
                    };
                    let is_young = opened.elapsed() < self.pace.longest_pause;
                    // After a short session it is the same outage, which has been logged.
                    if !is_young {
                        (outage.told, outage.since) = (Told::Nothing, Instant::now());
                    }
                    let unknown = || self.backend_lost("the session ended");
                    self.lost(session.reason().unwrap_or_else(unknown), &mut outage);
                    // A session that dies young counts as a failure, lest the loop spins.
                    if !is_young {
                        backoff.reset();
                    }
                    let is_reader = *providers.borrow() == 0;
                    backoff.pause() + self.pace.spread(peers).mul_f64(f64::from(is_reader))
                }
                // A registration came meanwhile and may make possible what was not (hosting).
                Err(_) if (*providers.borrow() > 0) != provides => continue,
                Err(error) => {
                    self.lost(error, &mut outage);
                    let spread = peers.filter(|_| !provides).map(|_| self.pace.spread(peers));
                    backoff.pause() + spread.unwrap_or_default()
                }
            };
            // Likewise here: then try at once.
            tokio::select! {
                () = sleep(pause) => {}
                () = self.hurry.notified() => {}
                _ = providers.wait_for(|n| (*n > 0) != provides) => {}
            }
        }
    }

    async fn open(&self, demand: Demand) -> Result<Arc<dyn Session>, Error> {
        match timeout(self.pace.connect_timeout, self.backend.connect(&demand)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.backend_lost(SILENT)),
        }
    }

    fn backend_lost(&self, why: &str) -> Error {
        Error::unreachable(format!("registry {}: {why}", self.backend.address()))
    }

    /// Logs once for each outage, and once more if the registry answers and rejects our
    /// credentials.
    fn lost(&self, error: Error, outage: &mut Outage) {
        let registry = self.backend.address();
        let is_unlisted = outage.is_first && *self.providers.borrow() > 0;
        let is_reader_at_start = outage.is_first && !is_unlisted;
        let first = if is_reader_at_start { FIRST_CONNECT } else { Duration::ZERO };
        // A caller that is being set up gets the refusal as its error, and usually ends with it.
        let is_set_up = outage.is_first
            && outage.told == Told::Nothing
            && outage.since.elapsed() < self.pace.settle;
        if error.is_refused() && is_set_up {
            tracing::debug!(target: "dubhe::registry", registry, %error, "registry refuses us");
        } else if error.is_refused() && outage.told != Told::Refused {
            outage.told = Told::Refused;
            tracing::error!(
                target: "dubhe::registry",
                registry, %error, "registry refuses us, continuing with what is known"
            );
        } else if outage.told != Told::Nothing
            || outage.since.elapsed() < self.pace.grace.max(first)
        {
            tracing::debug!(
                target: "dubhe::registry",
                registry, %error, "registry does not answer"
            );
        } else if is_unlisted {
            outage.told = Told::Away;
            tracing::warn!(
                target: "dubhe::registry",
                %error,
                "not registered yet: consumers do not find this provider through {registry}; trying again"
            );
        } else {
            outage.told = Told::Away;
            tracing::warn!(
                target: "dubhe::registry",
                registry, %error, "registry is away, continuing with what is known"
            );
        }
        self.state.send(State::Down(error));
    }

    /// Fails if the last that was heard of the registry is that it refuses us.
    pub(crate) fn check_admitted(&self) -> Result<(), Error> {
        match &*self.state.borrow() {
            State::Down(error) if error.is_refused() => Err(error.clone()),
            State::Down(_) | State::Connecting | State::Up(_) => Ok(()),
        }
    }

    /// The list of `service` now.
    pub(crate) async fn list(&self, service: &ServiceKey) -> Result<Snapshot, Error> {
        let session = self.session().await?;
        let listing = self.request(session.fetch(service)).await?;
        Ok(self.snapshot(service, listing).0)
    }

    /// Every service that has an instance now.
    pub(crate) async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        let session = self.session().await?;
        self.request(session.services()).await
    }

    /// The consumers of `service` now, if the registry keeps them.
    pub(crate) async fn consumers(
        &self,
        service: &ServiceKey,
    ) -> Result<Option<Vec<ListedConsumer>>, Error> {
        let session = self.session().await?;
        self.request(session.consumers(service)).await
    }

    /// The session, after another attempt without a pause if there is none: for what cannot wait until the
    /// next one.
    pub(super) async fn session_at_once(self: &Arc<Self>) -> Result<Arc<dyn Session>, Error> {
        // In case the runtime has ended in which sessions were opened.
        let _ = self.begin();
        let is_asked = self.state.send_if_modified(|state| {
            let is_down = matches!(state, State::Down(_));
            if is_down {
                *state = State::Connecting;
            }
            is_down
        });
        if is_asked {
            self.hurry.notify_one();
        }
        self.session().await
    }

    /// The session, waiting for it at most two attempts, or until one fails.
    pub(super) async fn session(&self) -> Result<Arc<dyn Session>, Error> {
        let limit = self.pace.connect_timeout * 2;
        let mut state = self.state.subscribe();
        let known = timeout(limit, state.wait_for(|s| !matches!(s, State::Connecting))).await;
        match known.ok().and_then(Result::ok).as_deref() {
            Some(State::Up(session)) => Ok(Arc::clone(session)),
            Some(State::Down(error)) => Err(error.clone()),
            Some(State::Connecting) | None => Err(self.backend_lost(SILENT)),
        }
    }

    /// The instances of a registry's list that can be used, and whether those are all; the others are logged.
    pub(crate) fn snapshot(&self, service: &ServiceKey, mut listing: Listing) -> (Snapshot, bool) {
        let left_out = sound::sift(&mut listing.instances);
        self.told.tell(&self.backend.address(), service, &left_out);
        if let Some(zone) = &self.zone {
            listing.instances.iter_mut().for_each(|instance| place_in(zone, instance));
        }
        (Snapshot::shared(listing.instances, Source::Live), left_out.count == 0)
    }

    /// Runs one operation within the request timeout.
    pub(crate) async fn request<T>(
        &self,
        operation: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match timeout(self.pace.request_timeout, operation).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.backend_lost(SILENT)),
        }
    }
}

fn place_of(instance: &Instance) -> PlaceOfInstance {
    (instance.service.clone(), Arc::clone(&instance.address), Arc::clone(&instance.id))
}

/// Gives the zone to an instance that names none.
fn place_in(zone: &str, instance: &mut Arc<Instance>) {
    if !instance.metadata.contains_key(ZONE) {
        let mut metadata = (*instance.metadata).clone();
        metadata.insert(ZONE.to_owned(), zone.to_owned());
        Arc::make_mut(instance).metadata = metadata.into();
    }
}

/// Counts one wanted registration for as long as its task lives.
pub(crate) struct Counted(Arc<Link>);

impl Counted {
    pub(crate) fn new(link: &Arc<Link>) -> Self {
        link.providers.send_modify(|n| *n += 1);
        Self(Arc::clone(link))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.providers.send_modify(|n| *n -= 1);
    }
}
