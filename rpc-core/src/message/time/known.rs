//! What there is to know of protobuf's `Duration` and `Timestamp`: their parts, range and texts.

use super::text::{self, NANOS, TimeParts};
use crate::descriptor::Type;
use crate::message::problem::{Cut, Problem, Read};

/// What there is to know of protobuf's two types.
pub(super) struct Known {
    /// In words, with its article.
    name: &'static str,
    /// Its text in JSON.
    example: &'static str,
    least: i64,
    most: i64,
    has_sign: bool,
    pub(super) of: Type,
    pub(super) to_text: fn(TimeParts) -> String,
    parse: fn(&str) -> Option<TimeParts>,
}

pub(super) static SPAN: Known = Known {
    name: "a duration",
    example: "\"1.5s\"",
    least: -315_576_000_000,
    most: 315_576_000_000,
    has_sign: true,
    of: Type::Duration,
    to_text: text::of_span,
    parse: text::span,
};

pub(super) static POINT: Known = Known {
    name: "a timestamp",
    example: "\"2024-02-29T12:00:00Z\"",
    least: -62_135_596_800,
    most: 253_402_300_799,
    has_sign: false,
    of: Type::Timestamp,
    to_text: text::of_point,
    parse: text::point,
};

impl Known {
    /// Whether it has a form for them.
    pub(super) fn holds(&self, TimeParts { seconds, nanos }: TimeParts) -> bool {
        let is_one = match self.has_sign {
            true => nanos.abs() < NANOS && seconds.signum() * i64::from(nanos.signum()) >= 0,
            false => (0..NANOS).contains(&nanos),
        };
        // At either end of a span there are no billionths; of points the last second has all.
        let is_at_end = self.has_sign && nanos != 0 && seconds.abs() == self.most;
        is_one && !is_at_end && (self.least..=self.most).contains(&seconds)
    }

    pub(super) fn out_of_range(&self) -> Problem {
        let (name, least, most) = (self.name, self.least, self.most);
        Problem::new(format_args!(
            "{name} is out of protobuf's range, which is {least} to {most} seconds, with 0 to \
             999999999 nanoseconds"
        ))
    }

    /// The parts that a text says.
    ///
    /// # Errors
    /// It says none, or they are out of range.
    pub(super) fn read(&self, text: &str) -> Read<TimeParts> {
        let parts = (self.parse)(text).ok_or_else(|| {
            Problem::new(format_args!(
                "{} such as {}, with at most nine digits behind the point, was expected, not \
                 \"{}\"",
                self.name,
                self.example,
                Cut(text)
            ))
        })?;
        if self.holds(parts) { Ok(parts) } else { Err(self.out_of_range()) }
    }
}
