//! What the connections of a server share, and how much of it one of them may take: calls that run,
//! bytes of requests and answers.
//!
//! One rule for both: a connection takes more only as long as it then has no more than was left. So
//! one takes half, two take a third each, and however many there are, the next one finds about as
//! much as each of them has.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::state::ServerState;
use crate::status::{Delivery, Status};

/// A quota shared by all connections of a server.
pub(super) struct Quota {
    limit: usize,
    taken: AtomicUsize,
}

/// Why there is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    /// All of them have taken what there is.
    All,
    /// The one that asks would have more than it leaves; that is this much.
    Own(usize),
}

impl Quota {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0) }
    }

    pub(super) fn taken(&self) -> &AtomicUsize {
        &self.taken
    }

    /// Whether who has `own` may have `more` while `all` are taken; with `alone`, it leaves nothing
    /// to anybody.
    fn fits(&self, all: usize, own: usize, more: usize, alone: bool) -> Result<(), Shortage> {
        let left = self.limit.saturating_sub(all);
        if more > left {
            Err(Shortage::All)
        } else if !alone && own.saturating_add(more) > left {
            Err(Shortage::Own(left))
        } else {
            Ok(())
        }
    }

    /// Counts `more` for who has `own`, if it fits.
    fn take(&self, own: &AtomicUsize, more: usize, alone: bool) -> Result<(), Shortage> {
        let (all, had) = self.take_anyway(own, more);
        let fits = self.fits(all, had, more, alone);
        if fits.is_err() {
            self.give_back(own, more);
        }
        fits
    }

    /// Counts `more`, whether it fits or not; returns what was taken before, by all and by `own`.
    fn take_anyway(&self, own: &AtomicUsize, more: usize) -> (usize, usize) {
        (self.taken.fetch_add(more, Ordering::AcqRel), own.fetch_add(more, Ordering::AcqRel))
    }

    /// Takes `less` off the counts; `true` if nothing is taken any more.
    fn give_back(&self, own: &AtomicUsize, less: usize) -> bool {
        own.fetch_sub(less, Ordering::AcqRel);
        self.taken.fetch_sub(less, Ordering::AcqRel) == less
    }
}

/// What one connection has taken of the quotas of its server.
pub struct ConnectionShare {
    pub(super) state: Arc<ServerState>,
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

impl ConnectionShare {
    /// The share of a new connection, of which nothing is taken.
    #[must_use]
    pub fn new(state: Arc<ServerState>) -> Arc<Self> {
        Arc::new(Self { state, calls: AtomicUsize::new(0), bytes: AtomicUsize::new(0) })
    }

    /// What all connections share.
    #[must_use]
    pub fn state(&self) -> &Arc<ServerState> {
        &self.state
    }

    /// Whether one more call may run now.
    pub fn has_room(&self, one_way: bool) -> bool {
        let (calls, own) = (&self.state.calls, self.calls.load(Ordering::Acquire));
        let all = calls.taken.load(Ordering::Acquire);
        let fits = calls.fits(all, own, 1, self.state.is_alone());
        let others = self.state.one_way.load(Ordering::Acquire);
        fits.is_ok() && (!one_way || calls.fits(all, others, 1, false).is_ok())
    }

    /// Counts a running call.
    ///
    /// # Errors
    /// `resource_exhausted`, refused: all connections together have reached the limit, or this one
    /// its share of it while others are open.
    pub fn begin_call(self: &Arc<Self>) -> Result<CallGuard, Status> {
        let calls = &self.state.calls;
        let guard = || CallGuard { caller: self.clone(), one_way: false };
        calls.take(&self.calls, 1, self.state.is_alone()).map(|()| guard()).map_err(|short| {
            let limit = calls.limit;
            refused(match short {
                Shortage::All => {
                    format!("{limit} calls run already; raise `provider.limits.in_flight`")
                }
                Shortage::Own(left) => format!(
                    "this connection runs {} of {limit} calls and leaves {left} to others, so it \
                     has no more; raise `provider.limits.in_flight`",
                    self.calls.load(Ordering::Acquire)
                ),
            })
        })
    }

    /// Counts a running call that goes on without its connection. All of these together leave as
    /// much as they take, or peers that come again and again would have everything.
    ///
    /// # Errors
    /// As [`begin_call`](Self::begin_call).
    pub fn begin_one_way(self: &Arc<Self>) -> Result<CallGuard, Status> {
        let mut guard = self.begin_call()?;
        let (calls, before) =
            (&self.state.calls, self.state.one_way.fetch_add(1, Ordering::AcqRel));
        guard.one_way = true;
        // It is counted among all already.
        let others = calls.taken.load(Ordering::Acquire).saturating_sub(1);
        calls.fits(others, before, 1, false).map(|()| guard).map_err(|_| {
            refused(format!(
                "{before} one-way calls run already, as many as they leave to others of {}; raise \
                 `provider.limits.in_flight`",
                calls.limit
            ))
        })
    }

