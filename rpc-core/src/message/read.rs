//! Reading serde's form in place: visitors that write into a value they were given.
//!
//! In place, because a value that leaves an erased visitor is boxed on its way. Every visitor
//! takes `null` for the default, so that absent and `null` mean the same.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use super::record::Record;
use super::scalar::from_base64;
use super::skip::Skip;
use super::traits::{Field, Value};
use super::wire::TooDeep;
use crate::codec::Limits;

/// Reads a field in place.
#[derive(Debug)]
pub(super) struct Merge<'a, T> {
    pub(super) value: &'a mut T,
    pub(super) limits: &'a mut Limits,
}

impl<'de, T: Field> DeserializeSeed<'de> for Merge<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.value.merge_serde(deserializer, self.limits)
    }
}

/// Pays for what the default of a `T` holds outside of itself.
///
/// # Errors
/// So much is not left.
pub fn make<T: Value, E: Error>(limits: &mut Limits) -> Result<(), E> {
    limits.take(T::DEFAULT_HEAP).map_err(E::custom)
}

/// What a number, `bool` or enum can be made of; `None` where the kind or the value does not fit.
pub(super) trait Primitive: Default {
    /// What was expected, for the error message.
    const EXPECTED: &'static str;

    /// From `true` or `false`.
    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    /// From a number without a sign.
    fn from_u64(_: u64) -> Option<Self> {
        None
    }

    /// From a number with a sign.
    fn from_i64(_: i64) -> Option<Self> {
        None
    }

    /// From a number with a point.
    fn from_f64(_: f64) -> Option<Self> {
        None
    }

    /// From a string.
    fn from_text(_: &str) -> Option<Self> {
        None
    }
}

/// Writes what it visits into a primitive.
pub(super) struct PrimitiveVisitor<'a, T>(pub(super) &'a mut T);

macro_rules! primitive_visits {
    ($($visit:ident($ty:ty) by $from:ident, $unexpected:ident;)*) => {$(
        fn $visit<E: Error>(self, value: $ty) -> Result<(), E> {
            match T::$from(value) {
                Some(read) => *self.0 = read,
                None => return Err(E::invalid_value(Unexpected::$unexpected(value), &self)),
            }
            Ok(())
        }
    )*};
}

impl<T: Primitive> Visitor<'_> for PrimitiveVisitor<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    primitive_visits! {
        visit_bool(bool) by from_bool, Bool;
        visit_u64(u64) by from_u64, Unsigned;
        visit_i64(i64) by from_i64, Signed;
        visit_f64(f64) by from_f64, Float;
        visit_str(&str) by from_text, Str;
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        *self.0 = T::default();
        Ok(())
    }
}

pub(super) struct StringVisitor<'a> {
    pub(super) value: &'a mut String,
    pub(super) limits: &'a mut Limits,
}

impl Visitor<'_> for StringVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.limits.take(value.len()).map_err(E::custom)?;
        self.value.clear();
        self.value.push_str(value);
        Ok(())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<(), E> {
        self.limits.take(value.len()).map_err(E::custom)?;
        *self.value = value;
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.value.clear();
        Ok(())
    }
}

/// Bytes, or base64 where the format is text.
pub(super) struct BytesVisitor<'a, T> {
    pub(super) is_text: bool,
    pub(super) value: &'a mut T,
    pub(super) limits: &'a mut Limits,
}

impl<T: Default + From<Vec<u8>>> Visitor<'_> for BytesVisitor<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_text { "base64" } else { "bytes" })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let bytes = if self.is_text { from_base64(text) } else { None };
        let Some(bytes) = bytes else {
            return Err(E::invalid_value(Unexpected::Str(text), &self));
        };
        self.visit_byte_buf(bytes)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.visit_byte_buf(bytes.to_vec())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<(), E> {
        self.limits.take(bytes.len()).map_err(E::custom)?;
        *self.value = bytes.into();
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        *self.value = T::default();
        Ok(())
    }
}

