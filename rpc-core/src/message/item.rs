//! What stands in a list, an `Option` or a map: a value, or again one of these.
//!
//! Protobuf has no lists of lists. What is no single value travels there in a message of one field,
//! `value`, as a result that is no message does. Formats with lists in lists need none: they have
//! `[[1,2],[3]]`, and `null` for `None`. In every format it counts as a message where depth is counted.

use bytes::BytesMut;

use super::container;
use super::problem::Read;
use super::reader::Reader;
use super::traits::{Element, Field, Value};
use super::wire::{self, DecodeError, Input, TooDeep, WireType, encoded_len_varint, key_len};
use super::writer::{At, Writer};
use crate::codec::Limits;
use crate::descriptor::{FieldType, MessageType, Shape, Type};
use crate::message::returned::shape_name;

/// What may stand in a map, and be what a newtype holds: a [`Value`], or an `Option`, `Vec` or map.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a message",
    label = "not a type that can travel",
    note = "put `#[dubhe::message]` on the type if it is yours",
    note = "`usize`, `isize`, `u128`, `i128`, `char` and references do not travel: use `u64`, `i64`, \
            `String`, or a message"
)]
pub trait Item: Field {
    // As one of many.

    /// How protobuf writes it.
    #[doc(hidden)]
    const ITEM_WIRE: WireType = WireType::LengthDelimited;

    /// As [`Value::IS_CHECKED`].
    #[doc(hidden)]
    const ITEM_IS_CHECKED: bool = true;

    /// As [`Value::nests_within`].
    #[doc(hidden)]
    #[inline]
    fn item_nests_within(&self, levels: usize) -> bool {
        levels != 0 && self.nests_within(levels - 1)
    }

    /// As [`Value::is_default`].
    #[doc(hidden)]
    #[inline]
    fn item_is_default(&self) -> bool {
        false
    }

    /// As [`Value::body_len`].
    #[doc(hidden)]
    #[inline]
    fn item_body_len(&self) -> usize {
        self.field_len(1)
    }

    /// As [`Value::encode_body`].
    #[doc(hidden)]
    #[inline]
    fn encode_item_body(&self, out: &mut BytesMut) {
        self.encode_field(1, out);
    }

    /// As [`Value::merge_body`].
    #[doc(hidden)]
    fn merge_item_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        input.message(|input, tag, wire| match tag {
            1 => self.merge_field(wire, input),
            _ => input.skip(tag, wire),
        })
    }

    /// As [`Value::write_value`].
    #[doc(hidden)]
    fn write_item(&self, writer: &mut dyn Writer, at: At) {
        if self.is_absent() {
            writer.null(at);
        } else {
            self.write(writer, at);
        }
    }

    /// As [`Value::read_value`].
    #[doc(hidden)]
    fn read_item(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        if !limits.enter() {
            return Err(TooDeep.into());
        }
        self.read(reader, limits)?;
        limits.leave();
        Ok(())
    }

    /// As [`Value::write_list`].
    #[doc(hidden)]
    fn write_items(list: &[Self], writer: &mut dyn Writer, at: At) {
        writer.begin_list(at, list.len());
        list.iter().for_each(|item| item.write_item(writer, None));
        writer.end_list();
    }

    /// As [`Value::read_list`].
    #[doc(hidden)]
    fn read_items(list: &mut Vec<Self>, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        container::read_list(list, reader, limits)
    }

    /// As [`Value::value_type`].
    #[doc(hidden)]
    fn item_type() -> Type {
        Type::Nested(shape_name(&Self::shape()), nested_type::<Self>)
    }

    /// As [`Value::TAKES_NULL`].
    #[doc(hidden)]
    const ITEM_TAKES_NULL: bool = Self::IS_OPTION;

    /// As [`Value::ENDLESS_NEWTYPE_USE_A_NAMED_FIELD`].
    #[doc(hidden)]
    const IS_ENDLESS: bool = false;

    // As a field, for newtypes, which ask their type for nothing else: of one that cannot travel, rustc
    // then says one thing.

    /// As [`Field::IS_MESSAGE`].
    #[doc(hidden)]
    const OWN_IS_MESSAGE: bool = Self::IS_MESSAGE;

    /// As [`Field::DEFAULT_HEAP`].
    #[doc(hidden)]
    const OWN_HEAP: usize = Self::DEFAULT_HEAP;

    /// Whether it has a way of its own to say that nothing is there.
    #[doc(hidden)]
    const IS_OPTION: bool = false;

    /// As [`Field::absent`].
    #[doc(hidden)]
    #[must_use]
    fn own_absent() -> Self {
        Self::absent()
    }

    /// As [`Field::nests_within`].
    #[doc(hidden)]
    #[inline]
    fn own_nests_within(&self, levels: usize) -> bool {
        self.nests_within(levels)
    }

    /// As [`Field::field_len`].
    #[doc(hidden)]
    #[inline]
    fn own_len(&self, tag: u32) -> usize {
        self.field_len(tag)
    }

    /// As [`Field::encode_field`].
    #[doc(hidden)]
    #[inline]
    fn encode_own(&self, tag: u32, out: &mut BytesMut) {
        self.encode_field(tag, out);
    }

    /// As [`Field::merge_field`].
    #[doc(hidden)]
    #[inline]
    fn merge_own(&mut self, wire: WireType, input: &mut Input<'_>) -> Result<(), DecodeError> {
        self.merge_field(wire, input)
    }

    /// As [`Field::merge_whole`].
    #[doc(hidden)]
    #[inline]
    fn merge_own_whole(
        &mut self,
        tag: u32,
        wire: WireType,
        input: &mut Input<'_>,
    ) -> Result<(), DecodeError> {
        self.merge_whole(tag, wire, input)
    }

    /// As [`Field::read`].
    #[doc(hidden)]
    #[inline]
    fn read_own(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        self.read(reader, limits)
    }

    /// As [`Field::shape`].
    #[doc(hidden)]
    fn own_shape() -> Shape {
        Self::shape()
    }
}

