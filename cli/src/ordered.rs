//! A result as JSON whose fields stand in the order of declaration, which a map of names forgets.

use std::fmt;

use dubhe::DynamicClient;
use dubhe::describe::{
    FieldDescription, FieldLabel, MessageDescription, ServiceDescription, TypeDescription, TypeKind,
};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

/// How often a description may name the type of one value by another; values nest no deeper.
const MAX_NAMES: usize = 64;

/// A value, and what is known of its fields. `Display` is JSON in a line.
#[derive(Clone, Copy)]
pub(crate) struct Ordered<'a> {
    service: &'a ServiceDescription,
    shape: Shape<'a>,
    value: &'a Value,
}

/// What a value is, as far as the order of fields in it depends on it.
#[derive(Clone, Copy)]
enum Shape<'a> {
    Message(&'a MessageDescription),
    /// A list of these, or a map to them.
    Each(&'a TypeDescription),
    Tuple(&'a [FieldDescription]),
    /// Something without fields, or that is not described.
    Other,
}

impl<'a> Shape<'a> {
    fn of_field(service: &'a ServiceDescription, field: &'a FieldDescription) -> Self {
        let mut field = field;
        for _ in 0..MAX_NAMES {
            if matches!(field.label, FieldLabel::Repeated | FieldLabel::Map) {
                return Self::Each(&field.value);
            }
            match Self::of_type(service, &field.value) {
                Ok(shape) => return shape,
                Err(inner) => field = inner,
            }
        }
        Self::Other
    }

    /// What a value of this type is, or the field that holds it in protobuf.
    fn of_type(
        service: &'a ServiceDescription,
        of: &'a TypeDescription,
    ) -> Result<Self, &'a FieldDescription> {
        let Some(message) = service.message(&of.name) else { return Ok(Self::Other) };
        match (of.kind, &message.fields[..]) {
            (TypeKind::Message, _) => Ok(Self::Message(message)),
            (TypeKind::Tuple, fields) => Ok(Self::Tuple(fields)),
            (TypeKind::Nested, [field]) => Err(field),
            _ => Ok(Self::Other),
        }
    }
}

impl<'a> Ordered<'a> {
    /// What `method` has answered.
    pub(crate) fn reply(client: &'a DynamicClient, method: &str, value: &'a Value) -> Self {
        let service = client.description();
        let method = service.method(method);
        let message = method.and_then(|method| service.message(&method.reply));
        Self { service, shape: message.map_or(Shape::Other, Shape::Message), value }
    }

    fn field(self, field: &'a FieldDescription, value: &'a Value) -> Self {
        Self { shape: Shape::of_field(self.service, field), value, ..self }
    }

    fn element(self, of: &'a TypeDescription, value: &'a Value) -> Self {
        let shape = Shape::of_type(self.service, of);
        Self {
            shape: shape.unwrap_or_else(|field| Shape::of_field(self.service, field)),
            value,
            ..self
        }
    }

    fn message<S: Serializer>(
        self,
        message: &'a MessageDescription,
        object: &'a Map<String, Value>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(object.len()))?;
        for field in &message.fields {
            let found = [&field.json_name, &field.name].map(|name| object.get_key_value(name));
            let Some((name, value)) = found.into_iter().flatten().next() else { continue };
            map.serialize_entry(name, &self.field(field, value))?;
        }
        // A provider of a newer version may have more.
        for (name, value) in object.iter().filter(|(name, _)| message.field(name).is_none()) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.shape, self.value) {
            (Shape::Message(message), Value::Object(object)) => {
                self.message(message, object, serializer)
            }
            (Shape::Each(of), Value::Array(list)) => {
                serializer.collect_seq(list.iter().map(|value| self.element(of, value)))
            }
            (Shape::Each(of), Value::Object(map)) => serializer
                .collect_map(map.iter().map(|(key, value)| (key, self.element(of, value)))),
            (Shape::Tuple(fields), Value::Array(list)) if list.len() == fields.len() => serializer
                .collect_seq(fields.iter().zip(list).map(|(of, value)| self.field(of, value))),
            (_, value) => value.serialize(serializer),
        }
    }
}

impl fmt::Display for Ordered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use dubhe::describe::Contract;
    use serde_json::json;

    use super::*;

    fn service(messages: &Value) -> ServiceDescription {
        let text = json!({ "service": "test.Get", "messages": messages }).to_string();
        Contract::parse(&text).unwrap().services.remove(0)
    }

    fn shown(service: &ServiceDescription, value: &Value) -> String {
        let shape = Shape::Message(service.message("Reply").unwrap());
        Ordered { service, shape, value }.to_string()
    }

    fn field(name: &str, label: &str, kind: &str, of: &str) -> Value {
        let value = json!({ "kind": kind, "name": of });
        json!({ "name": name, "jsonName": name, "label": label, "value": value })
    }

    #[test]
    fn fields_stand_in_the_order_of_declaration_however_deep_they_are() {
        let service = service(&json!([
            { "name": "Item", "fields": [
                field("sku", "SINGLE", "STRING", ""), field("amount", "SINGLE", "UINT32", ""),
            ] },
            { "name": "ItemList", "fields": [field("value", "REPEATED", "MESSAGE", "Item")] },
            { "name": "ListToo", "fields": [field("value", "REPEATED", "NESTED", "ItemList")] },
            { "name": "Pair", "fields": [
                field("first", "SINGLE", "STRING", ""), field("second", "SINGLE", "NESTED", "ItemList"),
            ] },
            { "name": "Reply", "fields": [
                field("z", "SINGLE", "MESSAGE", "Item"),
                field("lists", "REPEATED", "NESTED", "ItemList"),
                field("maybe", "OPTIONAL", "NESTED", "ItemList"),
                field("map", "MAP", "NESTED", "ListToo"),
                field("pairs", "REPEATED", "TUPLE", "Pair"),
            ] },
        ]));
        let item = json!({ "amount": 1, "sku": "a" });
        let value = json!({
            "z": item, "lists": [[item], []], "maybe": [item], "map": { "k": [[item], null] },
            "pairs": [["x", [item]]], "further": 1,
        });
        let ordered = r#"{"sku":"a","amount":1}"#;
        let expected = r#"{"z":I,"lists":[[I],[]],"maybe":[I],"map":{"k":[[I],null]},"pairs":[["x",[I]]],"further":1}"#;
        assert_eq!(shown(&service, &value), expected.replace('I', ordered));
    }

    #[test]
    fn a_type_that_is_described_by_itself_ends() {
        let service = service(&json!([
            { "name": "Loop", "fields": [field("value", "SINGLE", "NESTED", "Loop")] },
            { "name": "Reply", "fields": [field("a", "SINGLE", "NESTED", "Loop")] },
        ]));
        let value = json!({ "a": { "b": [1] } });
        assert_eq!(shown(&service, &value), r#"{"a":{"b":[1]}}"#);
    }
}
