//! What is told of a call when it has ended, where somebody looks: its span.

use tracing::{Span, field};

use crate::invocation::Invocation;
use crate::status::{Code, Status};
use crate::trail::{CallId, Trail};

/// A call that somebody may look at.
#[derive(Debug)]
pub(super) struct Observed {
    /// The span around it; disabled if nobody looks.
    pub(super) span: Span,
    /// The trace that it belongs to.
    trace: Option<CallId>,
    trail: Option<Trail>,
}

impl Observed {
    pub(super) fn within(span: Span) -> Self {
        Self { span, trace: None, trail: None }
    }

    /// Looks at the attempts of `call`, if there is something to tell of them.
    #[inline]
    pub(super) fn begin(&mut self, call: &mut Invocation) {
        if !self.span.is_disabled() {
            self.follow(call);
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
    pub(super) fn end(&self, outcome: Result<(), &Status>) {
        if !self.span.is_disabled() {
            self.tell(outcome);
        }
    }

    #[cold]
    fn tell(&self, outcome: Result<(), &Status>) {
        let answered = self.trail.as_ref().and_then(Trail::last);
        let (code, peer, id) = match outcome {
            Ok(()) => {
                let (peer, id) = answered.unzip();
                (Code::Ok, peer, id.flatten())
            }
            Err(status) => (status.code(), status.address().map(Into::into), status.id()),
        };
        self.span.record("outcome", code.name());
        self.span.record("peer", peer.as_deref());
        self.span.record("id", self.trace.or(id).map(field::display));
    }
}
