//! Instances without an endpoint, because one of the program's own layers, filters or protocols
//! panicked while it was created for them. The other instances are not affected.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Backoff, ServiceKey, panics};
use tokio::time::Instant;

/// How long it takes until it is tried again, the first time and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The broken instances of one directory, by address.
#[derive(Debug, Default)]
pub(super) struct Broken(HashMap<Arc<str>, Break>);

/// An instance whose endpoint could not be made, and when that is tried again.
#[derive(Debug)]
struct Break {
    backoff: Backoff,
    next: Instant,
}

impl Broken {
    /// The result of `make` for the instance of `service` at `address`; `None` if it panics, or did
    /// so a moment ago.
    pub(super) fn make<T>(
        &mut self,
        service: &ServiceKey,
        address: &Arc<str>,
        now: Instant,
        make: impl FnOnce() -> T,
    ) -> Option<T> {
        if self.0.get(address).is_some_and(|broken| now < broken.next) {
            return None;
        }
        match panics::catch(make) {
            Ok(made) => {
                self.0.remove(address);
                Some(made)
            }
            Err(panic) => {
                let begun = || Break { backoff: Backoff::new(AGAIN.0, AGAIN.1), next: now };
                let broken = self.0.entry(address.clone()).or_insert_with(begun);
                let again_in = broken.backoff.next_wait();
                broken.next = now + again_in;
                tracing::error!(
                    target: "dubhe::directory",
                    %service, %address, panic, ?again_in,
                    "a layer, filter or protocol of this program panicked while it was made for an \
                     instance; calls go to it as before, or not at all if it is new",
                );
                None
            }
        }
    }

    /// Notes that nothing has to be created for `address` any more.
    pub(super) fn mended(&mut self, address: &str) {
        self.0.remove(address);
    }

    /// Forgets those that are not listed any more.
    pub(super) fn keep(&mut self, is_listed: impl Fn(&str) -> bool) {
        self.0.retain(|address, _| is_listed(address));
    }

    /// Has all of them tried again at once.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
