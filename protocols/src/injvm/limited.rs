//! Limits the size of messages that never become bytes: to that of their bytes.
//!
//! So a call inside the process fails where the same call over a socket would, and a service can
//! move to another process without surprises.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rpc_core::{Body, Delivery, MessageSource, Messages, Metadata, Status};

/// The arguments as the provider gets them.
///
/// # Errors
/// Not sent: they are too large, or their stream has another reader.
pub(super) fn request(body: Body, limit: usize) -> Result<Body, Status> {
    if body.is_stream() {
        return Ok(Body::stream(Limited { messages: body.messages()?, what: "request", limit }));
    }
    match check("request", &body, limit) {
        Ok(()) => Ok(body),
        Err(status) => Err(status.with_delivery(Delivery::NotSent)),
    }
}

/// # Errors
/// `resource_exhausted`: the message has more than `limit` bytes.
pub(super) fn check(what: &str, body: &Body, limit: usize) -> Result<(), Status> {
    let len = body.size_hint();
    if len <= limit {
        return Ok(());
    }
    Err(Status::resource_exhausted(format!(
        "the {what} has {len} bytes, more than the limit of {limit}; raise \
         `provider.limits.payload` and `consumer.limits.payload`, or send less at a time"
    )))
}

/// Messages of which one that is too large ends the stream.
struct Limited {
    messages: Messages,
    what: &'static str,
    limit: usize,
}

impl MessageSource for Limited {
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        let this = self.get_mut();
        let next = ready!(this.messages.poll_next(cx));
        Poll::Ready(next.map(|message| {
            let message = message?;
            check(this.what, &message, this.limit).map(|()| message)
        }))
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        self.messages.trailers().clone()
    }
}
