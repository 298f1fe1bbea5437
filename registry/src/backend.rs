//! The part that a new registry implements: opening a session, and five operations on it.
//!
//! A backend knows a server and its layout and nothing else. That sessions are opened again, that
//! instances stay registered, that lists are repaired, cached and compared is the work of
//! [`supervise`](crate::supervise), the same for all. A backend therefore never retries: it fails,
//! clearly, and is called again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rpc_core::{Error, Instance, LatestReader, ServiceKey};

use crate::check::Diagnosis;
use crate::config_center::ConfigSession;
use crate::listed_consumer::ListedConsumer;
use crate::newest::{Newest, WatchNews};

/// Opens sessions with a registry; [`supervise`](crate::supervise) makes a
/// [`Registry`](crate::Registry) of it.
///
/// ```
/// use std::sync::Arc;
///
/// use async_trait::async_trait;
/// use dubhe_registry::{
///     Backend, Demand, Listing, RegistryParams, Session, Updates, supervise,
/// };
/// use rpc_core::{Error, Instance, ServiceKey};
/// use tokio::sync::watch;
///
/// /// Addresses that the program itself sets, the same for every service.
/// #[derive(Debug, Clone)]
/// struct ByHand(watch::Receiver<Vec<&'static str>>);
///
/// #[async_trait]
/// impl Backend for ByHand {
///     fn address(&self) -> String {
///         "by-hand://".to_owned()
///     }
///
///     async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
///         Ok(Arc::new(self.clone()))
///     }
///
///     fn is_cached(&self) -> bool {
///         false
///     }
/// }
///
/// #[async_trait]
/// impl Session for ByHand {
///     async fn register(&self, _: &Instance) -> Result<(), Error> {
///         Ok(())
///     }
///
///     async fn unregister(&self, _: &Instance) -> Result<(), Error> {
///         Ok(())
///     }
///
///     async fn watch(&self, service: &ServiceKey, updates: &Updates) -> Result<(), Error> {
///         let mut addresses = self.0.clone();
///         loop {
///             addresses.mark_unchanged();
///             updates.put(self.fetch(service).await?);
///             let gone = |_| Error::unreachable("nobody sets the addresses any more");
///             addresses.changed().await.map_err(gone)?;
///         }
///     }
///
///     async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error> {
///         let addresses = self.0.borrow();
///         let listed = addresses.iter().map(|at| Instance::new(service.clone(), at, at));
///         Ok(Listing::new(0, listed))
///     }
///
///     async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
///         Ok(Vec::new())
///     }
///
///     async fn closed(&self) {
///         std::future::pending().await
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Error> {
/// let (set, addresses) = watch::channel(vec!["10.0.0.1:20880"]);
/// let params = RegistryParams::new("by-hand://");
/// let registry = supervise(Arc::new(ByHand(addresses)), &params);
/// let mut stock = registry.subscribe(&ServiceKey::new("shop.Stock")).await?;
/// assert_eq!(stock.latest().instances.len(), 1);
///
/// set.send_replace(vec!["10.0.0.1:20880", "10.0.0.2:20880"]);
/// assert_eq!(stock.next().await.map(|list| list.instances.len()), Some(2));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Its address for people, without password. It also names the folder of the disk cache.
    fn address(&self) -> String;

    /// Whether an instance such as this one can be registered at all, as settings decide. Whoever registers
    /// one that cannot is told at once, also while the registry is away. Every instance can by default.
    ///
    /// # Errors
    /// It cannot; the message names the setting and the remedy.
    fn check(&self, instance: &Instance) -> Result<(), Error> {
        let _ = instance;
        Ok(())
    }

    /// Makes one attempt to open a session.
    ///
    /// # Errors
    /// The registry does not answer; or it rejects our credentials ([`Error::refused`]), which
    /// fails the set-up of whoever waits for it. The message says which, and names the address.
    ///
    /// # Cancel safety
    /// The future is dropped if it takes longer than [`Pace::connect_timeout`](crate::Pace).
    async fn connect(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error>;

    /// As [`connect`](Self::connect), for a tool that ends the session again: it shares nothing with other sessions
    /// of this backend, whose registrations stay. It is `connect` by default, for a backend whose sessions share
    /// nothing.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// The future is dropped after 3 s.
    async fn connect_apart(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error> {
        self.connect(demand).await
    }

    /// How fast sessions are opened again and lists repaired; [`Pace::default`](crate::Pace) by
    /// default.
    fn pace(&self) -> crate::Pace {
        crate::Pace::default()
    }

    /// Releases what outlives a session, such as a hosted server, because the registry was shut
    /// down. Does nothing by default.
    fn close(&self) {}

    /// Whether only programs of this machine share it, so that its address names no host; `false`
    /// by default.
    fn is_local(&self) -> bool {
        false
    }

    /// Whether its sessions have [`settings`](Session::settings); `false` by default.
    fn has_settings(&self) -> bool {
        false
    }

    /// Whether its lists are worth keeping on disk; `true` by default.
    fn is_cached(&self) -> bool {
        true
    }

    /// The addresses that it connects to, each a `host:port`, for tools that look at each; none by
    /// default.
    fn servers(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether one of its [`servers`](Self::servers) is where sessions are opened, so that tools open none where all
    /// of those have failed; `true` by default. Other things may be done at others, such as logins.
    fn opens_sessions(&self, server: &str) -> bool {
        let _ = server;
        true
    }

    /// Looks at one of its [`servers`](Self::servers), for tools: opens a session there and ends it, and
    /// says what the server tells of itself, such as its version (`server`), its clock (`clock`), and
    /// whom it takes us for (`login`). Says nothing by default.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// The future is dropped after 4 s.
    async fn examine(&self, server: &str) -> Result<Vec<Diagnosis>, Error> {
        let _ = server;
        Ok(Vec::new())
    }

    /// What one of its [`servers`](Self::servers) that opened no session says of itself, if it is one of
    /// this registry for all that, such as one without its ensemble, with what helps; `None` by default,
    /// so that tools say what else answers there.
    ///
    /// # Cancel safety
    /// The future is dropped after 1 s.
    async fn recognize(&self, server: &str) -> Option<Diagnosis> {
        let _ = server;
        None
    }

    /// Why nothing needs one of its [`servers`](Self::servers), so that tools only warn where it is away;
    /// `None` by default, for one that is needed.
    fn unneeded(&self, server: &str) -> Option<String> {
        let _ = server;
        None
    }
}

/// What this process wants of a session; by default that of a reader at the usual pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Whether it has an instance to register, and is not only a reader.
    pub provides: bool,
    /// How long lists and registrations go unchecked at the longest ([`Pace::reconcile`](crate::Pace)): a session that
    /// checks something once for several who ask does so as often.
    pub reconcile: Duration,
}

#[cfg(feature = "_dubbo")]
impl Demand {
    /// How long something that was checked need not be checked again for whoever asks. It is shorter than the time after
    /// which the same one asks again; where that one has gone, another checks it within 1.6 reconciles.
    pub(crate) fn check_holds(&self) -> Duration {
        self.reconcile / 3 * 2
    }
}

impl Default for Demand {
    fn default() -> Self {
        Self { provides: false, reconcile: crate::Pace::default().reconcile }
    }
}

/// An open session with a registry: five operations, and its end.
///
/// Operations run concurrently. A session never retries: an operation fails, with an error that
/// says why, and is called again in this session or the next.
///
/// # Cancel safety
/// The future of an operation is dropped if it takes longer than
/// [`Pace::request_timeout`](crate::Pace); that of [`watch`](Self::watch), when nobody needs the
/// list any more.
#[async_trait]
pub trait Session: fmt::Debug + Send + Sync + 'static {
    /// Lists the instance under this session, whatever this process had listed before: creates it,
    /// takes it over from an older session, or replaces other content. Repeated every 30 s as a
    /// check.
    ///
    /// # Errors
    /// The session is lost, or the registry refuses the instance.
    async fn register(&self, instance: &Instance) -> Result<(), Error>;

    /// Takes the instance off the list; succeeds if it is not listed.
    ///
    /// # Errors
    /// The session is lost.
    async fn unregister(&self, instance: &Instance) -> Result<(), Error>;

    /// Puts the list of `service` into `updates` at once and after each change, until the watch or
    /// the session is lost. Dropping the future ends the watch at the registry too. While it goes on
    /// and cannot confirm the list, [`Updates::doubt`] says why.
    ///
    /// # Errors
    /// Why the watch ended.
    async fn watch(&self, service: &ServiceKey, updates: &Updates) -> Result<(), Error>;

    /// The list of `service` as it is now.
    ///
    /// # Errors
    /// The session is lost.
    async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error>;

    /// Every service with at least one instance.
    ///
    /// # Errors
    /// The session is lost.
    async fn services(&self) -> Result<Vec<ServiceKey>, Error>;

    /// The consumers of `service`, for tools; `None` by default, for a registry that does not keep who they are.
    ///
    /// # Errors
    /// The session is lost, or we may not read.
    async fn consumers(&self, service: &ServiceKey) -> Result<Option<Vec<ListedConsumer>>, Error> {
        let _ = service;
        Ok(None)
    }

    /// Waits until the session is lost.
    async fn closed(&self);

    /// Why the session was lost, if it was and the reason is known; `None` by default.
    fn reason(&self) -> Option<Error> {
        None
    }

    /// Ends the session because the registry is shut down, once its instances are off the lists: what it still
    /// holds at the registry is gone at once, instead of when its time is over. Does nothing by default, which
    /// leaves that to the registry.
    ///
    /// # Cancel safety
    /// The future is dropped if it takes longer than a shutdown has left, which is 1 to 3 s.
    async fn end(&self) {}

    /// The config centre over this session; `None` by default. A backend whose sessions have one
    /// says so ([`Backend::has_settings`]).
    fn settings(&self) -> Option<&dyn ConfigSession> {
        None
    }

    /// Looks at what stands in the registry, for tools: which parts of its layout there are
    /// (`layout`), and what of it cannot be used and why (`entries`). Says nothing by default.
    ///
    /// # Errors
    /// The session is lost, or we may not read.
    async fn survey(&self) -> Result<Vec<Diagnosis>, Error> {
        Ok(Vec::new())
    }

    /// How many processes share the registry, if it says so; `None` by default. The more there are,
    /// the longer each waits before it reopens a lost session, so that they do not all come at
    /// once.
    fn peers(&self) -> Option<usize> {
        None
    }
}

/// A complete list of the instances of one service, from a registry.
///
/// The order does not matter, and an instance that cannot be used is left out later and logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Grows with every change of the list within a session; 0 if the registry has no such number.
    pub revision: u64,
    /// The instances, in any order.
    pub instances: Vec<Arc<Instance>>,
}

