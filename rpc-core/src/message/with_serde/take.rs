//! The list as serde reads it.

use std::fmt;

use bytes::Bytes;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::events::{Events, SerdeEvent};
use crate::codec::{Limits, MAX_DEPTH};
use crate::message::wire::TooDeep;

/// How many lists and maps may be in each other: serde recurses. A message that is not too deep
/// has a list or map in each level at most.
const MOST: usize = 2 * MAX_DEPTH + 2;

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
    events: &mut Events,
    limits: &mut Limits,
) -> Result<(), D::Error> {
    Take { events, limits, levels: MOST }.deserialize(deserializer)
}

struct Take<'a> {
    events: &'a mut Events,
    limits: &'a mut Limits,
    /// How many more lists and maps may be opened.
    levels: usize,
}

impl Take<'_> {
    fn push<E: Error>(self, event: SerdeEvent) -> Result<(), E> {
        self.limits.take(size_of::<SerdeEvent>()).map_err(E::custom)?;
        self.events.push(event);
        Ok(())
    }

    /// What one element of a list or map is read into.
    fn inner(&mut self) -> Take<'_> {
        Take { events: self.events, limits: self.limits, levels: self.levels }
    }

    fn enter<E: Error>(&mut self) -> Result<(), E> {
        self.levels = self.levels.checked_sub(1).ok_or_else(|| E::custom(TooDeep))?;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Take<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Take<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that a message can hold")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.push(SerdeEvent::Null)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.push(SerdeEvent::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.push(SerdeEvent::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.push(SerdeEvent::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.push(SerdeEvent::Uint(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.push(SerdeEvent::F64(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.limits.take(size_of::<SerdeEvent>() + text.len()).map_err(E::custom)?;
        if self.events.push_text(text) {
            Ok(())
        } else {
            Err(E::custom("a text is longer than 4 GiB"))
        }
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.limits.take(size_of::<SerdeEvent>() + bytes.len()).map_err(E::custom)?;
        self.events.push_bytes(Bytes::copy_from_slice(bytes));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.enter()?;
        self.inner().push(SerdeEvent::List(seq.size_hint().unwrap_or(0)))?;
        while seq.next_element_seed(self.inner())?.is_some() {}
        self.push(SerdeEvent::End)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.enter()?;
        self.inner().push(SerdeEvent::Map(map.size_hint().unwrap_or(0)))?;
        while map.next_key_seed(self.inner())?.is_some() {
            map.next_value_seed(self.inner())?;
        }
        self.push(SerdeEvent::End)
    }
}
