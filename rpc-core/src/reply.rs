//! The answer to a successful call.

use std::sync::{Arc, Mutex, PoisonError};

use crate::body::Body;
use crate::call_extensions::CallExtensions;
use crate::message::Message;
use crate::metadata::Metadata;
use crate::status::Status;
use crate::stream::Messages;

/// The answer to a call: its value and the metadata beside it.
///
/// A layer or a mock makes one of a message with the fields of the result: a result that is not a
/// message itself is the field `value`.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// use dubhe::Reply;
/// # use dubhe::message::Returned;
///
/// let mut reply = Reply::new(Returned(7_u32));
/// reply.metadata.insert("next-page", "2");
/// assert_eq!(reply.metadata.value("next-page"), Some("2"));
/// ```
#[derive(Debug, Clone)]
pub struct Reply {
    /// The value.
    pub body: Body,
    /// Key/values beside it.
    pub metadata: Metadata,
    /// Typed things that layers leave for each other; they do not travel.
    pub extensions: CallExtensions,
}

impl Reply {
    /// A reply of this value without metadata.
    #[must_use]
    #[inline]
    pub fn new(message: impl Message) -> Self {
        Self::from_body(Body::typed(message))
    }

    /// A reply of this body without metadata.
    #[must_use]
    #[inline]
    pub fn from_body(body: Body) -> Self {
        Self { body, metadata: Metadata::new(), extensions: CallExtensions::new() }
    }

    /// Key/values behind the value; those of a stream are known at [its end](Messages::trailers).
    #[must_use]
    pub fn trailers(&self) -> Metadata {
        self.extensions.get::<Trailers>().map_or_else(Metadata::new, |trailers| trailers.0.clone())
    }

    /// Sets the key/values behind the value. They are kept apart, because few replies have any.
    pub fn set_trailers(&mut self, trailers: Metadata) {
        self.extensions.insert(Trailers(trailers));
    }

    /// The messages of its body.
    pub(crate) fn messages(self) -> Result<Messages, Status> {
        self.body.messages()
    }
}

#[derive(Debug, Clone)]
struct Trailers(Metadata);

/// Shows the caller what came beside a reply, for
/// [`CallOptions::reply_metadata`](crate::client::CallOptions::reply_metadata); clones share it.
#[derive(Debug, Clone, Default)]
pub struct ReplyMetadata(Arc<Mutex<Metadata>>);

impl ReplyMetadata {
    /// An empty one, before any reply.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The key/values beside the last of the replies; empty before the first, and after a reply without
    /// any.
    #[must_use]
    pub fn last(&self) -> Metadata {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note(&self, metadata: Metadata) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = metadata;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Returned;

    #[test]
    fn a_reply_of_one_message_may_have_trailers_and_needs_none() {
        let mut reply = Reply::new(Returned(7_u32));
        assert!(reply.trailers().is_empty());
        let mut trailers = Metadata::new();
        trailers.insert("seal", "broken");
        reply.set_trailers(trailers);
        assert_eq!(reply.clone().trailers().value("seal"), Some("broken"));
    }
}
