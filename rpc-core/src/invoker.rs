//! Something callable: an alias over tower's `Service<Invocation>`, and its erased handle.
//!
//! Everything around a call is a tower layer; [`Invoke`] is the short form of a service that is
//! always ready and answers through `&self`. Handles are erased at the endpoint, the cluster
//! invoker, the dispatcher and around each layer of a program's own, by an `Arc` of ours, because
//! the clone of a boxed tower service allocates.
//!
//! # Readiness
//!
//! A [`BoxInvoker`] is always ready. Waiting happens inside the call: each call has a clone of the
//! service and waits for its readiness in its own future, within its deadline. So a limit holds
//! calls back and never blocks the task that makes them.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::timeout_at;
use tower_service::Service;

use crate::deadline::Deadline;
use crate::invocation::Invocation;
use crate::reply::Reply;
use crate::runtime;
use crate::status::{BoxError, Delivery, Status};

/// The boxed future of a call.
pub type ReplyFuture = Pin<Box<dyn Future<Output = Result<Reply, Status>> + Send>>;

/// A tower service that answers invocations; implemented for everything that fits.
///
/// Its error is a [`Status`] or becomes one: see `From<BoxError>` for [`Status`], which knows the
/// errors of tower's own layers. It is cloned for each call, so what a limit counts is shared by
/// its clones, as tower's limits do; `RateLimit`, which cannot be cloned, goes inside a `Buffer`.
pub trait Invoker:
    Service<Invocation, Response = Reply, Error: Into<BoxError>, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Invoker for S where
    S: Service<Invocation, Response = Reply, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// A callable that answers through `&self` and is always ready; the short form of a service.
pub trait Invoke: Send + Sync + 'static {
    /// Starts the call. Dropping the future cancels it.
    fn invoke(&self, invocation: Invocation) -> ReplyFuture;
}

/// An erased invoker; a clone is one atomic increment.
#[derive(Clone)]
pub struct BoxInvoker(Arc<dyn Invoke>);

impl BoxInvoker {
    /// Erases a tower service. One that is erased already stays as it is.
    #[must_use]
    pub fn new(service: impl Invoker) -> Self {
        match (&service as &dyn Any).downcast_ref::<Self>() {
            Some(erased) => erased.clone(),
            None => Self(Arc::new(Erased(service))),
        }
    }

    /// Erases a type that answers through `&self`, without a clone per call.
    #[must_use]
    pub fn from_invoke(invoke: impl Invoke) -> Self {
        Self(Arc::new(invoke))
    }

    /// Shares a type that answers through `&self` and is held elsewhere too.
    #[must_use]
    pub fn from_arc(invoke: Arc<dyn Invoke>) -> Self {
        Self(invoke)
    }

    /// Starts the call. Dropping the future cancels it.
    #[must_use]
    pub fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        self.0.invoke(invocation)
    }
}

impl Service<Invocation> for BoxInvoker {
    type Response = Reply;
    type Error = Status;
    type Future = ReplyFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, invocation: Invocation) -> ReplyFuture {
        self.0.invoke(invocation)
    }
}

impl fmt::Debug for BoxInvoker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxInvoker")
    }
}

struct Erased<S>(S);

impl<S: Invoker> Invoke for Erased<S> {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let mut service = self.0.clone();
        Box::pin(async move {
            let polled = poll_fn(|cx| Poll::Ready(service.poll_ready(cx))).await;
            match polled.map_err(into_status) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => Box::pin(turn_of(&mut service, invocation.deadline)).await?,
            }
            service.call(invocation).await.map_err(into_status)
        })
    }
}

/// Waits until `service` is ready.
async fn turn_of(service: &mut impl Invoker, deadline: Deadline) -> Result<(), Status> {
    runtime::with_timers()?;
    let ready = poll_fn(|cx| service.poll_ready(cx).map_err(into_status));
    timeout_at(deadline.instant(), ready).await.unwrap_or_else(|_| {
        let text = "its turn at a layer did not come before the deadline";
        let late = Status::deadline_exceeded(text).with_delivery(Delivery::NotSent);
        Err(late.with_hint(Deadline::HINT))
    })
}

fn into_status(error: impl Into<BoxError>) -> Status {
    Status::from(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl Invoke for Nowhere {
        fn invoke(&self, _: Invocation) -> ReplyFuture {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn what_is_erased_is_not_erased_again() {
        let once = BoxInvoker::from_invoke(Nowhere);
        let twice = BoxInvoker::new(once.clone());
        assert!(Arc::ptr_eq(&once.0, &twice.0));
    }
}
