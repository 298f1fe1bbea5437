//! The list as serde writes it.

use std::cell::Cell;

use base64::Engine as _;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::events::{Events, SerdeEvent};
use crate::message::json_mapping::{BASE64, float_word};

pub(super) fn serialize<S: Serializer>(events: &Events, serializer: S) -> Result<S::Ok, S::Error> {
    Next { events, at: &Cell::new(0) }.serialize(serializer)
}

/// The value that is next. Serde takes values by shared reference, so the place is a cell.
struct Next<'a> {
    events: &'a Events,
    at: &'a Cell<usize>,
}

impl Next<'_> {
    fn peek(&self) -> SerdeEvent {
        self.events.at(self.at.get())
    }

    fn pass(&self) {
        self.at.set(self.at.get() + 1);
    }
}

impl Serialize for Next<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_text = serializer.is_human_readable();
        let event = self.peek();
        self.pass();
        match event {
            SerdeEvent::Null | SerdeEvent::End => serializer.serialize_none(),
            SerdeEvent::Bool(value) => serializer.serialize_bool(value),
            // JavaScript would round them as numbers.
            SerdeEvent::Int64(value) if is_text => serializer.collect_str(&value),
            SerdeEvent::Uint64(value) if is_text => serializer.collect_str(&value),
            SerdeEvent::Int(value) | SerdeEvent::Int64(value) => serializer.serialize_i64(value),
            SerdeEvent::Uint(value) | SerdeEvent::Uint64(value) => serializer.serialize_u64(value),
            SerdeEvent::F32(value) => match float_word(value.into()) {
                Some(word) if is_text => serializer.serialize_str(word),
                _ => serializer.serialize_f32(value),
            },
            SerdeEvent::F64(value) => match float_word(value) {
                Some(word) if is_text => serializer.serialize_str(word),
                _ => serializer.serialize_f64(value),
            },
            SerdeEvent::Text(start, len) => serializer.serialize_str(self.events.text(start, len)),
            SerdeEvent::Bytes(index) if is_text => {
                serializer.serialize_str(&BASE64.encode(self.events.bytes(index)))
            }
            SerdeEvent::Bytes(index) => serializer.serialize_bytes(self.events.bytes(index)),
            SerdeEvent::Name(name) => serializer.serialize_str(name),
            SerdeEvent::Variant(of, number) => serializer.serialize_str(of.name_of(number)),
            SerdeEvent::List(len) => {
                let mut list = serializer.serialize_seq(Some(len))?;
                while !matches!(self.peek(), SerdeEvent::End) {
                    list.serialize_element(self)?;
                }
                self.pass();
                list.end()
            }
            SerdeEvent::Map(len) => {
                let mut map = serializer.serialize_map(Some(len))?;
                while !matches!(self.peek(), SerdeEvent::End) {
                    map.serialize_entry(self, self)?;
                }
                self.pass();
                map.end()
            }
        }
    }
}
