//! `serde_json::Value`: any JSON value as itself in formats with names, protobuf's own `Value` there.
//!
//! Numbers are what protobuf's `Value` has, floats of 64 bits, in every codec alike: whole ones up to
//! 2^53 either way are exact and read as integers, those beyond are not written. Each list and object
//! counts as two messages for depth, as it is two in protobuf.

use bytes::{BufMut, BytesMut};
use serde_json::{Map, Number, Value as Json};

use super::problem::{Problem, Read};
use super::reader::{KeyMut, Reader, ValueKind};
use super::traits::{Element, Value};
use super::unwritable;
use super::wire::{self, DecodeError, Input, TooDeep, WireType, encoded_len_varint};
use super::writer::{At, KeyRef, Writer};
use crate::codec::Limits;
use crate::descriptor::Type;

/// The last whole number up to which floats of 64 bits have every one.
const EXACT: u64 = 1 << 53;

fn is_exact(number: &Number) -> bool {
    match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => number <= EXACT,
        (None, Some(number)) => number.unsigned_abs() <= EXACT,
        (None, None) => true,
    }
}

/// The number that a float is: an integer if it is whole and exact.
fn number(value: f64) -> Read<Json> {
    if value.fract() == 0.0 && value.abs() <= EXACT as f64 {
        return Ok((value as i64).into());
    }
    let number = Number::from_f64(value);
    number
        .map(Json::Number)
        .ok_or_else(|| Problem::new(format_args!("{value} is no number of JSON")))
}

fn fits(value: &Json, levels: usize) -> bool {
    let inner = levels.saturating_sub(2);
    levels != 0
        && match value {
            Json::Number(number) => {
                is_exact(number)
                    || unwritable::note(|| {
                        Problem::new(format_args!(
                            "{number} is not exact as a number of a JSON value, which has 53 bits: \
                             send it as a text"
                        ))
                    })
            }
            Json::Array(list) => levels > 1 && list.iter().all(|value| fits(value, inner)),
            Json::Object(map) => levels > 1 && map.values().all(|value| fits(value, inner)),
            _ => true,
        }
}

/// Length of bytes with their key, which has one byte, and their length.
fn delimited_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

fn put_head(tag: u32, len: usize, out: &mut BytesMut) {
    wire::put_key(tag, WireType::LengthDelimited, out);
    wire::put_varint(len as u64, out);
}

fn entry_len(key: &str, value: &Json) -> usize {
    delimited_len(key.len()) + delimited_len(len(value))
}

fn list_len(list: &[Json]) -> usize {
    list.iter().map(|value| delimited_len(len(value))).sum()
}

fn map_len(map: &Map<String, Json>) -> usize {
    map.iter().map(|(key, value)| delimited_len(entry_len(key, value))).sum()
}

fn len(value: &Json) -> usize {
    match value {
        Json::Null | Json::Bool(_) => 2,
        Json::Number(_) => 9,
        Json::String(text) => delimited_len(text.len()),
        Json::Object(map) => delimited_len(map_len(map)),
        Json::Array(list) => delimited_len(list_len(list)),
    }
}

fn encode(value: &Json, out: &mut BytesMut) {
    match value {
        Json::Null => out.put_slice(&[1 << 3, 0]),
        Json::Bool(value) => out.put_slice(&[4 << 3, u8::from(*value)]),
        Json::Number(number) => {
            wire::put_key(2, WireType::SixtyFourBit, out);
            out.put_f64_le(number.as_f64().unwrap_or_default());
        }
        Json::String(text) => {
            put_head(3, text.len(), out);
            out.put_slice(text.as_bytes());
        }
        Json::Object(map) => {
            put_head(5, map_len(map), out);
            for (key, value) in map {
                put_head(1, entry_len(key, value), out);
                put_head(1, key.len(), out);
                out.put_slice(key.as_bytes());
                put_head(2, len(value), out);
                encode(value, out);
            }
        }
        Json::Array(list) => {
            put_head(6, list_len(list), out);
            for value in list {
                put_head(1, len(value), out);
                encode(value, out);
            }
        }
    }
}

fn merge(value: &mut Json, input: &mut Input<'_>) -> Result<(), DecodeError> {
    input.message(|input, tag, wire| {
        let expected = match tag {
            1 | 4 => WireType::Varint,
            2 => WireType::SixtyFourBit,
            3 | 5 | 6 => WireType::LengthDelimited,
            _ => return input.skip(tag, wire),
        };
        wire::expect_wire(expected, wire)?;
        match tag {
            1 => {
                input.varint()?;
                *value = Json::Null;
            }
            2 => *value = number(f64::from_le_bytes(input.fixed64()?))?,
            3 => {
                let mut text = String::new();
                input.string(&mut text)?;
                *value = Json::String(text);
            }
            4 => *value = Json::Bool(input.varint()? != 0),
            5 => {
                let mut map = Map::new();
                merge_map(&mut map, input)?;
                *value = Json::Object(map);
            }
            _ => {
                let mut list = Vec::new();
                merge_list(&mut list, input)?;
                *value = Json::Array(list);
            }
        }
        Ok(())
    })
}

