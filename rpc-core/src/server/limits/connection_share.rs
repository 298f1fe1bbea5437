//! The callers of a server, and what each of them has taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::state::ServerState;
use crate::status::{Delivery, Status};

/// A caller of a server: a connection, or a channel inside the process. While there are others, it
/// leaves them their part also when it takes nothing.
///
/// It keeps no server alive, so a handler may hold one of its own server.
#[derive(Debug)]
pub struct Caller {
    pub(super) calls: AtomicUsize,
    pub(super) bytes: AtomicUsize,
    /// How many callers the server has.
    all: Arc<AtomicUsize>,
}

impl Caller {
    /// A new caller of `server`, which has taken nothing.
    #[must_use]
    pub fn new(server: &ServerState) -> Arc<Self> {
        let all = server.callers.clone();
        all.fetch_add(1, Ordering::AcqRel);
        Arc::new(Self { calls: AtomicUsize::new(0), bytes: AtomicUsize::new(0), all })
    }

    pub(super) fn is_alone(&self) -> bool {
        self.all.load(Ordering::Acquire) <= 1
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The part of a server's quotas that one caller has taken.
#[derive(Debug)]
pub struct ConnectionShare {
    pub(super) state: Arc<ServerState>,
    pub(super) caller: Arc<Caller>,
}

impl ConnectionShare {
    /// The share of a new connection, of which nothing is taken.
    #[must_use]
    pub fn new(state: Arc<ServerState>) -> Arc<Self> {
        let caller = Caller::new(&state);
        Self::of(caller, state)
    }

    /// The share of `caller`, with all that it has taken before; `state` is its server.
    #[must_use]
    pub fn of(caller: Arc<Caller>, state: Arc<ServerState>) -> Arc<Self> {
        Arc::new(Self { state, caller })
    }

    /// The state that all callers share.
    #[must_use]
    #[inline]
    pub fn state(&self) -> &Arc<ServerState> {
        &self.state
    }
}

/// The answer to a caller for whom there is no room.
pub(super) fn refused(text: String) -> Status {
    Status::resource_exhausted(text).with_delivery(Delivery::Refused)
}
