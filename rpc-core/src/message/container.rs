//! `Option`, `Vec`, maps, `Box` and `()`.
//!
//! `None` is left out in every form. Numbers in a `Vec` are packed on write and read packed or
//! not. Nothing is allocated by a count that a peer claims.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use bytes::BytesMut;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserializer, Serializer};

use super::read::{Merge, Positions, merge_record};
use super::record::{self, Record};
use super::traits::{Describe, Element, Field, Value, encode_value, value_len};
use super::wire::{self, DecodeError, Input, WireType, encoded_len_varint, key_len};
use super::write::{RecordWriter, Written};
use crate::descriptor::{MessageType, Shape, Type};

// === impl Option ===

impl<T: Value> Field for Option<T> {
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

    fn merge_serde<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(OptionVisitor(self))
    }

    fn shape() -> Shape {
        Shape::Optional(T::value_type())
    }
}

struct OptionVisitor<'a, T>(&'a mut Option<T>);

impl<'de, T: Value> Visitor<'de> for OptionVisitor<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        *self.0 = None;
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.get_or_insert_default().merge_value(deserializer)
    }
}

// === impl Vec ===

impl<T: Element> Field for Vec<T> {
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

    fn merge_serde<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        self.clear();
        deserializer.deserialize_any(ListVisitor(self))
    }

    fn shape() -> Shape {
        Shape::Repeated(T::value_type())
    }
}

fn packed_len<T: Value>(values: &[T]) -> usize {
    values.iter().map(Value::body_len).sum()
}

struct ListVisitor<'a, T>(&'a mut Vec<T>);

impl<'de, T: Element> Visitor<'de> for ListVisitor<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let mut value = T::default();
            if seq.next_element_seed(Merge(&mut value))?.is_none() {
                return Ok(());
            }
            self.0.push(value);
        }
    }
}

// === impl maps ===

/// A key of a map: an integer, `bool` or `String`, as protobuf has it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a map in a message",
    label = "not an integer, `bool` or `String`",
    note = "use an integer, `bool` or `String`, or a `Vec` of a message with key and value"
)]
pub trait MapKey: Value + Eq + Hash + Ord {}

macro_rules! map_keys {
    ($($ty:ty),*) => {$(impl MapKey for $ty {})*};
}

map_keys!(bool, i8, i16, i32, i64, u8, u16, u32, u64, String);

/// The two maps of std, whose interfaces are alike but share no trait.
macro_rules! maps {
    ($($map:ident<K, V $(, $hasher:ident)?>;)*) => {$(
        impl<K, V $(, $hasher)?> Field for $map<K, V $(, $hasher)?>
        where
            K: MapKey,
            V: Value,
            $($hasher: BuildHasher + Default + Send + Sync + 'static,)?
        {
            #[inline]
            fn field_len(&self, tag: u32) -> usize {
                let entry = |(key, value): (&K, &V)| {
                    let body = entry_len(key, value);
                    key_len(tag) + encoded_len_varint(body as u64) + body
                };
                self.iter().map(entry).sum()
            }

            #[inline]
            fn encode_field(&self, tag: u32, out: &mut BytesMut) {
                for (key, value) in self {
                    wire::put_key(tag, WireType::LengthDelimited, out);
                    wire::put_varint(entry_len(key, value) as u64, out);
                    key.encode_field(1, out);
                    value.encode_field(2, out);
                }
            }

            fn merge_field(&mut self, wire: WireType, input: &mut Input) -> Result<(), DecodeError> {
                wire::expect_wire(WireType::LengthDelimited, wire)?;
                let (key, value) = merge_entry(input)?;
                self.insert(key, value);
                Ok(())
            }

            fn serialize_field<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
                let mut map = serializer.serialize_map(Some(self.len()))?;
                for (key, value) in self {
                    map.serialize_entry(&Written(key), &Written(value))?;
                }
                map.end()
            }

            fn merge_serde<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
                self.clear();
                deserializer.deserialize_any(MapVisitor {
                    insert: |key: K, value: V| drop(self.insert(key, value)),
                    entries: PhantomData,
                })
            }

            fn shape() -> Shape {
                Shape::Map(K::value_type(), V::value_type())
            }
        }
    )*};
}

maps! {
    BTreeMap<K, V>;
    HashMap<K, V, S>;
}

#[inline]
fn entry_len<K: Value, V: Value>(key: &K, value: &V) -> usize {
    key.field_len(1) + value.field_len(2)
}

fn merge_entry<K: MapKey, V: Value>(input: &mut Input) -> Result<(K, V), DecodeError> {
    let (mut key, mut value) = (K::default(), V::default());
    input.entry(|input, tag, wire| match tag {
        1 => key.merge_field(wire, input),
        2 => value.merge_field(wire, input),
        _ => input.skip(tag, wire),
    })?;
    Ok((key, value))
}

/// Hands each entry to a closure.
struct MapVisitor<K, V, F> {
    insert: F,
    entries: PhantomData<fn(K, V)>,
}

impl<'de, K: MapKey, V: Value, F: FnMut(K, V)> Visitor<'de> for MapVisitor<K, V, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        loop {
            let (mut key, mut value) = (K::default(), V::default());
            if map.next_key_seed(Merge(&mut key))?.is_none() {
                return Ok(());
            }
            map.next_value_seed(Merge(&mut value))?;
            (self.insert)(key, value);
        }
    }
}

// === impl Box ===

impl<T: Value> Value for Box<T> {
    const WIRE: WireType = T::WIRE;
    const IS_MESSAGE: bool = T::IS_MESSAGE;

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

    fn merge_value<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        (**self).merge_value(deserializer)
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

    fn merge_named<'de, D: Deserializer<'de>>(&mut self, _: u32, from: D) -> Result<(), D::Error> {
        record::skip_value(from)
    }
}

impl Value for () {
    const IS_MESSAGE: bool = true;

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

    fn merge_value<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        merge_record(self, Positions::Always, deserializer)
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
