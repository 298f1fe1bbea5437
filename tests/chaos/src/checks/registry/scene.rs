//! What the checks have in common: providers and consumers of a registry, those who watch its lists, and
//! the judgement whether lists are the live set.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dubhe::extend::{LatestReader, Registry, Snapshot};
use dubhe::{Consumer, Instance, ServiceKey, Source, Trouble};
use tempfile::TempDir;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::super::{none_failed, none_repeated, pass};
use super::server::{STORE, Server};
use crate::fleet::{self, Member};
use crate::load::{self, Calls, Load};
use crate::report::Report;
use crate::{BoxError, alarms};

/// From the end of a fault until every list is right again.
const HEALED: Duration = Duration::from_secs(5);

/// How long is waited for what should not take long, before it counts as not coming.
const PATIENCE: Duration = Duration::from_secs(60);

/// Providers of a registry that are called without pause, by a consumer that never repeats a call.
pub(super) struct Scene<'a> {
    pub(super) server: &'a mut Server,
    pub(super) providers: Vec<Member>,
    pub(super) consumer: Consumer,
    pub(super) observer: Observer,
    load: Load,
    sampler: Sampler,
    folder: TempDir,
}

/// Waits until no provider is listed: what a check before has left ends with its sessions.
pub(super) async fn emptied(url: &str) -> Result<Observer, BoxError> {
    let observer = Observer::start(url).await?;
    observer.becomes(&BTreeSet::new(), PATIENCE).await?;
    Ok(observer)
}

/// Starts a provider of the registry at `url`.
pub(super) async fn provider(url: &str, folder: &TempDir, name: &str) -> Result<Member, BoxError> {
    fleet::provider(url, folder.path(), name, &[]).await
}

impl<'a> Scene<'a> {
    /// Three providers, all of which reach the registry as everybody does.
    pub(super) async fn of_three(server: &'a mut Server) -> Result<Self, BoxError> {
        Self::start(server, 3, |_, url| url).await
    }

    /// `count` providers, which all are listed and called when this returns. `url` is where the
    /// provider of this number reaches the registry.
    pub(super) async fn start(
        server: &'a mut Server,
        count: usize,
        url: impl Fn(usize, String) -> String,
    ) -> Result<Self, BoxError> {
        let folder = tempfile::tempdir()?;
        let observer = emptied(&server.url()).await?;
        let mut providers = Vec::new();
        for number in 0..count {
            let name = format!("p{number}");
            providers.push(provider(&url(number, server.url()), &folder, &name).await?);
        }
        let consumer = fleet::consumer(&server.url(), &["consumer.retries=0"])?;
        let client = fleet::client(&consumer, count).await?;
        observer.becomes(&addresses(&providers), PATIENCE).await?;
        let load = Load::start(&client, Calls::Writes(2), server.rate);
        let sampler = Sampler::start(&consumer);
        pass(Duration::from_secs(1)).await;
        let scene = Self { server, providers, consumer, observer, load, sampler, folder };
        // From here on lists count.
        scene.observer.fewest();
        scene.fewest_applied();
        Ok(scene)
    }

    /// The addresses of the providers that run: who runs and is not cut off holds a session.
    pub(super) fn live(&self) -> BTreeSet<String> {
        addresses(&self.providers)
    }

    pub(super) fn folder(&self) -> &TempDir {
        &self.folder
    }

    /// Holds the lists of old and new clients, and what is called, to the live set, which they have to be
    /// within 5 s after `since`.
    pub(super) async fn settles(
        &self,
        report: &mut Report,
        since: Instant,
    ) -> Result<(), BoxError> {
        self.settles_once(report, || Some(since)).await.map(drop)
    }

