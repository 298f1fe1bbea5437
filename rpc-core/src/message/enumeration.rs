//! Enums without data: numbers in protobuf, names in formats with names.
//!
//! A number or name of another version reads as the variant under `#[rpc(other)]`, and is an error
//! where there is none: as any other variant it would silently mean something else.

use serde::Serializer;

use super::problem::{Problem, Read};
use super::reader::{KeyMut, ReadScope, Reader, Variant};
use super::schema::EnumSchema;
use super::traits::Value;
use super::wire::{DecodeError, Input};
use super::writer::{At, KeyRef, Writer};
use crate::codec::Limits;
use crate::descriptor::EnumType;

/// The number, in formats with numbers, of a variant that was kept by its name: nobody's.
const NO_NUMBER: i32 = i32::MIN;

/// What the macros write for an enum without data.
pub trait Enumeration: Sized + Send + Sync + 'static {
    /// Its variants as static data.
    const SCHEMA: &'static EnumSchema;

    /// Whether a variant keeps what the others do not know.
    const KEEPS: bool = false;

    /// The variant's number.
    fn number(&self) -> i32;

    /// The variant of this number.
    fn from_number(number: i32) -> Option<Self>;

    /// What a number or name reads as that no variant has; `None` if there is nothing for that.
    fn from_unknown(_: &Variant) -> Option<Self> {
        None
    }

    /// The name that is kept, if it is one that has no number here.
    fn kept_name(&self) -> Option<&str> {
        None
    }

    /// The enum as data.
    fn enum_type() -> EnumType;
}

/// What a variant under `#[rpc(other)]` may keep: the number as `i32`, or the name, or else the
/// number in digits, as `String`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot keep what an enum does not know",
    label = "not `i32` or `String`",
    note = "a variant under `#[rpc(other)]` holds nothing, or the number as `i32`, or the name as \
            `String`"
)]
pub trait Unrecognized: Sized {
    /// Keeps it.
    fn keep(variant: &Variant) -> Self;

    /// The number that is kept, or that of the name in `of`.
    fn number(&self, of: &EnumSchema) -> i32;

    /// The name that is kept.
    fn name(&self) -> Option<&str>;
}

impl Unrecognized for i32 {
    fn keep(variant: &Variant) -> Self {
        match variant {
            Variant::Number(number) => Self::try_from(*number).unwrap_or(NO_NUMBER),
            Variant::Unknown(_) => NO_NUMBER,
        }
    }

    fn number(&self, _: &EnumSchema) -> i32 {
        *self
    }

    fn name(&self) -> Option<&str> {
        None
    }
}

impl Unrecognized for String {
    fn keep(variant: &Variant) -> Self {
        match variant {
            Variant::Number(number) => number.to_string(),
            Variant::Unknown(name) => name.clone(),
        }
    }

    fn number(&self, of: &EnumSchema) -> i32 {
        self.parse().ok().or_else(|| of.number_of(self)).unwrap_or(NO_NUMBER)
    }

    fn name(&self) -> Option<&str> {
        self.parse::<i32>().is_err().then_some(self)
    }
}

/// Offers an enum without data to a writer: the name of its variant; if that has none, what was
/// kept of it.
#[inline]
pub fn write_enum<T: Enumeration>(value: &T, writer: &mut dyn Writer, at: At) {
    let number = value.number();
    if !T::KEEPS {
        return writer.variant(at, T::SCHEMA, number);
    }
    match (value.kept_name(), T::SCHEMA.name_of(number)) {
        (Some(name), _) => writer.str(at, name),
        (None, "") => writer.i32(at, number),
        (None, _) => writer.variant(at, T::SCHEMA, number),
    }
}

/// Reads an enum without data: its name or number.
///
/// # Errors
/// A value that is neither, and one that no variant has or takes.
pub fn read_enum<T: Enumeration>(
    value: &mut T,
    reader: &mut dyn Reader,
    limits: &mut Limits,
) -> Read {
    let variant = reader.variant(T::SCHEMA)?;
    let known = match &variant {
        // A number past 32 bits is unknown like any other.
        Variant::Number(number) => i32::try_from(*number).ok().and_then(T::from_number),
        Variant::Unknown(name) => {
            limits.take(name.len())?;
            None
        }
    };
    *value = known.map_or_else(|| unknown(&variant), Ok)?;
    Ok(())
}

/// Reads protobuf's form of an enum without data.
///
/// # Errors
/// Bytes that are no number, and a number that no variant has or takes.
#[inline]
pub fn merge_enum<T: Enumeration>(value: &mut T, input: &mut Input<'_>) -> Result<(), DecodeError> {
    let mut number = 0i32;
    number.merge_body(input)?;
    *value = match T::from_number(number) {
        Some(known) => known,
        None => unknown(&Variant::Number(number.into()))?,
    };
    Ok(())
}

#[cold]
fn unknown<T: Enumeration>(variant: &Variant) -> Read<T> {
    T::from_unknown(variant).ok_or_else(|| match variant {
        Variant::Number(number) => Problem::unknown_variant(number, T::SCHEMA.name),
        Variant::Unknown(name) => Problem::unknown_variant(name, T::SCHEMA.name),
    })
}

/// Writes an enum without data in serde's form: its name, or what was kept of it.
///
/// # Errors
/// Whatever the serializer reports.
pub fn serialize_enum<T: Enumeration, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let number = value.number();
    match (value.kept_name(), T::SCHEMA.name_of(number)) {
        (Some(name), _) => serializer.serialize_str(name),
        (None, "") => serializer.serialize_i32(number),
        (None, name) => serializer.serialize_str(name),
    }
}

/// Offers a variant to a writer as the key of a map: a text, also where all that was kept is a number.
pub fn offer_enum_key<T: Enumeration>(value: &T, writer: &mut dyn Writer) {
    match (value.kept_name(), T::SCHEMA.name_of(value.number())) {
        (Some(name), _) => writer.key(KeyRef::Str(name)),
        (None, "") => writer.key(KeyRef::Str(&value.number().to_string())),
        (None, name) => writer.key(KeyRef::Str(name)),
    }
}

/// The text of a variant as the key of a map.
pub fn enum_key_text<T: Enumeration>(value: &T) -> String {
    match (value.kept_name(), T::SCHEMA.name_of(value.number())) {
        (Some(name), _) => name.to_owned(),
        (None, "") => value.number().to_string(),
        (None, name) => name.to_owned(),
    }
}

/// Reads the next key of a map whose keys are variants: names, or numbers in digits.
///
/// # Errors
/// What the reader reports, and a name or number that no variant has or takes.
pub fn next_enum_key<T: Enumeration>(
    reader: &mut dyn Reader,
    scope: &mut ReadScope,
    limits: &mut Limits,
) -> Read<Option<T>> {
    let mut name = String::new();
    if !reader.next_key(scope, KeyMut::Str(&mut name))? {
        return Ok(None);
    }
    limits.take(name.len())?;
    let number = T::SCHEMA.number_of(&name).or_else(|| name.parse().ok());
    let variant = match number {
        Some(number) => Variant::Number(number.into()),
        None => Variant::Unknown(name),
    };
    number.and_then(T::from_number).map_or_else(|| unknown(&variant), Ok).map(Some)
}
