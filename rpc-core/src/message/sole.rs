//! A body of exactly one argument or result: if that is a message, it is the body itself, as gRPC
//! has it; else it is field 1.
//!
//! [`Field::IS_MESSAGE`] is a constant, so each function here compiles to one of its branches.

use bytes::BytesMut;

use super::problem::{Problem, Read};
use super::reader::{Reader, ValueKind};
use super::record::{self, Record};
use super::traits::Field;
use super::unwritable;
use super::wire::{DecodeError, Input, WireType};
use super::writer::Writer;
use crate::codec::{Limits, MAX_DEPTH};
use crate::descriptor::{FieldType, MessageType, Shape, Type};

/// Whether messages nest at most `levels` deep in the body.
#[inline]
pub(super) fn nests_within<T: Field>(value: &T, levels: usize) -> bool {
    if T::IS_MESSAGE {
        value.nests_within(levels)
    } else {
        levels != 0 && value.nests_within(levels - 1)
    }
}

/// Length of protobuf's form.
#[inline]
pub(super) fn len<T: Field>(value: &T) -> usize {
    if T::IS_MESSAGE { value.whole_len() } else { value.field_len(1) }
}

/// Appends protobuf's form.
#[inline]
pub(super) fn encode<T: Field>(value: &T, out: &mut BytesMut) {
    if T::IS_MESSAGE {
        value.encode_whole(out);
    } else {
        value.encode_field(1, out);
    }
}

/// Reads one field of protobuf's form; `name` is that of the value where it is field 1.
///
/// # Errors
/// Bytes that are no protobuf or do not fit.
#[inline]
pub(super) fn merge_tagged<T: Field>(
    value: &mut T,
    tag: u32,
    wire: WireType,
    input: &mut Input<'_>,
    name: &'static str,
) -> Result<(), DecodeError> {
    if T::IS_MESSAGE {
        value.merge_whole(tag, wire, input)
    } else if tag == 1 {
        value.merge_field(wire, input).map_err(|error| error.in_field(name))
    } else {
        input.skip(tag, wire)
    }
}

/// Offers the body to a writer, unless it is nested too deep to be written.
pub(super) fn write<R: Record, T: Field>(record: &R, value: &T, writer: &mut dyn Writer) {
    if !T::IS_MESSAGE {
        record::write_whole(record, writer);
    } else if value.nests_within(MAX_DEPTH) {
        value.write(writer, None);
    } else {
        writer.fail(unwritable::reason(|levels| value.nests_within(levels)));
    }
}

/// Reads a list of one argument. A message is itself, or alone in a list.
///
/// # Errors
/// What the reader reports, values that do not fit, and what is past the limits.
pub(super) fn read_argument<R: Record, T: Field>(
    record: &mut R,
    value: fn(&mut R) -> &mut T,
    reader: &mut dyn Reader,
    limits: &mut Limits,
) -> Read {
    if !T::IS_MESSAGE {
        return record::read_record(record, reader, limits);
    }
    match reader.kind()? {
        ValueKind::List => {
            let mut scope = limits.scope();
            // Arguments by position: one that is null is left out.
            scope.takes_null = true;
            reader.begin_list(&mut scope)?;
            if reader.next_item(&mut scope)? {
                value(record).read(reader, limits).map_err(|problem| problem.at_index(0))?;
                // A longer list comes from a newer peer.
                while reader.next_item(&mut scope)? {
                    reader.skip(scope.levels())?;
                }
            }
            Ok(())
        }
        ValueKind::Map | ValueKind::Null | ValueKind::Untold => value(record).read(reader, limits),
        other => Err(Problem::new(format_args!(
            "the argument as a map, or an array that holds it, was expected, not {other}"
        ))),
    }
}

/// Reads a result.
///
/// # Errors
/// What the reader reports, values that do not fit, and what is past the limits.
pub(super) fn read_result<R: Record, T: Field>(
    record: &mut R,
    value: fn(&mut R) -> &mut T,
    reader: &mut dyn Reader,
    limits: &mut Limits,
) -> Read {
    if T::IS_MESSAGE {
        return value(record).read(reader, limits);
    }
    record::read_record(record, reader, limits)
}

/// The body as data; `own` describes it where the value is field 1.
pub(super) fn describe<T: Field>(
    own: impl FnOnce(FieldType) -> MessageType,
    field: FieldType,
) -> MessageType {
    match T::shape() {
        Shape::Single(Type::Message(_, message)) => message(),
        _ => own(field),
    }
}
