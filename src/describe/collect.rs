//! A descriptor, whose types are functions, becomes a description, whose types are names.
//!
//! Bounded, whatever the types are: so many of them, so much of each comment.

use std::collections::HashSet;

use rpc_core::descriptor::{
    EnumType, FieldType, MessageType, MethodDescriptor, ServiceDescriptor, Shape, Type,
};
use rpc_core::{Codec, MethodKind, ServiceKey};

use super::types::{
    CallKind, EnumDescription, EnumValue, FieldDescription, FieldLabel, MessageDescription,
    MethodDescription, ServiceDescription, TypeDescription, TypeKind,
};

/// Most messages and enums of one service; what is beyond them has an unknown type.
const MAX_TYPES: usize = 1000;

/// Longest answer in place of a failure in bytes.
const MAX_STAND_IN: usize = 64 * 1024;

/// Longest comment in characters.
const MAX_DOC: usize = 2000;

/// The description of what is served as `service`.
pub(super) fn collect(
    service: &ServiceKey,
    descriptor: &ServiceDescriptor,
    json: Option<&dyn Codec>,
) -> ServiceDescription {
    let mut types = Types::default();
    let methods = descriptor.methods.iter();
    let methods = methods
        .map(|method| MethodDescription {
            fallback: json.and_then(|json| fallback(method, json)),
            ..types.method(method)
        })
        .collect();
    // Describing a message may find new ones, which go to the end of the list.
    let mut messages = Vec::new();
    while let Some((message, name)) = types.messages.get(messages.len()).cloned() {
        messages.push(types.message(&message, name));
    }
    ServiceDescription {
        service: service.to_string(),
        doc: doc(descriptor.doc),
        methods,
        messages,
        enums: types.enums.iter().map(|(of, name)| enumeration(of, name)).collect(),
    }
}

fn kind(kind: MethodKind) -> CallKind {
    match kind {
        MethodKind::Unary => CallKind::Unary,
        MethodKind::OneWay => CallKind::OneWay,
        MethodKind::ClientStream => CallKind::ClientStream,
        MethodKind::ServerStream => CallKind::ServerStream,
        MethodKind::BidiStream => CallKind::BidiStream,
        _ => CallKind::Unknown,
    }
}

/// The types found so far, each with the name it goes by.
#[derive(Default)]
struct Types {
    messages: Vec<(MessageType, String)>,
    enums: Vec<(EnumType, String)>,
}

impl Types {
    fn method(&mut self, method: &MethodDescriptor) -> MethodDescription {
        let signature = method.signature;
        MethodDescription {
            name: method.name.to_owned(),
            doc: doc(method.doc),
            kind: kind(method.kind),
            is_idempotent: method.idempotent,
            timeout_ms: method.timeout.and_then(|timeout| timeout.as_millis().try_into().ok()),
            retries: method.retries,
            cluster: method.cluster.map(str::to_owned),
            fallback: None,
            arguments: self.message_name((method.arguments)()).unwrap_or_default(),
            reply: self.message_name((method.reply)()).unwrap_or_default(),
            error: method.error.and_then(|error| self.message_name(error())),
            argument_count: signature.and_then(|of| of.arguments.len().try_into().ok()),
            takes_message: signature.map(|of| of.takes_message()),
        }
    }

    fn message(&mut self, message: &MessageType, name: String) -> MessageDescription {
        MessageDescription {
            name,
            doc: doc(message.doc),
            fields: message.fields.iter().map(|field| self.field(field)).collect(),
            is_oneof: message.is_oneof,
            reserved: message.reserved.clone(),
            takes_unknown: message.takes_unknown,
            length: message.length,
        }
    }

    fn field(&mut self, field: &FieldType) -> FieldDescription {
        let (label, key, value) = match (field.shape)() {
            Shape::Single(value) => (FieldLabel::Single, None, Some(value)),
            Shape::Optional(value) => (FieldLabel::Optional, None, Some(value)),
            Shape::Repeated(value) => (FieldLabel::Repeated, None, Some(value)),
            Shape::Map(key, value) => (FieldLabel::Map, Some(key), Some(value)),
            _ => (FieldLabel::Unknown, None, None),
        };
        FieldDescription {
            name: field.name.to_owned(),
            json_name: field.json_name.to_owned(),
            doc: doc(field.doc),
            tag: field.tag,
            label,
            key: key.map(|key| self.type_of(&key)),
            value: value.map(|value| self.type_of(&value)).unwrap_or_default(),
        }
    }

