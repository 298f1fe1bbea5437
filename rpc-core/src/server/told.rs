//! What is told of a call that is being served, where somebody looks: its span.

use tracing::{Span, field};

use crate::invocation::Invocation;
use crate::status::{Code, Status};
use crate::trail::CallId;

/// The span in which a call is served: who called, what both sides name it by, and how it ended.
pub(super) fn span(call: &Invocation) -> Span {
    tracing::info_span!(
        target: "dubhe::call",
        "serve",
        service = %call.method().service(),
        method = call.method().name(),
        peer = call.peer.as_deref().map(field::display),
        id = CallId::of(&call.metadata, call.request).map(field::display),
        outcome = field::Empty,
    )
}

/// Tells how it ended.
#[cold]
pub(super) fn end(span: &Span, outcome: Result<(), &Status>) {
    let code = outcome.map_or_else(Status::code, |()| Code::Ok);
    span.record("outcome", code.name());
}
