//! What ends with the future of a call that is one message, and with the body of one that streams.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Sleep, sleep_until};
use tracing::Span;

use super::messages::Messages;
use super::source::MessageSource;
use crate::body::Body;
use crate::deadline::Deadline;
use crate::metadata::Metadata;
use crate::status::{Delivery, Status};

/// Messages that are read inside a span and until a deadline, whose end somebody hears of.
pub(crate) struct UntilEnd<F> {
    messages: Messages,
    span: Span,
    deadline: Option<Pin<Box<Sleep>>>,
    end: Option<F>,
}

impl<F> UntilEnd<F>
where
    F: FnOnce(Result<(), Status>) -> Result<(), Status>,
{
    pub(crate) fn new(messages: Messages, span: Span, deadline: Option<Deadline>, end: F) -> Self {
        let deadline = deadline.map(|deadline| Box::pin(sleep_until(deadline.instant())));
        Self { messages, span, deadline, end: Some(end) }
    }

    fn ended(&mut self, outcome: Result<(), Status>) -> Option<Result<Body, Status>> {
        let outcome = match self.end.take() {
            Some(end) => end(outcome),
            None => outcome,
        };
        outcome.err().map(Err)
    }
}

impl<F> MessageSource for UntilEnd<F>
where
    F: FnOnce(Result<(), Status>) -> Result<(), Status> + Send + Unpin + 'static,
{
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        let this = self.get_mut();
        let span = this.span.clone();
        let _entered = span.enter();
        if let Some(deadline) = &mut this.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            let late = Status::deadline_exceeded("the stream did not end before the deadline");
            let late = late.with_delivery(Delivery::MaybeSent).with_hint(Deadline::HINT);
            return Poll::Ready(this.ended(Err(late)));
        }
        Poll::Ready(match ready!(this.messages.poll_next(cx)) {
            Some(Ok(message)) => Some(Ok(message)),
            Some(Err(status)) => this.ended(Err(status)),
            None => this.ended(Ok(())),
        })
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        self.messages.trailers().clone()
    }
}
