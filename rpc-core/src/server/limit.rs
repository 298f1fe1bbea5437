//! What the callers of a server share, and how much of it one of them may take: calls that run,
//! bytes of requests and answers.
//!
//! One rule for both: a caller takes more only as long as it then has no more than was left. So
//! one takes half, two take a third each, and however many there are, the next one finds about as
//! much as each of them has.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use super::state::{Phase, ServerState, shutting_down};
use crate::body::Body;
use crate::metadata::Metadata;
use crate::reply::Reply;
use crate::status::{Delivery, Status};
use crate::stream::{MessageSource, Messages};

/// A quota shared by all callers of a server.
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

/// One that calls a server: a connection, or a channel inside the process. While there are others, it
/// leaves them their part also when it takes nothing.
///
/// It keeps no server alive, so a handler may hold one of its own server.
#[derive(Debug)]
pub struct Caller {
    calls: AtomicUsize,
    bytes: AtomicUsize,
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

    fn is_alone(&self) -> bool {
        self.all.load(Ordering::Acquire) <= 1
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What one caller has taken of the quotas of its server.
#[derive(Debug)]
pub struct ConnectionShare {
    pub(super) state: Arc<ServerState>,
    caller: Arc<Caller>,
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

    /// What all callers share.
    #[must_use]
    #[inline]
    pub fn state(&self) -> &Arc<ServerState> {
        &self.state
    }

    /// Whether one more call may run now.
    #[inline]
    pub fn has_room(&self, one_way: bool) -> bool {
        let (calls, own) = (&self.state.calls, self.caller.calls.load(Ordering::Acquire));
        let all = calls.taken.load(Ordering::Acquire);
        let fits = calls.fits(all, own, 1, self.caller.is_alone());
        let others = self.state.one_way.load(Ordering::Acquire);
        fits.is_ok() && (!one_way || calls.fits(all, others, 1, false).is_ok())
    }

    /// Counts a running call.
    ///
    /// # Errors
    /// `resource_exhausted`, refused: all callers together have reached the limit, or this one
    /// its share of it while others are open.
    #[inline]
    pub fn begin_call(self: &Arc<Self>) -> Result<CallGuard, Status> {
        let calls = &self.state.calls;
        let guard = || CallGuard { share: self.clone(), one_way: false };
        let (own, alone) = (&self.caller.calls, self.caller.is_alone());
        calls.take(own, 1, alone).map(|()| guard()).map_err(|short| {
            let limit = calls.limit;
            refused(match short {
                Shortage::All => {
                    format!("{limit} calls run already; raise `provider.limits.in_flight`")
                }
                Shortage::Own(left) => format!(
                    "this caller runs {} of {limit} calls and leaves {left} to others, so it \
                     has no more; raise `provider.limits.in_flight`",
                    own.load(Ordering::Acquire)
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
        self.state.calls.take_anyway(&self.caller.calls, 1);
        if one_way {
            self.state.one_way.fetch_add(1, Ordering::AcqRel);
        }
        CallGuard { share: self.clone(), one_way }
    }
}

/// One running call; the counts go back when it is dropped.
#[derive(Debug)]
pub struct CallGuard {
    share: Arc<ConnectionShare>,
    one_way: bool,
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        let ConnectionShare { state, caller } = &*self.share;
        if self.one_way {
            state.one_way.fetch_sub(1, Ordering::AcqRel);
        }
        if state.calls.give_back(&caller.calls, 1) {
            state.wake_drain();
        }
    }
}

impl CallGuard {
    /// Counts the call until the end of its reply's body. One that streams is still running when the
    /// server closes, at the end of a drain: it ends then as `unavailable`, answered.
    ///
    /// # Errors
    /// Another reader has the stream.
    pub fn until_end(self, reply: Reply) -> Result<Reply, Status> {
        if !reply.body.is_stream() {
            return Ok(reply);
        }
        let mut phase = self.share.state.watch_phase();
        let closing = Box::pin(async move {
            // It closes at the latest when nobody can say so any more.
            let _ = phase.wait_for(|phase| *phase >= Phase::Closing).await;
        });
        let messages = reply.body.messages()?;
        let body = Body::stream(Draining { messages, closing, _counted: self });
        Ok(Reply { body, ..reply })
    }
}

/// A stream that ends with the server.
struct Draining {
    messages: Messages,
    closing: Pin<Box<dyn Future<Output = ()> + Send>>,
    _counted: CallGuard,
}

impl MessageSource for Draining {
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        let this = self.get_mut();
        if this.closing.as_mut().poll(cx).is_ready() {
            let closed = shutting_down().with_delivery(Delivery::Answered);
            return Poll::Ready(Some(Err(closed)));
        }
        this.messages.poll_next(cx)
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        self.messages.trailers().clone()
    }
}

/// Bytes that a connection holds; they count until this is dropped.
#[derive(Debug)]
pub struct HeldBytes {
    share: Arc<ConnectionShare>,
    bytes: usize,
}

impl HeldBytes {
    /// Nothing yet, to be grown.
    #[inline]
    pub const fn nothing(share: Arc<ConnectionShare>) -> Self {
        Self { share, bytes: 0 }
    }

    /// How many bytes are counted.
    #[must_use]
    #[inline]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts `more` bytes.
    ///
    /// # Errors
    /// `resource_exhausted`, refused: this connection would hold more than it leaves to others.
    #[inline]
    pub fn grow(&mut self, more: usize) -> Result<(), Status> {
        if more == 0 {
            return Ok(());
        }
        let ConnectionShare { state, caller } = &*self.share;
        let limit = state.bytes.limit;
        state.bytes.take(&caller.bytes, more, false).map_err(|short| {
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
    #[inline]
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(less) = self.bytes.checked_sub(bytes).filter(|less| *less > 0) {
            self.bytes = bytes;
            let ConnectionShare { state, caller } = &*self.share;
            state.bytes.give_back(&caller.bytes, less);
        }
    }

    /// The count of `bytes` of these, or of all there are, by itself.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { share: self.share.clone(), bytes }
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
