//! `HashMap` and `BTreeMap`: entries of key and value, as protobuf has them.

use std::collections::{BTreeMap, HashMap, btree_map, hash_map};
use std::hash::{BuildHasher, Hash};

use bytes::BytesMut;

use super::item::{Inner, Item, ListItem, encode_value, value_len};
use super::problem::{Problem, Read};
use super::reader::{KeyMut, ReadScope, Reader};
use super::traits::{Field, Value};
use super::wire::{self, DecodeError, Input, WireType, encoded_len_varint, key_len};
use super::writer::{At, KeyRef, Writer};
use crate::codec::Limits;
use crate::descriptor::Shape;

/// A key of a map: an integer, `bool` or `String`, as protobuf has it, an enum without data, or a
/// newtype of one of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a map in a message",
    label = "not an integer, `bool`, `String` or enum without data",
    note = "use an integer, `bool`, `String`, an enum without data or a newtype of one, or a `Vec` of \
            tuples of key and value"
)]
pub trait MapKey: Value {
    /// Offers it to a writer.
    #[doc(hidden)]
    fn offer_key(&self, writer: &mut dyn Writer);

    /// Its text, for what is said of it.
    #[doc(hidden)]
    fn key_text(&self) -> String;

    /// Reads the next key of a map; `None` at its end.
    #[doc(hidden)]
    fn next_key(
        reader: &mut dyn Reader,
        scope: &mut ReadScope,
        limits: &mut Limits,
    ) -> Read<Option<Self>>;
}

macro_rules! integer_keys {
    ($($ty:ident through $wide:ident as $kind:ident;)*) => {$(
        impl MapKey for $ty {
            #[inline]
            fn offer_key(&self, writer: &mut dyn Writer) {
                writer.key(KeyRef::$kind((*self).into()));
            }

            fn key_text(&self) -> String {
                self.to_string()
            }

            #[inline]
            fn next_key(
                reader: &mut dyn Reader,
                scope: &mut ReadScope,
                _: &mut Limits,
            ) -> Read<Option<Self>> {
                let mut wide: $wide = 0;
                if !reader.next_key(scope, KeyMut::$kind(&mut wide))? {
                    return Ok(None);
                }
                let narrow = Self::try_from(wide);
                narrow.map(Some).map_err(|_| Problem::does_not_fit(wide, stringify!($ty)))
            }
        }
    )*};
}

integer_keys! {
    i8 through i64 as Int;
    i16 through i64 as Int;
    i32 through i64 as Int;
    i64 through i64 as Int;
    u8 through u64 as Uint;
    u16 through u64 as Uint;
    u32 through u64 as Uint;
    u64 through u64 as Uint;
}

impl MapKey for bool {
    #[inline]
    fn offer_key(&self, writer: &mut dyn Writer) {
        writer.key(KeyRef::Bool(*self));
    }

    fn key_text(&self) -> String {
        self.to_string()
    }

    fn next_key(
        reader: &mut dyn Reader,
        scope: &mut ReadScope,
        _: &mut Limits,
    ) -> Read<Option<Self>> {
        let mut key = false;
        Ok(reader.next_key(scope, KeyMut::Bool(&mut key))?.then_some(key))
    }
}

impl MapKey for String {
    #[inline]
    fn offer_key(&self, writer: &mut dyn Writer) {
        writer.key(KeyRef::Str(self));
    }

    fn key_text(&self) -> String {
        self.clone()
    }

    #[inline]
    fn next_key(
        reader: &mut dyn Reader,
        scope: &mut ReadScope,
        limits: &mut Limits,
    ) -> Read<Option<Self>> {
        let mut key = Self::new();
        if !reader.next_key(scope, KeyMut::Str(&mut key))? {
            return Ok(None);
        }
        limits.take(key.len())?;
        Ok(Some(key))
    }
}

