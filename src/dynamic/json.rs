//! A JSON value as a message: what a call without a stub sends and receives.
//!
//! The codecs of such calls are `json` alone, so protobuf's form is never asked for. It is read and
//! written to the depth that messages may have, and no deeper.

use rpc_core::__private::{Bytes, BytesMut, append_text};
use rpc_core::codec::{Limits, MAX_DEPTH};
use rpc_core::message::{
    DecodeError, KeyMut, KeyRef, Message, Problem, Read, ReadScope, Reader, ValueKind, Writer,
};
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

    fn encode_proto(&self, _: &mut BytesMut) -> Read {
        Ok(())
    }

    fn merge_proto(&mut self, _: Bytes, _: &mut Limits) -> Result<(), DecodeError> {
        Err(DecodeError::new("a call without a stub reads JSON only"))
    }

    /// As a stub's: balancers that hash send both to the same provider. What is not a list is the one
    /// argument itself.
    fn argument_text(&self, index: usize, out: &mut String) -> bool {
        let (argument, levels) = match &self.0 {
            Value::Array(list) => (list.get(index), MOST - 1),
            whole => (Some(whole).filter(|_| index == 0), MOST),
        };
        argument.is_some_and(|value| append_text(out, |writer| write(value, writer, levels)))
    }

    fn write(&self, writer: &mut dyn Writer) {
        write(&self.0, writer, MOST);
    }

    fn read(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        self.0 = read(reader, limits, MOST)?;
        Ok(())
    }
}

fn too_deep() -> Problem {
    Problem::new("nested too deep")
}

/// Offers a value that nests at most `levels` deep to a writer.
fn write(value: &Value, writer: &mut dyn Writer, levels: usize) {
    match value {
        Value::Null => writer.null(None),
        Value::Bool(value) => writer.bool(None, *value),
        Value::Number(number) => write_number(number, writer),
        Value::String(text) => writer.str(None, text),
        Value::Array(_) | Value::Object(_) if levels == 0 => writer.fail(too_deep()),
        Value::Array(list) => {
            writer.begin_list(None, list.len());
            list.iter().for_each(|value| write(value, writer, levels - 1));
            writer.end_list();
        }
        Value::Object(map) => {
            writer.begin_map(None, map.len());
            for (key, value) in map {
                writer.key(KeyRef::Str(key));
                write(value, writer, levels - 1);
            }
            writer.end_map();
        }
    }
}

/// In the least width: a number of 64 bits is a text in JSON, which the number of an enum's
/// variant must not be.
fn write_number(number: &Number, writer: &mut dyn Writer) {
    if let Some(value) = number.as_i64() {
        match i32::try_from(value) {
            Ok(value) => writer.i32(None, value),
            Err(_) => writer.i64(None, value),
        }
    } else if let Some(value) = number.as_u64() {
        writer.u64(None, value);
    } else {
        writer.f64(None, number.as_f64().unwrap_or(f64::NAN));
    }
}

/// Reads a value that nests at most `levels` deep, which the codec itself does not count, and takes
/// no more memory than it may.
fn read(reader: &mut dyn Reader, limits: &mut Limits, levels: usize) -> Read<Value> {
    Ok(match reader.kind()? {
        ValueKind::Null => {
            reader.null()?;
            Value::Null
        }
        ValueKind::Bool => reader.bool()?.into(),
        ValueKind::Unsigned => reader.u64()?.into(),
        ValueKind::Signed => reader.i64()?.into(),
        ValueKind::Float => Number::from_f64(reader.f64()?).map_or(Value::Null, Value::Number),
        ValueKind::Text => {
            let mut text = String::new();
            reader.string(&mut text)?;
            limits.take(text.len())?;
            text.into()
        }
        ValueKind::List => {
            let levels = levels.checked_sub(1).ok_or_else(too_deep)?;
            let (mut scope, mut list) = (ReadScope::new(levels), Vec::new());
            scope.takes_null = true;
            reader.begin_list(&mut scope)?;
            while reader.next_item(&mut scope)? {
                limits.room(&mut list, || usize::MAX)?;
                list.push(read(reader, limits, levels)?);
            }
            list.into()
        }
        ValueKind::Map => {
            let levels = levels.checked_sub(1).ok_or_else(too_deep)?;
            let (mut scope, mut map, mut key) = (ReadScope::new(levels), Map::new(), String::new());
            scope.takes_null = true;
            reader.begin_map(&mut scope)?;
            while reader.next_key(&mut scope, KeyMut::Str(&mut key))? {
                // Maps keep about as much room free as they use.
                limits.take(2 * size_of::<(String, Value)>() + key.len())?;
                map.insert(std::mem::take(&mut key), read(reader, limits, levels)?);
            }
            map.into()
        }
        other => return Err(Problem::unexpected("a JSON value", &other)),
    })
}

#[cfg(test)]
mod tests {
    use rpc_core::Codecs;
    use serde_json::json;

    use super::*;
    use crate::Extensions;

    fn codec() -> Codecs {
        Extensions::default().codecs("json").unwrap()
    }

    fn read(text: &str) -> Result<Value, String> {
        let (mut read, bytes) = (Json::default(), Bytes::copy_from_slice(text.as_bytes()));
        let decoded = codec().first().decode(bytes, &mut read, &mut Limits::default());
        decoded.map_err(|error| error.to_string())?;
        Ok(read.0)
    }

    fn written(json: &Json) -> Result<String, String> {
        let mut buf = BytesMut::new();
        codec().first().encode(json, &mut buf).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&buf).into_owned())
    }

    #[test]
    fn numbers_are_written_so_that_any_type_reads_them() {
        let list = json!([1, -1, 0.5, 5_000_000_000_u64, i64::MIN, u64::MAX]);
        let text = r#"[1,-1,0.5,"5000000000","-9223372036854775808","18446744073709551615"]"#;
        assert_eq!(written(&Json(list)).unwrap(), text);
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
