//! The messages of a reply that has not come yet.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::messages::Messages;
use super::source::MessageSource;
use crate::body::Body;
use crate::invoker::ReplyFuture;
use crate::metadata::Metadata;
use crate::status::Status;

/// A call whose reply the reader of its messages waits for.
pub(crate) enum Opening {
    Called(ReplyFuture),
    Replied(Messages),
    Failed,
}

impl MessageSource for Opening {
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        let this = self.get_mut();
        loop {
            match this {
                Self::Called(call) => {
                    match ready!(call.as_mut().poll(cx)).and_then(|reply| reply.messages()) {
                        Ok(messages) => *this = Self::Replied(messages),
                        Err(status) => {
                            *this = Self::Failed;
                            return Poll::Ready(Some(Err(status)));
                        }
                    }
                }
                Self::Replied(messages) => return messages.poll_next(cx),
                Self::Failed => return Poll::Ready(None),
            }
        }
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        match self.get_mut() {
            Self::Replied(messages) => messages.trailers().clone(),
            Self::Called(_) | Self::Failed => Metadata::new(),
        }
    }
}
