//! What the callers of a server share, and how much of it one of them may take: calls that run,
//! bytes of requests and answers.
//!
//! One rule for both: a caller takes more only as long as it then has no more than was left. So
//! one takes half, two take a third each, and however many there are, the next one finds about as
//! much as each of them has.

mod buffered;
mod connection_share;
mod in_flight;
mod quota;
#[cfg(test)]
mod tests;

pub use self::buffered::HeldBytes;
pub use self::connection_share::{Caller, ConnectionShare};
pub use self::in_flight::CallGuard;
pub(super) use self::quota::Quota;
