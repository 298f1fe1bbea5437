//! A JSON value as a deserializer that notes where it is.

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Number, Value};

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
            Value::Array(list) => {
                let mut elements = Elements { rest: list.into_iter(), next: 0 };
                let read = visitor.visit_seq(&mut elements)?;
                let (taken, left) = (elements.next, elements.rest.len());
                match left {
                    0 => Ok(read),
                    _ => {
                        let told = format!("{} elements do not fit: write {taken}", taken + left);
                        Err(SettingError::wrong(told))
                    }
                }
            }
            Value::Object(map) => visitor.visit_map(Entries::new(map, None)),
            Value::Number(number) => visit_number(&number, visitor),
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
            Value::Object(map) if map.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries::new(map, None)))
            }
            Value::Object(map) => {
                let told =
                    format!("a choice has one name, not {}: write {{ NAME = … }}", map.len());
                Err(SettingError::wrong(told))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    /// What a struct asks for a field that it does not have, and also for one that takes anything.
    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, SettingError> {
        match self.field_of {
            Some(Field { name, known }) if !known.contains(&&*name) => {
                Err(SettingError::unknown(&name, known))
            }
            _ => visitor.visit_unit(),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier
    }
}

fn visit_number<'de, V: Visitor<'de>>(
    number: &Number,
    visitor: V,
) -> Result<V::Value, SettingError> {
    match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => visitor.visit_u64(number),
        (None, Some(number)) => visitor.visit_i64(number),
        (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
    }
}

/// A name in a table: a text, which numbers and truth values are read from where the table is
/// declared to have such keys.
struct Name(String);

impl Name {
    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SettingError> {
        match self.0.parse::<Number>() {
            Ok(number) => visit_number(&number, visitor),
            Err(_) => Err(self.mismatch(&visitor)),
        }
    }

    /// All names are texts, so none is told to leave its quotes out.
    fn mismatch(&self, expected: &dyn Expected) -> SettingError {
        SettingError::invalid_type(Unexpected::Other(&format!("{:?}", self.0)), expected)
    }
}

/// Methods that read a [`Name`] as a number.
macro_rules! deserialize_numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SettingError> {
            self.number(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Name {
    type Error = SettingError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SettingError> {
        visitor.visit_string(self.0)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SettingError> {
        match self.0.parse() {
            Ok(is) => visitor.visit_bool(is),
            Err(_) => Err(self.mismatch(&visitor)),
        }
    }

    deserialize_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SettingError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, SettingError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SettingError> {
        let name: StringDeserializer<SettingError> = self.0.into_deserializer();
        visitor.visit_enum(name)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
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
        let read = seed.deserialize(Name(name.clone())).map_err(|error| error.inside(&name));
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
