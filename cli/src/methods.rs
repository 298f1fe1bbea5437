//! The methods of a service and the types they use, as an instance describes them.

use dubhe::describe::{
    EnumDescription, FieldDescription, MessageDescription, MethodDescription, ServiceDescription,
    TypeKind,
};
use dubhe::{Error, MethodKind};
use serde_json::{Value, json};

use crate::failure::Failure;

/// Methods of one service, and what is needed to read them.
pub(crate) struct Methods<'a> {
    of: &'a ServiceDescription,
    methods: Vec<&'a MethodDescription>,
    types: Vec<Type<'a>>,
}

/// A type that is named where a method or another type uses it.
#[derive(Clone, Copy)]
enum Type<'a> {
    Message(&'a MessageDescription),
    Enum(&'a EnumDescription),
}

impl<'a> Methods<'a> {
    /// The methods of a service, or the one of this name.
    ///
    /// # Errors
    /// There is none of this name.
    pub(crate) fn of(of: &'a ServiceDescription, name: Option<&str>) -> Result<Self, Failure> {
        let methods = match name {
            None => of.methods.iter().collect(),
            Some(name) => vec![of.method(name).ok_or_else(|| {
                let known = of.methods.iter().map(|method| method.name.as_str());
                Error::unknown_name(&format!("method of {}", of.service), name, known)
            })?],
        };
        let mut this = Self { of, methods, types: Vec::new() };
        for method in this.methods.clone() {
            // Of these the fields are shown, not the name.
            for body in [&method.arguments, &method.reply] {
                this.of.message(body).into_iter().for_each(|message| this.find(&message.fields));
            }
            this.note(method.error.as_deref().and_then(|name| of.message(name)).map(Type::Message));
        }
        // Those that are found may use others, which go to the end of the list.
        let mut next = 0;
        while let Some(found) = this.types.get(next).copied() {
            if let Type::Message(message) = found {
                this.find(&message.fields);
            }
            next += 1;
        }
        Ok(this)
    }

    /// Notes the types of these fields.
    fn find(&mut self, fields: &'a [FieldDescription]) {
        for field in fields {
            let name = &field.value.name;
            self.note(match field.value.kind {
                TypeKind::Message | TypeKind::Nested | TypeKind::Tuple => {
                    self.of.message(name).map(Type::Message)
                }
                TypeKind::Enum => self.of.enumeration(name).map(Type::Enum),
                _ => None,
            });
        }
    }

    fn note(&mut self, found: Option<Type<'a>>) {
        let is_new = |found: &Type<'_>| !self.types.iter().any(|it| it.name() == found.name());
        self.types.extend(found.filter(is_new));
    }

    /// Each method in a line with its comment, then the types.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("\n");
        for method in &self.methods {
            let mut notes = Vec::new();
            if method.is_idempotent {
                notes.push("idempotent".to_owned());
            }
            match method.kind() {
                Some(MethodKind::Unary) => {}
                Some(kind) => notes.push(kind.to_string()),
                None => notes.push("of a kind not known here".to_owned()),
            }
            notes.extend(method.error.as_ref().map(|error| format!("fails with {error}")));
            let signature = self.of.signature(method);
            text += &match notes.is_empty() {
                true => format!("{signature}\n"),
                false => format!("{signature}  [{}]\n", notes.join(", ")),
            };
            text += &indented(&method.doc);
        }
        self.types.iter().for_each(|of| text += &format!("\n{}", of.text()));
        text
    }

    /// The methods for programs.
    pub(crate) fn json(&self) -> Value {
        let methods = self.methods.iter().map(|method| {
            let of = |name: &str| self.of.message(name).map_or(&[][..], |message| &message.fields);
            json!({
                "name": method.name,
                "doc": method.doc,
                "idempotent": method.is_idempotent,
                "kind": method.kind().map_or_else(|| "unknown".to_owned(), |kind| kind.to_string()),
                "one_way": method.kind() == Some(MethodKind::OneWay),
                "arguments": fields(of(&method.arguments)),
                "result": fields(of(&method.reply)),
                "error": method.error,
            })
        });
        Value::Array(methods.collect())
    }

    /// The types for programs.
    pub(crate) fn types_json(&self) -> Value {
        self.types.iter().map(|of| of.json()).collect()
    }
}

impl Type<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Message(message) => &message.name,
            Self::Enum(of) => &of.name,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Message(message) => {
                let what = if message.is_oneof { "one of" } else { "message" };
                let mut text = format!("{what} {}\n", message.name);
                for field in &message.fields {
                    text += &format!("    {}: {}\n", field.json_name, field.type_text());
                }
                text
            }
            Self::Enum(of) => {
                let names: Vec<&str> = of.values.iter().map(|value| &*value.name).collect();
                format!("enum {}\n    {}\n", of.name, names.join(", "))
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Message(message) => json!({
                "name": message.name,
                "kind": if message.is_oneof { "oneof" } else { "message" },
                "doc": message.doc,
                "fields": fields(&message.fields),
            }),
            Self::Enum(of) => {
                let values = of.values.iter();
                let values = values.map(|it| json!({ "name": it.name, "number": it.number }));
                json!({
                    "name": of.name,
                    "kind": "enum",
                    "doc": of.doc,
                    "values": values.collect::<Vec<_>>(),
                })
            }
        }
    }
}

fn fields(fields: &[FieldDescription]) -> Vec<Value> {
    fields.iter().map(|it| json!({ "name": it.json_name, "type": it.type_text() })).collect()
}

fn indented(doc: &str) -> String {
    let lines = doc.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n");
    lines.collect()
}
