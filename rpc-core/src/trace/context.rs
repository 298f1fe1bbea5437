//! `traceparent` and `tracestate`: the place of a span in its trace.

use std::fmt;
use std::sync::Arc;

use super::{PARENT, STATE, lists, texts, valid_parent};
use crate::metadata::Metadata;

/// The ids of a span, by which another process continues its trace.
///
/// Prints as the header `traceparent`.
///
/// ```
/// use rpc_core::TraceContext;
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context = TraceContext::parse(text).expect("it is as the standard has it");
/// assert!(context.is_sampled());
/// assert_eq!(context.to_string(), text);
/// assert!(TraceContext::parse("00-0-0-01").is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
    state: Option<Arc<str>>,
}

/// Where the parts of `traceparent` stand: `vv-tttttttttttttttttttttttttttttttt-ssssssssssssssss-ff`.
const LEN: usize = 55;
const DASHES: [usize; 3] = [2, 35, 52];

const SAMPLED: u8 = 1;

impl TraceContext {
    /// A span of this id in the trace of this id; `None` if one of them is zero, which no span has.
    /// Of the `flags` the lowest bit says that the trace is recorded.
    #[must_use]
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Option<Self> {
        let is_valid = trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then_some(Self { trace_id, span_id, flags, state: None })
    }

    /// Sets the header `tracestate`. One that is too long is cut as the standard says: at 32
    /// members and 512 bytes.
    #[must_use]
    pub fn with_state(mut self, state: &str) -> Self {
        self.state = lists::state([state].into_iter()).map(Into::into);
        self
    }

    /// Reads the header `traceparent`, of this version of the standard or of a later one; `None` if
    /// it is not as the standard has it.
    #[must_use]
    pub fn parse(parent: &str) -> Option<Self> {
        let bytes = parent.as_bytes();
        let has_dashes = DASHES.iter().all(|at| bytes.get(*at) == Some(&b'-'));
        let [version] = hex(bytes.get(..2)?)?;
        let is_whole = match version {
            0xff => false,
            0 => bytes.len() == LEN,
            // A later version may go on behind a dash.
            _ => bytes.get(LEN).is_none_or(|next| *next == b'-'),
        };
        if !has_dashes || !is_whole {
            return None;
        }
        let [flags] = hex(bytes.get(53..LEN)?)?;
        Self::new(hex(bytes.get(3..35)?)?, hex(bytes.get(36..52)?)?, flags)
    }

    pub(super) fn is_parent(parent: &str) -> bool {
        Self::parse(parent).is_some()
    }

    /// Reads the context from the metadata of a call.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Option<Self> {
        if metadata.is_empty() {
            return None;
        }
        let mut context = Self::parse(valid_parent(metadata)?)?;
        context.state = lists::state(texts(metadata, STATE)).map(Into::into);
        Some(context)
    }

    /// Says so in the metadata of a call. The `tracestate` that stands there stays if this one has
    /// none and the trace is the same.
    pub fn write(&self, metadata: &mut Metadata) {
        match &self.state {
            Some(state) => metadata.insert(STATE, &**state),
            None => {
                let before = valid_parent(metadata).and_then(Self::parse);
                if before.is_none_or(|before| before.trace_id != self.trace_id) {
                    metadata.remove(STATE);
                }
            }
        }
        metadata.insert(PARENT, self.to_string());
    }

    /// The id of the trace.
    #[must_use]
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the span.
    #[must_use]
    pub const fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// The flags as they travel.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the caller says that the trace is recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The header `tracestate`.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.span_id));
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

/// The bytes that `digits` write, in lower case as the standard has them.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn parents_are_read_as_the_standard_says() {
        for (parent, is_valid) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), true),
            (format!("00-{TRACE}-{SPAN}-ff"), true),
            (format!("00-{TRACE}-{SPAN}-01-more"), false),
            (format!("01-{TRACE}-{SPAN}-01-more"), true),
            (format!("cc-{TRACE}-{SPAN}-01"), true),
            (format!("cc-{TRACE}-{SPAN}-01."), false),
            (format!("ff-{TRACE}-{SPAN}-01"), false),
            (format!("0-{TRACE}-{SPAN}-01"), false),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), false),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), false),
            (format!("00-{TRACE}-{SPAN}-0"), false),
            (format!("00-{TRACE}-{SPAN}"), false),
            (format!("00-{TRACE}_{SPAN}-01"), false),
            (format!("00-{TRACE}-{SPAN}-0é"), false),
            (String::new(), false),
            ("-".repeat(LEN), false),
        ] {
            assert_eq!(TraceContext::is_parent(&parent), is_valid, "{parent}");
        }
    }

    #[test]
    fn state_stays_with_its_trace_and_not_with_another() {
        let text = format!("00-{TRACE}-{SPAN}-01");
        let mut metadata = Metadata::from_iter([("traceparent", &text)]);
        metadata.insert("tracestate", "a=1");
        let context = TraceContext::of(&metadata).unwrap();
        assert_eq!((context.state(), context.is_sampled()), (Some("a=1"), true));

        let child = TraceContext::new(context.trace_id(), [7; 8], 0).unwrap();
        child.write(&mut metadata);
        assert_eq!(metadata.value("tracestate"), Some("a=1"));
        assert_eq!(metadata.value("traceparent"), Some(&*child.to_string()));
        child.clone().with_state("b=2").write(&mut metadata);
        assert_eq!(metadata.value("tracestate"), Some("b=2"));
        TraceContext::new([9; 16], [7; 8], 0).unwrap().write(&mut metadata);
        assert_eq!(metadata.value("tracestate"), None);
    }
}
