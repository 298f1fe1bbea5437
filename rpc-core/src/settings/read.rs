//! A JSON value as a deserializer that notes where it is.

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::SettingError;

/// A value, and the names of the struct it is a field of.
pub(super) struct Node {
    value: Value,
    field_of: Option<Field>,
}

/// A name, and those that its struct has.
struct Field {
    name: String,
    known: &'static [&'static str],
}

impl Node {
    pub(super) fn new(value: Value) -> Self {
        Self { value, field_of: None }
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = SettingError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SettingError> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(is) => visitor.visit_bool(is),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(list) => visitor.visit_seq(Elements { rest: list.into_iter(), next: 0 }),
            Value::Object(map) => visitor.visit_map(Entries::new(map, None)),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SettingError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, SettingError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SettingError> {
        match self.value {
            Value::Object(map) => visitor.visit_map(Entries::new(map, Some(fields))),
            // A struct would take its fields from a list, in their order.
            Value::Array(_) => Err(SettingError::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SettingError> {
        match self.value {
            Value::String(text) => {
                let name: StringDeserializer<SettingError> = text.into_deserializer();
                visitor.visit_enum(name)
            }
            Value::Object(map) => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries::new(map, None)))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    /// What a struct asks for a field that it does not have.
    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, SettingError> {
        match self.field_of {
            Some(Field { name, known }) => Err(SettingError::unknown(&name, known)),
            None => visitor.visit_unit(),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier
    }
}

struct Elements {
    rest: std::vec::IntoIter<Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements {
    type Error = SettingError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, SettingError> {
        let Some(value) = self.rest.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        let read = seed.deserialize(Node::new(value));
        read.map(Some).map_err(|error| error.inside(format!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Entries {
    rest: serde_json::map::IntoIter,
    /// The names that the struct has which is read from them.
    known: Option<&'static [&'static str]>,
    current: Option<(String, Value)>,
}

impl Entries {
    fn new(map: Map<String, Value>, known: Option<&'static [&'static str]>) -> Self {
        Self { rest: map.into_iter(), known, current: None }
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = SettingError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, SettingError> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        let key: StringDeserializer<SettingError> = name.clone().into_deserializer();
        let read = seed.deserialize(key).map_err(|error| error.inside(&name));
        self.current = Some((name, value));
        read.map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, SettingError> {
        let Some((name, value)) = self.current.take() else {
            return Err(SettingError::custom("a value was asked for before its name"));
        };
        let field_of = self.known.map(|known| Field { name: name.clone(), known });
        seed.deserialize(Node { value, field_of }).map_err(|error| error.inside(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}
