//! The part that all registries share: sessions opened again, instances kept registered, lists
//! repaired, cached and served while the registry is away. [`supervise`] makes a [`Registry`] of a
//! [`Backend`].

mod follow;
mod keep;
mod link;
mod lists;
mod pace;
mod tasks;
mod values;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rpc_core::{Error, Instance, ServiceKey, Snapshot, Source, Subscription};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use self::follow::{FollowBegun, Followed};
pub(crate) use self::link::RUNTIME_ENDED;
use self::link::{Counted, Link, State};
use self::lists::ListTarget;
pub use self::pace::Pace;
#[cfg(feature = "dns")]
pub(crate) use self::pace::RetryPause;
use self::tasks::Tasks;
use self::values::Centre;
use crate::backend::Backend;
use crate::cache::Cache;
use crate::config_center::ConfigCenter;
use crate::lock::locked;
use crate::registration::{Registration, Wanted};
use crate::{Diagnosis, ListedConsumer, Registry, RegistryParams, diagnosis, sound};

/// How long a shutdown waits for its instances to be taken off the lists.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(3);

/// How long it waits at least for the end of the session.
const END_LIMIT: Duration = Duration::from_secs(1);

/// Makes a registry that keeps a session with `backend` and repairs itself.
///
/// - A lost session is opened again with growing pauses ([`Pace`]); a process that only reads waits
///   longer, so that providers come first.
/// - Instances are registered again in each session, and checked every 30 s.
/// - Lists are watched, watched again after a loss, and fetched every 30 s. While the registry is
///   away, subscriptions keep the last list and say so; with a disk cache they begin with its list.
/// - So are the texts of its [config centre](Registry::config_center), if the backend has one.
/// - Instances that no registry should have listed are left out and logged; those without a zone have that of
///   the registry, if one is set.
///
/// Nothing runs before the first use. The tasks it starts end with the last of the registry, its
/// registrations and its subscriptions. A task whose runtime ends starts again in the runtime of
/// the next use; that of a registration only with the next registration.
#[must_use]
pub fn supervise(backend: Arc<dyn Backend>, config: &RegistryParams) -> Arc<dyn Registry> {
    let address = backend.address();
    let cache = config.cache_dir.as_deref().map(|dir| Cache::new(dir, &address));
    Arc::new(Supervised {
        address: address.into(),
        tasks: Arc::new(Tasks::new(Link::new(backend, cache, config.zone.as_deref()))),
    })
}

/// A registry over a backend. Its tasks end with the last that holds them.
#[derive(Debug)]
struct Supervised {
    /// Held by each subscription, too.
    address: Arc<str>,
    tasks: Arc<Tasks>,
}

#[async_trait]
impl Registry for Supervised {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn is_local(&self) -> bool {
        self.tasks.link.backend.is_local()
    }

    async fn register(&self, instance: Instance) -> Result<Registration, Error> {
        sound::check_registrable(&instance)?;
        let link = Arc::clone(self.tasks.open()?);
        link.backend.check(&instance)?;
        let wanted = watch::Sender::new(Wanted::Listed(instance));
        let (is_registered, mut registered) = watch::channel(false);
        let (done, outcome) = oneshot::channel();
        let counted = Counted::new(&link);
        let (link_of_task, wanted_of_task) = (Arc::clone(&link), wanted.subscribe());
        self.tasks.spawn(keep::keep(link_of_task, wanted_of_task, is_registered, done, counted));
        // A registry that is down is not an error: the guard's task goes on.
        let _ = timeout(link.pace.settle, async {
            let mut state = link.state.subscribe();
            tokio::select! {
                _ = registered.wait_for(|is| *is) => {}
                _ = state.wait_for(|state| matches!(state, State::Down(_))) => {}
            }
        })
        .await;
        link.check_admitted()?;
        Ok(Registration::new(wanted, registered, outcome, Arc::clone(&self.tasks)))
    }

    async fn subscribe(&self, service: &ServiceKey) -> Result<Subscription, Error> {
        sound::check_listable(service)?;
        let link = Arc::clone(self.tasks.open()?);
        let cached = match &link.cache {
            Some(cache) => cache.read(service).await,
            None => None,
        };
        let first = cached.unwrap_or_else(Snapshot::pending);
        let is_known = |newest: &Snapshot| newest.source == Source::Live;
        let list = ListTarget::new(service.clone());
        let FollowBegun { followed, values, trouble } =
            Followed::begin(&self.tasks, list, first, is_known).await;
        // A list from the disk is worth more than an error; the log has that.
        if values.borrow().source == Source::Pending {
            link.check_admitted()?;
        }
        let subscription = Subscription::new(values, Arc::clone(&followed));
        let subscription = subscription.resumed_by(move || followed.follow());
        Ok(subscription.of_registry(Arc::clone(&self.address), trouble))
    }

    async fn list(&self, service: &ServiceKey) -> Result<Vec<Instance>, Error> {
        sound::check_listable(service)?;
        let listed = self.tasks.open()?.list(service).await?;
        Ok(listed.to_vec())
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        let mut services = self.tasks.open()?.services().await?;
        services.sort();
        services.dedup();
        Ok(services)
    }

    async fn consumers(&self, service: &ServiceKey) -> Result<Option<Vec<ListedConsumer>>, Error> {
        sound::check_listable(service)?;
        let mut consumers = self.tasks.open()?.consumers(service).await?;
        consumers.iter_mut().for_each(|consumers| consumers.sort());
        Ok(consumers)
    }

    fn config_center(&self) -> Option<Arc<dyn ConfigCenter>> {
        let has = self.tasks.link.backend.has_settings();
        has.then(|| Arc::new(Centre(Arc::clone(&self.tasks))) as Arc<dyn ConfigCenter>)
    }

    async fn diagnose(&self) -> Vec<Diagnosis> {
        let link = &self.tasks.link;
        let kept = async {
            match &link.cache {
                Some(cache) => Some(cache.diagnose().await),
                None => None,
            }
        };
        let (mut found, kept) = tokio::join!(diagnosis::diagnose(&*link.backend), kept);
        found.extend(kept);
        found
    }

    async fn shutdown(&self) {
        let deadline = Instant::now() + SHUTDOWN_LIMIT;
        self.tasks.link.closing.send(true);
        let mut loops = std::mem::take(&mut *locked(&self.tasks.loops));
        let _ = timeout_at(deadline, async { while loops.join_next().await.is_some() {} }).await;
        if let Some(opener) = self.tasks.link.end() {
            // An error says that it was aborted.
            let _ = timeout_at(deadline, opener).await;
        }
        // After the opener, which would open another one. It has its time even if the rest has taken all,
        // because then the most is left.
        let session = self.tasks.link.state.borrow().session();
        if let Some(session) = session {
            let _ = timeout_at(deadline.max(Instant::now() + END_LIMIT), session.end()).await;
        }
        self.tasks.link.state.send(State::Down(self.tasks.closed()));
        self.tasks.link.backend.close();
    }
}
