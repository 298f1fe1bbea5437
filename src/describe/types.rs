//! The messages of a description. They follow protobuf's notions, which every codec shares.

use std::fmt::Write as _;

use rpc_core::MethodKind;
use rpc_macros::message;

/// A service with everything one must know to call it.
#[message(crate = crate)]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServiceDescription {
    /// The whole key, `[group/]interface[:version]`.
    pub service: String,
    /// The trait's doc comment.
    pub doc: String,
    /// Its methods, in the order of declaration.
    pub methods: Vec<MethodDescription>,
    /// Every message that is used, by a name that is unique here.
    pub messages: Vec<MessageDescription>,
    /// Every enum without data that is used, by a name that is unique here.
    pub enums: Vec<EnumDescription>,
}

/// A method.
#[message(crate = crate)]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MethodDescription {
    /// Name on the wire.
    pub name: String,
    /// The method's doc comment.
    pub doc: String,
    /// How many messages go in each direction.
    pub kind: CallKind,
    /// Whether running it twice does no harm.
    pub is_idempotent: bool,
    /// Timeout from the attribute, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Retries from the attribute.
    pub retries: Option<u32>,
    /// Cluster policy from the attribute.
    pub cluster: Option<String>,
    /// The answer in place of a failure, as JSON, for policies that need one.
    pub fallback: Option<String>,
    /// Name of the message that its arguments form.
    pub arguments: String,
    /// Name of the message that its result forms.
    pub reply: String,
    /// Name of its typed business error.
    pub error: Option<String>,
    /// How many arguments it has; absent where the provider is older than this field.
    pub argument_count: Option<u32>,
    /// Whether its only argument is the message `arguments` itself, instead of a field of it;
    /// absent if the provider is too old to say.
    pub takes_message: Option<bool>,
}

/// The present limit on the calls of a method at an instance.
#[message(crate = crate)]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateDescription {
    /// Name of the method on the wire.
    pub method: String,
    /// The state of its gate.
    pub state: GateKind,
    /// The most calls that may run at a time; absent while there is no limit.
    pub limit: Option<u32>,
}

/// The states of a gate.
#[message(crate = crate)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GateKind {
    /// Something that this version does not know.
    #[rpc(other)]
    Unknown,
    /// The method has none, by `provider.gate = "off"` or because it streams or is one-way.
    Open,
    /// It watches.
    Off,
    /// It tries whether a limit helps.
    Trial,
    /// It limits.
    On,
}

/// How many messages the calls of a method have in each direction.
#[message(crate = crate)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallKind {
    /// One request, one answer.
    Unary,
    /// One request, no answer.
    OneWay,
    /// Many requests, one answer.
    ClientStream,
    /// One request, many answers.
    ServerStream,
    /// Many requests, many answers, at the same time.
    BidiStream,
    /// One that this version does not know.
    #[rpc(other)]
    Unknown,
}

/// A message.
#[message(crate = crate)]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MessageDescription {
    /// Its name.
    pub name: String,
    /// The type's doc comment.
    pub doc: String,
    /// Its fields, in the order of declaration.
    pub fields: Vec<FieldDescription>,
    /// Whether its fields exclude each other: an enum with data.
    pub is_oneof: bool,
    /// Field numbers that must not be used again.
    pub reserved: Vec<u32>,
    /// Of an enum with data: whether it takes variants that it does not know.
    pub takes_unknown: bool,
    /// Of the message that holds an array in protobuf: how many values its field has.
    pub length: Option<u32>,
}

/// A field of a message, or an argument.
#[message(crate = crate)]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FieldDescription {
    /// Name in snake case, as a `.proto` writes it.
    pub name: String,
    /// Name in lowerCamelCase, as JSON writes it.
    pub json_name: String,
    /// The field's doc comment.
    pub doc: String,
    /// Protobuf field number.
    pub tag: u32,
    /// How often its type occurs.
    pub label: FieldLabel,
    /// Type of the keys of a map; absent otherwise.
    pub key: Option<TypeDescription>,
    /// Its type; of a map, that of the values.
    pub value: TypeDescription,
}

/// How often the type of a field occurs.
#[message(crate = crate)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldLabel {
    /// Exactly one; absent means the default.
    Single,
    /// None or one, and the difference counts.
    Optional,
    /// Any number, in order.
    Repeated,
    /// Keys to values.
    Map,
    /// One that this version does not know.
    #[rpc(other)]
    Unknown,
}

/// A type.
#[message(crate = crate)]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TypeDescription {
    /// The kind of the type.
    pub kind: TypeKind,
    /// Name of the message or enum; empty for others.
    pub name: String,
    /// 8 or 16 for an integer that is narrower than its kind, which has no narrower ones; else 0.
    pub bits: u32,
    /// Of `[u8; N]`, which are `bytes`: how many there are; absent for any number.
    pub length: Option<u32>,
}

