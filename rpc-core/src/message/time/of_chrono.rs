//! The types of `chrono` that are what `Duration` and `SystemTime` are; a span may be negative here.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Known, POINT, Parts, SPAN, Timed};
use crate::message::problem::{Problem, Read};

impl Timed for DateTime<Utc> {
    const KNOWN: &'static Known = &POINT;
    const EMPTY: Self = Self::UNIX_EPOCH;

    fn parts(&self) -> Option<Parts> {
        let nanos = i32::try_from(self.timestamp_subsec_nanos()).ok()?;
        Some(Parts { seconds: self.timestamp(), nanos })
    }

    fn of(Parts { seconds, nanos }: Parts) -> Read<Self> {
        Self::from_timestamp(seconds, nanos.unsigned_abs())
            .ok_or_else(|| Problem::new("a timestamp does not fit in chrono's `DateTime`"))
    }
}

impl Timed for TimeDelta {
    const KNOWN: &'static Known = &SPAN;
    const EMPTY: Self = Self::zero();

    fn parts(&self) -> Option<Parts> {
        Some(Parts { seconds: self.num_seconds(), nanos: self.subsec_nanos() })
    }

    fn of(Parts { seconds, nanos }: Parts) -> Read<Self> {
        Self::try_seconds(seconds)
            .and_then(|whole| whole.checked_add(&Self::nanoseconds(nanos.into())))
            .ok_or_else(|| Problem::new("a duration does not fit in chrono's `TimeDelta`"))
    }
}
