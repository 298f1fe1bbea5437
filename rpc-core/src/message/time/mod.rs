//! Spans and points of time: protobuf's own `Duration` and `Timestamp`, and the text of its JSON
//! mapping in formats with names, `"1.5s"` and `"2024-02-29T12:00:00Z"`.
//!
//! Their range is protobuf's, whatever the Rust type holds: a value beyond it is neither written nor
//! read. Protobuf's form has no way to fail in the middle, so a value that cannot be written says so
//! when depth is looked at, which is before (`super::unwritable`).

mod known;
#[cfg(feature = "chrono")]
mod of_chrono;
mod text;

use std::time::{Duration, SystemTime};

use bytes::BytesMut;

use self::known::{Known, POINT, SPAN};
use self::text::{NANOS, TimeParts};
use super::problem::{Problem, Read};
use super::reader::Reader;
use super::traits::{Element, Value};
use super::unwritable;
use super::wire::{self, DecodeError, Input, WireType, encoded_len_varint, key_len};
use super::writer::{At, Writer};
use crate::codec::Limits;
use crate::descriptor::Type;

/// A type that has one of protobuf's two forms.
trait Timed: Sized + Send + Sync + 'static {
    /// Which.
    const KNOWN: &'static Known;

    /// The value for absent.
    const EMPTY: Self;

    /// Its parts; `None` if they do not fit.
    fn parts(&self) -> Option<TimeParts>;

    /// The value of these parts, which are in protobuf's range.
    fn of(parts: TimeParts) -> Read<Self>;
}

fn checked<T: Timed>(parts: TimeParts) -> Read<T> {
    if T::KNOWN.holds(parts) { T::of(parts) } else { Err(T::KNOWN.out_of_range()) }
}

/// The parts of a value that is in range, which was looked at before.
fn written<T: Timed>(value: &T) -> TimeParts {
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

fn merge<T: Timed>(value: &mut T, input: &mut Input<'_>) -> Result<(), DecodeError> {
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
                let TimeParts { seconds, nanos } = written(self);
                number_len(1, seconds) + number_len(2, nanos.into())
            }

            fn encode_body(&self, out: &mut BytesMut) {
                let TimeParts { seconds, nanos } = written(self);
                put_number(1, seconds, out);
                put_number(2, nanos.into(), out);
            }

            fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
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

    fn parts(&self) -> Option<TimeParts> {
        let seconds = i64::try_from(self.as_secs()).ok()?;
        Some(TimeParts { seconds, nanos: self.subsec_nanos() as i32 })
    }

    fn of(TimeParts { seconds, nanos }: TimeParts) -> Read<Self> {
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

    fn parts(&self) -> Option<TimeParts> {
        match self.duration_since(Self::UNIX_EPOCH) {
            Ok(after) => after.parts(),
            Err(before) => {
                let TimeParts { seconds, nanos } = before.duration().parts()?;
                // The billionths count forward, from the second before.
                Some(match nanos {
                    0 => TimeParts { seconds: -seconds, nanos },
                    _ => TimeParts { seconds: -seconds - 1, nanos: NANOS - nanos },
                })
            }
        }
    }

    fn of(TimeParts { seconds, nanos }: TimeParts) -> Read<Self> {
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let second = match seconds < 0 {
            true => Self::UNIX_EPOCH.checked_sub(whole),
            false => Self::UNIX_EPOCH.checked_add(whole),
        };
        let point = second.and_then(|second| second.checked_add(Duration::new(0, nanos as u32)));
        point.ok_or_else(|| Problem::new("a timestamp does not fit in `SystemTime` here"))
    }
}
