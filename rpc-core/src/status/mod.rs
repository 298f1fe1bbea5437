//! How a call fails: [`Status`], its [`Code`], its [`Delivery`] and the list of its attempts.
//!
//! `Status` is the only error a call can have; what goes wrong while things are set up is an
//! [`Error`](crate::Error). The inner part is boxed, so a `Result` of a call stays small.
//!
//! Long because `Status`, its builders and its questions are one type.

mod code;
mod convert;
mod ending;
mod retry;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::code::Code;
pub use self::convert::BoxError;
pub use self::retry::{Repeat, Resend, may_resend, may_resend_later};
use crate::body::Body;
use crate::metadata::Metadata;
use crate::trail::CallId;

/// How far a failed call got, as the consumer knows it.
///
/// It alone decides whether a call may be sent again ([`may_resend`]): `NotSent` and `Refused` mean
/// that the handler did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// No byte of it left this process: there was no connection, a limit of this side was reached, or
    /// the call was given up before it was written.
    NotSent,
    /// It left this process, or may have; whether the handler ran is unknown. The connection was lost
    /// or the deadline passed after writing began.
    MaybeSent,
    /// The provider's framework turned it away before the handler ran, and said so: it drains, is full,
    /// or does not have the service.
    Refused,
    /// The handler ran and this is its answer.
    Answered,
}

impl Delivery {
    /// The state in words, as error messages and logs print it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not sent",
            Self::MaybeSent => "maybe sent",
            Self::Refused => "refused",
            Self::Answered => "answered",
        }
    }
}

/// One try of a call at one provider, as a failed call lists it.
#[derive(Debug, Clone)]
pub struct AttemptFailure {
    /// The address that it went to, as `host:port`.
    pub address: Arc<str>,
    /// How it ended.
    pub code: Code,
    /// The reason, in words.
    pub message: String,
    /// How far it got.
    pub delivery: Delivery,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why a call failed.
///
/// A handler returns one by its code; the consumer's side adds what it knows: the call, the address,
/// the [delivery](Self::delivery), the [attempts](Self::attempts) and the setting that
/// [ended](Self::ending) it. `Display` prints all of it on one line. Two are equal if code and message
/// are, which is what tests compare.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// use dubhe::{Code, Delivery, Status};
///
/// let missing = Status::not_found("no item `mug`");
/// assert_eq!(missing.code(), Code::NotFound);
/// assert_eq!(missing.delivery(), Delivery::Answered);
/// assert_eq!(missing.to_string(), "not_found: no item `mug`");
/// assert_eq!(missing, Status::not_found("no item `mug`"));
///
/// let refused = Status::unavailable("draining").with_delivery(Delivery::Refused);
/// assert_eq!(refused.to_string(), "unavailable: draining (refused)");
/// ```
///
/// `Clone` is cheap enough for forks and broadcasts: the source is shared.
#[derive(Clone)]
pub struct Status(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    message: String,
    delivery: Delivery,
    service_missing: bool,
    details: Option<Details>,
    metadata: Metadata,
    call: Option<Arc<str>>,
    origin: Option<Arc<str>>,
    address: Option<Arc<str>>,
    attempts: Vec<AttemptFailure>,
    hint: Option<String>,
    is_verdict: bool,
    retry_after: Option<Duration>,
    id: Option<CallId>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// A typed business error beside a status: the name of its type and its value.
#[derive(Debug, Clone)]
pub struct Details {
    /// Name of the error type, as its descriptor prints it.
    pub type_name: Arc<str>,
    /// The value, typed or in the codec of the call.
    pub body: Body,
}

/// Makes a `Status` of one code from a message.
macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident,)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(Code::$code, message)
        }
    )*};
}

