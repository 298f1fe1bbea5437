//! Newtypes: a struct of one field without a name is in every form what it holds.

use std::marker::PhantomData;

use bytes::BytesMut;

use super::item::Item;
use super::map::MapKey;
use super::problem::Read;
use super::reader::{ReadScope, Reader};
use super::traits::Value;
use super::wire::{DecodeError, Input, WireType};
use super::writer::{At, Writer};
use crate::codec::Limits;
use crate::descriptor::{Shape, Type};

/// What the macros write for a newtype.
pub trait Newtype: Value {
    /// What it holds.
    type Held: Item;

    /// What it holds.
    fn held(&self) -> &Self::Held;

    /// What it holds, to be read into.
    fn held_mut(&mut self) -> &mut Self::Held;

    /// The newtype of it.
    fn of(held: Self::Held) -> Self;
}

/// What `T` answers as a value, which is what it holds answers.
///
/// Generated code asks this and never the type within: of one that cannot travel, rustc then says so
/// once, where `T` says what it holds.
#[derive(Debug)]
pub struct NewtypeForm<T>(PhantomData<T>);

#[allow(missing_docs, reason = "each is as what `Value` and `Field` have under its name")]
impl<T: Newtype> NewtypeForm<T> {
    pub const WIRE: WireType = T::Held::ITEM_WIRE;
    pub const IS_MESSAGE: bool = T::Held::OWN_IS_MESSAGE;
    pub const IS_CHECKED: bool = T::Held::ITEM_IS_CHECKED;
    pub const HEAP: usize = T::Held::OWN_HEAP;
    pub const TAKES_NULL: bool = T::Held::ITEM_TAKES_NULL;
    pub const IS_ENDLESS: bool = T::Held::IS_ENDLESS;
    pub const IS_OPTION: bool = T::Held::IS_OPTION;

    #[inline]
    #[must_use]
    pub fn empty() -> T {
        T::of(T::Held::own_absent())
    }

    // As one of many.

    #[inline]
    pub fn nests_within(value: &T, levels: usize) -> bool {
        value.held().item_nests_within(levels)
    }

    #[inline]
    pub fn is_default(value: &T) -> bool {
        value.held().item_is_default()
    }

    #[inline]
    pub fn body_len(value: &T) -> usize {
        value.held().item_body_len()
    }

    #[inline]
    pub fn encode_body(value: &T, out: &mut BytesMut) {
        value.held().encode_item_body(out);
    }

    #[inline]
    pub fn merge_body(value: &mut T, input: &mut Input<'_>) -> Result<(), DecodeError> {
        value.held_mut().merge_item_body(input)
    }

    #[inline]
    pub fn write_value(value: &T, writer: &mut dyn Writer, at: At) {
        value.held().write_item(writer, at);
    }

    #[inline]
    pub fn read_value(value: &mut T, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        value.held_mut().read_item(reader, limits)
    }

    #[must_use]
    pub fn value_type() -> Type {
        T::Held::item_type()
    }

    // As a field, which may be repeated.

    #[inline]
    pub fn merge_whole(
        value: &mut T,
        tag: u32,
        wire: WireType,
        input: &mut Input<'_>,
    ) -> Result<(), DecodeError> {
        value.held_mut().merge_own_whole(tag, wire, input)
    }

    #[inline]
    pub fn field_nests_within(value: &T, levels: usize) -> bool {
        value.held().own_nests_within(levels)
    }

    #[inline]
    pub fn field_len(value: &T, tag: u32) -> usize {
        value.held().own_len(tag)
    }

    #[inline]
    pub fn encode_field(value: &T, tag: u32, out: &mut BytesMut) {
        value.held().encode_own(tag, out);
    }

    #[inline]
    pub fn merge_field(
        value: &mut T,
        wire: WireType,
        input: &mut Input<'_>,
    ) -> Result<(), DecodeError> {
        value.held_mut().merge_own(wire, input)
    }

    #[inline]
    pub fn read_field(value: &mut T, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        value.held_mut().read_own(reader, limits)
    }

    #[must_use]
    pub fn shape() -> Shape {
        T::Held::own_shape()
    }
}

impl<T: Newtype> MapKey for T
where
    T::Held: MapKey,
{
    #[inline]
    fn offer_key(&self, writer: &mut dyn Writer) {
        self.held().offer_key(writer);
    }

    fn key_text(&self) -> String {
        self.held().key_text()
    }

    fn next_key(
        reader: &mut dyn Reader,
        scope: &mut ReadScope,
        limits: &mut Limits,
    ) -> Read<Option<Self>> {
        Ok(T::Held::next_key(reader, scope, limits)?.map(T::of))
    }
}
