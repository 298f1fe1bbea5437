//! What is called: method, arguments, metadata and deadline. The same noun on both sides.

use std::sync::Arc;

use crate::body::Body;
use crate::codec::Codecs;
use crate::deadline::Deadline;
use crate::message::Message;
use crate::metadata::Metadata;
use crate::method::Method;
use crate::peer::Peer;
use crate::status::Status;

/// One call; cheap to clone, so that every attempt has its own.
#[derive(Debug, Clone)]
pub struct Invocation {
    method: Arc<Method>,
    /// The arguments.
    pub body: Body,
    /// Key/values beside the arguments.
    pub metadata: Metadata,
    /// When nobody waits any more.
    pub deadline: Deadline,
    /// Consumer side: the codecs it may be written in, the preferred first.
    pub codecs: Option<Codecs>,
    /// Consumer side: what balancers hash to keep calls of one key together.
    pub hash_key: Option<u64>,
    /// Provider side: who called.
    pub peer: Option<Arc<Peer>>,
    /// Typed things that layers, policies and callers leave for each other; they do not travel. On
    /// the consumer's side an [`AttemptLog`] is where endpoints write down the attempts, a
    /// [`NodeReplies`] where a broadcast leaves what each provider answered.
    ///
    /// [`AttemptLog`]: crate::AttemptLog
    /// [`NodeReplies`]: crate::NodeReplies
    pub extensions: CallExtensions,
}

/// Typed values beside a call or its reply, one of each type; free while empty.
pub use http::Extensions as CallExtensions;

impl Invocation {
    /// A call of `method` with nothing set beside its arguments and deadline.
    #[must_use]
    #[inline]
    pub fn new(method: Arc<Method>, body: Body, deadline: Deadline) -> Self {
        Self {
            method,
            body,
            metadata: Metadata::new(),
            deadline,
            codecs: None,
            hash_key: None,
            peer: None,
            extensions: CallExtensions::new(),
        }
    }

    /// The method that is called.
    #[must_use]
    #[inline]
    pub fn method(&self) -> &Arc<Method> {
        &self.method
    }

    /// Reads the arguments.
    ///
    /// # Errors
    /// `invalid_argument`, naming the call and what does not fit.
    pub fn decode<A: Message + Default>(&self) -> Result<A, Status> {
        self.body.decode().map_err(|error| error.into_argument_status(self.method.path()))
    }
}
