//! One call being answered: the handler's future with its view of the call, its panics caught.

use std::fmt;
use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Span;

use super::context::{self, CallContext};
use super::dispatch::Route;
use super::gate::GateOutcome;
use super::handler_panic::handler_panicked;
use super::{call_span, load_report, scope, served};
use crate::deadline::Deadline;
use crate::invocation::Invocation;
use crate::invoker::ReplyFuture;
use crate::panics;
use crate::reply::Reply;
use crate::status::{Code, Status};
use crate::trace;

/// The future of one answer. It is `Unpin` and starts no timer: bound a long run by
/// [`until_deadline`](Self::until_deadline).
pub struct Answer {
    route: Arc<Route>,
    future: ReplyFuture,
    context: Option<CallContext>,
    started: Instant,
    deadline: Deadline,
    /// The span that records how it ended, if it is observed.
    told: Option<Box<Span>>,
    tells_load: bool,
    /// Since when it counts at the gate of its method.
    counted: Option<Instant>,
    gated: bool,
    polled: bool,
    ended: bool,
}

impl Answer {
    /// Starts `invocation`, which arrived at `started`.
    #[inline]
    pub fn new(route: Arc<Route>, invocation: Invocation, started: Instant) -> Self {
        let mut context = CallContext::of(&invocation);
        let deadline = invocation.deadline;
        let streams = invocation.method().kind().streams_reply();
        if streams {
            // Of the handler and of the body that goes on after it.
            context.share();
        }
        let context = Some(context);
        let ends = if streams { invocation.end_deadline() } else { None };
        let tells_load =
            !invocation.metadata.is_empty() && load_report::is_asked(&invocation.metadata);
        let span = call_span::span(&invocation);
        trace::adopt(route.bridge(), &span, &invocation.metadata);
        let told = (!span.is_disabled()).then(|| Box::new(span.clone()));
        let future = {
            let _entered = span.enter();
            invoke(&route, invocation)
        };
        let future = if streams {
            served::body(future, route.clone(), context.clone(), started, ends, span)
        } else if span.is_disabled() {
            future
        } else {
            Box::pin(tracing::Instrument::instrument(future, span))
        };
        let gated = route.gate().is_some();
        let (counted, polled, ended) = (None, false, false);
        Self {
            route,
            future,
            context,
            started,
            deadline,
            told,
            tells_load,
            counted,
            gated,
            polled,
            ended,
        }
    }

    /// Bypasses the gate of its method, for a call that has no answer to refuse it with.
    #[must_use]
    pub fn past_gate(mut self) -> Self {
        self.gated = false;
        self
    }

    /// Asks the gate of the method, once, whether the call may begin; it counts there from its
    /// arrival. A call that has begun may go on.
    ///
    /// [`until_deadline`](Self::until_deadline) asks, too; a server that can turn a call away at a
    /// lower cost asks before. A call that is turned away is over and recorded.
    ///
    /// # Errors
    /// `resource_exhausted`, refused: more calls run than end in time.
    pub fn begin(&mut self) -> Result<(), Status> {
        self.begin_at(self.started)
    }

    fn begin_at(&mut self, now: Instant) -> Result<(), Status> {
        let Some(gate) = self.route.gate().filter(|_| self.gated && self.counted.is_none()) else {
            return Ok(());
        };
        if self.polled {
            gate.enter();
        } else if let Err(full) = gate.begin(now) {
            let refused = Err(full.into_status(self.route.method().path()));
            self.record(&refused, now);
            return refused.map(drop);
        }
        self.counted = Some(now);
        Ok(())
    }

    /// Gives back its place at the gate.
    fn leave_gate(&mut self, now: Instant, given_up: bool) {
        let (Some(gate), Some(counted)) = (self.route.gate(), self.counted.take()) else {
            return;
        };
        let allowed = self.deadline.remaining_from(counted);
        let left = self.deadline.remaining_from(now);
        let outcome = match given_up {
            _ if left.is_zero() => GateOutcome::Late,
            // Its caller's clock began before ours: who waits to the deadline cancels just before.
            true if left <= allowed / 4 => GateOutcome::Late,
            true => GateOutcome::GivenUp,
            false => GateOutcome::Useful,
        };
        gate.end(now, now.saturating_duration_since(counted), allowed, outcome);
    }

