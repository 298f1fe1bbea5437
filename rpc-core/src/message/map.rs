//! `HashMap` and `BTreeMap`: entries of key and value, as protobuf has them.

use std::collections::{BTreeMap, HashMap, btree_map, hash_map};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use bytes::BytesMut;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserializer, Serializer};

use super::read::{Merge, twice};
use super::traits::{Field, Value};
use super::wire::{self, DecodeError, Input, WireType, encoded_len_varint, key_len};
use super::write::Written;
use crate::codec::Limits;
use crate::descriptor::Shape;

/// A key of a map: an integer, `bool` or `String`, as protobuf has it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a map in a message",
    label = "not an integer, `bool` or `String`",
    note = "use an integer, `bool` or `String`, or a `Vec` of a message with key and value"
)]
pub trait MapKey: Value + Eq + Hash + Ord + fmt::Display {}

macro_rules! map_keys {
    ($($ty:ty),*) => {$(impl MapKey for $ty {})*};
}

map_keys!(bool, i8, i16, i32, i64, u8, u16, u32, u64, String);

/// The two maps of std, whose interfaces are alike but share no trait.
macro_rules! maps {
    ($($map:ident<K, V $(, $hasher:ident)?> by $entry:ident;)*) => {$(
        impl<K, V $(, $hasher)?> Field for $map<K, V $(, $hasher)?>
        where
            K: MapKey,
            V: Value,
            $($hasher: BuildHasher + Default + Send + Sync + 'static,)?
        {
            #[inline]
            fn nests_within(&self, levels: usize) -> bool {
                !V::IS_MESSAGE || self.values().all(|value| value.nests_within(levels))
            }

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

            fn merge_serde<'de, D: Deserializer<'de>>(
                &mut self,
                deserializer: D,
                limits: &mut Limits,
            ) -> Result<(), D::Error> {
                self.clear();
                deserializer.deserialize_any(MapVisitor {
                    insert: |key: K, value: V| match self.entry(key) {
                        $entry::Entry::Vacant(entry) => { entry.insert(value); None }
                        $entry::Entry::Occupied(entry) => Some(entry.key().to_string()),
                    },
                    entries: PhantomData,
                    limits,
                })
            }

            fn shape() -> Shape {
                Shape::Map(K::value_type(), V::value_type())
            }
        }
    )*};
}

maps! {
    BTreeMap<K, V> by btree_map;
    HashMap<K, V, S> by hash_map;
}

#[inline]
fn entry_len<K: Value, V: Value>(key: &K, value: &V) -> usize {
    key.field_len(1) + value.field_len(2)
}

/// What an entry takes. Maps keep about as much room free as they use.
const fn entry_cost<K: Value, V: Value>() -> usize {
    2 * size_of::<(K, V)>() + K::DEFAULT_HEAP + V::DEFAULT_HEAP
}

fn merge_entry<K: MapKey, V: Value>(input: &mut Input) -> Result<(K, V), DecodeError> {
    input.take(entry_cost::<K, V>())?;
    let (mut key, mut value) = (K::default(), V::default());
    input.entry(|input, tag, wire| match tag {
        1 => key.merge_field(wire, input),
        2 => value.merge_field(wire, input),
        _ => input.skip(tag, wire),
    })?;
    Ok((key, value))
}

/// Hands each entry to a closure, which returns a key that was there already.
struct MapVisitor<'a, K, V, F> {
    insert: F,
    entries: PhantomData<fn(K, V)>,
    limits: &'a mut Limits,
}

impl<'de, K: MapKey, V: Value, F: FnMut(K, V) -> Option<String>> Visitor<'de>
    for MapVisitor<'_, K, V, F>
{
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
            if map.next_key_seed(Merge { value: &mut key, limits: self.limits })?.is_none() {
                return Ok(());
            }
            self.limits.take(entry_cost::<K, V>()).map_err(A::Error::custom)?;
            map.next_value_seed(Merge { value: &mut value, limits: self.limits })?;
            if let Some(key) = (self.insert)(key, value) {
                return Err(twice(&key));
            }
        }
    }
}
