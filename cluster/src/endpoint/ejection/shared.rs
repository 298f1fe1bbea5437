//! What the endpoints of a directory share: the rules of ejection, and the notice of a change.

use std::future::Future;
use std::sync::atomic::{
    AtomicBool, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rpc_core::{Changes, Tally, runtime};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::EjectionConfig;
use crate::dice::Dice;

/// State that the ejections of a directory share.
#[derive(Debug)]
pub(crate) struct SharedEjection {
    /// The origin of the endpoints' clocks.
    origin: Instant,
    /// `None`: nothing is ejected; addresses without the service are stale all the same.
    config: ArcSwapOption<EjectionConfig>,
    dice: Dice,
    /// Of the standing of endpoints, and of the state of their channels.
    changes: Changes,
    /// Whether failures that endpoints pass on from their own calls count against them: not while
    /// too many of them do.
    counts_nested: AtomicBool,
    /// How often an endpoint was taken out.
    ejections: Tally,
    /// Whether the directory's task must look at the endpoints from time to time.
    alert: AtomicBool,
    alerted: Notify,
    /// Copies of calls that probe endpoints; at most one for each endpoint.
    probes: Mutex<JoinSet<()>>,
}

impl SharedEjection {
    pub(crate) fn new(config: Option<EjectionConfig>, ejections: Tally) -> Self {
        Self {
            origin: Instant::now(),
            dice: Dice::new(config.and_then(|config| config.seed)),
            config: ArcSwapOption::from_pointee(config),
            changes: Changes::default(),
            counts_nested: AtomicBool::new(true),
            ejections,
            alert: AtomicBool::new(false),
            alerted: Notify::new(),
            probes: Mutex::default(),
        }
    }

    /// The origin of the endpoints' clocks, shared so that one reading serves several endpoints.
    pub(crate) const fn origin(&self) -> Instant {
        self.origin
    }

    pub(crate) fn config(&self) -> Option<EjectionConfig> {
        self.config.load().as_deref().copied()
    }

    /// Sets other rules from now on; endpoints ejected by the old rules come back by the new ones.
    pub(crate) fn set_config(&self, config: Option<EjectionConfig>) {
        if self.config() != config {
            self.config.store(config.map(Arc::new));
            self.changes.note();
        }
    }

    /// Changes that make a list of candidates out of date.
    pub(crate) const fn changes(&self) -> &Changes {
        &self.changes
    }

    pub(crate) fn ejections(&self) -> u64 {
        self.ejections.count()
    }

    /// Whether so many of the connected endpoints are ejected that all are to be called.
    pub(crate) fn is_too_many(&self, ejected: usize, connected: usize) -> bool {
        let percent = self.config().map_or(0, |config| config.max_percent as usize);
        ejected * 100 > connected * percent
    }

    pub(super) fn set_counts_nested(&self, counts: bool) {
        self.counts_nested.store(counts, Relaxed);
    }

    pub(super) fn counts_nested(&self) -> bool {
        self.counts_nested.load(Relaxed)
    }

    /// Notes that the standing of an endpoint has changed, so that lists made from it are out of
    /// date.
    pub(crate) fn changed(&self) {
        self.changes.note();
    }

    pub(super) fn count_ejection(&self) {
        self.ejections.add_one();
    }

    /// Half of `longest` and a random part of the other half: those ejected together do not come
    /// back together.
    pub(crate) fn jitter(&self, longest: Duration) -> Duration {
        self.dice.jitter(longest)
    }

    /// Runs a probe until it ends or the directory does. Where there is no runtime it is given up,
    /// and a later call probes.
    pub(crate) fn spawn_probe(&self, probe: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = runtime::with_timers() else { return };
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        while probes.try_join_next().is_some() {}
        probes.spawn_on(probe, &runtime);
    }

    /// Cancels all probes, which otherwise keep their endpoints alive.
    pub(crate) fn stop_probes(&self) {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// Asks the directory's task to look at the endpoints until all are well.
    pub(crate) fn alert(&self) {
        if !self.alert.load(Acquire) && !self.alert.swap(true, AcqRel) {
            self.alerted.notify_one();
        }
    }

    /// Waits until there is reason to look at the endpoints.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub(crate) async fn wait_alert(&self) {
        while !self.alert.load(Acquire) {
            self.alerted.notified().await;
        }
    }

    /// Lets the directory's task rest. Said before the last look, so that what happens during it
    /// is not missed.
    pub(crate) fn rest(&self) {
        self.alert.store(false, Release);
    }
}
