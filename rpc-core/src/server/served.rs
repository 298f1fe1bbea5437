//! The body of a reply that streams, as its handler goes on to make it.
//!
//! It is polled as the handler's future was: with the handler's view of the call, its panics caught,
//! in its span. It is counted when it ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};
use tracing::{Instrument, Span};

use super::context::{self, CallContext};
use super::dispatch::Route;
use super::handler_panic::handler_panicked;
use super::{call_span, scope};
use crate::body::Body;
use crate::deadline::Deadline;
use crate::invoker::ReplyFuture;
use crate::metadata::Metadata;
use crate::panics;
use crate::status::{Code, Status};
use crate::stream::{MessageSource, Messages};

/// The reply of `handler` with a body that is served until the deadline `ends`.
pub(super) fn body(
    handler: ReplyFuture,
    route: Arc<Route>,
    context: Option<CallContext>,
    started: Instant,
    ends: Option<Deadline>,
    span: Span,
) -> ReplyFuture {
    let inner = span.clone();
    let serving = async move {
        let mut reply = handler.await?;
        let deadline = ends.map(|ends| Box::pin(sleep_until(ends.instant())));
        let messages = reply.body.messages()?;
        reply.body = Body::stream(Served {
            messages,
            route,
            context,
            span,
            started,
            deadline,
            ended: false,
        });
        Ok(reply)
    };
    Box::pin(serving.instrument(inner))
}

struct Served {
    messages: Messages,
    route: Arc<Route>,
    context: Option<CallContext>,
    span: Span,
    started: Instant,
    deadline: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl Served {
    fn end(&mut self, outcome: Result<(), &Status>) {
        self.ended = true;
        let (took, span) = (self.started.elapsed(), &self.span);
        let code = outcome.map_or_else(Status::code, |()| Code::Ok);
        self.route.metrics().record_code(code, took);
        let span = (!span.is_disabled()).then_some(span);
        if call_span::is(&self.route, span, outcome) {
            call_span::end(&self.route, self.context.as_ref(), span, outcome, took);
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Body, Status>>> {
        let _entered = self.span.enter();
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            let text = "the stream did not end before the deadline";
            return Poll::Ready(Some(Err(Status::deadline_exceeded(text))));
        }
        let Self { messages, context, .. } = self;
        match context::enter(context, || panics::catch(|| messages.poll_next(cx))) {
            Ok(polled) => polled,
            Err(message) => Poll::Ready(Some(Err(handler_panicked(self.route.method(), &message)))),
        }
    }
}

impl MessageSource for Served {
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        let this = self.get_mut();
        let next = ready!(this.poll_next(cx));
        let outcome = match &next {
            Some(Ok(_)) => return Poll::Ready(next),
            Some(Err(status)) => Err(status),
            None => Ok(()),
        };
        this.end(outcome);
        // Whatever became of calls the handler made itself: this one ran.
        Poll::Ready(
            next.map(|end| end.map_err(|status| status.with_delivery(crate::Delivery::Answered))),
        )
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        let mut trailers = self.messages.trailers().clone();
        scope::complete_stream(&self.context, &mut trailers);
        trailers
    }
}

impl Drop for Served {
    /// A stream that is dropped before its end was cancelled.
    fn drop(&mut self) {
        let Self { messages, context, .. } = self;
        // What the handler's stream does when it is dropped may panic too.
        let left = std::mem::replace(messages, Messages::none());
        let _ = context::enter(context, || panics::catch(|| drop(left)));
        if !self.ended {
            scope::cancel(&self.context);
            self.end(Err(&Status::cancelled("the stream has no reader any more")));
        }
    }
}