    fn type_of(&mut self, value: &Type) -> TypeDescription {
        let (kind, name) = match value {
            Type::Bool => (TypeKind::Bool, None),
            Type::Int8 | Type::Int16 | Type::Int32 => (TypeKind::Int32, None),
            Type::Int64 => (TypeKind::Int64, None),
            Type::Uint8 | Type::Uint16 | Type::Uint32 => (TypeKind::Uint32, None),
            Type::Uint64 => (TypeKind::Uint64, None),
            Type::Float => (TypeKind::Float, None),
            Type::Double => (TypeKind::Double, None),
            Type::String => (TypeKind::String, None),
            Type::Bytes | Type::ByteArray(_) => (TypeKind::Bytes, None),
            Type::Duration => (TypeKind::Duration, None),
            Type::Timestamp => (TypeKind::Timestamp, None),
            Type::Json => (TypeKind::Json, None),
            Type::Message(_, message) => self.held(TypeKind::Message, message()),
            Type::Nested(_, message) => self.held(TypeKind::Nested, message()),
            Type::Tuple(_, message) => self.held(TypeKind::Tuple, message()),
            Type::Enum(of) => match self.enum_name(of) {
                Some(name) => (TypeKind::Enum, Some(name)),
                None => (TypeKind::Unknown, None),
            },
            _ => (TypeKind::Unknown, None),
        };
        let bits = match value {
            Type::Int8 | Type::Uint8 => 8,
            Type::Int16 | Type::Uint16 => 16,
            _ => 0,
        };
        let length = match value {
            Type::ByteArray(length) => Some(*length),
            _ => None,
        };
        TypeDescription { kind, name: name.unwrap_or_default(), bits, length }
    }

    /// A kind that is told by a message.
    fn held(&mut self, kind: TypeKind, message: MessageType) -> (TypeKind, Option<String>) {
        match self.message_name(message) {
            Some(name) => (kind, Some(name)),
            None => (TypeKind::Unknown, None),
        }
    }

    /// The name of `message`: its own, with a number if another type has that already.
    fn message_name(&mut self, message: MessageType) -> Option<String> {
        if let Some((_, name)) = self.messages.iter().find(|(known, _)| *known == message) {
            return Some(name.clone());
        }
        let name = self.free_name(&message.name)?;
        self.messages.push((message, name.clone()));
        Some(name)
    }

    fn enum_name(&mut self, of: &EnumType) -> Option<String> {
        if let Some((_, name)) = self.enums.iter().find(|(known, _)| known == of) {
            return Some(name.clone());
        }
        let name = self.free_name(of.name)?;
        self.enums.push((of.clone(), name.clone()));
        Some(name)
    }

    fn free_name(&self, own: &str) -> Option<String> {
        if self.messages.len() + self.enums.len() >= MAX_TYPES {
            return None;
        }
        let messages = self.messages.iter().map(|(_, name)| name);
        let used: HashSet<&String> =
            messages.chain(self.enums.iter().map(|(_, name)| name)).collect();
        let numbered = (2..).map(|number| format!("{own}{number}"));
        let mut names = std::iter::once(own.to_owned()).chain(numbered);
        names.find(|name| !used.contains(name))
    }
}

/// The answer in place of a failure as JSON, which dynamic calls are read from.
fn fallback(method: &MethodDescriptor, json: &dyn Codec) -> Option<String> {
    let reply = method.fallback_reply().ok()??;
    let text = String::from_utf8(reply.body.encoded(json).ok()?.to_vec()).ok()?;
    (text.len() <= MAX_STAND_IN).then_some(text)
}

fn enumeration(of: &EnumType, name: &str) -> EnumDescription {
    let values = of.variants.iter();
    EnumDescription {
        name: name.to_owned(),
        doc: doc(of.doc),
        values: values
            .map(|value| EnumValue {
                name: value.name.to_owned(),
                number: value.number,
                rust_name: value.rust_name.to_owned(),
            })
            .collect(),
        takes_unknown: of.takes_unknown,
        reserved: of.reserved.clone(),
    }
}

fn doc(text: &str) -> String {
    text.chars().take(MAX_DOC).collect()
}