/// Enters a message. What goes wrong in it ends the reading, so only what goes well is left again.
pub(super) fn enter<E: Error>(limits: &mut Limits) -> Result<(), E> {
    if limits.enter() { Ok(()) } else { Err(E::custom(TooDeep)) }
}

/// Whether a record may be read from an array of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// In every format: argument lists.
    Always,
    /// Only in formats that are not for people, whose writers often leave names out: messages.
    Compact,
    /// In none: enums with data.
    Never,
}

/// Reads serde's form of a record over it: a map by names, or an array by positions.
///
/// # Errors
/// Whatever the deserializer reports, and values that do not fit.
pub fn merge_record<'de, R: Record, D: Deserializer<'de>>(
    record: &mut R,
    positions: Positions,
    deserializer: D,
    limits: &mut Limits,
) -> Result<(), D::Error> {
    enter(limits)?;
    let by_position = match positions {
        Positions::Always => true,
        Positions::Compact => !deserializer.is_human_readable(),
        Positions::Never => false,
    };
    deserializer.deserialize_any(RecordVisitor { record, by_position, limits })?;
    limits.leave();
    Ok(())
}

struct RecordVisitor<'a, R> {
    record: &'a mut R,
    by_position: bool,
    limits: &'a mut Limits,
}

impl<'de, R: Record> Visitor<'de> for RecordVisitor<'_, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_array = if self.by_position { " or array" } else { "" };
        write!(f, "a map{or_array} with the fields of {}", R::NAME)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { record, limits, .. } = self;
        let mut key = KeyVisitor { find: R::tag_of, tag: None, seen: Seen::default() };
        while map.next_key_seed(&mut key)?.is_some() {
            match key.tag {
                Some(tag) => map.next_value_seed(Entry { record, tag, limits })?,
                None => map.next_value_seed(Skip::of(limits))?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if !self.by_position {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        let Self { record, limits, .. } = self;
        for &tag in R::TAGS {
            if seq.next_element_seed(Entry { record, tag, limits })?.is_none() {
                return Ok(());
            }
        }
        // A longer list comes from a newer peer.
        while seq.next_element_seed(Skip::of(limits))?.is_some() {}
        Ok(())
    }
}

/// A field of a record, by its tag.
struct Entry<'a, R> {
    record: &'a mut R,
    tag: u32,
    limits: &'a mut Limits,
}

impl<'de, R: Record> DeserializeSeed<'de> for Entry<'_, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.record.merge_named(self.tag, deserializer, self.limits)
    }
}

/// The tags that came.
#[derive(Default)]
struct Seen {
    /// A bit for each of the small tags, which most are.
    small: u128,
    large: Vec<u32>,
}

impl Seen {
    /// Notes a tag; `false` if it came before.
    fn insert(&mut self, tag: u32) -> bool {
        let bit = 1_u128.checked_shl(tag).unwrap_or(0);
        let is_new = self.small & bit == 0 && !self.large.contains(&tag);
        match bit {
            0 if is_new => self.large.push(tag),
            bit => self.small |= bit,
        }
        is_new
    }
}

/// The error of a key that stands twice in one object: which value counts, readers disagree about.
pub(super) fn twice<E: Error>(key: &str) -> E {
    const SHOWN: usize = 64;
    let shown: String = key.chars().take(SHOWN).collect();
    let more = if shown.len() < key.len() { "…" } else { "" };
    E::custom(format!("`{}{more}` stands twice; send it once", shown.escape_debug()))
}

/// Reads a name and finds its tag, without keeping the name.
struct KeyVisitor {
    find: fn(&str) -> Option<u32>,
    tag: Option<u32>,
    seen: Seen,
}

impl<'de> DeserializeSeed<'de> for &mut KeyVisitor {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.tag = None;
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for &mut KeyVisitor {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        self.tag = (self.find)(name);
        match self.tag {
            Some(tag) if !self.seen.insert(tag) => Err(twice(name)),
            _ => Ok(()),
        }
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
}
