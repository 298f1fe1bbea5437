//! The text of a `.proto`.

use std::fmt::{self, Display, Formatter};

use super::names::{self, proto_name};
use super::{ProtoField, ProtoFile, ProtoMethod, ProtoType};
use crate::method::MethodKind;

impl Display for ProtoFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "syntax = \"proto3\";")?;
        let (package, service) = (self.printed_package(), proto_name(&self.service));
        if !package.is_empty() {
            writeln!(f, "\npackage {package};")?;
        }
        self.print_imports(f)?;
        writeln!(f)?;
        doc(f, "", &self.doc)?;
        if package != self.package || service != self.service {
            let dot = if package.is_empty() { "" } else { "." };
            on_wire(f, "", &format!("{}{dot}{}", self.package, self.service))?;
        }
        writeln!(f, "service {service} {{")?;
        let names = names::printed(self.methods.iter().map(|method| &*method.name));
        // A method hides the message of its name, but not behind the whole name of that.
        let whole = |message: &str| match names.iter().any(|name| *name == message) {
            true if package.is_empty() => format!(".{message}"),
            true => format!(".{package}.{message}"),
            false => message.to_owned(),
        };
        for (index, (method, name)) in self.methods.iter().zip(&names).enumerate() {
            if index > 0 && !method.doc.is_empty() {
                writeln!(f)?;
            }
            method.print(f, name, whole)?;
        }
        writeln!(f, "}}")?;
        self.types.iter().try_for_each(|of| of.fmt(f))
    }
}

impl ProtoFile {
    /// Protobuf's own `Duration`. The dot keeps it apart from whatever else is named `google`.
    pub const DURATION: &'static str = ".google.protobuf.Duration";

    /// Protobuf's own `Timestamp`.
    pub const TIMESTAMP: &'static str = ".google.protobuf.Timestamp";

    /// Protobuf's own `Value`, which is any JSON value.
    pub const VALUE: &'static str = ".google.protobuf.Value";

    /// The files that protobuf's own types stand in.
    fn print_imports(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let own =
            [(Self::DURATION, "duration"), (Self::VALUE, "struct"), (Self::TIMESTAMP, "timestamp")];
        let mut before = "\n";
        for (of, file) in own {
            if self.types.iter().any(|message| message.uses(of)) {
                writeln!(f, "{before}import \"google/protobuf/{file}.proto\";")?;
                before = "";
            }
        }
        Ok(())
    }

    fn printed_package(&self) -> String {
        match self.package.is_empty() {
            true => String::new(),
            false => self.package.split('.').map(proto_name).collect::<Vec<_>>().join("."),
        }
    }
}

impl ProtoMethod {
    fn print(
        &self,
        f: &mut Formatter<'_>,
        name: &str,
        whole: impl Fn(&str) -> String,
    ) -> fmt::Result {
        doc(f, "  ", &self.doc)?;
        if self.name != name {
            on_wire(f, "  ", &self.name)?;
        }
        if self.kind == MethodKind::OneWay {
            doc(f, "  ", "One-way: the call has no answer.")?;
        }
        if let Some(error) = &self.error {
            doc(f, "  ", &format!("Fails with {error} in the status details."))?;
        }
        let stream = |streams| if streams { "stream " } else { "" };
        let (sent, got) = (stream(self.kind.streams_request()), stream(self.kind.streams_reply()));
        let (arguments, reply) = (whole(&self.arguments), whole(&self.reply));
        let end = match self.is_idempotent {
            true => " { option idempotency_level = IDEMPOTENT; }",
            false => ";",
        };
        writeln!(f, "  rpc {name}({sent}{arguments}) returns ({got}{reply}){end}")
    }
}

impl ProtoType {
    /// Whether a field is of the type that is named so, alone or in a list or map.
    fn uses(&self, of: &str) -> bool {
        match self {
            Self::Message { fields, .. } => {
                let mut names = fields.iter().flat_map(|field| field.type_text.split([' ', '>']));
                names.any(|name| name == of)
            }
            Self::Enum { .. } => false,
        }
    }
}

impl Display for ProtoType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        let (Self::Message { name, doc: text, .. } | Self::Enum { name, doc: text, .. }) = self;
        doc(f, "", text)?;
        writeln!(f, "message {name} {{")?;
        match self {
            Self::Message { fields, is_oneof, reserved, .. } => {
                print_reserved(f, "  ", reserved)?;
                if *is_oneof && !fields.is_empty() {
                    let mut group = "kind".to_owned();
                    while fields.iter().any(|field| field.name == group) {
                        group.push('_');
                    }
                    writeln!(f, "  oneof {group} {{")?;
                    fields.iter().try_for_each(|it| field(f, "    ", it))?;
                    writeln!(f, "  }}")?;
                } else {
                    fields.iter().try_for_each(|it| field(f, "  ", it))?;
                }
            }
            Self::Enum { values, reserved, .. } => {
                writeln!(f, "  enum Value {{")?;
                print_reserved(f, "    ", reserved)?;
                for (name, number) in values {
                    writeln!(f, "    {name} = {number};")?;
                }
                writeln!(f, "  }}")?;
            }
        }
        writeln!(f, "}}")
    }
}

fn field(f: &mut Formatter<'_>, indent: &str, field: &ProtoField) -> fmt::Result {
    doc(f, indent, &field.doc)?;
    writeln!(f, "{indent}{} {} = {};", field.type_text, field.name, field.tag)
}

fn print_reserved(f: &mut Formatter<'_>, indent: &str, reserved: &[u32]) -> fmt::Result {
    if reserved.is_empty() {
        return Ok(());
    }
    let reserved: Vec<_> = reserved.iter().map(u32::to_string).collect();
    writeln!(f, "{indent}reserved {};", reserved.join(", "))
}

fn on_wire(f: &mut Formatter<'_>, indent: &str, name: &str) -> fmt::Result {
    writeln!(f, "{indent}// On the wire: {}", name.escape_debug())
}

fn doc(f: &mut Formatter<'_>, indent: &str, doc: &str) -> fmt::Result {
    // A character such as NUL would end the comment.
    let plain = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    doc.lines().try_for_each(|line| {
        writeln!(f, "{indent}// {}", line.chars().map(plain).collect::<String>())
    })
}
