//! A call: method, arguments, metadata and deadline, on both sides.

use std::sync::Arc;

use crate::body::Body;
use crate::call_extensions::CallExtensions;
use crate::codec::{CodecError, Codecs};
use crate::deadline::Deadline;
use crate::message::Message;
use crate::metadata::Metadata;
use crate::method::Method;
use crate::peer::Peer;
use crate::status::Status;
use crate::stream::Streaming;
use crate::trail::RequestId;

/// One call, as layers, routers, balancers and protocols see it.
///
/// It is cheap to clone, so that every attempt has its own. Clones share arguments that stream, which
/// are read once. Arguments are typed until a codec is known: no layer decodes them to decide, and
/// what a decision needs stands beside them ([`metadata`](Self::metadata),
/// [`hash_key`](Self::hash_key)).
#[derive(Debug, Clone)]
pub struct Invocation {
    method: Arc<Method>,
    /// The arguments.
    pub body: Body,
    /// Key/values beside the arguments, which travel with them.
    pub metadata: Metadata,
    /// When the caller stops waiting. If the reply streams, it bounds the first message; see
    /// [`end_deadline`](Self::end_deadline).
    pub deadline: Deadline,
    /// Consumer side: the codecs it may be written in, the preferred first.
    pub codecs: Option<Codecs>,
    /// Consumer side: the key of hashing balancers, which keep calls of one key together.
    pub hash_key: Option<u64>,
    /// The caller, on the provider's side.
    pub peer: Option<Arc<Peer>>,
    /// Provider side: the number of its request on the connection, if the protocol has such.
    pub request: Option<RequestId>,
    /// Typed things that layers, policies and callers leave for each other; they do not travel. On
    /// the consumer's side an [`AttemptLog`] is where endpoints write down the attempts, a
    /// [`NodeReplies`] where a broadcast leaves what each provider answered.
    ///
    /// [`AttemptLog`]: crate::AttemptLog
    /// [`NodeReplies`]: crate::NodeReplies
    pub extensions: CallExtensions,
}

/// When a call whose reply streams has to have ended.
#[derive(Debug, Clone, Copy)]
struct EndDeadline(Deadline);

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
            request: None,
            extensions: CallExtensions::new(),
        }
    }

    /// The method that is called.
    #[must_use]
    #[inline]
    pub fn method(&self) -> &Arc<Method> {
        &self.method
    }

    /// Whether it can be sent again: one whose arguments stream can until they are read.
    #[must_use]
    pub fn is_replayable(&self) -> bool {
        self.body.is_whole()
    }

    /// When the whole call has to have ended; `None` if a reply that streams may go on for as long
    /// as it likes, once [`deadline`](Self::deadline) has seen its first message.
    #[must_use]
    pub fn end_deadline(&self) -> Option<Deadline> {
        match self.method.kind().streams_reply() {
            true => self.extensions.get::<EndDeadline>().map(|end| end.0),
            false => Some(self.deadline),
        }
    }

    /// Sets the deadline for the end of a reply that streams.
    pub fn set_end_deadline(&mut self, deadline: Deadline) {
        self.extensions.insert(EndDeadline(deadline));
    }

    /// Takes the arguments out; moves them if this is the only handle of a typed body of `A`.
    ///
    /// # Errors
    /// `invalid_argument`, naming the call and what does not fit.
    pub fn into_arguments<A: Message + Default>(self) -> Result<A, Status> {
        let Self { method, body, .. } = self;
        body.into_message().map_err(|error| error.into_argument_status(method.path()))
    }

    /// The values in the messages of arguments that stream.
    ///
    /// # Errors
    /// The stream has another reader.
    #[doc(hidden)]
    pub fn into_stream<A: Message + Default, T: 'static>(
        self,
        unwrap: fn(A) -> T,
    ) -> Result<Streaming<T>, Status> {
        let (messages, path) = (self.body.messages()?, self.method.path().clone());
        let blame = CodecError::into_argument_status;
        Ok(Streaming::from_messages(messages, path, blame, unwrap))
    }

    /// Reads the arguments.
    ///
    /// # Errors
    /// `invalid_argument`, naming the call and what does not fit.
    pub fn decode<A: Message + Default>(&self) -> Result<A, Status> {
        self.body.decode().map_err(|error| error.into_argument_status(self.method.path()))
    }
}
