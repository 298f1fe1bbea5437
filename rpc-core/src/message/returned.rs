//! The reply of a method as a message.

use bytes::{Bytes, BytesMut};

use super::Message;
use super::problem::Read;
use super::reader::Reader;
use super::record::{self, Record};
use super::schema::{FieldSchema, Positions, RecordSchema};
use super::sole;
use super::traits::{Describe, Field};
use super::wire::{DecodeError, Input, WireType};
use super::writer::Writer;
use crate::codec::Limits;
use crate::descriptor::{FieldType, MessageType, Shape, Type};

/// What a method returned: a message as itself, anything else as field 1, named `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned<T>(pub T);

impl<T: Field> Default for Returned<T> {
    #[inline]
    fn default() -> Self {
        Self(T::absent())
    }
}

/// The result where it is no message.
static RESULT: RecordSchema = RecordSchema::new("the result", FIELDS, Positions::Always);
static FIELDS: &[FieldSchema] = &[FieldSchema::new(1, "value", "value")];

impl<T: Field> Record for Returned<T> {
    const SCHEMA: &'static RecordSchema = &RESULT;
    const ENDLESS_DEFAULT_USE_OPTION_BOX: usize = T::DEFAULT_HEAP;

    #[inline]
    fn empty() -> Self {
        Self::default()
    }

    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        sole::nests_within(&self.0, levels)
    }

    #[inline]
    fn fields_len(&self) -> usize {
        sole::len(&self.0)
    }

    #[inline]
    fn encode_fields(&self, out: &mut BytesMut) {
        sole::encode(&self.0, out);
    }

    #[inline]
    fn merge_tagged(
        &mut self,
        tag: u32,
        wire: WireType,
        input: &mut Input<'_>,
    ) -> Result<(), DecodeError> {
        sole::merge_tagged(&mut self.0, tag, wire, input, FIELDS[0].name)
    }

    #[inline]
    fn present(&self) -> usize {
        usize::from(!self.0.is_absent())
    }

    #[inline]
    fn write_fields(&self, writer: &mut dyn Writer) {
        self.0.write(writer, Some(&FIELDS[0]));
    }

    #[inline]
    fn read_field(&mut self, _: usize, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        self.0.read(reader, limits)
    }
}

impl<T: Field> Message for Returned<T> {
    fn proto_len(&self) -> usize {
        record::len_whole(self)
    }

    fn encode_proto(&self, buf: &mut BytesMut) -> Read {
        record::encode_whole(self, buf)
    }

    fn merge_proto(&mut self, bytes: Bytes, limits: &mut Limits) -> Result<(), DecodeError> {
        record::merge_whole(self, bytes, limits)
    }

    fn write(&self, writer: &mut dyn Writer) {
        sole::write(self, &self.0, writer);
    }

    fn read(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        sole::read_result(self, |returned| &mut returned.0, reader, limits)
    }
}

impl<T: Field> Describe for Returned<T> {
    fn message_type() -> MessageType {
        let own = |field| MessageType {
            id: None,
            name: format!("{}Reply", shape_name(&T::shape())),
            class: "",
            doc: "",
            fields: vec![field],
            is_oneof: false,
            takes_unknown: false,
            reserved: Vec::new(),
            length: None,
        };
        let field =
            FieldType { name: "value", json_name: "value", doc: "", tag: 1, shape: T::shape };
        sole::describe::<T>(own, field)
    }
}

/// The name of a type as a part of another's name.
pub(super) fn shape_name(shape: &Shape) -> String {
    match shape {
        Shape::Single(value) => type_name(value),
        Shape::Optional(value) => format!("Optional{}", type_name(value)),
        Shape::Repeated(value) => format!("{}List", type_name(value)),
        Shape::Map(key, value) => format!("{}To{}Map", type_name(key), type_name(value)),
    }
}

/// The name of a type as a part of another's name.
fn type_name(value: &Type) -> String {
    match value {
        Type::Message(name, _) | Type::Nested(name, _) | Type::Tuple(name, _) => name.clone(),
        Type::Enum(of) => of.name.to_owned(),
        // As the `.proto` has them: its messages are named by what they hold.
        Type::Int8 | Type::Int16 => "Int32".to_owned(),
        Type::Uint8 | Type::Uint16 => "Uint32".to_owned(),
        plain => format!("{plain:?}"),
    }
}

/// The name of a generic message with these parameters, such as `Page_User`.
#[must_use]
pub fn generic_name(name: &str, parameters: &[fn() -> Shape]) -> String {
    let mut whole = name.to_owned();
    for parameter in parameters {
        whole.push('_');
        whole.push_str(&shape_name(&parameter()));
    }
    whole
}
