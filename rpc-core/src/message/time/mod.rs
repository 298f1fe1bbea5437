//! Spans and points of time: protobuf's own `Duration` and `Timestamp`, and the text of its JSON
//! mapping in formats with names, `"1.5s"` and `"2024-02-29T12:00:00Z"`.
//!
//! Their range is protobuf's, whatever the Rust type holds: a value beyond it is neither written nor
//! read. Protobuf's form has no way to fail in the middle, so a value that cannot be written says so
//! when depth is looked at, which is before (`super::unwritable`).

#[cfg(feature = "chrono")]
mod of_chrono;
mod text;

use std::time::{Duration, SystemTime};

use bytes::BytesMut;

use super::problem::{Cut, Problem, Read};
use super::reader::Reader;
use super::traits::{Element, Value};
use super::unwritable;
use super::wire::{self, DecodeError, Input, WireType, encoded_len_varint, key_len};
use super::writer::{At, Writer};
use crate::codec::Limits;
use crate::descriptor::Type;

/// Seconds and the billionths of one beside them: of a span both have one sign, of a point of time
/// the billionths count forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Parts {
    pub(super) seconds: i64,
    pub(super) nanos: i32,
}

const NANOS: i32 = 1_000_000_000;

/// What there is to know of protobuf's two types.
pub(super) struct Known {
    /// In words, with its article.
    name: &'static str,
    example: &'static str,
    least: i64,
    most: i64,
    has_sign: bool,
    of: Type,
    to_text: fn(Parts) -> String,
    parse: fn(&str) -> Option<Parts>,
}

static SPAN: Known = Known {
    name: "a duration",
    example: "\"1.5s\"",
    least: -315_576_000_000,
    most: 315_576_000_000,
    has_sign: true,
    of: Type::Duration,
    to_text: text::of_span,
    parse: text::span,
};

