//! A result as JSON whose fields stand in the order of declaration, which a map of names forgets.

use std::fmt;

use dubhe::DynamicClient;
use dubhe::describe::{FieldLabel, MessageDescription, ServiceDescription, TypeKind};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// A value, and what is known of its fields. `Display` is JSON in a line.
#[derive(Clone, Copy)]
pub(crate) struct Ordered<'a> {
    service: &'a ServiceDescription,
    /// What its objects are; of a map, what the values are.
    message: Option<&'a MessageDescription>,
    is_map: bool,
    value: &'a Value,
}

impl<'a> Ordered<'a> {
    /// What `method` has answered.
    pub(crate) fn reply(client: &'a DynamicClient, method: &str, value: &'a Value) -> Self {
        let service = client.description();
        let method = service.method(method);
        let message = method.and_then(|method| service.message(&method.reply));
        Self { service, message, is_map: false, value }
    }

    fn of(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.value, self.message) {
            (Value::Array(list), _) => {
                serializer.collect_seq(list.iter().map(|value| self.of(value)))
            }
            (Value::Object(map), _) if self.is_map => {
                let whole = Self { is_map: false, ..*self };
                serializer.collect_map(map.iter().map(|(key, value)| (key, whole.of(value))))
            }
            (Value::Object(object), Some(message)) => {
                let mut map = serializer.serialize_map(Some(object.len()))?;
                for field in &message.fields {
                    let found =
                        [&field.json_name, &field.name].map(|name| object.get_key_value(name));
                    let Some((name, value)) = found.into_iter().flatten().next() else { continue };
                    let is_message = field.value.kind == TypeKind::Message;
                    let message = is_message.then(|| self.service.message(&field.value.name));
                    let is_map = field.label == FieldLabel::Map;
                    let value = Self { message: message.flatten(), is_map, value, ..*self };
                    map.serialize_entry(name, &value)?;
                }
                // A provider of a newer version may have more.
                for (name, value) in object.iter().filter(|(name, _)| message.field(name).is_none())
                {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            (value, _) => value.serialize(serializer),
        }
    }
}

impl fmt::Display for Ordered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
