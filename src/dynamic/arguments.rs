//! Checks JSON arguments against a method before anything is sent.
//!
//! Stricter than the wire, where absent means the default and unknown names are skipped: that is
//! for versions that differ, while a person who forgets an argument or mistypes a name wants to
//! know. A value that does not fit its type is reported here too, without asking a provider.

use std::collections::HashSet;

use rpc_core::Error;
use rpc_core::codec::MAX_DEPTH;
use serde_json::{Map, Value};

use super::place::{ValuePlace, cut};
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
        Value::Null => check.list(message, &[], method.takes_message),
        Value::Object(object) => check.object(message, object),
        Value::Array(list) => check.list(message, list, method.takes_message),
        other => Err(format!(
            "{path} takes {}, got {}: write a list such as [{}], or an object",
            takes(message),
            scalar::kind_of(other),
            cut(&other.to_string())
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
    match (arguments, method.takes_message, service.message(&method.arguments)) {
        (Value::Null, ..) => Value::Array(Vec::new()),
        (Value::Object(object), Some(false), Some(message)) => list_of(message, object),
        (given, ..) => given,
    }
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

struct Check<'a> {
    service: &'a ServiceDescription,
    path: &'a str,
}

impl Check<'_> {
    /// A list holds the message that is the method's only argument, or the arguments by position.
    fn list(
        &self,
        message: &MessageDescription,
        list: &[Value],
        takes_message: Option<bool>,
    ) -> Result<(), String> {
        match (takes_message, list) {
            (Some(true), list) => self.only(message, list),
            (None, [Value::Object(object)]) => self.untold(message, list, object),
            _ => self.positions(message, list),
        }
    }

    /// The message that is the method's only argument.
    fn only(&self, message: &MessageDescription, list: &[Value]) -> Result<(), String> {
        let got = match list {
            [] => return self.object(message, &Map::new()),
            [Value::Object(object)] => return self.object(message, object),
            [other] => scalar::kind_of(other),
            more => format!("{} arguments", more.len()),
        };
        let (path, name) = (self.path, &message.name);
        Err(format!("{path} takes one {name}, alone or in a list, got {got}"))
    }

    /// An object alone in a list, for a provider that is too old to say how it reads that.
    fn untold(
        &self,
        message: &MessageDescription,
        list: &[Value],
        object: &Map<String, Value>,
    ) -> Result<(), String> {
        match (self.object(message, object), self.positions(message, list)) {
            (Ok(()), Ok(())) => Err(format!(
                "{} takes {}: the object in the list may be the first of them or hold them all; \
                 write an object by their names, without a list",
                self.path,
                takes(message)
            )),
            (Ok(()), _) | (_, Ok(())) => Ok(()),
            // Who writes the names of arguments means these.
            (named, _) if object.keys().any(|key| message.field(key).is_some()) => named,
            (_, placed) => placed,
        }
    }

    fn positions(&self, message: &MessageDescription, list: &[Value]) -> Result<(), String> {
        let least = message.fields.iter().rposition(is_required).map_or(0, |last| last + 1);
        let (path, most) = (self.path, message.fields.len());
        if list.len() < least || list.len() > most {
            let takes = takes(message);
            return Err(format!("{path} takes {takes}, got {}", list.len()));
        }
        let pairs = message.fields.iter().zip(list);
        pairs.into_iter().try_for_each(|(field, value)| {
            self.field(field, value, &ValuePlace::Field(&ValuePlace::Whole, &field.json_name), 0)
        })
    }

    /// Arguments by name.
    fn object(
        &self,
        message: &MessageDescription,
        object: &Map<String, Value>,
    ) -> Result<(), String> {
        self.fields(message, object, &ValuePlace::Whole, 0)
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
        at: &ValuePlace<'_>,
        depth: usize,
    ) -> Result<(), String> {
        if message.is_oneof && object.len() != 1 {
            let names = fields(&message.fields);
            let place = if at.is_whole() { self.path.to_owned() } else { at.to_string() };
            return Err(format!("`{place}` takes exactly one of {names}, got {}", object.len()));
        }
        for (key, value) in object {
            let Some(field) = message.field(key) else {
                let of = match at.is_whole() {
                    true => format!("argument of {}", self.path),
                    false => format!("field of `{at}` ({})", message.name),
                };
                let known = message.fields.iter().map(|field| field.json_name.as_str());
                return Err(Error::unknown_name(&of, &cut(key), known).to_string());
            };
            if *key != field.json_name && object.contains_key(&field.json_name) {
                let name = &field.json_name;
                return Err(format!("`{key}` and `{name}` are the same field: leave one away"));
            }
            self.field(field, value, &ValuePlace::Field(at, key), depth)?;
        }
        let Some(missing) = Self::missing(message, object) else { return Ok(()) };
        let (name, ty) = (&missing.json_name, missing.type_text());
        match at.is_whole() {
            true => Err(format!("{} takes {}: `{name}` is missing", self.path, takes(message))),
            false => Err(format!("`{at}.{name}` ({ty}) is missing")),
        }
    }

    fn field(
        &self,
        field: &FieldDescription,
        value: &Value,
        at: &ValuePlace<'_>,
        depth: usize,
    ) -> Result<(), String> {
        match (field.label, value) {
            // Of a provider that is newer than this; it will tell.
            (FieldLabel::Unknown, _) => Ok(()),
            // Null is absent; what must be there is not spared by it.
            (FieldLabel::Optional | FieldLabel::Repeated | FieldLabel::Map, Value::Null) => Ok(()),
            (FieldLabel::Repeated, Value::Array(list)) => {
                list.iter().enumerate().try_for_each(|(index, value)| {
                    self.value(&field.value, value, &ValuePlace::Element(at, index), depth)
                })
            }
            (FieldLabel::Map, Value::Object(map)) => self.entries(field, map, at, depth),
            (FieldLabel::Single | FieldLabel::Optional, value) => {
                self.value(&field.value, value, at, depth)
            }
            (_, other) => Err(expected(at, &field.type_text(), other)),
        }
    }

    fn entries(
        &self,
        field: &FieldDescription,
        map: &Map<String, Value>,
        at: &ValuePlace<'_>,
        depth: usize,
    ) -> Result<(), String> {
        let mut numbers = HashSet::new();
        map.iter().try_for_each(|(key, value)| {
            let at = ValuePlace::Entry(at, key);
            if let Some(of) = field.key.as_ref().filter(|of| of.kind == TypeKind::Enum) {
                self.variant_key(of, key, &at)?;
            } else if let Some(of) = &field.key {
                let number =
                    scalar::check_key(of, key).map_err(|why| format!("`{at}`: the key {why}"))?;
                if number.is_some_and(|number| !numbers.insert(number)) {
                    return Err(format!(
                        "`{at}`: another entry has the same key, spelled differently"
                    ));
                }
            }
            self.value(&field.value, value, &at, depth)
        })
    }

    fn value(
        &self,
        of: &TypeDescription,
        value: &Value,
        at: &ValuePlace<'_>,
        depth: usize,
    ) -> Result<(), String> {
        match (of.kind, value) {
            (TypeKind::Message, Value::Object(object)) => {
                // The arguments themselves are the first.
                if depth + 1 >= MAX_DEPTH {
                    return Err(too_deep(at));
                }
                let Some(message) = self.service.message(&of.name) else { return Ok(()) };
                self.fields(message, object, at, depth + 1)
            }
            (TypeKind::Enum, Value::String(_) | Value::Number(_)) => self.variant(of, value, at),
            (TypeKind::Nested, value) => self.nested(of, value, at, depth),
            (TypeKind::Tuple, Value::Array(list)) => self.tuple(of, list, at, depth),
            (TypeKind::Message | TypeKind::Enum | TypeKind::Tuple, _) => {
                Err(expected(at, of.text(), value))
            }
            (TypeKind::Unknown | TypeKind::Json, _) => Ok(()),
            _ => scalar::check(of, value).map_err(|why| format!("`{at}`: {why}")),
        }
    }

    /// A list, map or option in another.
    fn nested(
        &self,
        of: &TypeDescription,
        value: &Value,
        at: &ValuePlace<'_>,
        depth: usize,
    ) -> Result<(), String> {
        if depth + 1 >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        let message = self.service.message(&of.name);
        let Some(field) = message.and_then(|message| message.fields.first()) else { return Ok(()) };
        self.item(field, value, at, depth + 1)
    }

    /// What stands in a list, map or tuple, where nothing can be left out: `null` is an option's.
    fn item(
        &self,
        field: &FieldDescription,
        value: &Value,
        at: &ValuePlace<'_>,
        depth: usize,
    ) -> Result<(), String> {
        match (field.label, value) {
            (FieldLabel::Repeated | FieldLabel::Map, Value::Null) => {
                Err(expected(at, &field.type_text(), value))
            }
            _ => self.field(field, value, at, depth),
        }
    }

    fn tuple(
        &self,
        of: &TypeDescription,
        list: &[Value],
        at: &ValuePlace<'_>,
        depth: usize,
    ) -> Result<(), String> {
        if depth + 1 >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        let Some(message) = self.service.message(&of.name) else { return Ok(()) };
        let (got, takes) = (list.len(), message.fields.len());
        if got != takes {
            let of = fields(&message.fields);
            return Err(format!("`{at}`: expected a list of {takes} ({of}), got {got}"));
        }
        message.fields.iter().zip(list).enumerate().try_for_each(|(index, (field, value))| {
            self.item(field, value, &ValuePlace::Element(at, index), depth + 1)
        })
    }

    /// A variant as the key of a map, which is text in JSON, also where it is a number.
    fn variant_key(
        &self,
        of: &TypeDescription,
        key: &str,
        at: &ValuePlace<'_>,
    ) -> Result<(), String> {
        let value = key.parse::<i32>().map_or_else(|_| Value::from(key), Value::from);
        self.variant(of, &value, at)
    }

    /// A provider may take what it does not know, as of another version; a person has mistyped it.
    fn variant(
        &self,
        of: &TypeDescription,
        value: &Value,
        at: &ValuePlace<'_>,
    ) -> Result<(), String> {
        let Some(described) = self.service.enumeration(&of.name) else { return Ok(()) };
        let unknown = || format!("{} in `{at}`", of.name);
        let Value::String(name) = value else {
            let is_it = |known: &EnumValue| value.as_f64() == Some(f64::from(known.number));
            if described.values.iter().any(is_it) {
                return Ok(());
            }
            let known =
                described.values.iter().map(|known| format!("{} {}", known.number, known.name));
            let known: Vec<String> = known.collect();
            let (of, known) = (unknown(), known.join(", "));
            return Err(format!("unknown {of} `{value}`, available: {known}"));
        };
        // No other spelling: the provider reads none.
        let is_it = |known: &EnumValue| known.name == *name || known.rust_name == *name;
        if !name.is_empty() && described.values.iter().any(is_it) {
            return Ok(());
        }
        let known = described.values.iter().map(|value| value.name.as_str());
        Err(Error::unknown_name(&unknown(), &cut(name), known).to_string())
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

fn too_deep(at: &ValuePlace<'_>) -> String {
    format!("`{at}` is nested deeper than {MAX_DEPTH} messages")
}

fn expected(at: &ValuePlace<'_>, expected: &str, got: &Value) -> String {
    format!("`{at}`: {}", scalar::expected(expected, got))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::describe::EnumDescription;

    fn field(name: &str, label: FieldLabel, kind: TypeKind, of: &str) -> FieldDescription {
        FieldDescription {
            name: name.to_owned(),
            json_name: name.to_owned(),
            label,
            value: TypeDescription { kind, name: of.to_owned(), ..TypeDescription::default() },
            ..FieldDescription::default()
        }
    }

    /// A service of a provider that tells neither spellings nor what takes a message whole.
    fn older(arguments: Vec<FieldDescription>) -> ServiceDescription {
        let message = |name: &str, fields| MessageDescription {
            name: name.to_owned(),
            fields,
            ..MessageDescription::default()
        };
        let red = EnumValue { name: "RED".to_owned(), ..EnumValue::default() };
        let line = vec![field("x", FieldLabel::Optional, TypeKind::Message, "Line")];
        ServiceDescription {
            messages: vec![message("Arguments", arguments), message("Line", line)],
            enums: vec![EnumDescription {
                name: "Colour".to_owned(),
                values: vec![red],
                ..EnumDescription::default()
            }],
            ..ServiceDescription::default()
        }
    }

    fn checked(service: &ServiceDescription, arguments: &Value) -> Result<(), String> {
        let method =
            MethodDescription { arguments: "Arguments".to_owned(), ..MethodDescription::default() };
        check(service, &method, "S/m", arguments)
    }

    #[test]
    fn an_older_provider_is_sent_an_object_alone_in_a_list_only_if_that_means_one_thing() {
        let line = field("x", FieldLabel::Optional, TypeKind::Message, "Line");
        let number = field("y", FieldLabel::Optional, TypeKind::Uint32, "");
        let service = older(vec![line, number]);
        assert_eq!(checked(&service, &json!([{ "y": 1 }])), Ok(()));
        assert_eq!(checked(&service, &json!([{ "x": { "x": {} } }, 1])), Ok(()));
        let message = checked(&service, &json!([{ "x": {} }])).unwrap_err();
        assert!(message.contains("may be the first of them or hold them all"), "{message}");
        assert_eq!(checked(&service, &json!({ "x": {} })), Ok(()));
        let message = checked(&service, &json!([{ "y": "a" }])).unwrap_err();
        assert_eq!(message, "`y`: expected uint32, got the text \"a\"");
        let message = checked(&service, &json!([{ "z": 1 }])).unwrap_err();
        assert!(message.starts_with("unknown field of `x` (Line) `z`"), "{message}");
    }

    #[test]
    fn an_older_provider_is_sent_a_variant_by_its_name_on_the_wire() {
        let service = older(vec![field("c", FieldLabel::Optional, TypeKind::Enum, "Colour")]);
        assert_eq!(checked(&service, &json!(["RED"])), Ok(()));
        for wrong in ["Red", "red", ""] {
            assert!(checked(&service, &json!([wrong])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_place_of_a_value_costs_nothing_until_it_is_wrong() {
        let key_of = |kind| TypeDescription { kind, ..TypeDescription::default() };
        let map = field("x", FieldLabel::Map, TypeKind::Message, "List");
        let map = FieldDescription { key: Some(key_of(TypeKind::String)), ..map };
        let mut service = older(vec![map]);
        service.messages.push(MessageDescription {
            name: "List".to_owned(),
            fields: vec![field("y", FieldLabel::Repeated, TypeKind::Uint32, "")],
            ..MessageDescription::default()
        });
        let (key, mut list) = ("k".repeat(500_000), vec![json!(1); 200_000]);
        let arguments = json!({ "x": { &key: { "y": list } } });
        let started = tokio::time::Instant::now();
        assert_eq!(checked(&service, &arguments), Ok(()));
        // A hundred gigabytes of places, were they written.
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
        list.push(json!("a"));
        let message = checked(&service, &json!({ "x": { &key: { "y": list } } })).unwrap_err();
        let place = format!("`x[\"{}…\"].y[200000]`: expected uint32", "k".repeat(60));
        assert!(message.starts_with(&place), "{message}");
    }
}
