//! `Box`, which is what it holds, and `()`, which is a message without fields.

use bytes::BytesMut;
use serde::{Deserializer, Serializer};

use super::read::{Positions, merge_record};
use super::record::{self, Record};
use super::traits::{Describe, Element, Value};
use super::wire::{DecodeError, Input, WireType};
use super::write::RecordWriter;
use crate::codec::Limits;
use crate::descriptor::{MessageType, Type};

// === impl Box ===

impl<T: Value> Value for Box<T> {
    const WIRE: WireType = T::WIRE;
    const IS_MESSAGE: bool = T::IS_MESSAGE;
    const DEFAULT_HEAP: usize = size_of::<T>() + T::DEFAULT_HEAP;

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
    fn merge_body(&mut self, input: &mut Input) -> Result<(), DecodeError> {
        (**self).merge_body(input)
    }

    #[inline]
    fn merge_tag(
        &mut self,
        tag: u32,
        wire: WireType,
        input: &mut Input,
    ) -> Result<(), DecodeError> {
        (**self).merge_tag(tag, wire, input)
    }

    fn serialize_value<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize_value(serializer)
    }

    fn merge_value<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
        limits: &mut Limits,
    ) -> Result<(), D::Error> {
        (**self).merge_value(deserializer, limits)
    }

    fn value_type() -> Type {
        T::value_type()
    }
}

impl<T: Element> Element for Box<T> {}

// === impl () ===

impl Record for () {
    const NAME: &'static str = "Empty";
    const TAGS: &'static [u32] = &[];
    const ENDLESS_DEFAULT_USE_OPTION_BOX: usize = 0;

    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        levels != 0
    }

    fn tag_of(_: &str) -> Option<u32> {
        None
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
        input: &mut Input,
    ) -> Result<(), DecodeError> {
        input.skip(tag, wire)
    }

    fn serialize_fields<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RecordWriter::new(serializer, 0)?.end()
    }

    fn merge_named<'de, D: Deserializer<'de>>(
        &mut self,
        _: u32,
        from: D,
        limits: &mut Limits,
    ) -> Result<(), D::Error> {
        record::skip_value(from, limits)
    }
}

impl Value for () {
    const IS_MESSAGE: bool = true;

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

    fn merge_body(&mut self, input: &mut Input) -> Result<(), DecodeError> {
        record::merge_nested(self, input)
    }

    fn serialize_value<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize_fields(serializer)
    }

    fn merge_value<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
        limits: &mut Limits,
    ) -> Result<(), D::Error> {
        merge_record(self, Positions::Always, deserializer, limits)
    }

    fn value_type() -> Type {
        Type::Message(Self::NAME.to_owned(), Self::message_type)
    }
}

impl Element for () {}

impl Describe for () {
    fn message_type() -> MessageType {
        MessageType {
            name: Self::NAME.to_owned(),
            doc: "Nothing.",
            fields: Vec::new(),
            is_oneof: false,
            reserved: Vec::new(),
        }
    }
}
