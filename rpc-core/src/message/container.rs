//! `Option` and `Vec`.
//!
//! `None` is left out in every form. Numbers in a `Vec` are packed on write and read packed or
//! not. Nothing is allocated by a count that a peer claims, and lists pay for their room.

use std::fmt;

use bytes::BytesMut;
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserializer, Serializer};

use super::read::{Merge, make};
use super::traits::{Element, Field, Value, encode_value, value_len};
use super::wire::{self, DecodeError, Input, WireType, encoded_len_varint, key_len};
use super::write::Written;
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
        self.get_or_insert_default().merge_body(input)
    }

    #[inline]
    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn serialize_field<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => value.serialize_value(serializer),
            None => serializer.serialize_none(),
        }
    }

    fn merge_serde<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
        limits: &mut Limits,
    ) -> Result<(), D::Error> {
        deserializer.deserialize_option(OptionVisitor { value: self, limits })
    }

    fn shape() -> Shape {
        Shape::Optional(T::value_type())
    }
}

struct OptionVisitor<'a, T> {
    value: &'a mut Option<T>,
    limits: &'a mut Limits,
}

impl<'de, T: Value> Visitor<'de> for OptionVisitor<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        *self.value = None;
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.value.is_none() {
            make::<T, _>(self.limits)?;
        }
        self.value.get_or_insert_default().merge_value(deserializer, self.limits)
    }
}

// === impl Vec ===

impl<T: Element> Field for Vec<T> {
    #[inline]
    fn nests_within(&self, levels: usize) -> bool {
        // Nobody walks a list of numbers for this.
        !T::IS_MESSAGE || self.iter().all(|value| value.nests_within(levels))
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
            let mut value = T::default();
            value.merge_body(input)?;
            self.push(value);
            Ok(())
        };
        if wire == WireType::LengthDelimited && T::WIRE != WireType::LengthDelimited {
            return input.delimited(one);
        }
        wire::expect_wire(T::WIRE, wire)?;
        one(input)
    }

    fn serialize_field<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.len()))?;
        for value in self {
            seq.serialize_element(&Written(value))?;
        }
        seq.end()
    }

    fn merge_serde<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
        limits: &mut Limits,
    ) -> Result<(), D::Error> {
        self.clear();
        deserializer.deserialize_any(ListVisitor { list: self, limits })
    }

    fn shape() -> Shape {
        Shape::Repeated(T::value_type())
    }
}

fn packed_len<T: Value>(values: &[T]) -> usize {
    values.iter().map(Value::body_len).sum()
}

struct ListVisitor<'a, T> {
    list: &'a mut Vec<T>,
    limits: &'a mut Limits,
}

impl<'de, T: Element> Visitor<'de> for ListVisitor<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { list, limits } = self;
        loop {
            let mut value = T::default();
            if seq.next_element_seed(Merge { value: &mut value, limits })?.is_none() {
                return Ok(());
            }
            make::<T, _>(limits)?;
            // What is left after this one, as far as the format knows.
            let most = || seq.size_hint().map_or(usize::MAX, |left| left.saturating_add(1));
            limits.room(list, most).map_err(A::Error::custom)?;
            list.push(value);
        }
    }
}
