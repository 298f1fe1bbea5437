//! What the macros write for a struct, an enum with data and an argument list: its fields.
//!
//! Everything else of such a type forwards here, so generated code stays small.

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serializer};

use super::traits::Field;
use super::wire::{DecodeError, Input, WireType};

/// Named, numbered fields.
pub trait Record: Default + Send + Sync + 'static {
    /// The type's name, for error messages.
    const NAME: &'static str;

    /// The tags of its fields in the order of declaration, which is that of positional arrays.
    const TAGS: &'static [u32];

    /// The tag of the field of this name, in either spelling.
    fn tag_of(name: &str) -> Option<u32>;

    /// Length of protobuf's form.
    fn fields_len(&self) -> usize;

    /// Appends protobuf's form.
    fn encode_fields(&self, out: &mut BytesMut);

    /// Reads one field of protobuf's form; unknown ones are skipped.
    ///
    /// # Errors
    /// Bytes that are no protobuf or do not fit the field.
    fn merge_tagged(
        &mut self,
        tag: u32,
        wire: WireType,
        input: &mut Input,
    ) -> Result<(), DecodeError>;

    /// Writes serde's form.
    ///
    /// # Errors
    /// Whatever the serializer reports.
    fn serialize_fields<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads one field of serde's form; unknown ones are skipped.
    ///
    /// # Errors
    /// Whatever the deserializer reports, and values that do not fit.
    fn merge_named<'de, D: Deserializer<'de>>(
        &mut self,
        tag: u32,
        deserializer: D,
    ) -> Result<(), D::Error>;
}

/// Reads a record that is a value inside a message.
///
/// # Errors
/// Bytes that are no protobuf, are cut short, or are nested too deep.
#[inline]
pub fn merge_nested<R: Record>(record: &mut R, input: &mut Input) -> Result<(), DecodeError> {
    input.message(|input, tag, wire| record.merge_tagged(tag, wire, input))
}

/// Reads a record that is a whole message.
///
/// # Errors
/// Bytes that are no protobuf, are cut short, or are nested too deep.
#[inline]
pub fn merge_whole<R: Record>(record: &mut R, bytes: Bytes) -> Result<(), DecodeError> {
    Input::new(bytes).fields(|input, tag, wire| record.merge_tagged(tag, wire, input))
}

/// What a field is that was not sent.
#[must_use]
pub fn absent<T: Field>() -> T {
    T::default()
}

/// Reads the value of an unknown field and drops it.
///
/// # Errors
/// Whatever the deserializer reports.
pub fn skip_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    IgnoredAny::deserialize(deserializer).map(drop)
}