    /// What is answered.
    #[inline]
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Whether the handler may have begun.
    #[inline]
    pub fn was_polled(&self) -> bool {
        self.polled
    }

    /// Records the end of the call at `now`; called once, where the result is known.
    ///
    /// A reply that streams ends with its body, which is recorded then.
    #[inline]
    pub fn record(&mut self, result: &Result<Reply, Status>, now: Instant) {
        self.record_after(result, now, now.saturating_duration_since(self.started));
    }

    /// Like [`record`](Self::record), for a caller that knows how long the call `took` until `now`.
    #[inline]
    pub fn record_after(&mut self, result: &Result<Reply, Status>, now: Instant, took: Duration) {
        self.ended = true;
        if self.counted.is_some() {
            self.leave_gate(now, false);
        }
        if result.is_ok() && self.route.method().kind().streams_reply() {
            return;
        }
        self.route.metrics().record(result, took);
        self.tell(result.as_ref().map(|_| ()), took);
    }

    #[inline]
    fn tell(&self, outcome: Result<(), &Status>, took: Duration) {
        let span = self.told.as_deref();
        if call_span::is(&self.route, span, outcome) {
            call_span::end(&self.route, self.context.as_ref(), span, outcome, took);
        }
    }

    /// Runs to the end or to the deadline, when the handler's future is dropped. A call whose
    /// deadline passed while it waited for its turn never starts.
    ///
    /// # Cancel safety
    /// Dropping the future drops the handler's, at the point where it waits.
    pub async fn until_deadline(mut self) -> Result<Reply, Status> {
        let (deadline, began) = (self.deadline.instant(), Instant::now());
        let result = if deadline <= began {
            Err(Status::deadline_exceeded("no time was left when the handler's turn came"))
        } else if let Err(full) = self.begin_at(began) {
            return Err(full);
        } else {
            match self.first_poll(began).await {
                Poll::Ready(result) => result,
                Poll::Pending => match tokio::time::timeout_at(deadline, &mut self).await {
                    Ok(result) => result,
                    Err(_) => {
                        let text = "the handler did not end before the deadline";
                        Err(Status::deadline_exceeded(text))
                    }
                },
            }
        };
        self.record(&result, Instant::now());
        result
    }

    /// Polls the handler once; the first poll of a call decides where its method's calls run.
    async fn first_poll(&mut self, began: Instant) -> Poll<Result<Reply, Status>> {
        let first = !self.polled;
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut *self).poll(cx))).await;
        if first {
            let now = Instant::now();
            self.route.note_first_poll(now.saturating_duration_since(began), now);
        }
        polled
    }
}

/// Has the call answered. A layer around the handler may do its work before it has a future.
#[inline]
fn invoke(route: &Route, invocation: Invocation) -> ReplyFuture {
    match panics::catch(|| route.invoker().invoke(invocation)) {
        Ok(future) => future,
        Err(message) => Box::pin(ready(Err(handler_panicked(route.method(), &message)))),
    }
}

impl Future for Answer {
    type Output = Result<Reply, Status>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.polled = true;
        let Self { future, context, route, tells_load, .. } = &mut *self;
        let poll = || context::enter(context, || panics::catch(|| future.as_mut().poll(cx)));
        let polled = route.watched().poll(poll);
        match polled {
            Ok(Poll::Ready(Ok(mut reply))) => {
                scope::complete(context, &mut reply);
                if let (true, Some(machine)) = (*tells_load, route.machine()) {
                    machine.tell(&mut reply.metadata);
                }
                Poll::Ready(Ok(reply))
            }
            Ok(polled) => polled.map_err(Status::answered),
            Err(message) => Poll::Ready(Err(handler_panicked(route.method(), &message))),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answer").field(&self.route).finish()
    }
}

impl Drop for Answer {
    /// A call that is dropped before its end was cancelled.
    fn drop(&mut self) {
        if !self.ended {
            scope::cancel(&self.context);
            let now = Instant::now();
            self.leave_gate(now, true);
            let took = now.saturating_duration_since(self.started);
            self.route.metrics().record_code(Code::Cancelled, took);
            self.tell(Err(&Status::cancelled("its caller no longer waits")), took);
        }
    }
}
