//! Something callable: an alias over tower's `Service<Invocation>`, and its erased handle.
//!
//! There is no second middleware trait: everything around a call is a tower layer. Erasure happens
//! at three seams only (endpoint, cluster invoker, dispatcher), by an `Arc` handle of our own,
//! because the clone of a boxed tower service allocates.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use crate::invocation::Invocation;
use crate::reply::Reply;
use crate::status::Status;

/// The boxed future of a call.
pub type ReplyFuture = Pin<Box<dyn Future<Output = Result<Reply, Status>> + Send>>;

/// A tower service that answers invocations; implemented for everything that fits.
pub trait Invoker:
    Service<Invocation, Response = Reply, Error = Status, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> Invoker for S where
    S: Service<Invocation, Response = Reply, Error = Status, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// What an erased invoker can do; for types that answer through `&self` without being a service.
pub trait Invoke: Send + Sync + 'static {
    /// Starts the call. Dropping the future cancels it.
    fn invoke(&self, invocation: Invocation) -> ReplyFuture;
}

/// An erased invoker; a clone is one atomic increment.
#[derive(Clone)]
pub struct BoxInvoker(Arc<dyn Invoke>);

impl BoxInvoker {
    /// Erases a tower service.
    #[must_use]
    pub fn new(service: impl Invoker) -> Self {
        Self(Arc::new(Erased(service)))
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
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(invocation).await
        })
    }
}
