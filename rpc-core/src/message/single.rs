//! `Box`, which is what it holds, and `()`, which is a message without fields.

use std::any::TypeId;

use bytes::BytesMut;

use super::problem::Read;
use super::reader::Reader;
use super::record::{self, Record};
use super::schema::{Positions, RecordSchema};
use super::traits::{Describe, Element, Value};
use super::wire::{DecodeError, Input, WireType};
use super::writer::{At, Writer};
use crate::codec::Limits;
use crate::descriptor::{MessageType, Type};

// === impl Box ===

impl<T: Value> Value for Box<T> {
    const WIRE: WireType = T::WIRE;
    const IS_MESSAGE: bool = T::IS_MESSAGE;
    const IS_CHECKED: bool = T::IS_CHECKED;
    const TAKES_NULL: bool = T::TAKES_NULL;
    const ENDLESS_NEWTYPE_USE_A_NAMED_FIELD: bool = T::ENDLESS_NEWTYPE_USE_A_NAMED_FIELD;
    const DEFAULT_HEAP: usize = size_of::<T>() + T::DEFAULT_HEAP;

    #[inline]
    fn empty() -> Self {
        Self::new(T::empty())
    }

    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        (**self).nests_within(levels)
    }

    #[inline]
    fn is_default(&self) -> bool {
        (**self).is_default()
    }

    #[inline]
    fn body_len(&self) -> usize {
        (**self).body_len()
    }

    #[inline]
    fn encode_body(&self, out: &mut BytesMut) {
        (**self).encode_body(out);
    }

    #[inline]
    fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        (**self).merge_body(input)
    }

    #[inline]
    fn merge_tag(
        &mut self,
        tag: u32,
        wire: WireType,
        input: &mut Input<'_>,
    ) -> Result<(), DecodeError> {
        (**self).merge_tag(tag, wire, input)
    }

    #[inline]
    fn write_value(&self, writer: &mut dyn Writer, at: At) {
        (**self).write_value(writer, at);
    }

    #[inline]
    fn read_value(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        (**self).read_value(reader, limits)
    }

    fn value_type() -> Type {
        T::value_type()
    }
}

impl<T: Element> Element for Box<T> {}

// === impl () ===

impl Record for () {
    const SCHEMA: &'static RecordSchema = &RecordSchema::new("Empty", &[], Positions::Always);
    const ENDLESS_DEFAULT_USE_OPTION_BOX: usize = 0;

    fn empty() -> Self {}

    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        levels != 0
    }

    #[inline]
    fn fields_len(&self) -> usize {
        0
    }

    #[inline]
    fn encode_fields(&self, _: &mut BytesMut) {}

    fn merge_tagged(
        &mut self,
        tag: u32,
        wire: WireType,
        input: &mut Input<'_>,
    ) -> Result<(), DecodeError> {
        input.skip(tag, wire)
    }

    fn present(&self) -> usize {
        0
    }

    fn write_fields(&self, _: &mut dyn Writer) {}

    fn read_field(&mut self, _: usize, _: &mut dyn Reader, _: &mut Limits) -> Read {
        Ok(())
    }
}

impl Value for () {
    const IS_MESSAGE: bool = true;

    fn empty() -> Self {}

    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        Record::nests_within(self, levels)
    }

    #[inline]
    fn body_len(&self) -> usize {
        0
    }

    #[inline]
    fn encode_body(&self, _: &mut BytesMut) {}

    fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        record::merge_nested(self, input)
    }

    fn write_value(&self, writer: &mut dyn Writer, at: At) {
        record::write_record(self, writer, at);
    }

    fn read_value(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        record::read_record(self, reader, limits)
    }

    fn value_type() -> Type {
        Type::Message(Self::SCHEMA.name.to_owned(), Self::message_type)
    }
}

impl Element for () {}

impl Describe for () {
    fn message_type() -> MessageType {
        MessageType {
            id: Some(TypeId::of::<Self>()),
            name: Self::SCHEMA.name.to_owned(),
            class: "",
            doc: "Nothing.",
            fields: Vec::new(),
            is_oneof: false,
            takes_unknown: false,
            reserved: Vec::new(),
            length: None,
        }
    }
}