impl<T: Value> Item for T {
    const ITEM_WIRE: WireType = T::WIRE;
    const ITEM_IS_CHECKED: bool = T::IS_CHECKED;
    const ITEM_TAKES_NULL: bool = T::TAKES_NULL;
    const IS_ENDLESS: bool = T::ENDLESS_NEWTYPE_USE_A_NAMED_FIELD;

    #[inline]
    fn item_nests_within(&self, levels: usize) -> bool {
        T::nests_within(self, levels)
    }

    #[inline]
    fn item_is_default(&self) -> bool {
        self.is_default()
    }

    #[inline]
    fn item_body_len(&self) -> usize {
        self.body_len()
    }

    #[inline]
    fn encode_item_body(&self, out: &mut BytesMut) {
        self.encode_body(out);
    }

    #[inline]
    fn merge_item_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        self.merge_body(input)
    }

    #[inline]
    fn write_item(&self, writer: &mut dyn Writer, at: At) {
        self.write_value(writer, at);
    }

    #[inline]
    fn read_item(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        self.read_value(reader, limits)
    }

    #[inline]
    fn write_items(list: &[Self], writer: &mut dyn Writer, at: At) {
        T::write_list(list, writer, at);
    }

    #[inline]
    fn read_items(list: &mut Vec<Self>, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        T::read_list(list, reader, limits)
    }

    fn item_type() -> Type {
        T::value_type()
    }
}

/// What may be an element of a `Vec` or array: every [`Item`] but `u8`, because `Vec<u8>` is bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an element of a `Vec` in a message",
    label = "not a type that can travel",
    note = "put `#[dubhe::message]` on the type if it is yours",
    note = "`usize`, `isize`, `u128`, `i128`, `char` and references do not travel: use `u64`, `i64`, \
            `String`, or a message"
)]
pub trait ListItem: Item {}

impl<T: Element> ListItem for T {}

/// What may stand in an `Option`: every [`Item`] but another `Option`, because `null` is one thing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in an `Option` in a message",
    label = "not a type that can travel, or another `Option`",
    note = "put `#[dubhe::message]` on the type if it is yours",
    note = "an `Option` in an `Option` is nothing in two ways, of which JSON has one: write one \
            `Option`, or an enum",
    note = "`usize`, `isize`, `u128`, `i128`, `char` and references do not travel: use `u64`, `i64`, \
            `String`, or a message"
)]
pub trait Inner: Item {}

impl<T: Value> Inner for T {}

/// Length of `item` with its key, also if it is the default.
#[inline]
pub(super) fn value_len<T: Item>(item: &T, tag: u32) -> usize {
    let body = item.item_body_len();
    let prefix = match T::ITEM_WIRE {
        WireType::LengthDelimited => encoded_len_varint(body as u64),
        _ => 0,
    };
    key_len(tag) + prefix + body
}

/// Appends `item` with its key, also if it is the default.
#[inline]
pub(super) fn encode_value<T: Item>(item: &T, tag: u32, out: &mut BytesMut) {
    wire::put_key(tag, T::ITEM_WIRE, out);
    if T::ITEM_WIRE == WireType::LengthDelimited {
        wire::put_varint(item.item_body_len() as u64, out);
    }
    item.encode_item_body(out);
}

/// The message that holds what is no single value in protobuf.
fn nested_type<T: Field>() -> MessageType {
    let field = FieldType { name: "value", json_name: "value", doc: "", tag: 1, shape: T::shape };
    MessageType { name: shape_name(&T::shape()), fields: vec![field], ..MessageType::default() }
}
