//! Messages of the types that are more than protobuf's plain ones.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use rpc_macros::message;

/// Spans and points of time wherever a value may stand.
#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    pub wait: Duration,
    pub since: SystemTime,
    pub maybe_wait: Option<Duration>,
    pub maybe_since: Option<SystemTime>,
    pub waits: Vec<Duration>,
    pub points: Vec<SystemTime>,
    pub by_name: BTreeMap<String, SystemTime>,
    pub event: Event,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    At(SystemTime),
    Lasting { span: Duration },
}

pub fn after(seconds: u64, nanos: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
}

pub fn before(seconds: u64, nanos: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH - Duration::new(seconds, nanos)
}

pub fn times() -> Times {
    Times {
        wait: Duration::from_millis(1_500),
        since: after(1_709_208_000, 250_000_000),
        maybe_wait: Some(Duration::ZERO),
        maybe_since: Some(SystemTime::UNIX_EPOCH),
        waits: vec![Duration::from_nanos(1), Duration::ZERO, Duration::from_secs(315_576_000_000)],
        points: vec![
            before(0, 1_000),
            before(86_400, 0),
            before(62_135_596_800, 0),
            after(253_402_300_799, 999_000_000),
        ],
        by_name: BTreeMap::from([("k".to_owned(), after(0, 0))]),
        event: Event::Lasting { span: Duration::from_micros(5) },
    }
}
