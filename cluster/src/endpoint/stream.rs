//! A reply that streams, at one endpoint: it is a reply once its first message is here.
//!
//! So what fails before that is a failed attempt, which policies may follow by another, and what
//! fails later is the end of a stream that its caller has begun to read.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use rpc_core::{Deadline, Delivery, Reply, ReplyFuture, Status};
use tokio::time::{Instant, sleep_until};
use tracing::Span;

/// The reply of `call`, which began at `now`, with its first message, which comes before `deadline`;
/// from then on it is read until the deadline `end`, if there is one.
///
/// Wakes its caller when half of the time has passed, as channels do.
pub(crate) fn begun(
    call: ReplyFuture,
    now: Instant,
    deadline: Deadline,
    end: Option<Deadline>,
) -> ReplyFuture {
    Box::pin(async move {
        let reply = in_time(first_message(call), now, deadline).await?;
        if end.is_none() {
            return Ok(reply);
        }
        let body = reply.body.until_end(&Span::none(), end, |end| end)?;
        Ok(Reply { body, ..reply })
    })
}

async fn first_message(call: ReplyFuture) -> Result<Reply, Status> {
    let reply = call.await?;
    let body = reply.body.begun().await?;
    Ok(Reply { body, ..reply })
}

async fn in_time(
    reply: impl Future<Output = Result<Reply, Status>>,
    now: Instant,
    deadline: Deadline,
) -> Result<Reply, Status> {
    let halfway = now + deadline.remaining_from(now) / 2;
    let (mut reply, mut timer) = (pin!(reply), pin!(sleep_until(halfway)));
    let mut is_half = false;
    poll_fn(|cx| {
        while timer.as_mut().poll(cx).is_ready() {
            if std::mem::replace(&mut is_half, true) {
                let late = Status::deadline_exceeded("no message came before the deadline");
                let late = late.with_delivery(Delivery::MaybeSent).with_hint(Deadline::HINT);
                return Poll::Ready(Err(late));
            }
            timer.as_mut().reset(deadline.instant());
        }
        reply.as_mut().poll(cx)
    })
    .await
}
