//! How many calls run: those of all callers together, and of one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::super::state::{Phase, shutting_down};
use super::connection_share::{ConnectionShare, refused};
use super::quota::Shortage;
use crate::body::Body;
use crate::metadata::Metadata;
use crate::reply::Reply;
use crate::status::{Delivery, Status};
use crate::stream::{MessageSource, Messages};

impl ConnectionShare {
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
