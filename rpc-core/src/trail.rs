//! The id by which both sides of a call name it in logs and spans, and where it is recorded.
//!
//! A call that belongs to a trace has its id. Others have the number of the request on its
//! connection, which costs nothing.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::invocation::Invocation;
use crate::metadata::Metadata;
use crate::trace::TraceContext;

/// The number of a request on its connection. `u64::MAX` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(NonZeroU64);

impl RequestId {
    /// The number `id`; `None` for `u64::MAX`.
    #[must_use]
    #[inline]
    pub const fn new(id: u64) -> Option<Self> {
        // One more, so that an `Option` of it is as small as it.
        match NonZeroU64::new(id.wrapping_add(1)) {
            Some(more) => Some(Self(more)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get() - 1
    }
}

/// The id of a call on both sides: 32 hexadecimal digits of its trace, or else 16 of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallId {
    /// The trace that it belongs to, perhaps with other calls.
    Trace([u8; 16]),
    /// The number of its request, of which each attempt has its own. They begin anywhere on each
    /// connection, so that hardly two are the same.
    Request(u64),
}

impl CallId {
    /// The id of a call with this metadata that came as this request.
    #[must_use]
    pub fn of(metadata: &Metadata, request: Option<RequestId>) -> Option<Self> {
        Self::of_trace(metadata).or_else(|| request.map(|id| Self::Request(id.get())))
    }

    /// The id of the trace that the metadata of a call names.
    #[must_use]
    pub fn of_trace(metadata: &Metadata) -> Option<Self> {
        TraceContext::of(metadata).map(|context| Self::Trace(context.trace_id()))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trace(id) => write!(f, "{:032x}", u128::from_be_bytes(*id)),
            Self::Request(id) => write!(f, "{id:016x}"),
        }
    }
}

// === impl SentAs ===

/// Where a protocol records the id of an attempt; among the [extensions](Invocation::extensions) of
/// an attempt that is observed.
#[derive(Debug, Clone, Default)]
pub struct SentAs(Arc<Mutex<Option<CallId>>>);

impl SentAs {
    /// Records that this attempt goes out as `id`, if it is observed. The id of a trace replaces
    /// that of a request.
    #[inline]
    pub fn note(attempt: &Invocation, id: CallId) {
        if let Some(sent) = attempt.extensions.get::<Self>() {
            sent.set(id);
        }
    }

    fn set(&self, id: CallId) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*noted, Some(CallId::Trace(_))) {
            *noted = Some(id);
        }
    }

    /// What it was sent as; `None` before it was.
    #[must_use]
    pub fn id(&self) -> Option<CallId> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Trail ===

/// Where the attempts of a call record the one that succeeded; among its
/// [extensions](Invocation::extensions), if it is observed.
#[derive(Debug, Clone, Default)]
pub struct Trail(Arc<Left>);

#[derive(Debug, Default)]
struct Left {
    attempts: AtomicU32,
    answered: Mutex<Option<(Arc<str>, Option<CallId>)>>,
}

impl Trail {
    /// Counts an attempt.
    pub fn begin(&self) {
        self.0.attempts.fetch_add(1, Relaxed);
    }

    /// How many attempts there were.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts.load(Relaxed)
    }

    /// Notes that the provider at `address` answered an attempt that was sent as `id`.
    pub fn answered(&self, address: &Arc<str>, id: Option<CallId>) {
        let mut answered = self.0.answered.lock().unwrap_or_else(PoisonError::into_inner);
        *answered = Some((address.clone(), id));
    }

    /// Who answered last, and what.
    #[must_use]
    pub fn last(&self) -> Option<(Arc<str>, Option<CallId>)> {
        self.0.answered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_in_hexadecimal_digits() {
        assert_eq!(CallId::Request(0x1f).to_string(), "000000000000001f");
        let mut id = [0; 16];
        id[0] = 0xa;
        assert_eq!(CallId::Trace(id).to_string(), "0a000000000000000000000000000000");
    }

    #[test]
    fn a_call_of_a_trace_has_its_id_and_others_that_of_the_request() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let metadata = Metadata::from_iter([("traceparent", parent)]);
        let shown = |metadata: &Metadata, id| {
            CallId::of(metadata, RequestId::new(id)).map(|id| id.to_string())
        };
        let trace = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
        assert_eq!(shown(&metadata, 7), trace);
        let none = Metadata::new();
        assert_eq!(shown(&none, 7).as_deref(), Some("0000000000000007"));
        assert_eq!(shown(&none, u64::MAX), None);
    }

    #[test]
    fn the_trace_of_an_attempt_is_more_than_its_request() {
        let sent = SentAs::default();
        sent.set(CallId::Request(1));
        sent.set(CallId::Trace([1; 16]));
        sent.set(CallId::Request(2));
        assert_eq!(sent.id(), Some(CallId::Trace([1; 16])));
    }
}
