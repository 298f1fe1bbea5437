//! What a new registry writes: how to open a session, and five operations on it.
//!
//! A backend knows a server and its layout and nothing else. That sessions are opened again, that
//! instances stay registered, that lists are repaired, cached and compared is the work of
//! [`supervise`](crate::supervise), the same for all. A backend therefore never retries: it fails,
//! clearly, and is called again.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rpc_core::{Error, Instance, ServiceKey};
use tokio::sync::watch;

/// Opens sessions with a registry.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Its address for people: without password.
    fn address(&self) -> String;

    /// One attempt to open a session; is dropped if it takes longer than the connect timeout.
    ///
    /// # Errors
    /// The registry does not answer, or refuses us ([`Error::refused`]), which ends what is being set up;
    /// says which, at what address.
    async fn connect(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error>;

    /// How sessions are opened again and lists repaired.
    fn pace(&self) -> crate::Pace {
        crate::Pace::default()
    }

    /// Lets go of what outlives a session, such as a hosted server; the registry was shut down.
    fn close(&self) {}

    /// Whether only programs of this machine share it: then its address names no host.
    fn is_local(&self) -> bool {
        false
    }

    /// Whether its lists are worth keeping on disk.
    fn is_cached(&self) -> bool {
        true
    }
}

/// The registrations and subscriptions that this process wants at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Whether it has an instance to register, and is not only a reader.
    pub provides: bool,
}

/// An open session. Operations run concurrently; each is dropped past the request timeout.
#[async_trait]
pub trait Session: fmt::Debug + Send + Sync + 'static {
    /// Makes the instance listed under this session, whatever this process had there before: creates
    /// it, takes it over from an older session, replaces other content. Repeated as a check every 30 s.
    ///
    /// # Errors
    /// The session is lost, or the registry refuses the instance.
    async fn register(&self, instance: &Instance) -> Result<(), Error>;

    /// Takes the instance off the list; fine if it is not there.
    ///
    /// # Errors
    /// The session is lost.
    async fn unregister(&self, instance: &Instance) -> Result<(), Error>;

    /// Puts the list of `service` into `updates` at once and after each change, until the watch or
    /// the session is lost. Dropping the future ends the watch at the registry too.
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

    /// Waits until the session is lost.
    async fn closed(&self);

    /// Why the session was lost, once it was, where that is known. Unknown by default.
    fn reason(&self) -> Option<Error> {
        None
    }

    /// How many processes share the registry, if it says so. The more there are, the longer each
    /// waits before it reopens a lost session, so that they do not all come at once. Unknown by
    /// default.
    fn peers(&self) -> Option<usize> {
        None
    }
}

/// A complete list from a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Grows with every change of the list within a session; 0 if the registry has no such number.
    pub revision: u64,
    /// The instances, in any order.
    pub instances: Vec<Instance>,
}

/// The receiver of a watch's lists; it keeps the newest.
#[derive(Debug)]
pub struct Updates {
    newest: watch::Sender<Option<Listing>>,
    known: usize,
}

impl Updates {
    pub(crate) fn new(known: usize) -> (Self, watch::Receiver<Option<Listing>>) {
        let (newest, updates) = watch::channel(None);
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
        self.newest.send_if_modified(|newest| {
            let newer = newest.as_ref().is_none_or(|old| {
                listing.revision == 0 || old.revision == 0 || listing.revision >= old.revision
            });
            if newer {
                *newest = Some(listing);
            }
            newer
        });
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
        newest.mark_unchanged();
        updates.put(listing);
        assert!(newest.has_changed().unwrap());
    }

    #[test]
    fn a_list_never_goes_back_in_revision() {
        let (updates, newest) = Updates::new(0);
        let listing = |revision| Listing { revision, instances: Vec::new() };
        for revision in [3, 2, 5, 4] {
            updates.put(listing(revision));
        }
        assert_eq!(newest.borrow().as_ref().unwrap().revision, 5);
    }
}