impl Listing {
    /// A list of instances that nobody else holds.
    #[must_use]
    pub fn new(revision: u64, instances: impl IntoIterator<Item = Instance>) -> Self {
        Self { revision, instances: instances.into_iter().map(Arc::new).collect() }
    }
}

/// The receiver of a watch's lists; it keeps the newest.
#[derive(Debug)]
pub struct Updates {
    newest: Newest<Listing>,
    known: usize,
}

impl Updates {
    pub(crate) fn new(known: usize) -> (Self, LatestReader<WatchNews<Listing>>) {
        let newest = Newest::default();
        let updates = newest.subscribe();
        (Self { newest, known }, updates)
    }

    /// How many instances the subscriber had when the watch began. A registry that has just started
    /// sees from it that its own list is not complete yet.
    #[must_use]
    pub fn known(&self) -> usize {
        self.known
    }

    /// Replaces the list, unless it is older than the present one. An equal list counts too: it
    /// confirms the present one.
    pub fn put(&self, listing: Listing) {
        self.newest.put_if(listing, |new, old| {
            new.revision == 0 || old.revision == 0 || new.revision >= old.revision
        });
    }

    /// Whether the newest list is the one of this revision, and not in doubt.
    #[cfg(feature = "_dubbo")]
    pub(crate) fn has(&self, revision: u64) -> bool {
        self.newest.is_confirmed(|newest| newest.revision == revision)
    }

    /// Says that the list cannot be confirmed at present, and why. It stays, and subscribers see the
    /// reason; the next list that is [`put`](Self::put) confirms it. For a watch that goes on: one that
    /// ends says so by its error.
    pub fn doubt(&self, why: Error) {
        self.newest.doubt(why);
    }
}

impl AsRef<Newest<Listing>> for Updates {
    fn as_ref(&self) -> &Newest<Listing> {
        &self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_list_again_confirms_it() {
        let (updates, mut newest) = Updates::new(0);
        let listing = Listing { revision: 3, instances: Vec::new() };
        updates.put(listing.clone());
        updates.doubt(Error::unreachable("nobody knows"));
        newest.mark_unchanged();
        assert!(newest.borrow().doubt.is_some());
        updates.put(listing);
        assert!(newest.has_changed() && newest.borrow().doubt.is_none());
    }

    #[test]
    fn a_list_never_goes_back_in_revision() {
        let (updates, newest) = Updates::new(0);
        let listing = |revision| Listing { revision, instances: Vec::new() };
        for revision in [3, 2, 5, 4] {
            updates.put(listing(revision));
        }
        assert_eq!(newest.borrow().value.as_ref().unwrap().revision, 5);
    }
}
