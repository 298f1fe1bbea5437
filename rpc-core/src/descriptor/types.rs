//! Messages and their fields as data.

use std::any::TypeId;

/// A message as data.
///
/// Two are the same if they are of one Rust type, whatever their names; those that are of none, if
/// they say the same.
#[derive(Debug, Clone, Default)]
pub struct MessageType {
    /// The Rust type; `None` for what no type of the program is, such as a reply that wraps a number.
    pub id: Option<TypeId>,
    /// Its own name. Where another type has that too, a `.proto` and a description number them.
    pub name: String,
    /// Its name in formats that carry foreign type names; empty if it has none.
    pub class: &'static str,
    /// The type's doc comment.
    pub doc: &'static str,
    /// Its fields in the order of declaration.
    pub fields: Vec<FieldType>,
    /// Whether its fields exclude each other: an enum with data is a message of one `oneof`.
    pub is_oneof: bool,
    /// Of an enum with data: whether it takes variants that it does not know, as of a newer peer.
    pub takes_unknown: bool,
    /// Field numbers that must not be used again.
    pub reserved: Vec<u32>,
    /// Of an array in protobuf: how many values its field has.
    pub length: Option<u32>,
}

impl PartialEq for MessageType {
    fn eq(&self, other: &Self) -> bool {
        match (self.id, other.id) {
            (None, None) => {
                let of = |message: &Self| (message.is_oneof, message.takes_unknown);
                self.name == other.name && self.fields == other.fields && of(self) == of(other)
            }
            (own, others) => own == others,
        }
    }
}

/// A field of a message as data.
#[derive(Debug, Clone)]
pub struct FieldType {
    /// Name in snake case, as a `.proto` writes it.
    pub name: &'static str,
    /// Name in lowerCamelCase, as JSON and msgpack write it.
    pub json_name: &'static str,
    /// The field's doc comment.
    pub doc: &'static str,
    /// Protobuf field number.
    pub tag: u32,
    /// Its type.
    pub shape: fn() -> Shape,
}

impl PartialEq for FieldType {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.tag) == (other.name, other.tag) && (self.shape)() == (other.shape)()
    }
}

/// How often a field's type occurs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Shape {
    /// Exactly one; absent means the default.
    Single(Type),
    /// None or one, and the difference counts.
    Optional(Type),
    /// Any number, in order.
    Repeated(Type),
    /// Keys to values.
    Map(Type, Type),
}

/// A type of a value.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Type {
    /// `bool`
    Bool,
    /// `i8`: protobuf's `int32`
    Int8,
    /// `i16`: protobuf's `int32`
    Int16,
    /// `i32`: protobuf's `int32`
    Int32,
    /// `i64`: protobuf's `int64`
    Int64,
    /// `u8`: protobuf's `uint32`
    Uint8,
    /// `u16`: protobuf's `uint32`
    Uint16,
    /// `u32`: protobuf's `uint32`
    Uint32,
    /// `u64`: protobuf's `uint64`
    Uint64,
    /// `f32`: protobuf's `float`
    Float,
    /// `f64`: protobuf's `double`
    Double,
    /// `String`
    String,
    /// `Vec<u8>` or `Bytes`
    Bytes,
    /// `[u8; N]`, with how many there are: protobuf's `bytes`
    ByteArray(u32),
    /// `std::time::Duration`: protobuf's own `Duration`; in JSON and msgpack a text
    Duration,
    /// `std::time::SystemTime`: protobuf's own `Timestamp`; in JSON and msgpack a text
    Timestamp,
    /// Any JSON value: protobuf's own `Value`; in JSON and msgpack itself
    Json,
    /// A message, by name; the function gives the rest, and may lead back here.
    Message(String, fn() -> MessageType),
    /// An enum without data.
    Enum(EnumType),
    /// A list, map or option in another, by the name of the message of one field that holds it in
    /// protobuf; JSON and msgpack have the value of that field in its place.
    Nested(String, fn() -> MessageType),
    /// A tuple, by the name of the message that holds its values in protobuf; JSON and msgpack have
    /// an array of them in its place.
    Tuple(String, fn() -> MessageType),
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Message(a, message), Self::Message(b, other))
            | (Self::Nested(a, message), Self::Nested(b, other))
            | (Self::Tuple(a, message), Self::Tuple(b, other)) => {
                match (message().id, other().id) {
                    // Not by what they say, which may lead back here.
                    (None, None) => a == b,
                    (own, others) => own == others,
                }
            }
            (Self::Enum(a), Self::Enum(b)) => a == b,
            (Self::ByteArray(length), Self::ByteArray(other)) => length == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// An enum without data. Two are the same as [messages](MessageType) are.
#[derive(Debug, Clone)]
pub struct EnumType {
    /// The Rust type.
    pub id: Option<TypeId>,
    /// Its name.
    pub name: &'static str,
    /// Its name in formats that carry foreign type names; empty if it has none.
    pub class: &'static str,
    /// The type's doc comment.
    pub doc: &'static str,
    /// Its variants; the first has number 0 and is the default.
    pub variants: Vec<VariantType>,
    /// Numbers that must not be used again.
    pub reserved: Vec<u32>,
    /// Whether it takes numbers and names that it does not know, as of a newer peer.
    pub takes_unknown: bool,
}

impl PartialEq for EnumType {
    fn eq(&self, other: &Self) -> bool {
        match (self.id, other.id) {
            (None, None) => self.name == other.name && self.variants == other.variants,
            (own, others) => own == others,
        }
    }
}

impl Eq for EnumType {}

/// A variant of an enum without data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VariantType {
    /// Name on the wire, such as `DARK_GREEN`.
    pub name: &'static str,
    /// Name in Rust, such as `DarkGreen`, which is read too.
    pub rust_name: &'static str,
    /// Its number.
    pub number: i32,
}
