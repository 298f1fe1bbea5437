//! Prints a service as a `.proto`, so that peers in any language can be generated from a trait.
//!
//! Enums stand in a message of their name, `Color.Value`, because protobuf gives the values of
//! top-level enums one common namespace. Two types of one name get numbers.

use std::fmt::{self, Write as _};

use super::{EnumType, FieldType, MessageType, ServiceDescriptor, Shape, Type, VariantType};
use crate::method::MethodKind;

impl ServiceDescriptor {
    /// The service and every type it uses, in the language of `.proto` files (proto3).
    #[must_use]
    pub fn to_proto(&self) -> String {
        let (package, name) = self.interface.rsplit_once('.').unwrap_or(("", self.interface));
        let mut printer =
            Printer { out: "syntax = \"proto3\";\n".to_owned(), service: name, types: Vec::new() };
        if !package.is_empty() {
            printer.line(0, format_args!("\npackage {package};"));
        }
        printer.service(self);
        // Printing a type may find new ones, which go to the end of the list.
        let mut next = 0;
        while let Some((named, name)) = printer.types.get(next).cloned() {
            match named {
                Named::Message(message) => printer.message(&message, &name),
                Named::Enum(of) => printer.enumeration(&of, &name),
            }
            next += 1;
        }
        printer.out
    }
}

/// A type that needs a definition.
#[derive(Clone, PartialEq)]
enum Named {
    Message(MessageType),
    Enum(EnumType),
}

struct Printer<'a> {
    out: String,
    service: &'a str,
    /// Every type found so far with the name it is printed by.
    types: Vec<(Named, String)>,
}

impl Printer<'_> {
    fn line(&mut self, indent: usize, text: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{:1$}{text}", "", indent * 2);
    }

    fn doc(&mut self, indent: usize, doc: &str) {
        for line in doc.lines() {
            self.line(indent, format_args!("// {line}"));
        }
    }

    fn service(&mut self, service: &ServiceDescriptor) {
        let name = self.service;
        self.out.push('\n');
        self.doc(0, service.doc);
        self.line(0, format_args!("service {name} {{"));
        for (index, method) in service.methods.iter().enumerate() {
            if index > 0 && !method.doc.is_empty() {
                self.out.push('\n');
            }
            self.doc(1, method.doc);
            if method.kind == MethodKind::OneWay {
                self.line(1, format_args!("// Nobody waits for an answer."));
            }
            if let Some(error) = method.error {
                let error = self.message_name(error());
                self.line(1, format_args!("// Fails with {error} in the status details."));
            }
            let arguments = self.message_name((method.arguments)());
            let reply = self.message_name((method.reply)());
            let idempotent =
                if method.idempotent { " { option idempotency_level = IDEMPOTENT; }" } else { ";" };
            let stream = |streams| if streams { "stream " } else { "" };
            let (name, kind) = (method.name, method.kind);
            let (sent, got) = (stream(kind.streams_request()), stream(kind.streams_reply()));
            self.line(
                1,
                format_args!("rpc {name}({sent}{arguments}) returns ({got}{reply}){idempotent}"),
            );
        }
        self.line(0, format_args!("}}"));
    }

    fn message(&mut self, message: &MessageType, name: &str) {
        self.out.push('\n');
        self.doc(0, message.doc);
        self.line(0, format_args!("message {name} {{"));
        if !message.reserved.is_empty() {
            let reserved: Vec<_> = message.reserved.iter().map(u32::to_string).collect();
            self.line(1, format_args!("reserved {};", reserved.join(", ")));
        }
        if message.is_oneof && !message.fields.is_empty() {
            let mut group = "kind".to_owned();
            while message.fields.iter().any(|field| field.name == group) {
                group.push('_');
            }
            self.line(1, format_args!("oneof {group} {{"));
            self.fields(2, &message.fields);
            self.line(1, format_args!("}}"));
        } else {
            self.fields(1, &message.fields);
        }
        self.line(0, format_args!("}}"));
    }

    fn fields(&mut self, indent: usize, fields: &[FieldType]) {
        for field in fields {
            self.doc(indent, field.doc);
            let kind = match (field.shape)() {
                Shape::Single(value) => self.type_name(&value),
                Shape::Optional(value) => format!("optional {}", self.type_name(&value)),
                Shape::Repeated(value) => format!("repeated {}", self.type_name(&value)),
                Shape::Map(key, value) => {
                    let (key, value) = (self.type_name(&key), self.type_name(&value));
                    format!("map<{key}, {value}>")
                }
            };
            self.line(indent, format_args!("{kind} {} = {};", field.name, field.tag));
        }
    }

    fn enumeration(&mut self, of: &EnumType, name: &str) {
        self.out.push('\n');
        self.doc(0, of.doc);
        self.line(0, format_args!("message {name} {{"));
        self.line(1, format_args!("enum Value {{"));
        for VariantType { name, number, .. } in &of.variants {
            self.line(2, format_args!("{name} = {number};"));
        }
        self.line(1, format_args!("}}"));
        self.line(0, format_args!("}}"));
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
            Type::Bytes => "bytes",
            Type::Message(_, message) => return self.message_name(message()),
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
        if let Some((_, name)) = self.types.iter().find(|(known, _)| *known == named) {
            return name.clone();
        }
        let mut name = own.to_owned();
        let mut number = 2;
        while name == self.service || self.types.iter().any(|(_, used)| *used == name) {
            name = format!("{own}{number}");
            number += 1;
        }
        self.types.push((named, name.clone()));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::MethodDescriptor;

    fn message(name: &str, fields: Vec<FieldType>) -> MessageType {
        MessageType { name: name.to_owned(), doc: "", fields, is_oneof: true, reserved: vec![4] }
    }

    fn field(name: &'static str, tag: u32, shape: fn() -> Shape) -> FieldType {
        FieldType { name, json_name: name, doc: "Said of it.", tag, shape }
    }

    fn order() -> MessageType {
        message("Order", vec![field("kind", 1, || Shape::Single(Type::Bool))])
    }

    fn other_order() -> MessageType {
        let itself = || Shape::Single(Type::Message("Order".to_owned(), other_order));
        message("Order", vec![field("itself", 3, itself)])
    }

    #[test]
    fn two_types_of_one_name_are_told_apart_and_may_hold_themselves() {
        static METHODS: [MethodDescriptor; 1] =
            [MethodDescriptor::new("place", order, other_order).idempotent()];
        let service = ServiceDescriptor::new("Order", &METHODS);
        let expected = "syntax = \"proto3\";

service Order {
  rpc place(Order2) returns (Order3) { option idempotency_level = IDEMPOTENT; }
}

message Order2 {
  reserved 4;
  oneof kind_ {
    // Said of it.
    bool kind = 1;
  }
}

message Order3 {
  reserved 4;
  oneof kind {
    // Said of it.
    Order3 itself = 3;
  }
}
";
        assert_eq!(service.to_proto(), expected);
    }
}