/// Kinds of types.
#[message(crate = crate)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeKind {
    /// A type that this version does not know, or that was left out because there are too many.
    #[rpc(other)]
    Unknown,
    /// `bool`
    Bool,
    /// `int32`
    Int32,
    /// `int64`; in JSON a string
    Int64,
    /// `uint32`
    Uint32,
    /// `uint64`; in JSON a string
    Uint64,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`; in JSON base64
    Bytes,
    /// A message, by name.
    Message,
    /// An enum without data, by name; in JSON the name of the variant.
    Enum,
    /// A list, map or option in another. The message of this name holds it in protobuf; JSON has the
    /// value of its only field in its place.
    Nested,
    /// A tuple. The message of this name holds its values in protobuf; JSON has a list of them.
    Tuple,
    /// Protobuf's own `Duration`; in JSON a text such as `1.5s`.
    Duration,
    /// Protobuf's own `Timestamp`; in JSON a text such as `2024-02-29T12:00:00Z`.
    Timestamp,
    /// Protobuf's own `Value`, which is any JSON value.
    Json,
}

/// An enum without data.
#[message(crate = crate)]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EnumDescription {
    /// Its name.
    pub name: String,
    /// The type's doc comment.
    pub doc: String,
    /// Its variants; the first is the default.
    pub values: Vec<EnumValue>,
    /// Whether it takes numbers and names that it does not know.
    pub takes_unknown: bool,
    /// Numbers that must not be used again.
    pub reserved: Vec<u32>,
}

/// A variant of an enum.
#[message(crate = crate)]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnumValue {
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: i32,
    /// Its name in Rust, which readers accept too; empty if the provider is too old to say.
    pub rust_name: String,
}

impl ServiceDescription {
    /// The method of this name.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&MethodDescription> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// The message of this name.
    #[must_use]
    pub fn message(&self, name: &str) -> Option<&MessageDescription> {
        self.messages.iter().find(|message| message.name == name)
    }

    /// The enum of this name.
    #[must_use]
    pub fn enumeration(&self, name: &str) -> Option<&EnumDescription> {
        self.enums.iter().find(|of| of.name == name)
    }

    /// A method in one line: `hello(name: string) -> (value: string)`.
    #[must_use]
    pub fn signature(&self, method: &MethodDescription) -> String {
        let fields = |name: &str| match self.message(name) {
            Some(message) => fields(&message.fields),
            None => name.to_owned(),
        };
        let kind = method.kind();
        let stream = |streams: fn(MethodKind) -> bool| match kind.is_some_and(streams) {
            true => "stream ",
            false => "",
        };
        let (sent, got) = (stream(MethodKind::streams_request), stream(MethodKind::streams_reply));
        let mut line = format!("{}({sent}{})", method.name, fields(&method.arguments));
        if kind != Some(MethodKind::OneWay) {
            // Writing to a string cannot fail.
            let _ = write!(line, " -> ({got}{})", fields(&method.reply));
        }
        line
    }
}

impl MethodDescription {
    /// A method of which only the name is known, because no instance describes it. It counts as one
    /// that any policy can serve.
    #[must_use]
    pub fn unknown(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_idempotent: true,
            fallback: Some("null".to_owned()),
            ..Self::default()
        }
    }

    /// How many messages go in each direction; `None` if this version does not know the kind, as
    /// that of a newer provider.
    #[must_use]
    pub fn kind(&self) -> Option<MethodKind> {
        match self.kind {
            CallKind::Unary => Some(MethodKind::Unary),
            CallKind::OneWay => Some(MethodKind::OneWay),
            CallKind::ClientStream => Some(MethodKind::ClientStream),
            CallKind::ServerStream => Some(MethodKind::ServerStream),
            CallKind::BidiStream => Some(MethodKind::BidiStream),
            CallKind::Unknown => None,
        }
    }
}

impl MessageDescription {
    /// The field of this name, in either spelling.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&FieldDescription> {
        self.fields.iter().find(|field| field.json_name == name || field.name == name)
    }
}

impl FieldDescription {
    /// Its whole type as a `.proto` writes it: `repeated Order`, `map<string, int64>`.
    #[must_use]
    pub fn type_text(&self) -> String {
        let mut value = self.value.text().to_owned();
        if let Some(length) = self.value.length {
            value += &format!("[{length}]");
        }
        match self.label {
            FieldLabel::Single => value,
            FieldLabel::Unknown => format!("unknown of {value}"),
            FieldLabel::Optional => format!("optional {value}"),
            FieldLabel::Repeated => format!("repeated {value}"),
            FieldLabel::Map => {
                let key = self.key.as_ref().map_or("string", TypeDescription::text);
                format!("map<{key}, {value}>")
            }
        }
    }
}

impl TypeDescription {
    /// Its name as a `.proto` writes it; narrow integers in the same manner, such as `uint8`.
    #[must_use]
    pub fn text(&self) -> &str {
        match self.kind {
            TypeKind::Int32 if self.bits == 8 => "int8",
            TypeKind::Int32 if self.bits == 16 => "int16",
            TypeKind::Uint32 if self.bits == 8 => "uint8",
            TypeKind::Uint32 if self.bits == 16 => "uint16",
            TypeKind::Unknown => "unknown",
            TypeKind::Bool => "bool",
            TypeKind::Int32 => "int32",
            TypeKind::Int64 => "int64",
            TypeKind::Uint32 => "uint32",
            TypeKind::Uint64 => "uint64",
            TypeKind::Float => "float",
            TypeKind::Double => "double",
            TypeKind::String => "string",
            TypeKind::Bytes => "bytes",
            TypeKind::Duration => "google.protobuf.Duration",
            TypeKind::Timestamp => "google.protobuf.Timestamp",
            TypeKind::Json => "google.protobuf.Value",
            TypeKind::Message | TypeKind::Enum | TypeKind::Nested | TypeKind::Tuple => &self.name,
        }
    }
}

/// `sku: string, amount: uint32`
pub(crate) fn fields(fields: &[FieldDescription]) -> String {
    let one = |field: &FieldDescription| format!("{}: {}", field.json_name, field.type_text());
    fields.iter().map(one).collect::<Vec<_>>().join(", ")
}
