//! The types of `chrono` that are what `Duration` and `SystemTime` are; a span may be negative here.

use chrono::{DateTime, TimeDelta, Utc};

use super::Timed;
use super::known::{Known, POINT, SPAN};
use super::text::TimeParts;
use crate::message::problem::{Problem, Read};

impl Timed for DateTime<Utc> {
    const KNOWN: &'static Known = &POINT;
    const EMPTY: Self = Self::UNIX_EPOCH;

    fn parts(&self) -> Option<TimeParts> {
        let nanos = i32::try_from(self.timestamp_subsec_nanos()).ok()?;
        Some(TimeParts { seconds: self.timestamp(), nanos })
    }

    fn of(TimeParts { seconds, nanos }: TimeParts) -> Read<Self> {
        Self::from_timestamp(seconds, nanos.unsigned_abs())
            .ok_or_else(|| Problem::new("a timestamp does not fit in chrono's `DateTime`"))
    }
}

impl Timed for TimeDelta {
    const KNOWN: &'static Known = &SPAN;
    const EMPTY: Self = Self::zero();

    fn parts(&self) -> Option<TimeParts> {
        Some(TimeParts { seconds: self.num_seconds(), nanos: self.subsec_nanos() })
    }

    fn of(TimeParts { seconds, nanos }: TimeParts) -> Read<Self> {
        Self::try_seconds(seconds)
            .and_then(|whole| whole.checked_add(&Self::nanoseconds(nanos.into())))
            .ok_or_else(|| Problem::new("a duration does not fit in chrono's `TimeDelta`"))
    }
}
