//! A call in flight at one endpoint: it is counted while it lasts, and how it went is recorded.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rpc_core::{ChannelState, Code, Delivery, Invocation, MethodKind, Reply, ReplyFuture, Status};
use tokio::time::Instant;
use tracing::Span;

use crate::endpoint::Endpoint;
use crate::endpoint::attempt_span::ObservedAttempt;
use crate::endpoint::ejection::Verdict;
use crate::endpoint::load::FAILURE;
use crate::endpoint::state::EndedCall;

/// A call in flight at one endpoint.
#[must_use = "futures do nothing unless polled"]
pub struct EndpointFuture {
    call: ReplyFuture,
    in_flight: Option<InFlight>,
    span: Span,
}

impl EndpointFuture {
    pub(crate) fn new(call: ReplyFuture, in_flight: InFlight, span: Span) -> Self {
        Self { call, in_flight: Some(in_flight), span }
    }

    /// The endpoint of the call.
    pub(crate) fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        self.in_flight.as_ref().map(|in_flight| &in_flight.endpoint)
    }

    /// When the call began.
    pub(crate) fn started(&self) -> Option<Instant> {
        self.in_flight.as_ref().map(|in_flight| in_flight.started)
    }

    /// Records in the log of attempts that this one is given up, although it may go on.
    pub(crate) fn stop_logging(&mut self) {
        if let Some(InFlight { endpoint, started, observed: Some(observed), .. }) =
            &mut self.in_flight
        {
            observed.give_up(endpoint.address(), *started);
        }
    }

    /// Gives the call up because its answer is overdue, which speaks against the endpoint.
    pub(crate) fn overdue(mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            let text = "no answer in half of the call's time";
            let late = Status::deadline_exceeded(text).with_delivery(Delivery::MaybeSent);
            // The outcome is for the records alone.
            let _ = in_flight.finish(Err(late));
        }
    }
}

impl Future for EndpointFuture {
    type Output = Result<Reply, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let _entered = this.span.enter();
        let Poll::Ready(outcome) = this.call.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        // Taken here, so that the count is down when the caller sees the outcome.
        let Some(in_flight) = this.in_flight.take() else {
            return Poll::Ready(outcome);
        };
        Poll::Ready(match outcome {
            Ok(reply) if reply.body.is_stream() => in_flight.begun(reply, &this.span),
            outcome => in_flight.finish(outcome),
        })
    }
}

impl fmt::Debug for EndpointFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointFuture")
    }
}

// === impl InFlight ===

/// Counts a call for as long as it exists, also when it is given up.
pub(crate) struct InFlight {
    pub(crate) endpoint: Arc<Endpoint>,
    started: Instant,
    kind: MethodKind,
    /// Whether it decides that the endpoint is well again.
    probe: bool,
    /// Whether it waited for the connection, which says nothing of the provider.
    connects: bool,
    observed: Option<Box<ObservedAttempt>>,
    /// Whether the first message of a reply that streams is here, which is what a reply is measured
    /// by.
    begun: bool,
    finished: bool,
}

impl InFlight {
    pub(crate) fn begin(
        endpoint: Arc<Endpoint>,
        started: Instant,
        call: &Invocation,
        probe: bool,
        observed: Option<Box<ObservedAttempt>>,
    ) -> Self {
        endpoint.load().begin();
        let kind = call.method().kind();
        let connects = endpoint.channel().state() != ChannelState::Ready;
        Self { endpoint, started, kind, probe, connects, observed, begun: false, finished: false }
    }

    fn finish(mut self, outcome: Result<Reply, Status>) -> Result<Reply, Status> {
        self.finished = true;
        self.record(&outcome);
        self.tell(Some(outcome.as_ref().map(|_| ())));
        outcome.map_err(|status| self.at_endpoint(status))
    }

    /// Records a reply that streams as any other, and counts the call until its body ends.
    fn begun(mut self, reply: Reply, span: &Span) -> Result<Reply, Status> {
        let outcome = Ok(reply);
        self.record(&outcome);
        (self.begun, self.probe) = (true, false);
        outcome.and_then(|reply| {
            let body = reply.body.until_end(span, None, move |end| self.ended(end))?;
            Ok(Reply { body, ..reply })
        })
    }

    /// The end of a body that had begun. That it ends says nothing; what it ends with may.
    fn ended(mut self, end: Result<(), Status>) -> Result<(), Status> {
        if let Err(status) = &end
            && is_endpoints_fault(status)
        {
            self.record(&Err(status.clone()));
        }
        self.finished = true;
        self.tell(Some(end.as_ref().copied()));
        end.map_err(|status| self.at_endpoint(status))
    }

    /// Reports how it ended to its span and logs; `None` if it was given up.
    fn tell(&self, outcome: Option<Result<(), &Status>>) {
        if let Some(observed) = &self.observed {
            observed.end(self.endpoint.address(), self.started, outcome);
        }
    }

    fn at_endpoint(&self, status: Status) -> Status {
        let status = match &self.observed {
            Some(observed) => observed.named(status),
            None => status,
        };
        match status.address() {
            Some(_) => status,
            None => status.with_address(self.endpoint.address().clone()),
        }
    }

    fn record(&self, outcome: &Result<Reply, Status>) {
        let health = self.endpoint.condition();
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.started);
        let verdict = Verdict::of(outcome, self.kind);
        if let (Verdict::Failure | Verdict::Nested | Verdict::Missing, Err(status)) =
            (verdict, outcome)
        {
            health.note_error(status);
        }
        if !self.probe {
            health.record(verdict, self.started, now);
        } else if health.end_probe(verdict, now) {
            self.endpoint.vitals().forget();
        }
        if !health.speaks_of_now(self.started) {
            return;
        }
        if let Err(status) = outcome
            && status.is_full()
        {
            self.endpoint.note_full(status, now);
        }
        let (is_failure, latency) = match outcome {
            Err(status) if is_endpoints_fault(status) => (true, Some(elapsed.max(FAILURE))),
            Err(_) => (false, Some(elapsed)),
            Ok(_) => (false, (!self.connects).then_some(elapsed)),
        };
        let outcome = Some(outcome.as_ref());
        self.endpoint.vitals().end(&EndedCall { outcome, is_failure, latency, now });
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let load = self.endpoint.load();
        load.end();
        if !self.finished {
            let (now, health) = (Instant::now(), self.endpoint.condition());
            if self.probe {
                health.end_probe(Verdict::Nothing, now);
            }
            let elapsed = now.saturating_duration_since(self.started);
            if !self.begun && health.speaks_of_now(self.started) && load.is_late(elapsed, now) {
                let (latency, is_failure) = (Some(elapsed), false);
                let call = EndedCall { outcome: None, is_failure, latency, now };
                self.endpoint.vitals().end(&call);
            }
            self.tell(None);
        }
    }
}

/// Whether a failure speaks against the endpoint, rather than against the call.
fn is_endpoints_fault(status: &Status) -> bool {
    let overloaded_or_gone = matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted
    );
    let callers_fault = matches!(
        status.code(),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange | Code::Cancelled
    );
    match status.delivery() {
        Delivery::Answered => overloaded_or_gone && status.details().is_none(),
        Delivery::NotSent | Delivery::MaybeSent | Delivery::Refused => !callers_fault,
    }
}
