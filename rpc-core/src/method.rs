//! One method of one service, as a call names it; made once and shared by all its calls.

use std::fmt;
use std::sync::Arc;

use crate::reply::Reply;
use crate::service_key::ServiceKey;

/// What goes to and fro in a call. Streaming kinds come with the Triple face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MethodKind {
    /// One request, one answer.
    Unary,
    /// One request, no answer.
    OneWay,
}

/// Service, name and nature of a method.
#[derive(Clone)]
pub struct Method {
    service: ServiceKey,
    path: Arc<str>,
    kind: MethodKind,
    idempotent: bool,
    stand_in: Option<Reply>,
    arguments: Option<usize>,
}

impl Method {
    /// The method `name` of `service`, as it is named on the wire.
    #[must_use]
    pub fn new(service: ServiceKey, name: &str, kind: MethodKind, idempotent: bool) -> Self {
        let path = format!("{service}/{name}").into();
        Self { service, path, kind, idempotent, stand_in: None, arguments: None }
    }

    /// The same with an answer that may stand in for a failure.
    #[must_use]
    pub fn with_stand_in(mut self, stand_in: Option<Reply>) -> Self {
        self.stand_in = stand_in;
        self
    }

    /// The same with the number of its arguments; `None` where that is not known.
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

    /// Unary or one-way.
    #[must_use]
    pub fn kind(&self) -> MethodKind {
        self.kind
    }

    /// Whether running it twice does no harm.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// What may be answered in place of a failure: the method's fallback, or the empty value of
    /// what it returns. `None` if it has neither, and on providers.
    #[must_use]
    pub fn stand_in(&self) -> Option<&Reply> {
        self.stand_in.as_ref()
    }

    /// How many arguments it has. `None` where nobody said: on providers, and for methods that are
    /// called without a stub.
    #[must_use]
    pub fn arguments(&self) -> Option<usize> {
        self.arguments
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Method({}, {:?}, idempotent: {})", self.path, self.kind, self.idempotent)
    }
}