/// The two maps of std, whose interfaces are alike but share no trait.
macro_rules! maps {
    ($($map:ident<K: $order:ident $(+ $equal:ident)?, V $(, $hasher:ident)?> by $entry:ident;)*) => {$(
        impl<K, V $(, $hasher)?> Field for $map<K, V $(, $hasher)?>
        where
            K: MapKey + $order $(+ $equal)?,
            V: Item,
            $($hasher: BuildHasher + Default + Send + Sync + 'static,)?
        {
            #[inline]
            fn nests_within(&self, levels: usize) -> bool {
                !V::ITEM_IS_CHECKED || self.values().all(|value| value.item_nests_within(levels))
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
                    encode_of_entry(value, out);
                }
            }

            fn merge_field(&mut self, wire: WireType, input: &mut Input<'_>) -> Result<(), DecodeError> {
                wire::expect_wire(WireType::LengthDelimited, wire)?;
                let (key, value) = merge_entry(input)?;
                self.insert(key, value);
                Ok(())
            }

            fn write(&self, writer: &mut dyn Writer, at: At) {
                writer.begin_map(at, self.len());
                for (key, value) in self {
                    key.offer_key(writer);
                    value.write_item(writer, None);
                }
                writer.end_map();
            }

            fn read(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
                self.clear();
                let mut scope = limits.scope();
                scope.takes_null = V::ITEM_TAKES_NULL;
                reader.begin_map(&mut scope)?;
                $(reserve::<K, V, $hasher>(self, scope.hint, limits);)?
                while let Some(key) = K::next_key(reader, &mut scope, limits)? {
                    limits.take(entry_cost::<K, V>())?;
                    let mut value = V::absent();
                    value.read_item(reader, limits).map_err(|problem| problem.at_key(&key.key_text()))?;
                    match self.entry(key) {
                        $entry::Entry::Vacant(entry) => _ = entry.insert(value),
                        $entry::Entry::Occupied(entry) => {
                            return Err(Problem::twice(&entry.key().key_text()));
                        }
                    }
                }
                Ok(())
            }

            fn shape() -> Shape {
                Shape::Map(K::value_type(), V::item_type())
            }

            #[inline]
            fn absent() -> Self {
                Self::default()
            }
        }

        impl<K, V $(, $hasher)?> Item for $map<K, V $(, $hasher)?>
        where
            K: MapKey + $order $(+ $equal)?,
            V: Item,
            $($hasher: BuildHasher + Default + Send + Sync + 'static,)?
        {
            const IS_ENDLESS: bool = V::IS_ENDLESS;
        }

        impl<K, V $(, $hasher)?> ListItem for $map<K, V $(, $hasher)?>
        where
            K: MapKey + $order $(+ $equal)?,
            V: Item,
            $($hasher: BuildHasher + Default + Send + Sync + 'static,)?
        {}

        impl<K, V $(, $hasher)?> Inner for $map<K, V $(, $hasher)?>
        where
            K: MapKey + $order $(+ $equal)?,
            V: Item,
            $($hasher: BuildHasher + Default + Send + Sync + 'static,)?
        {}
    )*};
}

maps! {
    BTreeMap<K: Ord, V> by btree_map;
    HashMap<K: Hash + Eq, V, S> by hash_map;
}

#[inline]
fn entry_len<K: Value, V: Item>(key: &K, value: &V) -> usize {
    key.field_len(1) + if value.item_is_default() { 0 } else { value_len(value, 2) }
}

#[inline]
fn encode_of_entry<V: Item>(value: &V, out: &mut BytesMut) {
    if !value.item_is_default() {
        encode_value(value, 2, out);
    }
}

/// What an entry takes. Maps keep about as much room free as they use.
const fn entry_cost<K: Value, V: Item>() -> usize {
    2 * size_of::<(K, V)>() + K::DEFAULT_HEAP + V::DEFAULT_HEAP
}

/// Makes room for the entries that are said to come. Each is paid for when it comes.
fn reserve<K: Hash + Eq, V, S: BuildHasher>(
    map: &mut HashMap<K, V, S>,
    hint: usize,
    limits: &Limits,
) {
    map.reserve(limits.affordable(2 * size_of::<(K, V)>(), hint));
}

fn merge_entry<K: MapKey, V: Item>(input: &mut Input<'_>) -> Result<(K, V), DecodeError> {
    input.take(entry_cost::<K, V>())?;
    let (mut key, mut value) = (K::empty(), V::absent());
    input.entry(|input, tag, wire| match tag {
        1 => key.merge_field(wire, input),
        2 => wire::expect_wire(V::ITEM_WIRE, wire).and_then(|()| value.merge_item_body(input)),
        _ => input.skip(tag, wire),
    })?;
    Ok((key, value))
}
