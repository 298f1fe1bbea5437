//! What a successful call brings back.

use crate::body::Body;
use crate::invocation::CallExtensions;
use crate::message::Message;
use crate::metadata::Metadata;

/// The answer to a call: its value and the metadata beside it.
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
}
