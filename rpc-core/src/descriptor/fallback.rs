//! The answer in place of a failure: a method's `fallback`, or the empty value of what it returns.
//!
//! A fallback is written by hand, so it is read more strictly than what peers send: a name that
//! the type does not have is an error here, not a field of a newer version.

use std::any::TypeId;

use serde_json::Value as Json;

use super::types::{MessageType, Shape, Type};
use crate::codec::{CodecError, Limits};
use crate::message::generated::read_value_with_serde;
use crate::message::{Field, Reader, Returned};
use crate::reply::Reply;

/// Makes the answer of a fallback in JSON, or the empty value without one; `None` if the type has
/// no empty value.
pub type MakeFallback = fn(Option<&str>) -> Result<Option<Reply>, CodecError>;

/// The [`MakeFallback`] of a method that returns `T`.
///
/// # Errors
/// The fallback is not JSON or does not fit `T`.
pub fn make_fallback<T: Field>(fallback: Option<&str>) -> Result<Option<Reply>, CodecError> {
    match fallback {
        Some(json) => read::<T>(json).map(|value| Some(Reply::new(Returned(value)))),
        None if has_empty_value::<T>() => Ok(Some(Reply::new(Returned(T::absent())))),
        None => Ok(None),
    }
}

/// `()`, `None` and empty collections say "nothing"; 0, "" and empty messages may mean something.
fn has_empty_value<T: Field>() -> bool {
    let is_several = matches!(T::shape(), Shape::Optional(_) | Shape::Repeated(_) | Shape::Map(..));
    is_several || TypeId::of::<T>() == TypeId::of::<()>()
}

fn read<T: Field>(json: &str) -> Result<T, CodecError> {
    let wrong = |error: serde_json::Error| CodecError::new("json", error);
    let tree: Json = serde_json::from_str(json).map_err(wrong)?;
    check_names(&tree, &T::shape())?;
    let mut value = T::absent();
    let limits = &mut Limits::of_depth_alone();
    let read = |reader: &mut dyn Reader, limits: &mut Limits| value.read(reader, limits);
    read_value_with_serde(tree, limits, read).map_err(wrong)?;
    Ok(value)
}

fn check_names(json: &Json, shape: &Shape) -> Result<(), CodecError> {
    match (shape, json) {
        (Shape::Single(of) | Shape::Optional(of), json) => check_value(json, of),
        (Shape::Repeated(of), Json::Array(items)) => {
            items.iter().try_for_each(|item| check_value(item, of))
        }
        (Shape::Map(_, of), Json::Object(entries)) => {
            entries.values().try_for_each(|value| check_value(value, of))
        }
        // The wrong kind altogether: reading it says so.
        (Shape::Repeated(_) | Shape::Map(..), _) => Ok(()),
    }
}

fn check_value(json: &Json, of: &Type) -> Result<(), CodecError> {
    match (of, json) {
        (Type::Message(_, message), Json::Object(fields)) => {
            let message = message();
            fields.iter().try_for_each(|(name, value)| check_field(&message, name, value))
        }
        (Type::Nested(_, message), json) => {
            let fields = message().fields;
            fields.iter().try_for_each(|field| check_names(json, &(field.shape)()))
        }
        (Type::Tuple(_, message), Json::Array(items)) => {
            let fields = message().fields;
            let mut pairs = fields.iter().zip(items);
            pairs.try_for_each(|(field, item)| check_names(item, &(field.shape)()))
        }
        _ => Ok(()),
    }
}

fn check_field(message: &MessageType, name: &str, value: &Json) -> Result<(), CodecError> {
    let mut known = message.fields.iter();
    match known.find(|field| field.json_name == name || field.name == name) {
        Some(field) => check_names(value, &(field.shape)()),
        None => {
            let known: Vec<&str> = message.fields.iter().map(|field| field.json_name).collect();
            let (of, known) = (&message.name, known.join(", "));
            let text = format!("{of} has no field `{}`, available: {known}", name.escape_debug());
            Err(CodecError::new("json", text))
        }
    }
}
