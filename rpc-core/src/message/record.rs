//! What the macros write for a struct, an enum with data and an argument list: its fields.
//!
//! Everything else of such a type forwards here, so generated code stays small.

use bytes::{Bytes, BytesMut};

use super::problem::{Problem, Read};
use super::reader::{ReadScope, Reader};
use super::schema::RecordSchema;
use super::unwritable;
use super::wire::{DecodeError, Input, TooDeep, WireType};
use super::writer::{At, Writer};
use crate::codec::{Limits, MAX_DEPTH};

/// Named, numbered fields.
pub trait Record: Sized + Send + Sync + 'static {
    /// Its fields as static data.
    const SCHEMA: &'static RecordSchema;

    /// Bytes that its default holds outside of itself. Where messages hold each other in a circle
    /// that no absent value ends, rustc reports that this constant needs itself, and its name is
    /// all that can be said there.
    const ENDLESS_DEFAULT_USE_OPTION_BOX: usize;

    /// What it is where nothing was sent.
    fn empty() -> Self;

    /// Whether messages nest at most `levels` deep in it, itself included.
    fn nests_within(&self, levels: usize) -> bool;

    /// Length of protobuf's form.
    fn fields_len(&self) -> usize;

    /// Appends protobuf's form.
    fn encode_fields(&self, out: &mut BytesMut);

    /// Reads one field of protobuf's form; unknown ones are skipped.
    ///
    /// # Errors
    /// Bytes that are not protobuf or do not fit the field.
    fn merge_tagged(
        &mut self,
        tag: u32,
        wire: WireType,
        input: &mut Input<'_>,
    ) -> Result<(), DecodeError>;

    /// How many fields are not absent.
    fn present(&self) -> usize;

    /// Offers the fields that are not absent.
    fn write_fields(&self, writer: &mut dyn Writer);

    /// Reads the field at this index of the schema; there are no others.
    ///
    /// # Errors
    /// What the reader reports, and values that do not fit.
    fn read_field(&mut self, at: usize, reader: &mut dyn Reader, limits: &mut Limits) -> Read;

    /// Becomes what a variant of another version reads as; `false` if there is nothing for that.
    /// Asked of enums with data only.
    fn become_unknown(&mut self) -> bool {
        false
    }
}

/// `error`, in the field of this number, of this message.
#[cold]
#[must_use]
pub fn in_tagged(error: DecodeError, of: &'static RecordSchema, tag: u32) -> DecodeError {
    match of.fields.iter().find(|field| field.tag == tag) {
        Some(field) => error.in_field(field.name).in_message(of.name),
        None => error,
    }
}

/// Passes over a variant of an enum with data that has no such number.
///
/// # Errors
/// The enum has no variant for that; and bytes that are no protobuf.
pub fn merge_unknown<R: Record>(
    record: &mut R,
    tag: u32,
    wire: WireType,
    input: &mut Input<'_>,
) -> Result<(), DecodeError> {
    input.skip(tag, wire)?;
    match record.become_unknown() {
        true => Ok(()),
        false => Err(Problem::unknown_variant(tag, R::SCHEMA.name).into()),
    }
}

/// Reads protobuf's form of a record that is a value inside a message.
///
/// # Errors
/// Bytes that are not protobuf, are cut short, or are nested too deep.
#[inline]
pub fn merge_nested<R: Record>(record: &mut R, input: &mut Input<'_>) -> Result<(), DecodeError> {
    input.message(|input, tag, wire| record.merge_tagged(tag, wire, input))
}

/// Reads protobuf's form of a record that is a whole message.
///
/// # Errors
/// Bytes that are not protobuf, are cut short, are nested too deep or take too much memory.
#[inline]
pub fn merge_whole<R: Record>(
    record: &mut R,
    bytes: Bytes,
    limits: &mut Limits,
) -> Result<(), DecodeError> {
    // Of generic types the macro cannot ask.
    const { _ = R::ENDLESS_DEFAULT_USE_OPTION_BOX };
    let mut input = Input::new(bytes, limits);
    input.whole(|input, tag, wire| record.merge_tagged(tag, wire, input))
}

/// Length of protobuf's form of a whole message; 0 if it cannot be written.
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
/// It is nested too deep, or a value is out of range.
#[inline]
pub fn encode_whole<R: Record>(record: &R, buf: &mut BytesMut) -> Read {
    if !record.nests_within(MAX_DEPTH) {
        return Err(unwritable::reason(|levels| record.nests_within(levels)));
    }
    buf.reserve(record.fields_len());
    record.encode_fields(buf);
    Ok(())
}

/// Offers a whole message to a writer, unless it is nested too deep or a value is out of range.
pub fn write_whole<R: Record>(record: &R, writer: &mut dyn Writer) {
    if record.nests_within(MAX_DEPTH) {
        write_record(record, writer, None);
    } else {
        writer.fail(unwritable::reason(|levels| record.nests_within(levels)));
    }
}

/// Offers a record to a writer.
pub fn write_record<R: Record>(record: &R, writer: &mut dyn Writer, at: At) {
    writer.begin_record(at, R::SCHEMA, record.present());
    record.write_fields(writer);
    writer.end_record();
}

/// Reads a record over itself.
///
/// # Errors
/// What the reader reports, values that do not fit, and what is past the limits.
pub fn read_record<R: Record>(
    record: &mut R,
    reader: &mut dyn Reader,
    limits: &mut Limits,
) -> Read {
    if !limits.enter() {
        return Err(TooDeep.into());
    }
    let mut scope = limits.scope();
    reader.begin_record(R::SCHEMA, &mut scope)?;
    while let Some(at) = reader.next_field(R::SCHEMA, &mut scope)? {
        match R::SCHEMA.fields.get(at) {
            Some(field) => record
                .read_field(at, reader, limits)
                .map_err(|problem| problem.in_field(field.name))?,
            None => read_unknown(record, reader, &scope)?,
        }
    }
    // What goes wrong in a message ends the reading, so only what goes well is left again.
    limits.leave();
    Ok(())
}

/// Passes over a variant of an enum with data that has no such name.
#[cold]
fn read_unknown<R: Record>(record: &mut R, reader: &mut dyn Reader, scope: &ReadScope) -> Read {
    // Some writers list every variant and leave all but one `null`.
    if reader.null()? {
        return Ok(());
    }
    reader.skip(scope.levels())?;
    match record.become_unknown() {
        true => Ok(()),
        false => Err(Problem::unknown_variant(scope.unknown(), R::SCHEMA.name)),
    }
}
