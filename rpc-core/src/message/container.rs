//! `Option` and `Vec`.
//!
//! `None` is left out in every form. Numbers in a `Vec` are packed on write and read packed or
//! not. Nothing is allocated by a count that a peer claims, and lists pay for their room.

use bytes::BytesMut;

use super::item::{Inner, Item, ListItem, encode_value, value_len};
use super::problem::Read;
use super::reader::{ReadScope, Reader};
use super::traits::Field;
use super::wire::{self, DecodeError, Input, WireType, encoded_len_varint, key_len};
use super::writer::{At, Writer};
use crate::codec::Limits;
use crate::descriptor::Shape;

// === impl Option ===

impl<T: Inner> Field for Option<T> {
    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        self.as_ref().is_none_or(|value| value.item_nests_within(levels))
    }

    #[inline]
    fn field_len(&self, tag: u32) -> usize {
        self.as_ref().map_or(0, |value| value_len(value, tag))
    }

    #[inline]
    fn encode_field(&self, tag: u32, out: &mut BytesMut) {
        if let Some(value) = self {
            encode_value(value, tag, out);
        }
    }

    #[inline]
    fn merge_field(&mut self, wire: WireType, input: &mut Input<'_>) -> Result<(), DecodeError> {
        wire::expect_wire(T::ITEM_WIRE, wire)?;
        if self.is_none() {
            input.make::<T>()?;
        }
        self.get_or_insert_with(T::absent).merge_item_body(input)
    }

    #[inline]
    fn is_absent(&self) -> bool {
        self.is_none()
    }

    #[inline]
    fn write(&self, writer: &mut dyn Writer, at: At) {
        if let Some(value) = self {
            value.write_item(writer, at);
        }
    }

    fn read(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        if reader.null()? {
            *self = None;
            return Ok(());
        }
        if self.is_none() {
            limits.take(T::DEFAULT_HEAP)?;
        }
        self.get_or_insert_with(T::absent).read_item(reader, limits)
    }

    fn shape() -> Shape {
        Shape::Optional(T::item_type())
    }

    #[inline]
    fn absent() -> Self {
        None
    }
}

impl<T: Inner> Item for Option<T> {
    const IS_OPTION: bool = true;
    const IS_ENDLESS: bool = T::IS_ENDLESS;
}

impl<T: Inner> ListItem for Option<T> {}

// === impl Vec ===

impl<T: ListItem> Field for Vec<T> {
    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        // Nobody walks a list of numbers for this.
        !T::ITEM_IS_CHECKED || self.iter().all(|value| value.item_nests_within(levels))
    }

    #[inline]
    fn field_len(&self, tag: u32) -> usize {
        repeated_len(self, tag)
    }

    #[inline]
    fn encode_field(&self, tag: u32, out: &mut BytesMut) {
        encode_repeated(self, tag, out);
    }

    #[inline]
    fn merge_field(&mut self, wire: WireType, input: &mut Input<'_>) -> Result<(), DecodeError> {
        merge_repeated::<T>(wire, input, |input| {
            input.room(self)?;
            let mut value = T::absent();
            value.merge_item_body(input).map_err(|error| error.at_index(self.len()))?;
            self.push(value);
            Ok(())
        })
    }

    #[inline]
    fn write(&self, writer: &mut dyn Writer, at: At) {
        T::write_items(self, writer, at);
    }

    #[inline]
    fn read(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        T::read_items(self, reader, limits)
    }

    fn shape() -> Shape {
        Shape::Repeated(T::item_type())
    }

    #[inline]
    fn absent() -> Self {
        Self::new()
    }
}

impl<T: ListItem> Item for Vec<T> {
    const IS_ENDLESS: bool = T::IS_ENDLESS;
}

impl<T: ListItem> ListItem for Vec<T> {}

impl<T: ListItem> Inner for Vec<T> {}

/// Length of a repeated field.
#[inline]
pub(super) fn repeated_len<T: Item>(values: &[T], tag: u32) -> usize {
    if T::ITEM_WIRE == WireType::LengthDelimited {
        return values.iter().map(|value| value_len(value, tag)).sum();
    }
    if values.is_empty() {
        return 0;
    }
    let packed = packed_len(values);
    key_len(tag) + encoded_len_varint(packed as u64) + packed
}

/// Appends a repeated field.
#[inline]
pub(super) fn encode_repeated<T: Item>(values: &[T], tag: u32, out: &mut BytesMut) {
    if T::ITEM_WIRE == WireType::LengthDelimited {
        values.iter().for_each(|value| encode_value(value, tag, out));
    } else if !values.is_empty() {
        wire::put_key(tag, WireType::LengthDelimited, out);
        wire::put_varint(packed_len(values) as u64, out);
        values.iter().for_each(|value| value.encode_item_body(out));
    }
}

/// Reads a piece of a repeated field: one value, or packed ones.
#[inline]
pub(super) fn merge_repeated<T: Item>(
    wire: WireType,
    input: &mut Input<'_>,
    mut one: impl FnMut(&mut Input<'_>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    if wire == WireType::LengthDelimited && T::ITEM_WIRE != WireType::LengthDelimited {
        return input.delimited(one);
    }
    wire::expect_wire(T::ITEM_WIRE, wire)?;
    one(input)
}

fn packed_len<T: Item>(values: &[T]) -> usize {
    values.iter().map(Item::item_body_len).sum()
}

/// Reads a list element by element, in place of what is there.
pub(super) fn read_list<T: Item>(
    list: &mut Vec<T>,
    reader: &mut dyn Reader,
    limits: &mut Limits,
) -> Read {
    list.clear();
    let mut scope = limits.scope();
    scope.takes_null = T::ITEM_TAKES_NULL;
    reader.begin_list(&mut scope)?;
    let hint = scope.hint;
    limits.reserve(list, hint);
    while reader.next_item(&mut scope)? {
        let index = list.len();
        limits.take(T::DEFAULT_HEAP)?;
        limits.room(list, || left(hint, index))?;
        let mut value = T::absent();
        value.read_item(reader, limits).map_err(|problem| problem.at_index(index))?;
        list.push(value);
    }
    Ok(())
}

/// How many numbers cross the seam at a time.
const AT_ONCE: usize = 32;

/// Reads a list of numbers: many by each call of `read`, in the width of the seam, of which
/// `narrow` makes the elements.
pub(super) fn read_numbers<T: Copy, W: Copy + Default>(
    list: &mut Vec<T>,
    reader: &mut dyn Reader,
    limits: &mut Limits,
    read: impl Fn(&mut dyn Reader, &mut ReadScope, &mut [W]) -> Read<usize>,
    narrow: impl Fn(W) -> Read<T>,
) -> Read {
    list.clear();
    let mut scope = limits.scope();
    reader.begin_list(&mut scope)?;
    let hint = scope.hint;
    limits.reserve(list, hint);
    let mut wide = [W::default(); AT_ONCE];
    loop {
        let count = read(reader, &mut scope, &mut wide)?;
        for value in wide.iter().take(count) {
            let index = list.len();
            limits.room(list, || left(hint, index))?;
            list.push(narrow(*value).map_err(|problem| problem.at_index(index))?);
        }
        if count < AT_ONCE {
            return Ok(());
        }
    }
}

/// How many elements can still come behind those that are there.
fn left(hint: usize, len: usize) -> usize {
    if hint == 0 { usize::MAX } else { hint.saturating_sub(len) }
}
