//! The handler's view of its call, available anywhere below the handler without changing the trait.
//!
//! A thread-local that holds the view only while the handler is polled: it costs two swaps a poll
//! and no allocation, and tasks that the handler spawns do not inherit it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::invocation::Invocation;
use crate::metadata::Metadata;
use crate::method::Method;
use crate::peer::Peer;

thread_local! {
    static CURRENT: RefCell<Option<CallContext>> = const { RefCell::new(None) };
}

/// Who calls, what is called, what came beside the arguments, how much time is left.
#[derive(Debug, Clone)]
pub struct CallContext {
    method: Arc<Method>,
    metadata: Metadata,
    deadline: Deadline,
    peer: Option<Arc<Peer>>,
}

impl CallContext {
    /// The call that is being answered here; `None` outside a handler and in tasks that a handler
    /// has spawned.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// What is called.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Key/values the caller sent.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// When the caller stops waiting; calls made inside the handler inherit it.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Who called; `None` if the call did not come over a protocol.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_deref()
    }

    pub(crate) fn of(invocation: &Invocation) -> Self {
        Self {
            method: invocation.method().clone(),
            metadata: invocation.metadata.clone(),
            deadline: invocation
                .end_deadline()
                .unwrap_or_else(|| Deadline::after(Deadline::MAX_TIMEOUT)),
            peer: invocation.peer.clone(),
        }
    }
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
    let own = Deadline::after_from(now, timeout);
    CURRENT.with_borrow(|current| match current {
        Some(context) => own.min(context.deadline),
        None => own,
    })
}
