//! The answer to a call whose handler panics: one call fails, and its connection goes on.
//!
//! Wherever a handler is polled, [`panics::catch`](crate::panics::catch) is around it.

use crate::method::Method;
use crate::status::Status;

/// The answer of a handler of `method` that panicked with `message`. The log has the message; the
/// caller does not, because it may hold what is none of its business.
#[cold]
pub(super) fn handler_panicked(method: &Method, message: &str) -> Status {
    let call = method.path();
    tracing::error!(target: "dubhe::provider", %call, message, "a handler panicked");
    Status::internal(format!("the handler of {call} panicked"))
}
