//! The writing end of a stream that is a channel.

use std::fmt;

use tokio::sync::mpsc;

use super::streaming::Streaming;
use crate::status::{Delivery, Status};

/// Sends the values of a [`Streaming`] that was made by [`Streaming::channel`].
///
/// Dropping the last clone ends the stream, and leaves the other direction of the call open.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// use dubhe::{Status, Streaming};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let (sender, mut values) = Streaming::channel(8);
/// sender.send(1).await?;
/// sender.fail(Status::aborted("no more")).await?;
/// assert_eq!(values.message().await?, Some(1));
/// assert_eq!(values.message().await, Err(Status::aborted("no more")));
/// assert_eq!(values.message().await?, None);
/// # Ok::<(), Status>(())
/// # }).unwrap();
/// ```
pub struct StreamSender<T>(mpsc::Sender<Result<T, Status>>);

impl<T: Send + 'static> Streaming<T> {
    /// A stream and its writing end. At most `capacity` values wait in it, at least one: then
    /// [`send`](StreamSender::send) waits until the reader has taken one.
    #[must_use]
    pub fn channel(capacity: usize) -> (StreamSender<T>, Self) {
        let (sender, mut receiver) = mpsc::channel(capacity.max(1));
        let values = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
        (StreamSender(sender), Self::new(values))
    }
}

impl<T> StreamSender<T> {
    /// Sends a value; waits while the stream is full.
    ///
    /// # Errors
    /// `cancelled` if the stream has no reader any more, because the other side ended or dropped
    /// the call.
    ///
    /// # Cancel safety
    /// Dropping the future drops the value.
    pub async fn send(&self, value: T) -> Result<(), Status> {
        self.0.send(Ok(value)).await.map_err(|_| not_read())
    }

    /// Ends the stream by an error, which the reader gets behind the values that wait.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    ///
    /// # Cancel safety
    /// Dropping the future drops the error, and the stream ends without it.
    pub async fn fail(self, status: Status) -> Result<(), Status> {
        self.0.send(Err(status)).await.map_err(|_| not_read())
    }

    /// Waits until the stream has no reader any more.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// Whether the stream has no reader any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

fn not_read() -> Status {
    Status::cancelled("the other side reads this stream no more").with_delivery(Delivery::MaybeSent)
}

impl<T> Clone for StreamSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for StreamSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSender").field("is_closed", &self.0.is_closed()).finish()
    }
}
