//! What the macros write for a struct, an enum with data and an argument list: its fields.
//!
//! Everything else of such a type forwards here, so generated code stays small.

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeSeed;
use serde::ser::Error;
use serde::{Deserializer, Serializer};

use super::skip::Skip;
use super::traits::Field;
use super::wire::{DecodeError, Input, TooDeep, WireType};
use crate::codec::{Limits, MAX_DEPTH};

/// Named, numbered fields.
pub trait Record: Default + Send + Sync + 'static {
    /// The type's name, for error messages.
    const NAME: &'static str;

    /// The tags of its fields in the order of declaration, which is that of positional arrays.
    const TAGS: &'static [u32];

    /// Bytes that its default holds outside of itself. Where messages hold each other in a circle
    /// that no absent value ends, rustc reports that this constant needs itself, and its name is
    /// all that can be said there.
    const ENDLESS_DEFAULT_USE_OPTION_BOX: usize;

    /// Whether messages nest at most `levels` deep in it, itself included.
    fn nests_within(&self, levels: usize) -> bool;

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
        limits: &mut Limits,
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
/// Bytes that are no protobuf, are cut short, are nested too deep or take too much memory.
#[inline]
pub fn merge_whole<R: Record>(
    record: &mut R,
    bytes: Bytes,
    limits: &mut Limits,
) -> Result<(), DecodeError> {
    // Of generic types the macro cannot ask.
    const { _ = R::ENDLESS_DEFAULT_USE_OPTION_BOX };
    let mut input = Input::new(bytes, limits.clone());
    let outcome = input.whole(|input, tag, wire| record.merge_tagged(tag, wire, input));
    *limits = input.into_limits();
    outcome
}

/// Length of protobuf's form of a whole message; 0 if it is nested too deep to be written.
#[inline]
pub fn len_whole<R: Record>(record: &R) -> usize {
    if record.nests_within(MAX_DEPTH) { record.fields_len() } else { 0 }
}

/// Appends protobuf's form of a whole message.
///
/// Depth is looked at once, before anything recurses without a bound; of a type that cannot be
/// nested in itself, nothing of the look is left after optimisation.
///
/// # Errors
/// It is nested too deep.
#[inline]
pub fn encode_whole<R: Record>(record: &R, buf: &mut BytesMut) -> Result<(), TooDeep> {
    if !record.nests_within(MAX_DEPTH) {
        return Err(TooDeep);
    }
    buf.reserve(record.fields_len());
    record.encode_fields(buf);
    Ok(())
}

/// Writes serde's form of a whole message.
///
/// # Errors
/// It is nested too deep, and whatever the serializer reports.
pub fn serialize_whole<R: Record, S: Serializer>(
    record: &R,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if !record.nests_within(MAX_DEPTH) {
        return Err(S::Error::custom(TooDeep));
    }
    record.serialize_fields(serializer)
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
pub fn skip_value<'de, D: Deserializer<'de>>(
    deserializer: D,
    limits: &mut Limits,
) -> Result<(), D::Error> {
    Skip::of(limits).deserialize(deserializer)
}