static POINT: Known = Known {
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
    fn holds(&self, Parts { seconds, nanos }: Parts) -> bool {
        let is_one = match self.has_sign {
            true => nanos.abs() < NANOS && seconds.signum() * i64::from(nanos.signum()) >= 0,
            false => (0..NANOS).contains(&nanos),
        };
        // At either end of a span there are no billionths; of points the last second has all.
        let is_at_end = self.has_sign && nanos != 0 && seconds.abs() == self.most;
        is_one && !is_at_end && (self.least..=self.most).contains(&seconds)
    }

    fn out_of_range(&self) -> Problem {
        let (name, least, most) = (self.name, self.least, self.most);
        Problem::new(format_args!(
            "{name} is out of protobuf's range, which is {least} to {most} seconds, with 0 to \
             999999999 nanoseconds"
        ))
    }

    fn read(&self, text: &str) -> Read<Parts> {
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

/// A type that has one of protobuf's two forms.
pub(super) trait Timed: Sized + Send + Sync + 'static {
    /// Which.
    const KNOWN: &'static Known;

    /// The value for absent.
    const EMPTY: Self;

    /// Its parts; `None` if they do not fit.
    fn parts(&self) -> Option<Parts>;

    /// The value of these parts, which are in protobuf's range.
    fn of(parts: Parts) -> Read<Self>;
}

fn checked<T: Timed>(parts: Parts) -> Read<T> {
    if T::KNOWN.holds(parts) { T::of(parts) } else { Err(T::KNOWN.out_of_range()) }
}

/// The parts of a value that is in range, which was looked at before.
fn written<T: Timed>(value: &T) -> Parts {
    value.parts().unwrap_or_default()
}

fn number_len(tag: u32, number: i64) -> usize {
    if number == 0 { 0 } else { key_len(tag) + encoded_len_varint(number as u64) }
}

fn put_number(tag: u32, number: i64, out: &mut BytesMut) {
    if number != 0 {
        wire::put_key(tag, WireType::Varint, out);
        wire::put_varint(number as u64, out);
    }
}

fn merge<T: Timed>(value: &mut T, input: &mut Input) -> Result<(), DecodeError> {
    let mut parts = written(value);
    input.entry(|input, tag, wire| match tag {
        1 => {
            wire::expect_wire(WireType::Varint, wire).and_then(|()| parts.seconds.merge_body(input))
        }
        2 => wire::expect_wire(WireType::Varint, wire).and_then(|()| parts.nanos.merge_body(input)),
        _ => input.skip(tag, wire),
    })?;
    *value = checked(parts)?;
    Ok(())
}

fn read<T: Timed>(value: &mut T, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
    if reader.null()? {
        *value = T::EMPTY;
        return Ok(());
    }
    let mut text = String::new();
    reader.string(&mut text)?;
    limits.take(text.len())?;
    *value = T::of(T::KNOWN.read(&text)?)?;
    Ok(())
}

macro_rules! timed {
    ($($ty:ty),*) => {$(
        impl Value for $ty {
            const IS_CHECKED: bool = true;

            #[inline]
            fn empty() -> Self {
                Self::EMPTY
            }

            fn nests_within(&self, _: usize) -> bool {
                let is_in_range = self.parts().is_some_and(|parts| Self::KNOWN.holds(parts));
                is_in_range || unwritable::note(|| Self::KNOWN.out_of_range())
            }

            fn body_len(&self) -> usize {
                let Parts { seconds, nanos } = written(self);
                number_len(1, seconds) + number_len(2, nanos.into())
            }

            fn encode_body(&self, out: &mut BytesMut) {
                let Parts { seconds, nanos } = written(self);
                put_number(1, seconds, out);
                put_number(2, nanos.into(), out);
            }

            fn merge_body(&mut self, input: &mut Input) -> Result<(), DecodeError> {
                merge(self, input)
            }

            fn write_value(&self, writer: &mut dyn Writer, at: At) {
                match self.parts().filter(|parts| Self::KNOWN.holds(*parts)) {
                    Some(parts) => writer.str(at, &(Self::KNOWN.to_text)(parts)),
                    None => writer.fail(Self::KNOWN.out_of_range()),
                }
            }

            fn read_value(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
                read(self, reader, limits)
            }

            fn value_type() -> Type {
                Self::KNOWN.of.clone()
            }
        }

        impl Element for $ty {}
    )*};
}

timed!(Duration, SystemTime);
#[cfg(feature = "chrono")]
timed!(chrono::DateTime<chrono::Utc>, chrono::TimeDelta);

// === impl Duration ===

impl Timed for Duration {
    const KNOWN: &'static Known = &SPAN;
    const EMPTY: Self = Self::ZERO;

    fn parts(&self) -> Option<Parts> {
        let seconds = i64::try_from(self.as_secs()).ok()?;
        Some(Parts { seconds, nanos: self.subsec_nanos() as i32 })
    }

    fn of(Parts { seconds, nanos }: Parts) -> Read<Self> {
        match (u64::try_from(seconds), u32::try_from(nanos)) {
            (Ok(seconds), Ok(nanos)) => Ok(Self::new(seconds, nanos)),
            _ => Err(Problem::new("a negative duration does not fit in Rust's `Duration`")),
        }
    }
}

// === impl SystemTime ===

impl Timed for SystemTime {
    const KNOWN: &'static Known = &POINT;
    const EMPTY: Self = Self::UNIX_EPOCH;

    fn parts(&self) -> Option<Parts> {
        match self.duration_since(Self::UNIX_EPOCH) {
            Ok(after) => after.parts(),
            Err(before) => {
                let Parts { seconds, nanos } = before.duration().parts()?;
                // The billionths count forward, from the second before.
                Some(match nanos {
                    0 => Parts { seconds: -seconds, nanos },
                    _ => Parts { seconds: -seconds - 1, nanos: NANOS - nanos },
                })
            }
        }
    }

    fn of(Parts { seconds, nanos }: Parts) -> Read<Self> {
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let second = match seconds < 0 {
            true => Self::UNIX_EPOCH.checked_sub(whole),
            false => Self::UNIX_EPOCH.checked_add(whole),
        };
        let point = second.and_then(|second| second.checked_add(Duration::new(0, nanos as u32)));
        point.ok_or_else(|| Problem::new("a timestamp does not fit in `SystemTime` here"))
    }
}
