//! A trait as a `.proto`: its types are functions, and get their names here. Two of one name get numbers.

use std::borrow::Cow;

use super::{ProtoField, ProtoFile, ProtoMethod, ProtoType, proto_name};
use crate::descriptor::{EnumType, FieldType, MessageType, ServiceDescriptor, Shape, Type};

/// The file of `service`.
pub(super) fn file(service: &ServiceDescriptor) -> ProtoFile {
    let (package, name) = service.interface.rsplit_once('.').unwrap_or(("", service.interface));
    let mut types = Types { service: proto_name(name), named: Vec::new() };
    let methods = service.methods.iter().map(|method| {
        let error = method.error.map(|error| types.message_name(error()));
        ProtoMethod {
            name: method.name.to_owned(),
            doc: method.doc.to_owned(),
            kind: method.kind,
            is_idempotent: method.idempotent,
            error,
            arguments: types.message_name((method.arguments)()),
            reply: types.message_name((method.reply)()),
        }
    });
    let methods = methods.collect();
    // Telling of a type may find new ones, which go to the end of the list.
    let mut told = Vec::new();
    while let Some((named, name)) = types.named.get(told.len()).cloned() {
        told.push(match named {
            Named::Message(message) => types.message(&message, name),
            Named::Enum(of) => enumeration(&of, name),
        });
    }
    let (package, doc) = (package.to_owned(), service.doc.to_owned());
    ProtoFile { package, service: name.to_owned(), doc, methods, types: told }
}

/// A type that needs a definition.
#[derive(Clone, PartialEq)]
enum Named {
    Message(MessageType),
    Enum(EnumType),
}

struct Types<'a> {
    /// The name that the service is printed by.
    service: Cow<'a, str>,
    /// Every type found so far with the name it is printed by.
    named: Vec<(Named, String)>,
}

impl Types<'_> {
    fn message(&mut self, message: &MessageType, name: String) -> ProtoType {
        ProtoType::Message {
            name,
            doc: message.doc.to_owned(),
            fields: message.fields.iter().map(|field| self.field(field)).collect(),
            is_oneof: message.is_oneof,
            reserved: message.reserved.clone(),
        }
    }

    fn field(&mut self, field: &FieldType) -> ProtoField {
        let shape = (field.shape)();
        let count = match &shape {
            Shape::Single(value)
            | Shape::Optional(value)
            | Shape::Repeated(value)
            | Shape::Map(_, value) => match value {
                Type::ByteArray(count) => Some(*count),
                _ => None,
            },
        };
        let of_bytes = |field: ProtoField| match count {
            Some(count) => field.of_bytes(count),
            None => field,
        };
        let type_text = match shape {
            Shape::Single(value) => self.type_name(&value),
            Shape::Optional(value) => format!("optional {}", self.type_name(&value)),
            Shape::Repeated(value) => format!("repeated {}", self.type_name(&value)),
            Shape::Map(Type::Enum(of), value) => {
                let (key, value) = (self.type_name(&Type::Enum(of)), self.type_name(&value));
                let by = ProtoField::by_variant(field.name, field.doc, field.tag, &key, &value);
                return of_bytes(by);
            }
            Shape::Map(key, value) => {
                let (key, value) = (self.type_name(&key), self.type_name(&value));
                format!("map<{key}, {value}>")
            }
        };
        let (name, doc) = (field.name.to_owned(), field.doc.to_owned());
        of_bytes(ProtoField { name, doc, tag: field.tag, type_text })
    }

    fn type_name(&mut self, value: &Type) -> String {
        let plain = match value {
            Type::Bool => "bool",
            Type::Int8 | Type::Int16 | Type::Int32 => "int32",
            Type::Int64 => "int64",
            Type::Uint8 | Type::Uint16 | Type::Uint32 => "uint32",
            Type::Uint64 => "uint64",
            Type::Float => "float",
            Type::Double => "double",
            Type::String => "string",
            Type::Bytes | Type::ByteArray(_) => "bytes",
            Type::Duration => ProtoFile::DURATION,
            Type::Timestamp => ProtoFile::TIMESTAMP,
            Type::Json => ProtoFile::VALUE,
            Type::Message(_, message) | Type::Nested(_, message) | Type::Tuple(_, message) => {
                return self.message_name(message());
            }
            Type::Enum(of) => {
                let name = self.name_of(of.name, Named::Enum(of.clone()));
                return format!("{name}.Value");
            }
        };
        plain.to_owned()
    }

    fn message_name(&mut self, message: MessageType) -> String {
        let name = message.name.clone();
        self.name_of(&name, Named::Message(message))
    }

    /// The name `named` is printed by: its own, with a number if another type has that already.
    fn name_of(&mut self, own: &str, named: Named) -> String {
        if let Some((_, name)) = self.named.iter().find(|(known, _)| *known == named) {
            return name.clone();
        }
        let mut name = own.to_owned();
        let mut number = 2;
        while name == self.service || self.named.iter().any(|(_, used)| *used == name) {
            name = format!("{own}{number}");
            number += 1;
        }
        self.named.push((named, name.clone()));
        name
    }
}

fn enumeration(of: &EnumType, name: String) -> ProtoType {
    let values = of.variants.iter().map(|value| (value.name.to_owned(), value.number));
    let (doc, reserved) = (of.doc.to_owned(), of.reserved.clone());
    ProtoType::Enum { name, doc, values: values.collect(), reserved }
}