fn merge_map(map: &mut Map<String, Json>, input: &mut Input<'_>) -> Result<(), DecodeError> {
    input.message(|input, tag, wire| {
        if tag != 1 {
            return input.skip(tag, wire);
        }
        wire::expect_wire(WireType::LengthDelimited, wire)?;
        input.take(ENTRY)?;
        let (mut key, mut value) = (String::new(), Json::Null);
        input.entry(|input, tag, wire| match tag {
            1 => key.merge_value_field(wire, input),
            2 => value.merge_value_field(wire, input),
            _ => input.skip(tag, wire),
        })?;
        map.insert(key, value);
        Ok(())
    })
}

fn merge_list(list: &mut Vec<Json>, input: &mut Input<'_>) -> Result<(), DecodeError> {
    input.message(|input, tag, wire| {
        if tag != 1 {
            return input.skip(tag, wire);
        }
        wire::expect_wire(WireType::LengthDelimited, wire)?;
        input.room(list)?;
        let mut value = Json::Null;
        merge(&mut value, input).map_err(|error| error.at_index(list.len()))?;
        list.push(value);
        Ok(())
    })
}

/// What an entry takes. Maps keep about as much room free as they use.
const ENTRY: usize = 2 * size_of::<(String, Json)>();

fn write_number(number: &Number, writer: &mut dyn Writer, at: At) {
    let small = number.as_i64().map(i32::try_from);
    match small {
        Some(Ok(number)) => writer.i32(at, number),
        // One of 64 bits would be a text in formats that are text.
        Some(Err(_)) | None if writer.is_text() => {
            writer.f64(at, number.as_f64().unwrap_or_default());
        }
        _ => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => writer.u64(at, number),
            (None, Some(number)) => writer.i64(at, number),
            (None, None) => writer.f64(at, number.as_f64().unwrap_or_default()),
        },
    }
}

fn write(value: &Json, writer: &mut dyn Writer, at: At) {
    match value {
        Json::Null => writer.null(at),
        Json::Bool(value) => writer.bool(at, *value),
        Json::Number(number) => write_number(number, writer, at),
        Json::String(text) => writer.str(at, text),
        Json::Array(list) => {
            writer.begin_list(at, list.len());
            list.iter().for_each(|value| write(value, writer, None));
            writer.end_list();
        }
        Json::Object(map) => {
            writer.begin_map(at, map.len());
            for (key, value) in map {
                writer.key(KeyRef::Str(key));
                write(value, writer, None);
            }
            writer.end_map();
        }
    }
}

fn enter(limits: &mut Limits) -> Read {
    if limits.enter() && limits.enter() { Ok(()) } else { Err(TooDeep.into()) }
}

fn leave(limits: &mut Limits) {
    limits.leave();
    limits.leave();
}

fn read(reader: &mut dyn Reader, limits: &mut Limits) -> Read<Json> {
    Ok(match reader.kind()? {
        ValueKind::Null => {
            reader.null()?;
            Json::Null
        }
        ValueKind::Bool => reader.bool()?.into(),
        ValueKind::Unsigned => reader.u64()?.into(),
        ValueKind::Signed => reader.i64()?.into(),
        ValueKind::Float => number(reader.f64()?)?,
        ValueKind::Text => {
            let mut text = String::new();
            text.read_value(reader, limits)?;
            text.into()
        }
        ValueKind::List => {
            enter(limits)?;
            let (mut scope, mut list) = (limits.scope(), Vec::new());
            scope.takes_null = true;
            reader.begin_list(&mut scope)?;
            while reader.next_item(&mut scope)? {
                limits.room(&mut list, || usize::MAX)?;
                let value = read(reader, limits);
                list.push(value.map_err(|problem| problem.at_index(list.len()))?);
            }
            leave(limits);
            list.into()
        }
        ValueKind::Map => {
            enter(limits)?;
            let (mut scope, mut map, mut key) = (limits.scope(), Map::new(), String::new());
            scope.takes_null = true;
            reader.begin_map(&mut scope)?;
            while reader.next_key(&mut scope, KeyMut::Str(&mut key))? {
                limits.take(ENTRY + key.len())?;
                if map.contains_key(&key) {
                    return Err(Problem::twice(&key));
                }
                let value = read(reader, limits).map_err(|problem| problem.at_key(&key))?;
                map.insert(std::mem::take(&mut key), value);
            }
            leave(limits);
            map.into()
        }
        other => return Err(Problem::unexpected("a JSON value", &other)),
    })
}

impl Value for Json {
    const IS_CHECKED: bool = true;
    const TAKES_NULL: bool = true;

    fn empty() -> Self {
        Self::Null
    }

    fn nests_within(&self, levels: usize) -> bool {
        fits(self, levels)
    }

    fn body_len(&self) -> usize {
        len(self)
    }

    fn encode_body(&self, out: &mut BytesMut) {
        encode(self, out);
    }

    fn merge_body(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        merge(self, input)
    }

    fn write_value(&self, writer: &mut dyn Writer, at: At) {
        write(self, writer, at);
    }

    fn read_value(&mut self, reader: &mut dyn Reader, limits: &mut Limits) -> Read {
        *self = read(reader, limits)?;
        Ok(())
    }

    fn value_type() -> Type {
        Type::Json
    }
}

impl Element for Json {}
