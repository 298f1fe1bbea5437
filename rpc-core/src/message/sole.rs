//! A body of exactly one argument or result: if that is a message, it is the body itself, as gRPC
//! has it; else it is field 1.
//!
//! [`Field::IS_MESSAGE`] is a constant, so each function here compiles to one of its branches.

use std::fmt;

use bytes::BytesMut;
use serde::de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserializer, Serializer};

use super::read::{Merge, Positions, merge_record};
use super::record::Record;
use super::skip::Skip;
use super::traits::Field;
use super::wire::{DecodeError, Input, WireType};
use super::write::RecordWriter;
use crate::codec::Limits;
use crate::descriptor::{FieldType, MessageType, Shape, Type};

/// Whether messages nest at most `levels` deep in the body.
#[inline]
pub fn nests_within<T: Field>(value: &T, levels: usize) -> bool {
    if T::IS_MESSAGE {
        value.nests_within(levels)
    } else {
        levels != 0 && value.nests_within(levels - 1)
    }
}

/// Length of protobuf's form.
#[inline]
pub fn len<T: Field>(value: &T) -> usize {
    if T::IS_MESSAGE { value.whole_len() } else { value.field_len(1) }
}

/// Appends protobuf's form.
#[inline]
pub fn encode<T: Field>(value: &T, out: &mut BytesMut) {
    if T::IS_MESSAGE {
        value.encode_whole(out);
    } else {
        value.encode_field(1, out);
    }
}

/// Reads one field of protobuf's form.
///
/// # Errors
/// Bytes that are no protobuf or do not fit.
#[inline]
pub fn merge_tagged<T: Field>(
    value: &mut T,
    tag: u32,
    wire: WireType,
    input: &mut Input,
) -> Result<(), DecodeError> {
    if T::IS_MESSAGE {
        value.merge_whole(tag, wire, input)
    } else if tag == 1 {
        value.merge_field(wire, input)
    } else {
        input.skip(tag, wire)
    }
}

/// Writes serde's form.
///
/// # Errors
/// Whatever the serializer reports.
pub fn serialize<T: Field, S: Serializer>(
    value: &T,
    name: &'static str,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if T::IS_MESSAGE {
        return value.serialize_field(serializer);
    }
    let present = usize::from(!value.is_absent());
    RecordWriter::new(serializer, present)?.field(name, value)?.end()
}

/// Reads serde's form of a list of one argument.
///
/// # Errors
/// Whatever the deserializer reports, and values that do not fit.
pub fn merge_arguments<'de, R: Record, T: Field, D: Deserializer<'de>>(
    record: &mut R,
    value: fn(&mut R) -> &mut T,
    deserializer: D,
    limits: &mut Limits,
) -> Result<(), D::Error> {
    if T::IS_MESSAGE {
        return deserializer.deserialize_any(ArgumentVisitor { value: value(record), limits });
    }
    merge_record(record, Positions::Always, deserializer, limits)
}

/// Reads serde's form of a result.
///
/// # Errors
/// Whatever the deserializer reports, and values that do not fit.
pub fn merge_result<'de, R: Record, T: Field, D: Deserializer<'de>>(
    record: &mut R,
    value: fn(&mut R) -> &mut T,
    deserializer: D,
    limits: &mut Limits,
) -> Result<(), D::Error> {
    if T::IS_MESSAGE {
        return value(record).merge_serde(deserializer, limits);
    }
    merge_record(record, Positions::Always, deserializer, limits)
}

/// The body as data; `own` describes it where the value is field 1.
pub fn describe<T: Field>(
    own: impl FnOnce(FieldType) -> MessageType,
    field: FieldType,
) -> MessageType {
    match T::shape() {
        Shape::Single(Type::Message(_, message)) => message(),
        _ => own(field),
    }
}

/// Reads an argument that is a message: itself, or alone in a list.
struct ArgumentVisitor<'a, T> {
    value: &'a mut T,
    limits: &'a mut Limits,
}

impl<'de, T: Field> Visitor<'de> for ArgumentVisitor<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the argument as a map, or an array that holds it")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.value.merge_serde(MapAccessDeserializer::new(map), self.limits)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { value, limits } = self;
        if seq.next_element_seed(Merge { value, limits })?.is_some() {
            while seq.next_element_seed(Skip::of(limits))?.is_some() {}
        }
        Ok(())
    }
}
