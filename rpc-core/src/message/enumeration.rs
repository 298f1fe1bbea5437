//! Enums without data: numbers in protobuf, names in formats with names.
//!
//! An unknown number or name reads as the first variant, which has number 0.

use serde::{Deserializer, Serializer};

use super::problem::Read;
use super::reader::{Reader, Variant};
use super::schema::EnumSchema;
use super::traits::Value;
use super::with_serde;
use crate::codec::Limits;
use crate::descriptor::EnumType;

/// What the macros write for an enum without data.
pub trait Enumeration: Default + Send + Sync + 'static {
    /// Its variants as static data.
    const SCHEMA: &'static EnumSchema;

    /// The variant's number.
    fn number(&self) -> i32;

    /// The variant of this number; the first variant if there is none.
    fn from_number(number: i32) -> Self;

    /// The enum as data.
    fn enum_type() -> EnumType;
}

/// Reads an enum without data: its name or number.
///
/// # Errors
/// A value that is neither.
pub fn read_enum<T: Enumeration>(value: &mut T, reader: &mut dyn Reader) -> Read {
    *value = match reader.variant(T::SCHEMA)? {
        // A number past 32 bits is unknown like any other.
        Variant::Number(number) => {
            i32::try_from(number).map_or_else(|_| T::default(), T::from_number)
        }
        Variant::Unknown(_) => T::default(),
    };
    Ok(())
}

/// Writes an enum without data in serde's form: its name.
///
/// # Errors
/// Whatever the serializer reports.
pub fn serialize_enum<T: Enumeration, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(T::SCHEMA.name_of(value.number()))
}

/// Reads an enum without data in serde's form: its name or number.
///
/// # Errors
/// A value that is neither.
pub fn deserialize_enum<'de, T: Value, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let mut value = T::default();
    let limits = &mut Limits::of_depth_alone();
    with_serde::read_value(deserializer, limits, |reader, limits| {
        value.read_value(reader, limits)
    })?;
    Ok(value)
}
