//! What is inside of a layer around a handler sees the call as that layer has passed it on.

use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::timeout_at;

use super::context::{CallContext, enter, inherited, with_current};
use super::scope;
use crate::invocation::Invocation;
use crate::invoker::{BoxInvoker, Invoke, ReplyFuture};
use crate::reply::Reply;
use crate::status::Status;

/// Wraps what is `inside` of a layer at position *provider*, so that its view is the call as that
/// layer passed it on. A layer can shorten the time of a call, but not lengthen it, because the
/// caller does not wait longer.
#[must_use]
pub fn within_layer(inside: BoxInvoker) -> BoxInvoker {
    BoxInvoker::from_invoke(Within(inside))
}

struct Within(BoxInvoker);

impl Invoke for Within {
    fn invoke(&self, mut invocation: Invocation) -> ReplyFuture {
        let outside = inherited();
        // In a task of the layer's own nothing else ends it.
        let is_shortened = outside.is_none_or(|outside| invocation.deadline < outside);
        if is_shortened && invocation.deadline.is_past() {
            let text = "no time was left by the deadline that a layer has set";
            return Box::pin(ready(Err(Status::deadline_exceeded(text))));
        }
        if let Some(outside) = outside {
            invocation.deadline = invocation.deadline.min(outside);
        }
        let deadline = invocation.deadline.instant();
        let mut context = CallContext::of(&invocation);
        let is_part = invocation.method().kind().streams_reply();
        if is_part {
            // The body that streams goes on with the view outside.
            context.shared = with_current(|outside| outside.shared.clone()).flatten();
        }
        let mut view = Some(context);
        let future = enter(&mut view, || self.0.invoke(invocation));
        let viewed = Viewed { view, future, ends_tasks: !is_part };
        if !is_shortened {
            return Box::pin(viewed);
        }
        Box::pin(async move {
            timeout_at(deadline, viewed).await.unwrap_or_else(|_| {
                let text = "the handler did not end before the deadline that a layer has set";
                Err(Status::deadline_exceeded(text))
            })
        })
    }
}

/// A future that is polled with a view of its own.
struct Viewed {
    view: Option<CallContext>,
    future: ReplyFuture,
    /// Whether tasks in the scope of the view end when this is dropped.
    ends_tasks: bool,
}

impl Future for Viewed {
    type Output = Result<Reply, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { view, future, ends_tasks } = &mut *self;
        let result = ready!(enter(view, || future.as_mut().poll(cx)));
        *ends_tasks = false;
        Poll::Ready(result.map(|mut reply| {
            scope::complete(view, &mut reply);
            reply
        }))
    }
}

impl Drop for Viewed {
    /// A handler that is dropped before its end was cancelled, as by a layer.
    fn drop(&mut self) {
        if self.ends_tasks {
            scope::cancel(&self.view);
        }
    }
}
