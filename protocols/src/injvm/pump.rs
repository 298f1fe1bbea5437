//! A reply that streams: its handler runs in a task of its own, as it would behind a socket, and is
//! at most [`WINDOW`] messages ahead of its reader.
//!
//! Without the task, a handler would only run while its reader polls it, and would never notice
//! that the reader is slow. Dropping the stream ends the task.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rpc_core::{Body, CallId, Delivery, MessageSource, Metadata, Reply, ReplyFuture, Status};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::call::RunningCall;
use super::limited;

/// How many messages wait between handler and reader.
const WINDOW: usize = 8;

/// An item from the task: a message, or at the end the trailers.
type Said = Result<Message, Status>;

enum Message {
    Body(Body),
    Trailers(Metadata),
}

/// The reply of `running`. Dropping it, or its body, ends the handler.
pub(super) fn reply(running: RunningCall, permit: OwnedSemaphorePermit) -> ReplyFuture {
    let (replied, reply) = oneshot::channel();
    let (said, heard) = mpsc::channel(WINDOW);
    Box::pin(async move {
        let task = tokio::spawn(run(running, replied, said));
        let task = OnlyAsLong(task.abort_handle());
        let gone = || {
            Status::unavailable("the provider ended the call").with_delivery(Delivery::MaybeSent)
        };
        let reply = reply.await.unwrap_or_else(|_| Err(gone()))?;
        let body =
            Body::stream(Heard { heard, trailers: Metadata::new(), _task: task, _permit: permit });
        Ok(Reply { body, ..reply })
    })
}

/// Runs the handler and passes its messages on. Ends with the stream, or when it has no reader.
async fn run(
    running: RunningCall,
    replied: oneshot::Sender<Result<Reply, Status>>,
    said: mpsc::Sender<Said>,
) {
    let (limit, id) = (running.limit, CallId::Request(running.id));
    let reply = running.reply().await.and_then(|(reply, counted)| counted.until_end(reply));
    let begun = reply.and_then(|reply| Ok((reply.body.messages()?, reply)));
    let mut messages = match begun {
        Ok((messages, reply)) => {
            // A caller that no longer waits has aborted the task.
            let _ = replied.send(Ok(reply));
            messages
        }
        Err(status) => {
            let _ = replied.send(Err(status));
            return;
        }
    };
    while let Some(next) = messages.next().await {
        let next = next.and_then(|body| limited::check("reply", &body, limit).map(|()| body));
        let next = next.map_err(|status| status.with_id(id));
        let is_last = next.is_err();
        if said.send(next.map(Message::Body)).await.is_err() || is_last {
            return;
        }
    }
    let trailers = messages.trailers().clone();
    // Ends what lasts as long as the stream before the reader sees its end.
    drop(messages);
    let _ = said.send(Ok(Message::Trailers(trailers))).await;
}

/// The reader's end.
struct Heard {
    heard: mpsc::Receiver<Said>,
    trailers: Metadata,
    _task: OnlyAsLong,
    _permit: OwnedSemaphorePermit,
}

impl MessageSource for Heard {
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        let this = self.get_mut();
        Poll::Ready(match ready!(this.heard.poll_recv(cx)) {
            Some(Ok(Message::Body(body))) => Some(Ok(body)),
            Some(Ok(Message::Trailers(trailers))) => {
                this.trailers = trailers;
                None
            }
            Some(Err(status)) => Some(Err(status)),
            // The task was dropped with its runtime.
            None => Some(Err(Status::unavailable("the stream broke off"))),
        })
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        self.trailers.clone()
    }
}

/// A task that is aborted when this is dropped.
struct OnlyAsLong(AbortHandle);

impl Drop for OnlyAsLong {
    fn drop(&mut self) {
        self.0.abort();
    }
}
