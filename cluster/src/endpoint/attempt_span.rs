//! The span of an attempt, and what is recorded of one that is observed: in its span, and in the
//! logs that its caller passed with the call.

use std::sync::Arc;

use rpc_core::{AttemptLog, CallId, Code, Invocation, Method, SentAs, Status, Trail};
use tokio::time::Instant;
use tracing::{Span, field};

/// The span of an attempt at the endpoint of this address.
#[inline]
pub(crate) fn span(method: &Method, address: &Arc<str>, number: u32) -> Span {
    tracing::info_span!(
        target: "dubhe::call",
        "attempt",
        service = %method.service(),
        method = method.name(),
        peer = %address,
        attempt = number,
        id = field::Empty,
        outcome = field::Empty,
    )
}

/// The observers of an attempt: a span, and logs of its caller.
pub(crate) struct ObservedAttempt {
    span: Span,
    sent: SentAs,
    trail: Option<Trail>,
    log: Option<AttemptLog>,
}

impl ObservedAttempt {
    /// The observers of this attempt; `None` if there are none.
    pub(crate) fn of(attempt: &mut Invocation, span: &Span) -> Option<Box<Self>> {
        let log = attempt.extensions.get::<AttemptLog>();
        let trail = attempt.extensions.get::<Trail>();
        if log.is_none() && trail.is_none() && span.is_disabled() {
            return None;
        }
        let (log, trail, sent) = (log.cloned(), trail.cloned(), SentAs::default());
        attempt.extensions.insert(sent.clone());
        CallId::of_trace(&attempt.metadata).iter().for_each(|trace| SentAs::note(attempt, *trace));
        trail.iter().for_each(Trail::begin);
        Some(Box::new(Self { span: span.clone(), sent, trail, log }))
    }

    /// Tells how it ended; `None` if it was given up.
    pub(crate) fn end(
        &self,
        address: &Arc<str>,
        started: Instant,
        outcome: Option<Result<(), &Status>>,
    ) {
        let id = self.sent.id();
        if let (Some(trail), Some(Ok(()))) = (&self.trail, outcome) {
            trail.answered(address, id);
        }
        if !self.span.is_disabled() {
            let code = match outcome {
                None => Code::Cancelled,
                Some(Ok(())) => Code::Ok,
                Some(Err(status)) => status.code(),
            };
            self.span.record("outcome", code.name());
            if let Some(id) = id {
                self.span.record("id", field::display(id));
            }
        }
        if let Some(log) = &self.log {
            log.note(address, started, id, outcome);
        }
    }

    /// Tells the log of attempts alone that this one is given up, although it may go on.
    pub(crate) fn give_up(&mut self, address: &Arc<str>, started: Instant) {
        if let Some(log) = self.log.take() {
            log.note(address, started, self.sent.id(), None);
        }
    }

    /// A failure of this attempt, with what that was sent as.
    pub(crate) fn named(&self, status: Status) -> Status {
        match self.sent.id() {
            Some(id) => status.with_id(id),
            None => status,
        }
    }
}
