//! How a subcommand fails, and the code it exits with. What is printed of it is `main.rs`'s.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use dubhe::{Code, Delivery, Error, Status};

/// Somebody was asked, and it failed.
pub(crate) const FAILED: u8 = 1;
/// What was typed or configured is wrong; nothing was called.
pub(crate) const USAGE: u8 = 2;
/// What was compared breaks.
pub(crate) const BREAKING: u8 = 3;

/// What a subcommand comes to.
pub(crate) type CommandResult = Result<(), Failure>;

/// Why a subcommand failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What to exit with.
    pub(crate) code: u8,
    pub(crate) kind: FailureKind,
}

#[derive(Debug)]
pub(crate) enum FailureKind {
    /// In words.
    Text(String),
    /// A call, with its attempts.
    Call(Box<Status>),
    /// It was printed already, as a part of the result.
    Told,
    /// The reader of the result has gone.
    Unread,
}

impl Failure {
    /// Something asked for did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { code: FAILED, kind: FailureKind::Text(message.into()) }
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, kind: FailureKind::Text(message.into()) }
    }

    /// The outcome of a result that tells of a failure, if `failed`: that nobody read it hides none.
    pub(crate) fn told_if(failed: bool, printed: CommandResult) -> CommandResult {
        Self::told_as(failed.then_some(FAILED), printed)
    }

    /// The same, with the code to exit with.
    pub(crate) fn told_as(code: Option<u8>, printed: CommandResult) -> CommandResult {
        match (code, printed) {
            (Some(code), Ok(()) | Err(Self { kind: FailureKind::Unread, .. })) => {
                Err(Self { code, kind: FailureKind::Told })
            }
            (_, printed) => printed,
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let set_up = status.source().and_then(|source| source.downcast_ref::<Error>());
        if let Some(error) = set_up.filter(|error| error.is_refused()) {
            let refused = Status::new(status.code(), refusal(error));
            let kind = FailureKind::Call(Box::new(refused.with_delivery(status.delivery())));
            return Self { code: FAILED, kind };
        }
        let is_mistake = set_up.map_or_else(|| is_wrong_call(&status), is_wrong_setting);
        let code = if is_mistake { USAGE } else { FAILED };
        Self { code, kind: FailureKind::Call(Box::new(status)) }
    }
}

/// Whether nothing was called because the call itself cannot be.
fn is_wrong_call(status: &Status) -> bool {
    let was_asked = status.delivery() != Delivery::NotSent
        || status.attempts().iter().any(|attempt| attempt.delivery != Delivery::NotSent);
    match status.code() {
        // Also with an address: arguments that are too large, a codec the provider lacks.
        Code::InvalidArgument | Code::FailedPrecondition => !was_asked,
        // With one, a provider said so.
        Code::Unimplemented => {
            !was_asked && status.address().is_none() && status.attempts().is_empty()
        }
        _ => false,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match is_wrong_setting(&error) {
            true => Self::usage(error.to_string()),
            false if error.is_refused() => Self::failed(refusal(&error)),
            false => Self::failed(error.to_string()),
        }
    }
}

/// A registry's refusal, with the argument beside the setting that it names.
fn refusal(error: &Error) -> String {
    error.to_string().replace("registry.token", "--token or registry.token")
}

fn is_wrong_setting(error: &Error) -> bool {
    error.is_unknown_name() || error.is_invalid_config()
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self { code: FAILED, kind: FailureKind::Unread },
            _ => Self::failed(format!("cannot print: {error}")),
        }
    }
}
