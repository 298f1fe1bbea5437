//! Arrays: lists of one length, which is a part of the type; of `u8`, bytes of one length.
//!
//! In protobuf a message holds the elements, because a repeated field comes in pieces, of which none
//! knows whether it is the last. A wrong length is an error; absent is an array of absent values.

use bytes::{BufMut, Bytes, BytesMut};

use super::container::{encode_repeated, merge_repeated, repeated_len};
use super::item::ListItem;
use super::problem::{Problem, Read};
use super::reader::Reader;
use super::returned::shape_name;
use super::traits::{Element, Value};
use super::wire::{DecodeError, Input, TooDeep};
use super::writer::{At, Writer};
use crate::codec::Limits;
use crate::descriptor::{FieldType, MessageType, Shape, Type};

impl<T: ListItem, const N: usize> Value for [T; N] {
    const IS_CHECKED: bool = true;
    const DEFAULT_HEAP: usize = N.saturating_mul(T::DEFAULT_HEAP);
    const ENDLESS_NEWTYPE_USE_A_NAMED_FIELD: bool = T::IS_ENDLESS;

    fn empty() -> Self {
        std::array::from_fn(|_| T::absent())
    }

    fn nests_within(&self, levels: usize) -> bool {
        levels != 0
            && (!T::ITEM_IS_CHECKED || self.iter().all(|item| item.item_nests_within(levels - 1)))
    }

    fn body_len(&self) -> usize {
        repeated_len(self, 1)
    }

    fn encode_body(&self, out: &mut BytesMut) {
        encode_repeated(self, 1, out);
    }

    fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        let mut count = 0;
        input.message(|input, tag, wire| {
            if tag != 1 {
                return input.skip(tag, wire);
            }
            merge_repeated::<T>(wire, input, |input| {
                let place = self.get_mut(count).ok_or_else(|| wrong_length(N, &"more"))?;
                *place = T::absent();
                place.merge_item_body(input).map_err(|error| error.at_index(count))?;
                count += 1;
                Ok(())
            })
        })?;
        if count == N { Ok(()) } else { Err(wrong_length(N, &count).into()) }
    }

    fn write_value(&self, writer: &mut dyn Writer, at: At) {
        T::write_items(self, writer, at);
    }

    fn read_value(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        if reader.null()? {
            *self = Self::empty();
            return Ok(());
        }
        if !limits.enter() {
            return Err(TooDeep.into());
        }
        let (mut scope, mut count) = (limits.scope(), 0);
        scope.takes_null = T::ITEM_TAKES_NULL;
        reader.begin_list(&mut scope)?;
        while reader.next_item(&mut scope)? {
            let place = self.get_mut(count).ok_or_else(|| wrong_length(N, &"more"))?;
            *place = T::absent();
            place.read_item(reader, limits).map_err(|problem| problem.at_index(count))?;
            count += 1;
        }
        limits.leave();
        if count == N { Ok(()) } else { Err(wrong_length(N, &count)) }
    }

    fn value_type() -> Type {
        Type::Nested(name::<T, N>(), message_type::<T, N>)
    }
}

impl<T: ListItem, const N: usize> Element for [T; N] {}

impl<const N: usize> Value for [u8; N] {
    fn empty() -> Self {
        [0; N]
    }

    fn body_len(&self) -> usize {
        N
    }

    fn encode_body(&self, out: &mut BytesMut) {
        out.put_slice(self);
    }

    fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        let mut bytes = Bytes::new();
        input.bytes(&mut bytes)?;
        Ok(fill(self, &bytes)?)
    }

    fn write_value(&self, writer: &mut dyn Writer, at: At) {
        writer.bytes(at, self);
    }

    fn read_value(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        if reader.null()? {
            *self = Self::empty();
            return Ok(());
        }
        let mut bytes = Bytes::new();
        limits.take(reader.bytes(&mut bytes)?)?;
        fill(self, &bytes)
    }

    fn value_type() -> Type {
        // One that does not fit in memory has no value.
        Type::ByteArray(u32::try_from(N).unwrap_or(u32::MAX))
    }
}

impl<const N: usize> Element for [u8; N] {}

fn fill<const N: usize>(array: &mut [u8; N], bytes: &[u8]) -> Read {
    *array = bytes
        .try_into()
        .map_err(|_| Problem::new(format_args!("{N} bytes were expected, not {}", bytes.len())))?;
    Ok(())
}

#[cold]
fn wrong_length(expected: usize, found: &dyn std::fmt::Display) -> Problem {
    Problem::new(format_args!("an array of {expected} was expected, not of {found}"))
}

/// The message that holds the elements in protobuf.
fn message_type<T: ListItem, const N: usize>() -> MessageType {
    fn shape<T: ListItem>() -> Shape {
        Shape::Repeated(T::item_type())
    }
    let field = FieldType { name: "value", json_name: "value", doc: "", tag: 1, shape: shape::<T> };
    let doc = "As many values as its name says, neither more nor fewer.";
    MessageType {
        name: name::<T, N>(),
        doc,
        fields: vec![field],
        length: u32::try_from(N).ok(),
        ..MessageType::default()
    }
}

/// Such as `FloatArray3`.
fn name<T: ListItem, const N: usize>() -> String {
    format!("{}Array{N}", shape_name(&Shape::Single(T::item_type())))
}
