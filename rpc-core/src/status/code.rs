//! The codes a call can end with: gRPC's, with gRPC's numbers.
//!
//! Source: <https://grpc.io/docs/guides/status-codes/>.

use std::fmt;

/// The kind of a call's failure. `Ok` never appears in a [`Status`](super::Status) of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Code {
    /// Success. It never appears in a [`Status`](super::Status), only in logs and metrics.
    Ok = 0,
    /// The caller gave the call up, or the stream that was read or written ended on the other side.
    Cancelled = 1,
    /// An error of which nothing better is known: a foreign error of a layer, a number that is not a
    /// code.
    Unknown = 2,
    /// The arguments are wrong in any state of the system: they do not decode, exceed a limit of a
    /// body, or the handler rejects them.
    InvalidArgument = 3,
    /// The deadline of the call passed before its answer came.
    DeadlineExceeded = 4,
    /// What the call asks for does not exist. A missing service or method is `Unimplemented`.
    NotFound = 5,
    /// What the call would create exists already.
    AlreadyExists = 6,
    /// The caller is known and lacks the right to this call.
    PermissionDenied = 7,
    /// A limit is reached: the provider is full, a gate turned the call away, or a quota of the
    /// business is used up. [`Status::is_full`](super::Status::is_full) separates the first two.
    ResourceExhausted = 8,
    /// The system is not in the state that this call needs. The default code of business errors.
    FailedPrecondition = 9,
    /// A conflict with another call, such as a lost race; the application may repeat the whole
    /// transaction.
    Aborted = 10,
    /// A value past the valid range, such as a read past the end.
    OutOfRange = 11,
    /// The provider does not have this service or method, or does not speak the protocol.
    Unimplemented = 12,
    /// A broken invariant: a panic of a handler, a reply that does not decode, an unknown error of a
    /// layer around a handler.
    Internal = 13,
    /// This provider cannot serve the call now, another one may: a lost connection, a drain, or the
    /// handler's own word. Idempotent calls are sent again, and it counts for ejection.
    Unavailable = 14,
    /// Data is lost or corrupt.
    DataLoss = 15,
    /// The caller has no valid credentials.
    Unauthenticated = 16,
}

impl Code {
    /// Every code, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code with this number; unknown numbers are `Unknown`, as gRPC asks.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Unknown)
    }

    /// gRPC's number of the code.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name in snake case, such as `deadline_exceeded`; used in logs, metrics and JSON errors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::InvalidArgument => "invalid_argument",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::PermissionDenied => "permission_denied",
            Self::ResourceExhausted => "resource_exhausted",
            Self::FailedPrecondition => "failed_precondition",
            Self::Aborted => "aborted",
            Self::OutOfRange => "out_of_range",
            Self::Unimplemented => "unimplemented",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::DataLoss => "data_loss",
            Self::Unauthenticated => "unauthenticated",
        }
    }

    /// The code with this snake-case name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
