//! Enums without data: numbers in protobuf, names in serde's form.
//!
//! An unknown number or name reads as the first variant, which has number 0.

use serde::{Deserializer, Serializer};

use super::read::{Primitive, PrimitiveVisitor};
use crate::descriptor::EnumType;

/// What the macros write for an enum without data.
pub trait Enumeration: Default + Send + Sync + 'static {
    /// The variant's number.
    fn number(&self) -> i32;

    /// The variant of this number; the first variant if there is none.
    fn from_number(number: i32) -> Self;

    /// The variant's name on the wire, such as `OUT_OF_STOCK`.
    fn name(&self) -> &'static str;

    /// The variant of this name, in the spelling of the wire or of Rust; the first variant if
    /// there is none.
    fn from_name(name: &str) -> Self;

    /// The enum as data.
    fn enum_type() -> EnumType;
}

/// Writes serde's form of an enum without data: its name.
///
/// # Errors
/// Whatever the serializer reports.
pub fn serialize_enum<T: Enumeration, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.name())
}

/// Reads serde's form of an enum without data: its name or number.
///
/// # Errors
/// A value that is neither.
pub fn merge_enum<'de, T: Enumeration, D: Deserializer<'de>>(
    value: &mut T,
    deserializer: D,
) -> Result<(), D::Error> {
    let mut read = Named(T::default());
    deserializer.deserialize_any(PrimitiveVisitor(&mut read))?;
    *value = read.0;
    Ok(())
}

#[derive(Default)]
struct Named<T>(T);

impl<T: Enumeration> Primitive for Named<T> {
    const EXPECTED: &'static str = "the name or number of an enum's variant";

    fn from_u64(value: u64) -> Option<Self> {
        // A number past 32 bits is unknown like any other.
        Some(Self(i32::try_from(value).map_or_else(|_| T::default(), T::from_number)))
    }

    fn from_i64(value: i64) -> Option<Self> {
        Some(Self(i32::try_from(value).map_or_else(|_| T::default(), T::from_number)))
    }

    fn from_f64(value: f64) -> Option<Self> {
        (value.fract() == 0.0).then(|| Self(T::from_number(value as i32)))
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(Self(T::from_name(text)))
    }
}
