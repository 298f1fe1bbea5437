//! The span of a call, and what is recorded of one that ended and is observed: in its span, and as its
//! line in the access log.

use std::fmt::Display;
use std::time::Duration;

use tracing::{Span, field};

use crate::access_log::{AccessLog, Line};
use crate::invocation::Invocation;
use crate::method::Method;
use crate::status::{Code, Status};
use crate::trail::{CallId, Trail};

/// The span of a call.
#[inline]
pub(super) fn call(method: &Method) -> Span {
    tracing::info_span!(
        target: "dubhe::call",
        "call",
        service = %method.service(),
        method = method.name(),
        id = field::Empty,
        peer = field::Empty,
        outcome = field::Empty,
    )
}

/// The span of a call of all providers.
pub(super) fn broadcast(method: &Method) -> Span {
    tracing::info_span!(
        target: "dubhe::call",
        "broadcast",
        service = %method.service(),
        method = method.name(),
        id = field::Empty,
        peer = field::Empty,
        outcome = field::Empty,
    )
}

/// A call that may be observed.
#[derive(Debug)]
pub(super) struct ObservedCall {
    /// Whether the span around it is enabled.
    spans: bool,
    /// By the plan of its method.
    access: AccessLog,
    /// The trace that it belongs to.
    trace: Option<CallId>,
    trail: Option<Trail>,
}

impl ObservedCall {
    pub(super) fn within(span: &Span) -> Self {
        let spans = !span.is_disabled();
        Self { spans, access: AccessLog::Off, trace: None, trail: None }
    }

    /// Observes the attempts of `call`, if a success is recorded too.
    #[inline]
    pub(super) fn begin(&mut self, call: &mut Invocation, access: AccessLog) {
        self.access = access;
        if self.spans || access == AccessLog::All {
            self.follow(call);
        } else if !call.metadata.is_empty() && access != AccessLog::Off {
            self.trace = CallId::of_trace(&call.metadata);
        }
    }

    #[cold]
    fn follow(&mut self, call: &mut Invocation) {
        let trail = Trail::default();
        call.extensions.insert(trail.clone());
        (self.trace, self.trail) = (CallId::of_trace(&call.metadata), Some(trail));
    }

    /// Tells how the call ended.
    #[inline]
    pub(super) fn end(
        &self,
        span: &Span,
        method: &Method,
        outcome: Result<(), &Status>,
        took: Duration,
    ) {
        let line = self.access.tells(outcome.is_err());
        if line || self.spans {
            self.tell(span, method, outcome, took, line);
        }
    }

    /// Records that the caller no longer waits for the end of the call, which is not a failure.
    pub(super) fn given_up(&self, span: &Span, method: &Method, why: &Status, took: Duration) {
        self.tell(span, method, Err(why), took, self.access == AccessLog::All);
    }

    #[cold]
    fn tell(
        &self,
        span: &Span,
        method: &Method,
        outcome: Result<(), &Status>,
        took: Duration,
        line: bool,
    ) {
        let answered = self.trail.as_ref().and_then(Trail::last);
        let (code, peer, id) = match outcome {
            Ok(()) => {
                let (peer, id) = answered.unzip();
                (Code::Ok, peer, id.flatten())
            }
            Err(status) => (status.code(), status.address().map(Into::into), status.id()),
        };
        let (peer, id) = (peer.as_deref(), self.trace.or(id));
        if self.spans {
            span.record("outcome", code.name());
            span.record("peer", peer);
            span.record("id", id.map(field::display));
        }
        if !line {
            return;
        }
        let line = Line {
            side: "consumer",
            service: Some(method.service().as_str()),
            method: Some(method.name()),
            peer: peer.as_ref().map(|peer| peer as &dyn Display),
            code,
            took,
            attempts: Some(self.attempts(outcome)),
            id,
            message: outcome.map_or_else(Status::message, |()| "ok"),
        };
        line.write();
    }

    /// How often the call was sent, or tried to be.
    fn attempts(&self, outcome: Result<(), &Status>) -> u32 {
        let listed = outcome.err().map_or(0, |status| {
            let listed = status.attempts().len().max(usize::from(status.address().is_some()));
            u32::try_from(listed).unwrap_or(u32::MAX)
        });
        self.trail.as_ref().map_or(0, Trail::attempts).max(listed)
    }
}
