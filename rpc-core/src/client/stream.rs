//! Calls whose reply is a stream.

use std::future::poll_fn;
use std::task::Poll;

use tokio::time::Instant;
use tracing::Span;

use super::call_span::{self, ObservedCall};
use super::stub::{Arguments, Begun, Stub, finish, named};
use crate::body::Body;
use crate::codec::CodecError;
use crate::deadline::Deadline;
use crate::invocation::Invocation;
use crate::message::Message;
use crate::method::MethodKind;
use crate::server::context;
use crate::status::{Code, Status};
use crate::stream::{Opening, Streaming};

impl Stub {
    /// Calls the method at `index`, whose reply streams, and reads each message by `unwrap`.
    ///
    /// Returns when the first message is here. Where the arguments stream too that may depend on
    /// what the caller sends next, so it returns when the call is under way; what fails then is the
    /// first error of the stream.
    ///
    /// # Errors
    /// The call's status, naming the call.
    ///
    /// # Cancel safety
    /// Dropping the future or the stream cancels the call, down to the provider's handler.
    pub async fn stream<A, M, T>(
        &self,
        index: usize,
        arguments: A,
        unwrap: fn(M) -> T,
    ) -> Result<Streaming<T>, Status>
    where
        A: Arguments,
        M: Message + Default,
        T: 'static,
    {
        let begun = self.open(index, arguments.into_body()).await;
        let path = self.methods[index].method().path().clone();
        match begun.and_then(|body| body.messages()) {
            Ok(messages) => {
                let blame = CodecError::into_reply_status;
                Ok(Streaming::from_messages(messages, path, blame, unwrap))
            }
            Err(status) => {
                // As of calls that are one message: see there.
                tokio::task::consume_budget().await;
                Err(status)
            }
        }
    }

    /// The body of the reply, once it has begun.
    async fn open(&self, index: usize, arguments: Body) -> Result<Body, Status> {
        let (target, started) = (&self.methods[index], Instant::now());
        let span = call_span::call(target.method());
        let mut begun = Begun::within(&span);
        let call = span.in_scope(|| self.begin(target, arguments, started, None, &mut begun));
        let Begun { timeout, observed } = begun;
        let (stub, inside) = (self.clone(), span.clone());
        let counted = Counted { stub, index, started, span: inside, observed, ended: false };
        let call = match call {
            Ok(call) => call,
            Err(status) => {
                counted.end(Err(&status));
                return Err(status);
            }
        };
        let (stub, waits) = (self.clone(), target.method().kind() == MethodKind::ServerStream);
        let calling = Box::pin(async move {
            finish(&stub.methods[index], call).await.inspect(|reply| stub.show(reply))
        });
        let stub = self.clone();
        let end = move |outcome: Result<(), Status>| {
            let target = &stub.methods[index];
            let outcome = outcome.map_err(|status| {
                stub.blame_deadline(target, named(target, status), started, timeout)
            });
            counted.end(outcome.as_ref().copied());
            outcome
        };
        let body = Body::stream(Opening::Called(calling)).until_end(&span, None, end)?;
        let mut messages = body.messages()?;
        poll_fn(|cx| match messages.poll_begin(cx) {
            Poll::Pending if !waits => Poll::Ready(Ok(())),
            polled => polled,
        })
        .await?;
        Ok(Body::stream(messages))
    }

    /// The default timeout is for the first message; what was set for the call, or is inherited, for
    /// the whole of it.
    pub(super) fn set_end(&self, invocation: &mut Invocation, started: Instant) {
        let own = self.options.as_deref().and_then(|options| options.timeout);
        let own = own.map(|timeout| Deadline::after_from(started, timeout));
        let ends = [own, context::inherited()].into_iter().flatten().min();
        ends.inspect(|end| invocation.set_end_deadline(*end));
    }
}

/// A call that is counted when it ends, and as cancelled if its caller drops it.
struct Counted {
    stub: Stub,
    index: usize,
    started: Instant,
    span: Span,
    observed: ObservedCall,
    ended: bool,
}

impl Counted {
    fn end(mut self, outcome: Result<(), &Status>) {
        self.ended = true;
        let (target, took) = (&self.stub.methods[self.index], self.started.elapsed());
        target.metrics.record_code(outcome.map_or_else(Status::code, |()| Code::Ok), took);
        self.observed.end(&self.span, target.method(), outcome, took);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.ended {
            let (target, took) = (&self.stub.methods[self.index], self.started.elapsed());
            target.metrics.record_code(Code::Cancelled, took);
            // That is how a reader ends a stream which has none, and no failure.
            let why = Status::cancelled("the stream has no reader any more");
            self.observed.given_up(&self.span, target.method(), &why, took);
        }
    }
}
