//! The addresses of a directory's list, which stay while only the state of its endpoints changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::endpoint::Endpoint;

/// The sorted addresses of a list; the object is replaced only when the addresses change.
#[derive(Debug)]
pub(crate) struct Members {
    addresses: Box<[Arc<str>]>,
    /// Later ones have greater numbers.
    number: u64,
}

impl Members {
    /// The addresses of these endpoints, which are in their order.
    pub(crate) fn of(endpoints: &[Arc<Endpoint>]) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let addresses = endpoints.iter().map(|endpoint| endpoint.address().clone()).collect();
        Arc::new(Self { addresses, number: NEXT.fetch_add(1, Relaxed) })
    }

    /// The same object, if these endpoints have the same addresses.
    pub(crate) fn updated(self: &Arc<Self>, endpoints: &[Arc<Endpoint>]) -> Arc<Self> {
        let theirs = endpoints.iter().map(|endpoint| endpoint.address());
        match self.addresses.iter().eq(theirs) {
            true => self.clone(),
            false => Self::of(endpoints),
        }
    }

    pub(crate) fn addresses(&self) -> &[Arc<str>] {
        &self.addresses
    }

    /// Identifies a list; later lists have greater numbers.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}
