//! Where the messages of a body come from.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;

use crate::body::Body;
use crate::metadata::Metadata;
use crate::status::Status;

/// A source of messages, read by one reader at its pace.
///
/// Every `Stream` of `Result<Body, Status>` is one, without trailers. It ends with `None` or with an
/// error and is not polled again; dropping it before is the reader's cancel.
///
/// ```
/// use rpc_core::Body;
/// use rpc_core::message::Returned;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), rpc_core::Status> {
/// let numbers = (1..=3_u32).map(|number| Ok(Body::typed(Returned(number))));
/// let body = Body::stream(futures_util::stream::iter(numbers));
/// assert!(body.is_stream());
/// let mut messages = body.messages()?;
/// let first = messages.next().await.expect("there are three")?;
/// assert_eq!(first.into_message::<Returned<u32>>().map(|first| first.0).unwrap(), 1);
/// # Ok(())
/// # }
/// ```
pub trait MessageSource: Send + 'static {
    /// The next message, typed or encoded; `None` at the end.
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>>;

    /// Key/values behind the last message; asked once, after the end.
    fn trailers(self: Pin<&mut Self>) -> Metadata {
        Metadata::new()
    }
}

impl<S: Stream<Item = Result<Body, Status>> + Send + 'static> MessageSource for S {
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        self.poll_next(cx)
    }
}
