//! A service as data: its methods, their types and field numbers. Written by the macros, read by
//! stubs, dispatchers, tools and the `.proto` printer.
//!
//! Types are functions, not values, because a descriptor may belong to a generic service and types
//! may refer to themselves.

mod proto;

use std::time::Duration;

use crate::method::MethodKind;

/// What `#[dubhe::service]` knows of a trait.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ServiceDescriptor {
    /// Interface name on the wire, such as `shop.Inventory`.
    pub interface: &'static str,
    /// Group, or the empty string.
    pub group: &'static str,
    /// Version, or the empty string.
    pub version: &'static str,
    /// The trait's doc comment.
    pub doc: &'static str,
    /// Its methods in the order of declaration; a method's place is its index.
    pub methods: &'static [MethodDescriptor],
}

/// What `#[dubhe::service]` knows of a method.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MethodDescriptor {
    /// Name on the wire.
    pub name: &'static str,
    /// The method's doc comment.
    pub doc: &'static str,
    /// Unary or one-way.
    pub kind: MethodKind,
    /// Whether running it twice does no harm.
    pub idempotent: bool,
    /// Timeout from the attribute.
    pub timeout: Option<Duration>,
    /// Retries from the attribute.
    pub retries: Option<u32>,
    /// Name of the cluster policy from the attribute.
    pub cluster: Option<&'static str>,
    /// The answer in place of a failure, as JSON text, for failsafe and failback.
    pub fallback: Option<&'static str>,
    /// The message its arguments form.
    pub arguments: fn() -> MessageType,
    /// The message its reply forms.
    pub reply: fn() -> MessageType,
    /// The typed business error, if it has one.
    pub error: Option<fn() -> MessageType>,
}

impl ServiceDescriptor {
    /// A descriptor without group, version and doc.
    #[must_use]
    pub const fn new(interface: &'static str, methods: &'static [MethodDescriptor]) -> Self {
        Self { interface, group: "", version: "", doc: "", methods }
    }

    /// The same with a group; the empty string means none.
    #[must_use]
    pub const fn group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// The same with a version; the empty string means none.
    #[must_use]
    pub const fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// The same with a doc comment.
    #[must_use]
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }
}

impl MethodDescriptor {
    /// A unary method that is not idempotent and has no settings of its own.
    #[must_use]
    pub const fn new(
        name: &'static str,
        arguments: fn() -> MessageType,
        reply: fn() -> MessageType,
    ) -> Self {
        Self {
            name,
            doc: "",
            kind: MethodKind::Unary,
            idempotent: false,
            timeout: None,
            retries: None,
            cluster: None,
            fallback: None,
            arguments,
            reply,
            error: None,
        }
    }

    /// The same with a doc comment.
    #[must_use]
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// The same of another kind.
    #[must_use]
    pub const fn kind(mut self, kind: MethodKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same, running which twice does no harm.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The same with a timeout.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The same with a number of retries.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// The same with a cluster policy, by name.
    #[must_use]
    pub const fn cluster(mut self, cluster: &'static str) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// The same with an answer in place of a failure, as JSON text.
    #[must_use]
    pub const fn fallback(mut self, fallback: &'static str) -> Self {
        self.fallback = Some(fallback);
        self
    }

    /// The same with a typed business error, or without one.
    #[must_use]
    pub const fn error(mut self, error: Option<fn() -> MessageType>) -> Self {
        self.error = error;
        self
    }
}

/// A message as data.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageType {
    /// Name, unique within a service's `.proto`.
    pub name: String,
    /// The type's doc comment.
    pub doc: &'static str,
    /// Its fields in the order of declaration.
    pub fields: Vec<FieldType>,
    /// Whether its fields exclude each other: an enum with data is a message of one `oneof`.
    pub is_oneof: bool,
    /// Field numbers that must not be used again.
    pub reserved: Vec<u32>,
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
    /// `i8`, `i16`, `i32`: protobuf's `int32`
    Int32,
    /// `i64`: protobuf's `int64`
    Int64,
    /// `u8`, `u16`, `u32`: protobuf's `uint32`
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
    /// A message, by name; the function gives the rest, and may lead back here.
    Message(String, fn() -> MessageType),
    /// An enum without data.
    Enum(EnumType),
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Message(a, _), Self::Message(b, _)) => a == b,
            (Self::Enum(a), Self::Enum(b)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// An enum without data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumType {
    /// Its name.
    pub name: &'static str,
    /// The type's doc comment.
    pub doc: &'static str,
    /// Names and numbers of its variants; the first has number 0 and is the default.
    pub variants: Vec<(&'static str, i32)>,
}
