//! One method of one service, as a call names it; made once and shared by all its calls.

use std::fmt;
use std::sync::Arc;

use crate::descriptor::Signature;
use crate::reply::Reply;
use crate::service_key::ServiceKey;
use crate::status::{Delivery, Status};

/// How many messages a call has in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MethodKind {
    /// One request, one answer.
    Unary,
    /// One request, no answer: the call ends when it is sent.
    OneWay,
    /// Many requests, one answer.
    ClientStream,
    /// One request, many answers.
    ServerStream,
    /// Many requests, many answers, at the same time.
    BidiStream,
}

impl MethodKind {
    /// The kind of a method that is answered, by what streams.
    #[must_use]
    pub const fn answered(streams_request: bool, streams_reply: bool) -> Self {
        match (streams_request, streams_reply) {
            (false, false) => Self::Unary,
            (true, false) => Self::ClientStream,
            (false, true) => Self::ServerStream,
            (true, true) => Self::BidiStream,
        }
    }

    /// Whether its arguments are a stream.
    #[must_use]
    pub const fn streams_request(self) -> bool {
        matches!(self, Self::ClientStream | Self::BidiStream)
    }

    /// Whether its reply is a stream.
    #[must_use]
    pub const fn streams_reply(self) -> bool {
        matches!(self, Self::ServerStream | Self::BidiStream)
    }

    /// Whether arguments or reply are a stream.
    #[must_use]
    pub const fn is_streaming(self) -> bool {
        self.streams_request() || self.streams_reply()
    }
}

impl fmt::Display for MethodKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unary => "unary",
            Self::OneWay => "one-way",
            Self::ClientStream => "client-streaming",
            Self::ServerStream => "server-streaming",
            Self::BidiStream => "bidirectional",
        })
    }
}

/// Service, name and nature of a method.
#[derive(Clone)]
pub struct Method {
    service: ServiceKey,
    path: Arc<str>,
    kind: MethodKind,
    idempotent: bool,
    fallback: Option<Reply>,
    signature: Option<Signature>,
    arguments: Option<usize>,
}

impl Method {
    /// The method `name` of `service`, as it is named on the wire.
    #[must_use]
    pub fn new(service: ServiceKey, name: &str, kind: MethodKind, idempotent: bool) -> Self {
        let path = format!("{service}/{name}").into();
        Self { service, path, kind, idempotent, fallback: None, signature: None, arguments: None }
    }

    /// Sets the answer that may replace a failure.
    #[must_use]
    pub fn with_fallback(mut self, fallback: Option<Reply>) -> Self {
        self.fallback = fallback;
        self
    }

    /// Sets what it takes and returns; `None` if that is not known.
    #[must_use]
    pub fn with_signature(mut self, signature: Option<Signature>) -> Self {
        self.signature = signature;
        self
    }

    /// Sets the number of its arguments, where no more is known of them.
    #[must_use]
    pub fn with_arguments(mut self, arguments: Option<usize>) -> Self {
        self.arguments = arguments;
        self
    }

    /// The service it belongs to.
    #[must_use]
    pub fn service(&self) -> &ServiceKey {
        &self.service
    }

    /// Its name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.path[self.service.as_str().len() + 1..]
    }

    /// `service/method`, as error messages, logs and the wire write it.
    #[must_use]
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// How many messages go in each direction.
    #[must_use]
    pub fn kind(&self) -> MethodKind {
        self.kind
    }

    /// Whether `protocol`, which knows no streams, can carry its calls.
    ///
    /// # Errors
    /// `unimplemented`, refused, naming what can be done.
    pub fn check_unary(&self, protocol: &str) -> Result<(), Status> {
        if !self.kind.is_streaming() {
            return Ok(());
        }
        let text = format!(
            "{} is {}, and the protocol {protocol} carries no streams: call it inside the process of \
             its provider (scope = \"local\"), or over a protocol that does",
            self.path, self.kind
        );
        Err(Status::unimplemented(text).with_delivery(Delivery::Refused))
    }

    /// Whether running it twice does no harm.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The answer that may replace a failure: the method's fallback, or the empty value of its
    /// result. `None` if it has neither, and on providers.
    #[must_use]
    pub fn fallback(&self) -> Option<&Reply> {
        self.fallback.as_ref()
    }

    /// What it takes and returns, as data; `None` for methods that are called without a stub, and
    /// those whose descriptor does not say.
    #[must_use]
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// How many arguments it has, if that is known.
    #[must_use]
    pub fn arguments(&self) -> Option<usize> {
        self.signature.map(|signature| signature.arguments.len()).or(self.arguments)
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Method({}, {:?}, idempotent: {})", self.path, self.kind, self.idempotent)
    }
}
