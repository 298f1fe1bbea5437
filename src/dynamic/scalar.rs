//! Whether a JSON value fits a type that is no message and no enum.
//!
//! The reading itself decides: what is refused here is exactly what a provider would refuse. Only
//! the words are this file's.

use rpc_core::__private::Bytes;
use rpc_core::message::Field;
use serde_json::Value;

use crate::describe::{TypeDescription, TypeKind};

/// Whether a value fits an integer, and its range.
macro_rules! integer {
    ($ty:ty, $value:expr) => {
        (fits::<$ty>($value), i128::from(<$ty>::MIN), i128::from(<$ty>::MAX))
    };
}

/// Says what is wrong with `value` where a value of this type is expected.
pub(super) fn check(of: &TypeDescription, value: &Value) -> Result<(), String> {
    let is_number = value.is_number() || value.is_string();
    let fits = match of.kind {
        TypeKind::Bool => value.is_boolean(),
        TypeKind::String => value.is_string(),
        TypeKind::Bytes => match value {
            Value::String(_) if !fits::<Bytes>(value) => {
                return Err(format!("{} is no base64", kind_of(value)));
            }
            value => value.is_string(),
        },
        // Numbers may be written as text, as 64-bit ones are.
        TypeKind::Float => is_number && in_range::<f32>(value)?,
        TypeKind::Double => is_number && in_range::<f64>(value)?,
        _ => is_number && is_whole(of, value)?,
    };
    if fits { Ok(()) } else { Err(expected(of.text(), value)) }
}

/// Says what is wrong with the key of a map, which is text in JSON.
pub(super) fn check_key(of: &TypeDescription, key: &str) -> Result<(), String> {
    let value = Value::String(key.to_owned());
    match of.kind {
        TypeKind::Bool if fits::<bool>(&value) => Ok(()),
        TypeKind::Bool => Err("is neither \"true\" nor \"false\"".to_owned()),
        TypeKind::Unknown => Ok(()),
        _ => check(of, &value).map_err(|why| format!("is wrong: {why}")),
    }
}

fn fits<T: Field>(value: &Value) -> bool {
    T::default().merge_serde(value).is_ok()
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
    if fits {
        return Ok(true);
    }
    let (shown, name) = (plain(value), of.text());
    let Ok(number) = shown.parse::<f64>() else { return Ok(false) };
    if number.fract() != 0.0 {
        return Err(format!("{shown} is no whole number, as {name} is"));
    }
    // The greatest of 64 bits rounds up to the first that is too large.
    if number < least as f64 || number >= most as f64 || shown.parse::<i128>().is_ok() {
        return Err(format!("{shown} does not fit {name}: {least} to {most} are possible"));
    }
    Err(format!("{shown} is not exact: write {name} with digits alone"))
}

/// Whether it is a number at all.
///
/// # Errors
/// It is a number, but too large.
fn in_range<T: Field + Bounded>(value: &Value) -> Result<bool, String> {
    if fits::<T>(value) {
        return Ok(true);
    }
    let shown = plain(value);
    match shown.parse::<f64>() {
        // Rust's own words for what is no number are not those of JSON.
        Ok(number) if shown.contains(|c: char| c.is_ascii_digit()) && !number.is_nan() => {
            Err(format!("{shown} does not fit {}: {} is the most", T::NAME, T::MOST))
        }
        _ => Ok(false),
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

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
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
            let start: String = text.chars().take(40).collect();
            format!("the text {start:?}")
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
