//! The handler's view of its call, available anywhere below the handler without changing the trait.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::invocation::Invocation;
use crate::metadata::Metadata;
use crate::method::Method;

tokio::task_local! {
    static CURRENT: CallContext;
}

/// Who calls, what is called, what came beside the arguments, how much time is left.
#[derive(Debug, Clone)]
pub struct CallContext {
    method: Arc<Method>,
    metadata: Metadata,
    deadline: Deadline,
    peer: Option<SocketAddr>,
}

impl CallContext {
    /// The call that the present task is answering; `None` outside a handler and in tasks that the
    /// handler has spawned.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
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

    /// Who called, if it came over a socket.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }
}

/// Runs `handler` with the view of `invocation`, whose metadata it takes.
pub(crate) fn scope<F: Future>(
    invocation: &mut Invocation,
    handler: impl FnOnce() -> F,
) -> impl Future<Output = F::Output> {
    let context = CallContext {
        method: invocation.method().clone(),
        metadata: std::mem::take(&mut invocation.metadata),
        deadline: invocation.deadline,
        peer: invocation.peer,
    };
    CURRENT.scope(context, handler())
}

/// The deadline of a call made now: `timeout` from now, or the handler's own if that is earlier.
pub(crate) fn inherited_deadline(timeout: Duration) -> Deadline {
    let own = Deadline::after(timeout);
    CURRENT
        .try_with(|context| own.min(context.deadline))
        .unwrap_or(own)
}
