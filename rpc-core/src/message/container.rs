//! `Option` and `Vec`.
//!
//! `None` is left out in every form. Numbers in a `Vec` are packed on write and read packed or
//! not. Nothing is allocated by a count that a peer claims, and lists pay for their room.

use bytes::BytesMut;

use super::problem::Read;
use super::reader::{ReadScope, Reader};
use super::traits::{Element, Field, Value, encode_value, value_len};
use super::wire::{self, DecodeError, Input, WireType, encoded_len_varint, key_len};
use super::writer::{At, Writer};
use crate::codec::Limits;
use crate::descriptor::Shape;

// === impl Option ===

impl<T: Value> Field for Option<T> {
    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        self.as_ref().is_none_or(|value| value.nests_within(levels))
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
    fn merge_field(&mut self, wire: WireType, input: &mut Input) -> Result<(), DecodeError> {
        wire::expect_wire(T::WIRE, wire)?;
        if self.is_none() {
            input.make::<T>()?;
        }
        self.get_or_insert_with(T::empty).merge_body(input)
    }

    #[inline]
    fn is_absent(&self) -> bool {
        self.is_none()
    }

    #[inline]
    fn write(&self, writer: &mut dyn Writer, at: At) {
        if let Some(value) = self {
            value.write_value(writer, at);
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
        self.get_or_insert_with(T::empty).read_value(reader, limits)
    }

    fn shape() -> Shape {
        Shape::Optional(T::value_type())
    }

    #[inline]
    fn absent() -> Self {
        None
    }
}

// === impl Vec ===

impl<T: Element> Field for Vec<T> {
    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        // Nobody walks a list of numbers for this.
        !T::IS_CHECKED || self.iter().all(|value| value.nests_within(levels))
    }

    #[inline]
    fn field_len(&self, tag: u32) -> usize {
        if T::WIRE == WireType::LengthDelimited {
            return self.iter().map(|value| value_len(value, tag)).sum();
        }
        if self.is_empty() {
            return 0;
        }
        let packed = packed_len(self);
        key_len(tag) + encoded_len_varint(packed as u64) + packed
    }

    #[inline]
    fn encode_field(&self, tag: u32, out: &mut BytesMut) {
        if T::WIRE == WireType::LengthDelimited {
            self.iter().for_each(|value| encode_value(value, tag, out));
        } else if !self.is_empty() {
            wire::put_key(tag, WireType::LengthDelimited, out);
            wire::put_varint(packed_len(self) as u64, out);
            self.iter().for_each(|value| value.encode_body(out));
        }
    }

    #[inline]
    fn merge_field(&mut self, wire: WireType, input: &mut Input) -> Result<(), DecodeError> {
        let mut one = |input: &mut Input| {
            input.room(self)?;
            let mut value = T::empty();
            value.merge_body(input).map_err(|error| error.at_index(self.len()))?;
            self.push(value);
            Ok(())
        };
        if wire == WireType::LengthDelimited && T::WIRE != WireType::LengthDelimited {
            return input.delimited(one);
        }
        wire::expect_wire(T::WIRE, wire)?;
        one(input)
    }

    #[inline]
    fn write(&self, writer: &mut dyn Writer, at: At) {
        T::write_list(self, writer, at);
    }

    #[inline]
    fn read(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        T::read_list(self, reader, limits)
    }

    fn shape() -> Shape {
        Shape::Repeated(T::value_type())
    }

    #[inline]
    fn absent() -> Self {
        Self::new()
    }
}

fn packed_len<T: Value>(values: &[T]) -> usize {
    values.iter().map(Value::body_len).sum()
}

/// Reads a list element by element, in place of what is there.
pub(super) fn read_list<T: Value>(
    list: &mut Vec<T>,
    reader: &mut dyn Reader,
    limits: &mut Limits,
) -> Read {
    list.clear();
    let mut scope = limits.scope();
    reader.begin_list(&mut scope)?;
    let hint = scope.hint;
    limits.reserve(list, hint);
    while reader.next_item(&mut scope)? {
        let index = list.len();
        limits.take(T::DEFAULT_HEAP)?;
        limits.room(list, || left(hint, index))?;
        let mut value = T::empty();
        value.read_value(reader, limits).map_err(|problem| problem.at_index(index))?;
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
