//! Enums with data: a message of one `oneof`, whose present variant is the only field.
//!
//! An absent or unknown variant reads as the enum's default. `null` for a variant says nothing,
//! because some writers list every variant and leave all but one `null`.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserializer, Serialize, Serializer};

use super::record::Record;
use super::traits::Value;
pub use super::traits::{encode_value, value_len};
use super::wire::WireType;
use super::wire::{encoded_len_varint, key_len, put_key, put_varint};
use crate::codec::Limits;

/// What the macros write for an enum with data besides its [`Record`].
pub trait OneOf: Record {
    /// Writes serde's form of what the present variant holds.
    ///
    /// # Errors
    /// Whatever the serializer reports.
    fn serialize_variant<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Becomes the variant `tag` and reads serde's form of what it holds.
    ///
    /// # Errors
    /// Whatever the deserializer reports, and values that do not fit.
    fn merge_variant<'de, D: Deserializer<'de>>(
        &mut self,
        tag: u32,
        deserializer: D,
        limits: &mut Limits,
    ) -> Result<(), D::Error>;
}

/// Whether a variant that holds `value` nests within `levels`, of which the enum takes one.
#[inline]
pub fn nests_within<T: Value>(value: &T, levels: usize) -> bool {
    levels != 0 && value.nests_within(levels - 1)
}

/// Length of a variant that holds fields of this length.
#[inline]
#[must_use]
pub fn nested_len(tag: u32, fields: usize) -> usize {
    key_len(tag) + encoded_len_varint(fields as u64) + fields
}

/// Appends key and length of a variant that holds fields of this length.
#[inline]
pub fn encode_head(tag: u32, fields: usize, out: &mut bytes::BytesMut) {
    put_key(tag, WireType::LengthDelimited, out);
    put_varint(fields as u64, out);
}

/// Writes serde's form of an enum whose present variant has this name; `None` writes nothing.
///
/// # Errors
/// Whatever the serializer reports.
pub fn serialize<T: OneOf, S: Serializer>(
    value: &T,
    name: Option<&'static str>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(usize::from(name.is_some())))?;
    if let Some(name) = name {
        map.serialize_entry(name, &Variant(value))?;
    }
    map.end()
}

struct Variant<'a, T>(&'a T);

impl<T: OneOf> Serialize for Variant<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_variant(serializer)
    }
}

/// Reads serde's form of a variant, unless it is `null`.
///
/// # Errors
/// Whatever the deserializer reports, and values that do not fit.
pub fn merge_named<'de, T: OneOf, D: Deserializer<'de>>(
    value: &mut T,
    tag: u32,
    deserializer: D,
    limits: &mut Limits,
) -> Result<(), D::Error> {
    deserializer.deserialize_option(NotNull { value, tag, limits })
}

struct NotNull<'a, T> {
    value: &'a mut T,
    tag: u32,
    limits: &'a mut Limits,
}

impl<'de, T: OneOf> Visitor<'de> for NotNull<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a variant of {}", T::NAME)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.value.merge_variant(self.tag, deserializer, self.limits)
    }
}