    /// Counts a call that has begun, over the limit if there is no room: the first that a method
    /// ever waits in, or one that came together with others of other connections.
    pub fn count_call(self: &Arc<Self>, one_way: bool) -> CallGuard {
        self.state.calls.take_anyway(&self.calls, 1);
        if one_way {
            self.state.one_way.fetch_add(1, Ordering::AcqRel);
        }
        CallGuard { caller: self.clone(), one_way }
    }
}

/// One running call; the counts go back when it is dropped.
#[derive(Debug)]
pub struct CallGuard {
    caller: Arc<ConnectionShare>,
    one_way: bool,
}

impl fmt::Debug for ConnectionShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionShare")
            .field("calls", &self.calls)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        let ConnectionShare { state, calls, .. } = &*self.caller;
        if self.one_way {
            state.one_way.fetch_sub(1, Ordering::AcqRel);
        }
        if state.calls.give_back(calls, 1) {
            state.wake_drain();
        }
    }
}

/// Bytes that a connection holds; they count until this is dropped.
#[derive(Debug)]
pub struct HeldBytes {
    caller: Arc<ConnectionShare>,
    bytes: usize,
}

impl HeldBytes {
    /// Nothing yet, to be grown.
    pub const fn nothing(caller: Arc<ConnectionShare>) -> Self {
        Self { caller, bytes: 0 }
    }

    /// How many bytes are counted.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts `more` bytes.
    ///
    /// # Errors
    /// `resource_exhausted`, refused: this connection would hold more than it leaves to others.
    pub fn grow(&mut self, more: usize) -> Result<(), Status> {
        if more == 0 {
            return Ok(());
        }
        let ConnectionShare { state, bytes, .. } = &*self.caller;
        let limit = state.bytes.limit;
        state.bytes.take(bytes, more, false).map_err(|short| {
            let rest = format!(
                "of {limit} bytes; send less at a time or raise `provider.limits.buffered`"
            );
            refused(match short {
                Shortage::All => format!(
                    "requests and answers of all connections have no room for {more} more {rest}"
                ),
                Shortage::Own(left) => format!(
                    "requests and answers of this connection would hold more than they leave to \
                     others, {left} {rest}"
                ),
            })
        })?;
        self.bytes += more;
        Ok(())
    }

    /// Counts at most `bytes` from now on.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(less) = self.bytes.checked_sub(bytes).filter(|less| *less > 0) {
            self.bytes = bytes;
            self.caller.state.bytes.give_back(&self.caller.bytes, less);
        }
    }

    /// The count of `bytes` of these, or of all there are, by itself.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { caller: self.caller.clone(), bytes }
    }

    /// Counts what `other` of the same connection counted, too.
    pub fn join(&mut self, other: &mut Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

fn refused(text: String) -> Status {
    Status::resource_exhausted(text).with_delivery(Delivery::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one at a time until there is no more.
    fn most(pool: &Quota, own: &AtomicUsize, alone: bool) -> usize {
        while pool.take(own, 1, alone).is_ok() {}
        own.load(Ordering::Acquire)
    }

    #[test]
    fn each_connection_leaves_as_much_as_it_takes() {
        let pool = Quota::new(12);
        let (first, second, third) = <(AtomicUsize, AtomicUsize, AtomicUsize)>::default();
        assert_eq!(most(&pool, &first, false), 6);
        assert_eq!(most(&pool, &second, false), 3);
        assert_eq!(most(&pool, &third, false), 2);
        assert_eq!(pool.take(&first, 1, false), Err(Shortage::Own(1)));
        assert_eq!(pool.take(&first, 2, false), Err(Shortage::All));
        pool.give_back(&first, 6);
        assert_eq!(most(&pool, &third, false), 5);
    }

    #[test]
    fn many_of_one_peer_leave_room_for_one_more_like_them() {
        let pool = Quota::new(1000);
        let hogs: [AtomicUsize; 9] = Default::default();
        // All of them at once, one call after the other.
        while hogs.iter().filter(|own| pool.take(own, 1, false).is_ok()).count() > 0 {}
        assert_eq!(most(&pool, &AtomicUsize::new(0), false), 50);
        assert_eq!(pool.taken.load(Ordering::Acquire), 950);
    }

    #[test]
    fn what_is_alone_may_take_all() {
        let pool = Quota::new(5);
        assert_eq!(most(&pool, &AtomicUsize::new(0), true), 5);
    }
}
