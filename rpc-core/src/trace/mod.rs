//! W3C trace context: which trace a call belongs to, from process to process.
//!
//! `traceparent`, `tracestate` and `baggage` are metadata of a call. What came with a call goes on with
//! the calls that its handler makes. Who has spans of a tracing system installs a
//! [`TraceBridge`], which gives the ids of our spans and takes those of the caller's. Without one the
//! ids go on unchanged, so that a process that traces nothing breaks no trace.
//!
//! Source: <https://www.w3.org/TR/trace-context/> and <https://www.w3.org/TR/baggage/>.

mod bridge;
mod context;
mod lists;

use serde::{Deserialize, Serialize};

pub use self::bridge::{TraceBridge, sending};
pub(crate) use self::bridge::{Untraced, adopt};
pub use self::context::TraceContext;
use crate::metadata::{Metadata, MetadataValue};

/// The key of the ids.
const PARENT: &str = "traceparent";
/// The key of what tracing systems add to them.
const STATE: &str = "tracestate";
/// The key of a program's own values.
const BAGGAGE: &str = "baggage";

/// The parts of trace context that a call forwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TraceForwarding {
    /// The ids, and the baggage of the call that is being handled.
    #[default]
    All,
    /// The ids without the baggage: for services of others.
    Ids,
    /// Nothing.
    Off,
}

/// What a call forwards that is made while one with the metadata `handled` is handled.
///
/// Ids that are not as the standard has them are left out, and what belongs to them; lists are cut to
/// the size that the standard has everybody pass on. Allocates only if there is something.
pub(crate) fn carried(handled: &Metadata, forwarding: TraceForwarding) -> Metadata {
    let mut carried = Metadata::new();
    if handled.is_empty() || forwarding == TraceForwarding::Off {
        return carried;
    }
    if let Some(parent) = valid_parent(handled) {
        carried.insert(PARENT, parent);
        let state = lists::state(texts(handled, STATE));
        state.into_iter().for_each(|state| carried.insert(STATE, state));
    }
    if forwarding == TraceForwarding::All {
        let baggage = lists::baggage(texts(handled, BAGGAGE));
        baggage.into_iter().for_each(|baggage| carried.insert(BAGGAGE, baggage));
    }
    carried
}

/// The text of the one `traceparent` there is, if it can be read.
fn valid_parent(metadata: &Metadata) -> Option<&str> {
    let mut values = metadata.values(PARENT);
    let parent = values.next()?.as_text()?;
    let is_valid = values.next().is_none() && TraceContext::is_parent(parent);
    is_valid.then_some(parent)
}

fn texts<'a>(metadata: &'a Metadata, key: &'static str) -> impl Iterator<Item = &'a str> {
    metadata.values(key).filter_map(MetadataValue::as_text)
}

/// Whether the program says itself which trace a call belongs to.
pub(crate) fn says_ids(own: &Metadata) -> bool {
    own.values(PARENT).next().is_some()
}

/// The metadata of a call with `own` by its options and with what it `inherits`: of ids and of baggage,
/// the options' if they say anything.
pub(crate) fn merge(own: &Metadata, inherits: &Metadata) -> Metadata {
    let mut merged = own.clone();
    let has_ids = says_ids(own);
    for (key, value) in inherits.iter() {
        let is_set = match key {
            BAGGAGE => own.values(BAGGAGE).next().is_some(),
            _ => has_ids,
        };
        if !is_set {
            merged.insert(key, value.clone());
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT_1: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const PARENT_2: &str = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01";

    fn handled(parent: &str) -> Metadata {
        Metadata::from_iter([
            ("traceparent", parent),
            ("tracestate", "a=1"),
            ("baggage", "user=7"),
            ("tracestate", "b=2"),
            ("token", "secret"),
        ])
    }

    fn shown(metadata: &Metadata) -> String {
        let entries = metadata.iter().map(|(key, value)| format!("{key}: {value}"));
        entries.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_call_takes_along_the_trace_and_nothing_else() {
        let all = carried(&handled(PARENT_1), TraceForwarding::All);
        let expected = format!("traceparent: {PARENT_1}; tracestate: a=1,b=2; baggage: user=7");
        assert_eq!(shown(&all), expected);
        let ids = carried(&handled(PARENT_1), TraceForwarding::Ids);
        assert_eq!(shown(&ids), format!("traceparent: {PARENT_1}; tracestate: a=1,b=2"));
        assert!(carried(&handled(PARENT_1), TraceForwarding::Off).is_empty());
    }

    #[test]
    fn ids_that_cannot_be_read_end_here_with_their_state() {
        let invalid = carried(&handled("00-x-y-01"), TraceForwarding::All);
        assert_eq!(shown(&invalid), "baggage: user=7");
        let mut twice = handled(PARENT_1);
        twice.append("traceparent", PARENT_2);
        assert_eq!(shown(&carried(&twice, TraceForwarding::All)), "baggage: user=7");
        let mut binary = Metadata::new();
        binary.insert("traceparent", PARENT_1.as_bytes().to_vec());
        assert!(carried(&binary, TraceForwarding::All).is_empty());
    }

    #[test]
    fn what_a_call_says_itself_is_stronger() {
        let inherits = || carried(&handled(PARENT_1), TraceForwarding::All);
        let own = Metadata::from_iter([("traceparent", PARENT_2), ("x", "1")]);
        let expected = format!("traceparent: {PARENT_2}; x: 1; baggage: user=7");
        assert_eq!(shown(&merge(&own, &inherits())), expected);
        let own = Metadata::from_iter([("baggage", "mine=1")]);
        let expected = format!("baggage: mine=1; traceparent: {PARENT_1}; tracestate: a=1,b=2");
        assert_eq!(shown(&merge(&own, &inherits())), expected);
        assert_eq!(shown(&merge(&own, &Metadata::new())), "baggage: mine=1");
    }
}
