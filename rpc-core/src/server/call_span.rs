//! What is recorded of a call that is served, if it is observed: its span, and its line in the
//! access log.

use std::fmt::Display;
use std::time::Duration;

use tracing::{Span, field};

use super::context::CallContext;
use super::dispatch::Route;
use crate::access_log::Line;
use crate::invocation::Invocation;
use crate::status::{Code, Status};
use crate::trail::CallId;

/// The span in which a call is served: the caller, its id on both sides, and how it ended.
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

/// Whether its end is recorded.
#[inline]
pub(super) fn is(route: &Route, span: Option<&Span>, outcome: Result<(), &Status>) -> bool {
    span.is_some() || route.access_log().tells(outcome.is_err())
}

/// Tells how it ended.
#[cold]
pub(super) fn end(
    route: &Route,
    call: Option<&CallContext>,
    span: Option<&Span>,
    outcome: Result<(), &Status>,
    took: Duration,
) {
    let code = outcome.map_or_else(Status::code, |()| Code::Ok);
    if let Some(span) = span {
        span.record("outcome", code.name());
    }
    if route.access_log().tells(outcome.is_err()) {
        let line = Line {
            side: "provider",
            service: Some(route.method().service().as_str()),
            method: Some(route.method().name()),
            peer: call.and_then(CallContext::peer).map(|peer| peer as &dyn Display),
            code,
            took,
            attempts: None,
            id: call.and_then(CallContext::id),
            message: outcome.map_or_else(Status::message, |()| "ok"),
        };
        line.write();
    }
}
