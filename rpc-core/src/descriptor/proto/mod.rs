//! A service as a `.proto`, so that peers in any language can be generated from a trait, or from what a
//! running provider says of itself.
//!
//! Enums stand in a message of their name, `Color.Value`, because protobuf gives the values of
//! top-level enums one common namespace. A service and its methods may have names that no `.proto` can
//! hold; they are changed, and stand in a comment. Names of types and fields are not checked here: the
//! macros take only what is a name in a `.proto`, as does whoever else makes the file.

mod described;
mod names;
mod print;

pub use self::names::proto_name;
use super::ServiceDescriptor;
use crate::method::MethodKind;

/// The `.proto` of one service (proto3); `Display` prints it. Every type has the name it goes by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProtoFile {
    /// Empty for none; as on the wire.
    pub package: String,
    /// Name of the service, as on the wire.
    pub service: String,
    /// Comment of the service.
    pub doc: String,
    /// Its methods.
    pub methods: Vec<ProtoMethod>,
    /// Every type that is used.
    pub types: Vec<ProtoType>,
}

/// A method of a [`ProtoFile`].
#[derive(Debug, Clone, PartialEq)]
pub struct ProtoMethod {
    /// Its name, as on the wire.
    pub name: String,
    /// Its comment.
    pub doc: String,
    /// How many messages go in each direction.
    pub kind: MethodKind,
    /// Whether running it twice does no harm.
    pub is_idempotent: bool,
    /// Name of the message it takes.
    pub arguments: String,
    /// Name of the message it gives.
    pub reply: String,
    /// Name of its typed business error.
    pub error: Option<String>,
}

/// A type of a [`ProtoFile`].
#[derive(Debug, Clone, PartialEq)]
pub enum ProtoType {
    /// A message.
    Message {
        /// Its name.
        name: String,
        /// Its comment.
        doc: String,
        /// Its fields.
        fields: Vec<ProtoField>,
        /// Whether its fields exclude each other.
        is_oneof: bool,
        /// Field numbers that must not be used again.
        reserved: Vec<u32>,
    },
    /// An enum without data.
    Enum {
        /// Its name.
        name: String,
        /// Its comment.
        doc: String,
        /// Names and numbers of its values.
        values: Vec<(String, i32)>,
        /// Numbers that must not be used again.
        reserved: Vec<u32>,
    },
}

/// A field of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct ProtoField {
    /// Its name.
    pub name: String,
    /// Its comment.
    pub doc: String,
    /// Its number.
    pub tag: u32,
    /// Its whole type, such as `repeated Order`.
    pub type_text: String,
}

impl ProtoField {
    /// A map by the variants of the enum `key`. Protobuf takes no enums as keys, but their numbers.
    #[must_use]
    pub fn by_variant(name: &str, doc: &str, tag: u32, key: &str, value: &str) -> Self {
        let said = format!("Its keys are numbers of {key}.");
        let doc = if doc.is_empty() { said } else { format!("{doc}\n\n{said}") };
        Self { name: name.to_owned(), doc, tag, type_text: format!("map<int32, {value}>") }
    }

    /// The same, whose value is, or whose values are, so many bytes: what the type does not say.
    #[must_use]
    pub fn of_bytes(mut self, count: u32) -> Self {
        let is_many = self.type_text.starts_with("repeated ") || self.type_text.starts_with("map<");
        let of = if is_many { "Each value has exactly" } else { "Exactly" };
        let said = format!("{of} {count} bytes.");
        let apart = if self.doc.is_empty() { "" } else { "\n\n" };
        self.doc += &format!("{apart}{said}");
        self
    }
}

impl ServiceDescriptor {
    /// The service and every type it uses, in the language of `.proto` files (proto3).
    #[must_use]
    pub fn to_proto(&self) -> String {
        described::file(self).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::{FieldType, MessageType, MethodDescriptor, Shape, Type};

    fn message(name: &str, fields: Vec<FieldType>) -> MessageType {
        MessageType {
            id: None,
            name: name.to_owned(),
            class: "",
            doc: "",
            fields,
            is_oneof: true,
            takes_unknown: false,
            reserved: vec![4],
            length: None,
        }
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
    fn an_array_of_bytes_says_how_many_there_are() {
        fn key() -> MessageType {
            let fields = vec![
                field("hash", 1, || Shape::Single(Type::ByteArray(32))),
                FieldType { doc: "", ..field("parts", 2, || Shape::Repeated(Type::ByteArray(4))) },
                field("rest", 3, || Shape::Optional(Type::Bytes)),
            ];
            MessageType { is_oneof: false, reserved: Vec::new(), ..message("Key", fields) }
        }
        static METHODS: [MethodDescriptor; 1] = [MethodDescriptor::new("find", key, key)];
        let proto = ServiceDescriptor::new("Keys", &METHODS).to_proto();
        let expected = "message Key {
  // Said of it.
  //\u{20}
  // Exactly 32 bytes.
  bytes hash = 1;
  // Each value has exactly 4 bytes.
  repeated bytes parts = 2;
  // Said of it.
  optional bytes rest = 3;
}
";
        assert!(proto.ends_with(expected), "{proto}");
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
