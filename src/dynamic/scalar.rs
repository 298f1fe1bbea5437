//! Whether a JSON value fits a type that is no message and no enum.
//!
//! The reading itself decides: what is refused here is exactly what a provider would refuse. Only
//! the words are this file's.

use std::time::{Duration, SystemTime};

use rpc_core::__private::{Bytes, read_value_with_serde};
use rpc_core::codec::Limits;
use rpc_core::message::Field;
use rpc_core::message::json_mapping::{from_base64, is_number};
use serde_json::Value;

use super::place::cut;
use crate::describe::{TypeDescription, TypeKind};

/// Whether a value fits an integer, and its range.
macro_rules! integer {
    ($ty:ty, $value:expr) => {
        (fits::<$ty>($value), i128::from(<$ty>::MIN), i128::from(<$ty>::MAX))
    };
}

/// Says what is wrong with `value` where a value of this type is expected.
pub(super) fn check(of: &TypeDescription, value: &Value) -> Result<(), String> {
    let fits = match of.kind {
        TypeKind::Bool => value.is_boolean(),
        TypeKind::String => value.is_string(),
        TypeKind::Bytes => match value {
            Value::String(_) if !fits::<Bytes>(value) => {
                return Err(format!("{} is not base64", kind_of(value)));
            }
            Value::String(text) => return counted(of, text),
            _ => false,
        },
        TypeKind::Duration => return time::<Duration>("a duration such as \"1.5s\"", value),
        TypeKind::Timestamp => {
            return time::<SystemTime>("a time such as \"2024-02-29T12:00:00Z\"", value);
        }
        TypeKind::Float => in_range::<f32>(value)?,
        TypeKind::Double => in_range::<f64>(value)?,
        _ => is_whole(of, value)?,
    };
    if fits { Ok(()) } else { Err(expected(of.text(), value)) }
}

/// Says whether a text in base64 holds as many bytes as there must be.
fn counted(of: &TypeDescription, text: &str) -> Result<(), String> {
    let held = from_base64(text).map_or(0, |bytes| bytes.len());
    match of.length {
        Some(length) if usize::try_from(length) != Ok(held) => {
            Err(format!("{length} bytes in base64 were expected, not {held}"))
        }
        _ => Ok(()),
    }
}

/// Says what is wrong with the key of a map, which is text in JSON; gives the number that it is, if
/// it is one, because a number has several texts.
pub(super) fn check_key(of: &TypeDescription, key: &str) -> Result<Option<i128>, String> {
    let value = Value::String(key.to_owned());
    match of.kind {
        TypeKind::Bool if key.parse::<bool>().is_ok() => return Ok(None),
        TypeKind::Bool => return Err("is neither \"true\" nor \"false\"".to_owned()),
        TypeKind::Unknown => return Ok(None),
        _ => check(of, &value).map_err(|why| format!("is wrong: {why}"))?,
    }
    Ok(match of.kind {
        TypeKind::String => None,
        _ => read::<i64>(&value).map(i128::from).or_else(|| read::<u64>(&value).map(i128::from)),
    })
}

fn fits<T: Field>(value: &Value) -> bool {
    read::<T>(value).is_some()
}

fn read<T: Field>(value: &Value) -> Option<T> {
    reading(value).ok()
}

fn reading<T: Field>(value: &Value) -> Result<T, String> {
    let (mut read, limits) = (T::absent(), &mut Limits::of_depth_alone());
    let outcome = read_value_with_serde(value, limits, |reader, limits| read.read(reader, limits));
    outcome.map(|()| read).map_err(|error| error.to_string())
}

/// Says what is wrong with a span or point of time: that it is none, or what reading it says.
fn time<T: Field>(wanted: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::String(_) => reading::<T>(value).map(|_| ()),
        other => Err(expected(wanted, other)),
    }
}

/// Whether it is an integer at all.
///
/// # Errors
/// It is a number, but none of these.
fn is_whole(of: &TypeDescription, value: &Value) -> Result<bool, String> {
    let (fits, least, most) = match (of.kind, of.bits) {
        (TypeKind::Int32, 8) => integer!(i8, value),
        (TypeKind::Int32, 16) => integer!(i16, value),
        (TypeKind::Int32, _) => integer!(i32, value),
        (TypeKind::Int64, _) => integer!(i64, value),
        (TypeKind::Uint32, 8) => integer!(u8, value),
        (TypeKind::Uint32, 16) => integer!(u16, value),
        (TypeKind::Uint32, _) => integer!(u32, value),
        _ => integer!(u64, value),
    };
    if fits && !value.is_null() {
        return Ok(true);
    }
    let Some((shown, number)) = number(value) else { return Ok(false) };
    let name = of.text();
    if number.is_finite() && number.fract() != 0.0 {
        return Err(format!("{shown} is not a whole number, as {name} is"));
    }
    let range = format!("{least} to {most} are possible");
    if number < least as f64 || number > most as f64 || shown.parse::<i128>().is_ok() {
        return Err(format!("{shown} does not fit {name}: {range}"));
    }
    // At the ends of 64 bits a float may be rounded from what fits or from what does not.
    if number == least as f64 || number == most as f64 {
        return Err(format!("{shown} does not fit {name}: {range}, in digits alone"));
    }
    match value.is_string() {
        true => Err(format!("{shown} is not a whole number, as {name} is")),
        false => Err(format!("{shown} is not exact: write {name} with digits alone")),
    }
}

/// A number, or one written as text, as 64-bit ones are, with its text.
fn number(value: &Value) -> Option<(String, f64)> {
    let shown = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) if is_number(text) => text.clone(),
        _ => return None,
    };
    let number = shown.parse().ok()?;
    Some((cut(&shown), number))
}

/// Whether it is a number at all.
///
/// # Errors
/// It is a number, but too large.
fn in_range<T: Field + Bounded>(value: &Value) -> Result<bool, String> {
    // Null reads as the default.
    if !value.is_null() && fits::<T>(value) {
        return Ok(true);
    }
    match number(value) {
        Some((shown, _)) => {
            Err(format!("{shown} does not fit {}: {} is the most", T::NAME, T::MOST))
        }
        None => Ok(false),
    }
}

/// What numbers with a point are called, and how large they may be.
trait Bounded {
    const NAME: &'static str;
    const MOST: &'static str;
}

impl Bounded for f32 {
    const NAME: &'static str = "float";
    const MOST: &'static str = "3.4028235e38";
}

impl Bounded for f64 {
    const NAME: &'static str = "double";
    const MOST: &'static str = "1.7976931348623157e308";
}

/// What was expected and what came.
pub(super) fn expected(expected: &str, got: &Value) -> String {
    format!("expected {expected}, got {}", kind_of(got))
}

/// A value in words, shortened.
pub(super) fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => format!("the number {value}"),
        Value::String(text) => {
            format!("the text {:?}", cut(text))
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
