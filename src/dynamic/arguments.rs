//! Whether arguments given as JSON fit a method, told before anything is sent.
//!
//! Stricter than the wire, where absent means the default and unknown names are skipped: that is
//! for versions that differ, while a person who forgets an argument or mistypes a name wants to
//! know. What does not fit its type is told here too, instead of by a provider that was asked.

use rpc_core::Error;
use rpc_core::codec::MAX_DEPTH;
use serde_json::{Map, Value};

use super::scalar;
use crate::describe::{
    EnumValue, FieldDescription, FieldLabel, MessageDescription, MethodDescription,
    ServiceDescription, TypeDescription, TypeKind, fields,
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
            [Value::Object(only)] if is_whole(message, only) => check.object(message, only),
            list => check.list(message, list),
        },
        other => Err(format!(
            "{path} takes {}, got {}: write a list such as [{other}], or an object",
            takes(message),
            scalar::kind_of(other)
        )),
    }
}

/// The arguments as a list in the order of declaration, which is what a stub sends: balancers that
/// hash find each at its position. `arguments` have been checked.
pub(super) fn in_order(
    service: &ServiceDescription,
    method: &MethodDescription,
    arguments: Value,
) -> Value {
    let message = service.message(&method.arguments).filter(|message| is_list(method, message));
    match (arguments, message) {
        (Value::Null, _) => Value::Array(Vec::new()),
        (Value::Object(object), Some(message)) => list_of(message, object),
        (Value::Array(mut list), Some(message)) if is_named(message, &list) => match list.pop() {
            Some(Value::Object(object)) => list_of(message, object),
            other => other.into_iter().collect(),
        },
        (given, _) => given,
    }
}

/// Whether the fields of `message` are the arguments, rather than those of a message that is the
/// only argument.
fn is_list(method: &MethodDescription, message: &MessageDescription) -> bool {
    match (method.argument_count, message.fields.len()) {
        // The name is the only difference to a message of one field.
        (Some(1), 1) => {
            let name = message.name.trim_end_matches(|c: char| c.is_ascii_digit());
            name.ends_with("Arguments")
        }
        (Some(count), fields) => usize::try_from(count).is_ok_and(|count| count == fields),
        (None, _) => false,
    }
}

/// Whether a list holds nothing but the arguments by their names.
fn is_named(message: &MessageDescription, list: &[Value]) -> bool {
    matches!(list, [Value::Object(only)] if is_whole(message, only))
}

fn list_of(message: &MessageDescription, mut object: Map<String, Value>) -> Value {
    let fields = message.fields.iter();
    let values = fields.map(|field| {
        let value = object.remove(&field.json_name).or_else(|| object.remove(&field.name));
        value.unwrap_or_default()
    });
    let mut values: Vec<Value> = values.collect();
    let given = values.iter().rposition(|value| !value.is_null()).map_or(0, |last| last + 1);
    values.truncate(given);
    Value::Array(values)
}

/// Whether the only element of a list is the message that is the method's only argument, or the
/// arguments by their names.
fn is_whole(message: &MessageDescription, only: &Map<String, Value>) -> bool {
    let takes_object = |field: &FieldDescription| {
        field.label == FieldLabel::Map || field.value.kind == TypeKind::Message
    };
    match &message.fields[..] {
        [first, ..] if takes_object(first) => only.keys().all(|key| message.field(key).is_some()),
        _ => true,
    }
}

struct Check<'a> {
    service: &'a ServiceDescription,
    path: &'a str,
}

impl Check<'_> {
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

    /// Arguments by name.
    fn object(
        &self,
        message: &MessageDescription,
        object: &Map<String, Value>,
    ) -> Result<(), String> {
        self.fields(message, object, "", 0)
    }

    /// The field that must be there and is not.
    fn missing<'m>(
        message: &'m MessageDescription,
        object: &Map<String, Value>,
    ) -> Option<&'m FieldDescription> {
        let is_there = |field: &FieldDescription| {
            object.contains_key(&field.json_name) || object.contains_key(&field.name)
        };
        let mut fields = message.fields.iter();
        fields.find(|field| !message.is_oneof && is_required(field) && !is_there(field))
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
            if *key != field.json_name && object.contains_key(&field.json_name) {
                let name = &field.json_name;
                return Err(format!("`{key}` and `{name}` are the same field: leave one away"));
            }
            let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            self.field(field, value, &at, depth)?;
        }
        let Some(missing) = Self::missing(message, object) else { return Ok(()) };
        let (name, ty) = (&missing.json_name, missing.type_text());
        match at {
            "" => Err(format!("{} takes {}: `{name}` is missing", self.path, takes(message))),
            at => Err(format!("`{at}.{name}` ({ty}) is missing")),
        }
    }

    fn field(
        &self,
        field: &FieldDescription,
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Result<(), String> {
        match (field.label, value) {
            // Null is absent; what must be there is not spared by it.
            (FieldLabel::Optional | FieldLabel::Repeated | FieldLabel::Map, Value::Null) => Ok(()),
            (FieldLabel::Repeated, Value::Array(list)) => {
                list.iter().enumerate().try_for_each(|(index, value)| {
                    self.value(&field.value, value, &format!("{at}[{index}]"), depth)
                })
            }
            (FieldLabel::Map, Value::Object(map)) => map.iter().try_for_each(|(key, value)| {
                let at = format!("{at}[{key:?}]");
                if let Some(of) = &field.key {
                    scalar::check_key(of, key).map_err(|why| format!("`{at}`: the key {why}"))?;
                }
                self.value(&field.value, value, &at, depth)
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
        match (of.kind, value) {
            (TypeKind::Message, Value::Object(object)) => {
                if depth >= MAX_DEPTH {
                    return Err(format!("`{at}` is nested deeper than {MAX_DEPTH} messages"));
                }
                let Some(message) = self.service.message(&of.name) else { return Ok(()) };
                self.fields(message, object, at, depth + 1)
            }
            (TypeKind::Enum, Value::String(_) | Value::Number(_)) => self.variant(of, value, at),
            (TypeKind::Message | TypeKind::Enum, _) => Err(expected(at, of.text(), value)),
            (TypeKind::Unknown, _) => Ok(()),
            _ => scalar::check(of, value).map_err(|why| format!("`{at}`: {why}")),
        }
    }

    /// On the wire an unknown variant reads as the first one; a person has mistyped it.
    fn variant(&self, of: &TypeDescription, value: &Value, at: &str) -> Result<(), String> {
        let Some(described) = self.service.enumeration(&of.name) else { return Ok(()) };
        let of = format!("{} in `{at}`", of.name);
        let Value::String(name) = value else {
            let is_it = |known: &EnumValue| value.as_f64() == Some(f64::from(known.number));
            if described.values.iter().any(is_it) {
                return Ok(());
            }
            let known =
                described.values.iter().map(|known| format!("{} {}", known.number, known.name));
            let known: Vec<String> = known.collect();
            return Err(format!("unknown {of} `{value}`, available: {}", known.join(", ")));
        };
        let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
        if described.values.iter().any(|value| plain(&value.name) == plain(name)) {
            return Ok(());
        }
        let known = described.values.iter().map(|value| value.name.as_str());
        Err(Error::unknown_name(&of, name, known).to_string())
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
    format!("`{at}`: {}", scalar::expected(expected, got))
}
