//! A JSON value as a message: what a call without a stub sends and receives.
//!
//! It has serde's form only. The codecs of such calls are `json` alone, so protobuf's form is never
//! asked for. It is read and written to the depth that messages may have, and no deeper.

use std::fmt;

use rpc_core::__private::{Bytes, BytesMut, append_text, erased_serde};
use rpc_core::codec::{Limits, MAX_DEPTH};
use rpc_core::message::{DecodeError, Message, TooDeep};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::{Map, Number, Value};

/// What one allocates for arguments of which nothing is known.
const SIZE_HINT: usize = 128;

/// How deep it nests: room for each message and for a list or map in it.
const MOST: usize = MAX_DEPTH * 2;

/// A JSON value that travels.
#[derive(Debug, Default)]
pub(crate) struct Json(pub(crate) Value);

impl Message for Json {
    fn proto_len(&self) -> usize {
        SIZE_HINT
    }

    fn encode_proto(&self, _: &mut BytesMut) -> Result<(), TooDeep> {
        Ok(())
    }

    fn merge_proto(&mut self, _: Bytes, _: &mut Limits) -> Result<(), DecodeError> {
        Err(DecodeError::new("a call without a stub reads JSON only"))
    }

    /// As a stub's: balancers that hash send both to the same provider. What is no list is the one
    /// argument itself.
    fn argument_text(&self, index: usize, out: &mut String) -> bool {
        if !nests_within(&self.0, MOST) {
            return false;
        }
        match &self.0 {
            Value::Array(list) => list.get(index).is_some_and(|value| append_text(value, out)),
            whole => index == 0 && append_text(whole, out),
        }
    }

    fn as_serialize(&self) -> &dyn erased_serde::Serialize {
        self
    }

    fn merge_serde(
        &mut self,
        deserializer: &mut dyn erased_serde::Deserializer<'_>,
        limits: &mut Limits,
    ) -> Result<(), erased_serde::Error> {
        self.0 = Bounded { levels: MOST, limits }.deserialize(deserializer)?;
        Ok(())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !nests_within(&self.0, MOST) {
            return Err(S::Error::custom("nested too deep"));
        }
        self.0.serialize(serializer)
    }
}

fn nests_within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(list) => {
            levels != 0 && list.iter().all(|value| nests_within(value, levels - 1))
        }
        Value::Object(map) => {
            levels != 0 && map.values().all(|value| nests_within(value, levels - 1))
        }
        _ => true,
    }
}

/// Reads a value that is nested at most this deep, which the codec itself does not count, and takes
/// no more memory than it may.
struct Bounded<'a> {
    levels: usize,
    limits: &'a mut Limits,
}

impl Bounded<'_> {
    /// How deep what a list or map holds may nest.
    fn inner<E: Error>(&self) -> Result<usize, E> {
        self.levels.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.limits.take(value.len()).map_err(E::custom)?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let (levels, limits, mut list) = (self.inner()?, self.limits, Vec::new());
        while let Some(value) = seq.next_element_seed(Bounded { levels, limits })? {
            limits.room(&mut list, || usize::MAX).map_err(A::Error::custom)?;
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (levels, limits, mut map) = (self.inner()?, self.limits, Map::new());
        while let Some(key) = entries.next_key::<String>()? {
            // Maps keep about as much room free as they use.
            let cost = 2 * size_of::<(String, Value)>() + key.len();
            limits.take(cost).map_err(A::Error::custom)?;
            map.insert(key, entries.next_value_seed(Bounded { levels, limits })?);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        let mut json = serde_json::Deserializer::from_str(text);
        json.disable_recursion_limit();
        let mut read = Json::default();
        let mut limits = Limits::default();
        read.merge_serde(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json), &mut limits)
            .map_err(|error| error.to_string())?;
        Ok(read.0)
    }

    #[test]
    fn every_json_value_is_read_as_it_is() {
        let value = json!({ "a": [1, -2, 0.5, "x", true, null], "b": { "c": u64::MAX } });
        assert_eq!(read(&value.to_string()), Ok(value));
    }

    #[test]
    fn the_text_of_an_argument_is_that_of_a_typed_one() {
        let list = Json(json!(["bob", 7, [true, null]]));
        let texts = [0, 1, 2].map(|index| {
            let mut text = String::new();
            assert!(list.argument_text(index, &mut text));
            text
        });
        assert_eq!(texts, ["bob", "7", "[true, null]"]);
        assert!(!list.argument_text(3, &mut String::new()));
    }

    #[test]
    fn arguments_that_are_nested_without_end_are_refused() {
        let nested = |depth: usize| {
            (0..depth).fold(Json(1.into()), |value, _| Json([value.0].into_iter().collect()))
        };
        let written = |json: &Json| serde_json::to_string(json).map_err(|error| error.to_string());
        written(&nested(MOST)).unwrap();
        let deep = nested(MOST + 1);
        assert!(written(&deep).unwrap_err().contains("nested too deep"));
        assert!(!deep.argument_text(0, &mut String::new()));
    }

    #[test]
    fn an_answer_that_is_nested_without_end_is_refused() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            assert!(read(&deep).unwrap_err().contains("nested too deep"));
        }
    }
}