impl Status {
    /// A status of this code, with the delivery `Answered`: what a handler returns is an answer.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            delivery: Delivery::Answered,
            service_missing: false,
            details: None,
            metadata: Metadata::new(),
            call: None,
            origin: None,
            address: None,
            attempts: Vec::new(),
            hint: None,
            is_verdict: false,
            retry_after: None,
            id: None,
            source: None,
        }))
    }

    constructors! {
        /// The caller gave the call up.
        cancelled => Cancelled,
        /// An error of which nothing better is known.
        unknown => Unknown,
        /// The arguments are wrong whatever the state of the system.
        invalid_argument => InvalidArgument,
        /// The deadline passed first.
        deadline_exceeded => DeadlineExceeded,
        /// What was asked for does not exist.
        not_found => NotFound,
        /// What was to be made exists.
        already_exists => AlreadyExists,
        /// The caller is known and may not do this.
        permission_denied => PermissionDenied,
        /// A limit was reached.
        resource_exhausted => ResourceExhausted,
        /// The system is not in the state this needs.
        failed_precondition => FailedPrecondition,
        /// A conflict with another call.
        aborted => Aborted,
        /// Past the valid range.
        out_of_range => OutOfRange,
        /// No such service or method here.
        unimplemented => Unimplemented,
        /// An invariant is broken.
        internal => Internal,
        /// Not reachable now; another try may work.
        unavailable => Unavailable,
        /// Data was lost or is corrupt.
        data_loss => DataLoss,
        /// The caller is not known.
        unauthenticated => Unauthenticated,
    }

    /// The refusal of a provider that does not serve the service at all: `unimplemented`, refused.
    #[must_use]
    pub fn service_missing(message: impl Into<String>) -> Self {
        let mut status = Self::unimplemented(message).with_delivery(Delivery::Refused);
        status.0.service_missing = true;
        status
    }

    /// Whether the provider refused because it does not serve the service: its address is stale,
    /// as when another program has got its port. A missing method is not that.
    #[must_use]
    pub fn is_service_missing(&self) -> bool {
        self.0.service_missing && self.0.delivery == Delivery::Refused
    }

    /// The kind of the failure.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The reason in words, without the context that `Display` adds. It has no times and nothing of
    /// single attempts, so that failures of one cause have one text and can be counted by it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// How far the call got. On a provider always `Answered`, unless the framework refused it.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// Sets the delivery.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.0.delivery = delivery;
        self
    }

    /// The typed business error it carries.
    #[must_use]
    pub fn details(&self) -> Option<&Details> {
        self.0.details.as_ref()
    }

    /// Sets the typed business error.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.0.details = Some(details);
        self
    }

    /// The metadata that the provider sent with it.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// Sets the metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.0.metadata = metadata;
        self
    }

    /// The call it ended, as `service/method`; known on the consumer's side.
    #[must_use]
    pub fn call(&self) -> Option<&str> {
        self.0.call.as_deref()
    }

    /// Sets the call that it ended, as `service/method`.
    #[must_use]
    pub fn with_call(mut self, call: Arc<str>) -> Self {
        self.0.call = Some(call);
        self
    }

    /// The innermost call that failed, as `service/method`, if the handler passed on the failure of
    /// a call of its own, over any number of hops.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.0.origin.as_deref()
    }

    /// Sets the call of the handler's own that failed with this status.
    #[must_use]
    pub fn with_origin(mut self, origin: Arc<str>) -> Self {
        self.0.origin = Some(origin);
        self
    }

    /// The status that is answered where a handler failed with this one: if it ended a call that the
    /// handler made, it names that, and says that this handler ran. An error of a layer around the
    /// handler of which nothing is known is `internal`.
    #[must_use]
    pub(crate) fn answered(mut self) -> Self {
        let inner = &mut *self.0;
        let Some(call) = inner.call.take() else {
            // What a handler returns is an answer: this comes from a layer around it.
            if inner.code == Code::Unknown && inner.delivery == Delivery::MaybeSent {
                inner.code = Code::Internal;
            }
            return self;
        };
        inner.delivery = Delivery::Answered;
        if inner.origin.is_none() {
            // The text of a typed error is the business's own.
            if inner.details.is_none() {
                inner.message = format!("its call {call} failed: {}", inner.message);
            }
            inner.origin = Some(call);
        }
        self
    }

    /// The provider the last attempt went to, as `host:port`.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// Sets the provider that it came from.
    #[must_use]
    pub fn with_address(mut self, address: Arc<str>) -> Self {
        self.0.address = Some(address);
        self
    }

    /// The id of the call in the logs of the last attempt's provider, if it was sent.
    #[must_use]
    pub fn id(&self) -> Option<CallId> {
        self.0.id
    }

    /// Sets the id of the call in the provider's logs; for protocols.
    #[must_use]
    pub fn with_id(mut self, id: CallId) -> Self {
        self.0.id = Some(id);
        self
    }

    /// Every attempt that was made for the call, in order.
    #[must_use]
    pub fn attempts(&self) -> &[AttemptFailure] {
        &self.0.attempts
    }

    /// Sets the list of attempts.
    #[must_use]
    pub fn with_attempts(mut self, attempts: Vec<AttemptFailure>) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// The setting that decided that the call ended here, and its value, such as `retries = 2`.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Sets the setting that decided that the call ended here.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// How long the refusing provider asks not to be called again; `None` if it does not say.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Sets the time after which to come back. It travels in milliseconds.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Whether a provider turned the call away because it is full: a limit on what it runs or holds
    /// at once is reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.delivery == Delivery::Refused && self.0.code == Code::ResourceExhausted
    }

    /// Sets the error that caused it. The source does not travel.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(f, "{}", inner.code)?;
        if let Some(call) = &inner.call {
            write!(f, " in {call}")?;
        }
        if let Some(address) = &inner.address {
            write!(f, " at {address}")?;
        }
        write!(f, ": {}", inner.message)?;
        if inner.delivery != Delivery::Answered {
            write!(f, " ({})", inner.delivery.as_str())?;
        }
        for (number, attempt) in inner.attempts.iter().enumerate() {
            let AttemptFailure { address, code, message, delivery, elapsed } = attempt;
            let (number, delivery) = (number + 1, delivery.as_str());
            write!(f, "; attempt {number} at {address} after {elapsed:.1?}: ")?;
            write!(f, "{code}: {message} ({delivery})")?;
        }
        match self.ending() {
            Some(ending) => write!(f, "; {ending}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Status {
    /// As `Display`: it is what a `main` prints that returns it, and what a failed test shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Equal in code and message: what tests compare. Where it came from and how far it got is left out.
impl PartialEq for Status {
    fn eq(&self, other: &Self) -> bool {
        (self.code(), self.message()) == (other.code(), other.message())
    }
}

impl StdError for Status {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}