    /// As [`settles`](Self::settles), once the registry serves, which it does since the last answer of `serving`. Says
    /// when they were right.
    pub(super) async fn settles_once(
        &self,
        report: &mut Report,
        serving: impl Fn() -> Option<Instant>,
    ) -> Result<Instant, BoxError> {
        let live = self.live();
        let newcomer = Observer::start(&self.server.url()).await?;
        let is_right = || {
            let state = self.consumer.directory_state(&ServiceKey::new(STORE));
            let called = state.is_some_and(|state| {
                let is_all = state.endpoints == live.len() && state.held == 0;
                is_all && state.source == Source::Live && state.trouble.is_none()
            });
            called && self.observer.is(&live) && newcomer.is(&live)
        };
        let begun = Instant::now();
        let mut since = None;
        while since.is_none() && begun.elapsed() < PATIENCE {
            pass(Duration::from_millis(5)).await;
            since = serving().filter(|_| is_right());
        }
        let settled = Instant::now();
        if since.is_none() && serving().is_none() {
            report.note("its servers take writes again", "not all of them", false);
        }
        if since.is_none() {
            let state = self.consumer.directory_state(&ServiceKey::new(STORE));
            let figure =
                format!("{live:?}; followed: {}; new: {newcomer}; {state:?}", self.observer);
            report.note("lists are the live set again", &figure, false);
        }
        let took = settled.saturating_duration_since(since.unwrap_or(begun));
        report.at_most("until lists are the live set again", took, HEALED);
        Ok(settled)
    }

    /// Those of the providers that run now are what counts of a list from here on, whoever else is listed.
    pub(super) fn counts_these(&self) {
        self.observer.counts(self.live());
    }

    /// Notes the shortest list since this was last asked, or since the start.
    pub(super) fn shortest(&self, report: &mut Report, when: &str, least: usize) {
        report.at_least(&format!("shortest list {when}"), self.observer.fewest(), least);
    }

    /// Holds the list to all of the three for so long from now on.
    pub(super) async fn stays(&self, report: &mut Report, when: &str, time: Duration) {
        self.observer.fewest();
        pass(time).await;
        self.shortest(report, when, 3);
    }

    /// The time since calls began.
    pub(super) fn now(&self) -> Duration {
        self.load.now()
    }

    /// The fewest providers of any list that calls went by since this was last asked.
    fn fewest_applied(&self) -> usize {
        let Some(state) = self.consumer.directory_state(&ServiceKey::new(STORE)) else { return 0 };
        alarms::fewest_applied(&state.registry).unwrap_or(state.endpoints)
    }

    /// Ends it: no call has failed, none ran twice, and never was there nobody to call.
    pub(super) async fn end(self, report: &mut Report) -> Result<(), BoxError> {
        self.judged(report).await.map(drop)
    }

    /// As [`end`](Self::end), and returns the calls.
    pub(super) async fn judged(self, report: &mut Report) -> Result<load::Seen, BoxError> {
        let listed = self.fewest_applied();
        let seen = self.load.stop().await?;
        none_failed(report, "writes", &seen);
        report.at_least("shortest of all lists that calls went by", listed, 1);
        let least = self.sampler.least();
        report.at_least("fewest providers that could be called", least, 1);
        none_repeated(report, self.folder.path())?;
        for mut provider in self.providers {
            provider.terminate().await?;
        }
        Ok(seen)
    }
}

/// The addresses of providers.
pub(super) fn addresses(providers: &[Member]) -> BTreeSet<String> {
    providers.iter().map(|provider| provider.address.clone()).collect()
}

