//! What a successful call brings back.

use crate::body::Body;
use crate::invocation::CallExtensions;
use crate::message::Message;
use crate::metadata::Metadata;
use crate::status::Status;
use crate::stream::Messages;

/// The answer to a call: its value and the metadata beside it.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The value.
    pub body: Body,
    /// Key/values beside it.
    pub metadata: Metadata,
    /// Key/values behind the value. A stream has its own, known at [its end](Messages::trailers).
    pub trailers: Metadata,
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
        let (metadata, trailers) = (Metadata::new(), Metadata::new());
        Self { body, metadata, trailers, extensions: CallExtensions::new() }
    }

    /// The messages of its body.
    pub(crate) fn messages(self) -> Result<Messages, Status> {
        self.body.messages()
    }
}
