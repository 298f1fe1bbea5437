//! What a caller streams to a provider, made in the caller's own circumstances.
//!
//! Whoever sends it reads it in another task, perhaps inside the handler. The calls that the stream
//! makes inherit the deadline of their caller all the same, and its panics are its own.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::body::Body;
use crate::metadata::Metadata;
use crate::panics;
use crate::server::CallContext;
use crate::server::{context, scope};
use crate::status::Status;
use crate::stream::{MessageSource, Messages};

/// The arguments of a call that is made here; only those that stream are changed.
///
/// # Errors
/// The stream has another reader.
pub(super) fn here(arguments: Body) -> Result<Body, Status> {
    if !arguments.is_stream() {
        return Ok(arguments);
    }
    let (messages, caller) = (arguments.messages()?, scope::shared());
    Ok(Body::stream(Said { messages, caller }))
}

struct Said {
    messages: Messages,
    caller: Option<CallContext>,
}

impl MessageSource for Said {
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        let Self { messages, caller } = self.get_mut();
        let polled = context::enter(caller, || panics::catch(|| messages.poll_next(cx)));
        polled.unwrap_or_else(|panic| {
            let text = format!("the stream of the call's arguments panicked: {panic}");
            Poll::Ready(Some(Err(Status::internal(text))))
        })
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        self.messages.trailers().clone()
    }
}
