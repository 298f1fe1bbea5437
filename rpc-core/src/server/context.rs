//! The handler's view of its call, available anywhere below the handler without changing the trait.
//!
//! A thread-local that holds the view only while the handler is polled: it costs two swaps a poll
//! and no allocation, and tasks that the handler spawns inherit it by [`CallContext::scope`] alone. A
//! layer may change the call: what is inside of it has a view of its own, [`within_layer`](super::within_layer).

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::invocation::Invocation;
use crate::metadata::Metadata;
use crate::method::Method;
use crate::peer::Peer;
use crate::server::shared_view::SharedView;
use crate::trace::{self, TraceForwarding};
use crate::trail::{CallId, RequestId};

thread_local! {
    static CURRENT: RefCell<Option<CallContext>> = const { RefCell::new(None) };
}

/// The handler's view of its call: method, caller, metadata and remaining time.
///
/// The view is the call as outer layers passed it on: a handler sees what the innermost layer
/// passed, a layer what it received.
#[derive(Debug, Clone)]
pub struct CallContext {
    method: Arc<Method>,
    metadata: Metadata,
    deadline: Deadline,
    peer: Option<Arc<Peer>>,
    /// What it shares with its clones, once there is something to share.
    pub(super) shared: Option<Arc<SharedView>>,
    request: Option<RequestId>,
}

impl CallContext {
    /// The call that is being answered here; `None` outside a handler, and in tasks that a handler
    /// has spawned without [`scope`](Self::scope).
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// The method that is called.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Key/values beside the arguments: those the caller sent, as the layers have left them.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// When the caller stops waiting, or earlier if a layer has set that; calls made inside the
    /// handler inherit it.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The caller; `None` if the call did not come over a protocol and no layer set it.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_deref()
    }

    /// The id of the call in the spans and access logs of both sides, for log lines of a program:
    /// the id of its trace, else the number of its request. `None` if it has neither, as over HTTP
    /// without `traceparent`.
    #[must_use]
    pub fn id(&self) -> Option<CallId> {
        CallId::of(&self.metadata, self.request)
    }

    pub(crate) fn of(invocation: &Invocation) -> Self {
        Self {
            method: invocation.method().clone(),
            metadata: invocation.metadata.clone(),
            deadline: invocation
                .end_deadline()
                .unwrap_or_else(|| Deadline::after(Deadline::MAX_TIMEOUT)),
            peer: invocation.peer.clone(),
            shared: None,
            request: invocation.request,
        }
    }
}

/// What `change` makes of the view here, if there is one.
pub(super) fn with_current<T>(change: impl FnOnce(&mut CallContext) -> T) -> Option<T> {
    CURRENT.with_borrow_mut(|current| current.as_mut().map(change))
}

/// Runs `poll` with `slot` as the current view, which is put back afterwards, also by a panic.
pub(crate) fn enter<T>(slot: &mut Option<CallContext>, poll: impl FnOnce() -> T) -> T {
    struct Restore<'a>(&'a mut Option<CallContext>);
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.0));
        }
    }
    CURRENT.with_borrow_mut(|current| std::mem::swap(current, slot));
    let _restore = Restore(slot);
    poll()
}

/// The deadline of the handler that runs here.
pub(crate) fn inherited() -> Option<Deadline> {
    CURRENT.with_borrow(|current| current.as_ref().map(|context| context.deadline))
}

/// The deadline of a call made at `now`: `timeout` later, or the handler's own if that is earlier.
pub(crate) fn inherited_deadline(now: Instant, timeout: Duration) -> Deadline {
    inherit(now, timeout, TraceForwarding::Off).0
}

/// The deadline of a call made at `now`, and what it forwards of the trace of the handler's own
/// call.
#[inline]
pub(crate) fn inherit(
    now: Instant,
    timeout: Duration,
    forwarding: TraceForwarding,
) -> (Deadline, Metadata) {
    let own = Deadline::after_from(now, timeout);
    CURRENT.with_borrow(|current| match current {
        Some(context) => (own.min(context.deadline), trace::carried(&context.metadata, forwarding)),
        None => (own, Metadata::new()),
    })
}
