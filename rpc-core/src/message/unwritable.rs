//! Values that no format has a form for, such as a time past protobuf's range.
//!
//! Protobuf's form is counted and appended without a way to fail, so what cannot be written is found
//! by the look at depth before it, which says only yes or no. This is where the reason is left for
//! the one who asks, on the same thread.

use std::cell::Cell;

use super::problem::Problem;
use super::wire::TooDeep;
use crate::codec::MAX_DEPTH;

thread_local! {
    static REASON: Cell<Option<Problem>> = const { Cell::new(None) };
}

/// Leaves the reason why a value cannot be written; `false`, which is what the look at depth says.
#[cold]
pub(super) fn note(reason: impl FnOnce() -> Problem) -> bool {
    REASON.set(Some(reason()));
    false
}

/// Why `nests_within`, which was `false`, is so.
#[cold]
pub(super) fn reason(nests_within: impl FnOnce(usize) -> bool) -> Problem {
    // What another look has left is not the reason of this one.
    REASON.take();
    nests_within(MAX_DEPTH);
    REASON.take().unwrap_or_else(|| TooDeep.into())
}