/// Looks all the time at how many providers a consumer can call.
struct Sampler {
    least: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Sampler {
    fn start(consumer: &Consumer) -> Self {
        let least = Arc::new(AtomicUsize::new(usize::MAX));
        let (consumer, noted) = (consumer.clone(), least.clone());
        let task = tokio::spawn(async move {
            loop {
                if let Some(state) = consumer.directory_state(&ServiceKey::new(STORE)) {
                    noted.fetch_min(state.candidates, Ordering::Relaxed);
                }
                pass(Duration::from_millis(2)).await;
            }
        });
        Self { least, task: task.abort_handle() }
    }

    fn least(&self) -> usize {
        self.least.load(Ordering::Relaxed)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client that follows the list of a service and notes every list it is given.
pub(super) struct Observer {
    _registry: Arc<dyn Registry>,
    seen: Arc<Mutex<Seen>>,
    trouble: LatestReader<Option<Trouble>>,
    task: AbortHandle,
}

#[derive(Default)]
struct Seen {
    latest: Vec<Arc<Instance>>,
    /// Whose instances count; none for all.
    counted: BTreeSet<String>,
    is_live: bool,
    fewest: Option<usize>,
    lists: usize,
    /// The latest start of a list's first entry, and how often one was earlier.
    start: u64,
    back: usize,
}

impl Observer {
    /// One that follows the store.
    pub(super) async fn start(url: &str) -> Result<Self, BoxError> {
        Self::of(url, STORE).await
    }

    pub(super) async fn of(url: &str, service: &str) -> Result<Self, BoxError> {
        let registry = registry::connect(url)?;
        let mut list = registry.subscribe(&ServiceKey::new(service)).await?;
        let seen = Arc::<Mutex<Seen>>::default();
        let (noted, trouble) = (seen.clone(), list.watch_trouble());
        let task = tokio::spawn(async move {
            note(&noted, &list.latest());
            while let Some(next) = list.next().await {
                note(&noted, &next);
            }
        });
        Ok(Self { _registry: registry, seen, trouble, task: task.abort_handle() })
    }

    /// Whether its list is this one, and confirmed.
    pub(super) fn is(&self, live: &BTreeSet<String>) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = seen.latest.iter().map(|instance| &*instance.address);
        seen.is_live
            && self.trouble.borrow().is_none()
            && listed.eq(live.iter().map(String::as_str))
    }

    /// Waits until it is; an error if it does not become so.
    pub(super) async fn becomes(
        &self,
        live: &BTreeSet<String>,
        limit: Duration,
    ) -> Result<Duration, BoxError> {
        let begun = Instant::now();
        while !self.is(live) {
            if begun.elapsed() > limit {
                return Err(format!("the list is {self} after {limit:?}, not {live:?}").into());
            }
            pass(Duration::from_millis(5)).await;
        }
        Ok(begun.elapsed())
    }

    /// From here on instances at these addresses count, and no others.
    fn counts(&self, addresses: BTreeSet<String>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.counted = addresses;
        seen.fewest = None;
    }

    /// The fewest instances that any list had since it was last asked.
    pub(super) fn fewest(&self) -> usize {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = seen.count(&seen.latest);
        seen.fewest.replace(now).unwrap_or(now).min(now)
    }

    /// The start of the latest list's first entry, how often that went back, and how many lists there were.
    pub(super) fn order(&self) -> (u64, usize, usize) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.latest.first().map_or(0, |first| first.started_ms), seen.back, seen.lists)
    }
}

fn note(seen: &Mutex<Seen>, list: &Snapshot) {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let start = |list: &[Arc<Instance>]| list.first().map_or(0, |first| first.started_ms);
    seen.lists += 1;
    // A list that is empty tells nothing of the order.
    let is_back = !list.instances.is_empty() && start(&list.instances) < seen.start;
    seen.back += usize::from(is_back);
    seen.start = seen.start.max(start(&list.instances));
    seen.latest = list.instances.to_vec();
    seen.is_live = list.source == Source::Live;
    let count = seen.count(&list.instances);
    seen.fewest = Some(seen.fewest.unwrap_or(usize::MAX).min(count));
}

impl Seen {
    /// How many of these count.
    fn count(&self, list: &[Arc<Instance>]) -> usize {
        let counts =
            |one: &&Arc<Instance>| self.counted.is_empty() || self.counted.contains(&*one.address);
        list.iter().filter(counts).count()
    }
}

impl std::fmt::Display for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses: Vec<_> = seen.latest.iter().map(|instance| &instance.address).collect();
        write!(f, "{addresses:?}")?;
        match &*self.trouble.borrow() {
            Some(trouble) => write!(f, " ({trouble})"),
            None => Ok(()),
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
