//! A typed stream: what methods take and return.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::Stream;

use super::messages::Messages;
use super::source::MessageSource;
use crate::body::Body;
use crate::codec::CodecError;
use crate::message::Message;
use crate::metadata::Metadata;
use crate::panics;
use crate::status::Status;

/// Many values one after the other: the only argument of a method, or its result, or both.
///
/// It is a `Stream` of `Result<T, Status>`, and [`message`](Self::message) reads it without any
/// import. Values are made when they are read. It ends with `None` or with its first error; dropping
/// it before cancels what it came from.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// use dubhe::{Result, Streaming};
///
/// async fn sum(mut numbers: Streaming<u32>) -> Result<u32> {
///     let mut sum = 0;
///     while let Some(number) = numbers.message().await? {
///         sum += number;
///     }
///     Ok(sum)
/// }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// assert_eq!(runtime.block_on(sum(Streaming::of([1, 2, 3]))).unwrap(), 6);
/// ```
pub struct Streaming<T> {
    /// `None` once it has ended. Never locked: it lets a handle be shared that nobody can read then.
    values: Option<Mutex<Pin<Box<dyn Values<T>>>>>,
    trailers: Metadata,
}

/// What a [`Streaming`] reads.
trait Values<T>: Send {
    fn poll_value(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T, Status>>>;

    fn trailers(&self) -> Metadata {
        Metadata::new()
    }
}

impl<T, S: Stream<Item = Result<T, Status>> + Send> Values<T> for S {
    fn poll_value(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T, Status>>> {
        self.poll_next(cx)
    }
}

impl<T> Streaming<T> {
    /// A stream of the values of `stream`.
    #[must_use]
    pub fn new(stream: impl Stream<Item = Result<T, Status>> + Send + 'static) -> Self {
        Self::reading(stream)
    }

    /// A stream of these values.
    #[must_use]
    pub fn of<I>(values: I) -> Self
    where
        I: IntoIterator<Item = T, IntoIter: Send + 'static>,
        T: 'static,
    {
        Self::new(futures_util::stream::iter(values.into_iter().map(Ok)))
    }

    fn reading(values: impl Values<T> + 'static) -> Self {
        Self { values: Some(Mutex::new(Box::pin(values))), trailers: Metadata::new() }
    }

    /// Waits for the next value; `None` at the end, and after an error.
    ///
    /// # Errors
    /// Once: what ended the stream before its end.
    ///
    /// # Cancel safety
    /// Dropping the future loses no value.
    pub async fn message(&mut self) -> Result<Option<T>, Status> {
        poll_fn(|cx| self.poll_value(cx)).await.transpose()
    }

    /// Key/values that came behind the last value; empty before the end.
    #[must_use]
    pub fn trailers(&self) -> &Metadata {
        &self.trailers
    }

    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Status>>> {
        let Some(values) = &mut self.values else {
            return Poll::Ready(None);
        };
        let values = values.get_mut().unwrap_or_else(PoisonError::into_inner);
        let next = ready!(values.as_mut().poll_value(cx));
        if !matches!(next, Some(Ok(_))) {
            self.trailers = values.trailers();
            // What lasts as long as the stream ends here, not with the handle.
            self.values = None;
        }
        Poll::Ready(next)
    }
}

impl<T> Stream for Streaming<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_value(cx)
    }
}

impl<T> fmt::Debug for Streaming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_ended = self.values.is_none();
        f.debug_struct("Streaming").field("has_ended", &has_ended).finish_non_exhaustive()
    }
}

// === between values and messages ===

impl<T: 'static> Streaming<T> {
    /// A body of these values, each as the message that `wrap` makes of it.
    #[doc(hidden)]
    #[must_use]
    pub fn into_body<M: Message>(self, wrap: fn(T) -> M) -> Body {
        Body::stream(Wrapping { values: self, wrap })
    }

    /// The values in the messages of a body; what does not fit is the fault of `blame`.
    pub(crate) fn from_messages<M: Message + Default>(
        messages: Messages,
        path: Arc<str>,
        blame: fn(CodecError, &str) -> Status,
        unwrap: fn(M) -> T,
    ) -> Self {
        Self::reading(Unwrapping { messages, path, blame, unwrap })
    }
}

struct Wrapping<T, M> {
    values: Streaming<T>,
    wrap: fn(T) -> M,
}

impl<T: 'static, M: Message> MessageSource for Wrapping<T, M> {
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        let this = self.get_mut();
        let next = ready!(this.values.poll_value(cx));
        Poll::Ready(next.map(|value| Ok(Body::typed((this.wrap)(value?)))))
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        self.values.trailers.clone()
    }
}

struct Unwrapping<M, T> {
    messages: Messages,
    path: Arc<str>,
    blame: fn(CodecError, &str) -> Status,
    unwrap: fn(M) -> T,
}

impl<M: Message + Default, T> Values<T> for Unwrapping<M, T> {
    fn poll_value(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T, Status>>> {
        let this = self.get_mut();
        let Some(body) = ready!(this.messages.poll_next(cx)).transpose()? else {
            return Poll::Ready(None);
        };
        let read = panics::catch(|| body.into_message().map(this.unwrap)).unwrap_or_else(|panic| {
            let what = format_args!("decoding the message panicked: {panic}");
            Err(CodecError::new("stream", what))
        });
        let read = read.map_err(|error| (this.blame)(error, &this.path));
        Poll::Ready(Some(read.map_err(|status| status.with_call(this.path.clone()))))
    }

    fn trailers(&self) -> Metadata {
        self.messages.trailers().clone()
    }
}
