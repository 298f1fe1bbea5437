//! Whether arguments given as JSON fit a method, told before anything is sent.
//!
//! Stricter than the wire, where absent means the default and unknown names are skipped: that is
//! for versions that differ, while a person who forgets an argument or mistypes a name wants to
//! know. Whether a number fits its type is left to the provider.

use rpc_core::Error;
use rpc_core::codec::MAX_DEPTH;
use serde_json::{Map, Value};

use crate::describe::{
    FieldDescription, FieldLabel, MessageDescription, MethodDescription, ServiceDescription,
    TypeDescription, TypeKind, fields,
};

/// Says what is wrong with the arguments of the call at `path`, and what is expected.
pub(super) fn check(
    service: &ServiceDescription,
    method: &MethodDescription,
    path: &str,
    arguments: &Value,
) -> Result<(), String> {
    let Some(message) = service.message(&method.arguments) else {
        // Left out of the description for its size; the provider will tell.
        return Ok(());
    };
    let check = Check { service, path };
    match arguments {
        Value::Null => check.list(message, &[]),
        Value::Object(object) => check.object(message, object),
        Value::Array(list) => match &list[..] {
            [Value::Object(only)] if check.is_whole(message, only) => check.object(message, only),
            list => check.list(message, list),
        },
        other => Err(format!(
            "{path} takes {}, got {}: write a list such as [{other}], or an object",
            takes(message),
            kind_of(other)
        )),
    }
}

struct Check<'a> {
    service: &'a ServiceDescription,
    path: &'a str,
}

impl Check<'_> {
    /// Whether the only element of a list is the message that is the method's only argument.
    fn is_whole(&self, message: &MessageDescription, only: &Map<String, Value>) -> bool {
        let takes_object = |field: &FieldDescription| {
            field.label == FieldLabel::Map || field.value.kind == TypeKind::Message
        };
        match &message.fields[..] {
            [field] if takes_object(field) => only.keys().all(|key| message.field(key).is_some()),
            [first, _, ..] if takes_object(first) => {
                only.keys().all(|key| message.field(key).is_some())
            }
            _ => true,
        }
    }

    fn list(&self, message: &MessageDescription, list: &[Value]) -> Result<(), String> {
        let least = message.fields.iter().rposition(is_required).map_or(0, |last| last + 1);
        let (path, most) = (self.path, message.fields.len());
        if list.len() < least || list.len() > most {
            let takes = takes(message);
            return Err(format!("{path} takes {takes}, got {}", list.len()));
        }
        let pairs = message.fields.iter().zip(list);
        pairs
            .into_iter()
            .try_for_each(|(field, value)| self.field(field, value, &field.json_name, 0))
    }

    /// Arguments by name: those that must be there are.
    fn object(
        &self,
        message: &MessageDescription,
        object: &Map<String, Value>,
    ) -> Result<(), String> {
        self.fields(message, object, "", 0)?;
        if message.is_oneof {
            return Ok(());
        }
        let is_there = |field: &FieldDescription| {
            object.contains_key(&field.json_name) || object.contains_key(&field.name)
        };
        let missing = message.fields.iter().find(|field| is_required(field) && !is_there(field));
        missing.map_or(Ok(()), |field| {
            let (path, takes, name) = (self.path, takes(message), &field.json_name);
            Err(format!("{path} takes {takes}: `{name}` is missing"))
        })
    }

    fn fields(
        &self,
        message: &MessageDescription,
        object: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Result<(), String> {
        if message.is_oneof && object.len() != 1 {
            let (names, path) = (fields(&message.fields), self.path);
            let place = if at.is_empty() { path } else { at };
            return Err(format!("`{place}` takes exactly one of {names}, got {}", object.len()));
        }
        for (key, value) in object {
            let Some(field) = message.field(key) else {
                let of = match at {
                    "" => format!("argument of {}", self.path),
                    at => format!("field of `{at}` ({})", message.name),
                };
                let known = message.fields.iter().map(|field| field.json_name.as_str());
                return Err(Error::unknown_name(&of, key, known).to_string());
            };
            let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            self.field(field, value, &at, depth)?;
        }
        Ok(())
    }

    fn field(
        &self,
        field: &FieldDescription,
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Result<(), String> {
        match (field.label, value) {
            // Null is absent: the default, or the provider's to refuse.
            (_, Value::Null) => Ok(()),
            (FieldLabel::Repeated, Value::Array(list)) => {
                list.iter().enumerate().try_for_each(|(index, value)| {
                    self.value(&field.value, value, &format!("{at}[{index}]"), depth)
                })
            }
            (FieldLabel::Map, Value::Object(map)) => map.iter().try_for_each(|(key, value)| {
                self.value(&field.value, value, &format!("{at}[{key:?}]"), depth)
            }),
            (FieldLabel::Single | FieldLabel::Optional, value) => {
                self.value(&field.value, value, at, depth)
            }
            (_, other) => Err(expected(at, &field.type_text(), other)),
        }
    }

    fn value(
        &self,
        of: &TypeDescription,
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Result<(), String> {
        let fits = match (of.kind, value) {
            (TypeKind::Message, Value::Object(object)) => {
                if depth >= MAX_DEPTH {
                    return Err(format!("`{at}` is nested deeper than {MAX_DEPTH} messages"));
                }
                let Some(message) = self.service.message(&of.name) else { return Ok(()) };
                return self.fields(message, object, at, depth + 1);
            }
            (TypeKind::Enum, Value::String(name)) => return self.variant(of, name, at),
            (TypeKind::Unknown, _) => true,
            (TypeKind::Bool, value) => value.is_boolean(),
            (TypeKind::String | TypeKind::Bytes, value) => value.is_string(),
            (TypeKind::Message, _) => false,
            // Numbers may be written as text, as 64-bit ones are.
            (_, value) => value.is_number() || value.is_string(),
        };
        if fits { Ok(()) } else { Err(expected(at, of.text(), value)) }
    }

    /// On the wire an unknown variant reads as the first one; a person has mistyped it.
    fn variant(&self, of: &TypeDescription, name: &str, at: &str) -> Result<(), String> {
        let Some(described) = self.service.enumeration(&of.name) else { return Ok(()) };
        let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
        if described.values.iter().any(|value| plain(&value.name) == plain(name)) {
            return Ok(());
        }
        let known = described.values.iter().map(|value| value.name.as_str());
        Err(Error::unknown_name(&format!("{} in `{at}`", of.name), name, known).to_string())
    }
}

fn is_required(field: &FieldDescription) -> bool {
    field.label == FieldLabel::Single
}

/// `2 arguments (sku: string, amount: uint32)`
fn takes(message: &MessageDescription) -> String {
    match message.fields.len() {
        0 => "no arguments".to_owned(),
        1 => format!("1 argument ({})", fields(&message.fields)),
        count => format!("{count} arguments ({})", fields(&message.fields)),
    }
}

fn expected(at: &str, expected: &str, got: &Value) -> String {
    format!("`{at}`: expected {expected}, got {}", kind_of(got))
}

fn kind_of(value: &Value) -> String {
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
