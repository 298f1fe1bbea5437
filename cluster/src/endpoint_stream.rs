//! A reply that streams, at one endpoint: it is a reply once its first message is here.
//!
//! So what fails before that is a failed attempt, which policies may follow by another, and what
//! fails later is the end of a stream that somebody has read of.

use rpc_core::{Deadline, Delivery, Reply, ReplyFuture, Status};
use tokio::time::timeout_at;
use tracing::Span;

/// The reply of `call` with its first message, which comes before `deadline`; from then on it is read
/// until the deadline `end`, if there is one.
pub(crate) fn begun(call: ReplyFuture, deadline: Deadline, end: Option<Deadline>) -> ReplyFuture {
    let replied = async {
        let reply = call.await?;
        let body = reply.body.begun().await?;
        Ok::<Reply, Status>(Reply { body, ..reply })
    };
    Box::pin(async move {
        let reply = timeout_at(deadline.instant(), replied).await.unwrap_or_else(|_| {
            let late = Status::deadline_exceeded("no message came before the deadline");
            Err(late.with_delivery(Delivery::MaybeSent).with_hint(Deadline::HINT))
        })?;
        if end.is_none() {
            return Ok(reply);
        }
        let body = reply.body.until_end(&Span::none(), end, |end| end)?;
        Ok(Reply { body, ..reply })
    })
}
