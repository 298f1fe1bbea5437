//! The one reader of a stream, and the place where it waits for it.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use super::source::MessageSource;
use crate::body::Body;
use crate::metadata::Metadata;
use crate::status::{Delivery, Status};

type Source = Pin<Box<dyn MessageSource>>;

/// A stream that all clones of a body share: the first reader has it.
pub(crate) struct SharedStream(Mutex<Option<Source>>);

impl SharedStream {
    pub(crate) fn new(source: impl MessageSource) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(Box::pin(source)))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has no reader yet and none is about to begin.
    pub(crate) fn is_whole(&self) -> bool {
        self.lock().is_some()
    }

    /// # Errors
    /// `failed_precondition`, not sent: it has, or had, another reader.
    pub(crate) fn read(self: &Arc<Self>) -> Result<Messages, Status> {
        let source = self.lock().take().ok_or_else(|| {
            let text = "the stream of this call has another reader: messages are sent once, so a \
                        call cannot be sent again after its stream was read";
            Status::failed_precondition(text).with_delivery(Delivery::NotSent)
        })?;
        Ok(Messages {
            state: State::Reading(source),
            from: Some(self.clone()),
            trailers: Metadata::new(),
        })
    }
}

/// The messages of a body, in order, to be read once.
///
/// One that is dropped before it was polled gives the stream back to the clones of its body.
pub struct Messages {
    state: State,
    /// Where it is given back to, until it is polled.
    from: Option<Arc<SharedStream>>,
    trailers: Metadata,
}

enum State {
    Reading(Source),
    /// The first message was waited for and is here.
    Begun(Body, Option<Source>),
    Ended,
}

impl Messages {
    /// Those of a body that is one message.
    pub(crate) fn one(body: Body) -> Self {
        Self { state: State::Begun(body, None), from: None, trailers: Metadata::new() }
    }

    /// None at all.
    pub(crate) fn none() -> Self {
        Self { state: State::Ended, from: None, trailers: Metadata::new() }
    }

    /// The next message; `None` at the end, and after an error.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Body, Status>>> {
        let source = match &mut self.state {
            State::Reading(source) => source,
            State::Begun(..) => return Poll::Ready(self.take_first().map(Ok)),
            State::Ended => return Poll::Ready(None),
        };
        self.from = None;
        let next = ready!(source.as_mut().poll_message(cx));
        match &next {
            Some(Ok(_)) => {}
            Some(Err(_)) => self.state = State::Ended,
            None => {
                self.trailers = source.as_mut().trailers();
                self.state = State::Ended;
            }
        }
        Poll::Ready(next)
    }

    /// Waits for the next message; `None` at the end, and after an error.
    ///
    /// # Cancel safety
    /// Dropping the future loses no message.
    pub async fn next(&mut self) -> Option<Result<Body, Status>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Waits until the first message is here or the stream has ended; the message stays.
    ///
    /// # Errors
    /// That of the stream, if it fails before.
    pub(crate) fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        if !matches!(self.state, State::Reading(_)) {
            return Poll::Ready(Ok(()));
        }
        let Some(first) = ready!(self.poll_next(cx)).transpose()? else {
            return Poll::Ready(Ok(()));
        };
        if let State::Reading(source) = std::mem::replace(&mut self.state, State::Ended) {
            self.state = State::Begun(first, Some(source));
        }
        Poll::Ready(Ok(()))
    }

    /// The key/values behind the last message; empty before the end.
    #[must_use]
    pub fn trailers(&self) -> &Metadata {
        &self.trailers
    }

    fn take_first(&mut self) -> Option<Body> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Begun(first, rest) => {
                self.state = rest.map_or(State::Ended, State::Reading);
                Some(first)
            }
            _ => None,
        }
    }
}

impl MessageSource for Messages {
    fn poll_message(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        self.get_mut().poll_next(cx)
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        self.trailers.clone()
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        if let (Some(from), State::Reading(source)) =
            (self.from.take(), std::mem::replace(&mut self.state, State::Ended))
        {
            *from.lock() = Some(source);
        }
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messages")
    }
}
