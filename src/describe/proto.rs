//! A description as a `.proto`. It came over the wire, so names that a `.proto` cannot hold are
//! refused.

use std::collections::HashMap;

use rpc_core::descriptor::{ProtoField, ProtoFile, ProtoMethod, ProtoType, proto_name};
use rpc_core::{Error, ServiceKey};

use super::types::{
    EnumDescription, FieldDescription, FieldLabel, MessageDescription, ServiceDescription,
    TypeDescription, TypeKind,
};

impl ServiceDescription {
    /// The service and every type it uses in the language of `.proto` files (proto3), as its trait
    /// prints them. Group and version are not part of it.
    ///
    /// # Errors
    /// A name that protobuf does not allow, or a type that the description lacks, as that of a
    /// newer provider or of a service with more types than a description holds.
    pub fn to_proto(&self) -> Result<String, Error> {
        let key: ServiceKey = self.service.parse().map_err(|error| self.untold(error))?;
        let interface = key.interface();
        let (package, service) = interface.rsplit_once('.').unwrap_or(("", interface));
        self.check_wire(interface)?;
        let service_name = proto_name(service);
        let mut types =
            Types { of: self, service: &service_name, found: Vec::new(), names: HashMap::new() };
        let methods = self.methods.iter().map(|method| {
            self.check_wire(&method.name)?;
            let error = method.error.as_deref().map(|error| types.message(error)).transpose()?;
            let name = method.name.escape_debug();
            let kind = method.kind().ok_or_else(|| {
                self.untold(format_args!("the kind of its method `{name}` is not known here"))
            })?;
            Ok(ProtoMethod {
                name: method.name.clone(),
                doc: method.doc.clone(),
                kind,
                is_idempotent: method.is_idempotent,
                error,
                arguments: types.message(&method.arguments)?,
                reply: types.message(&method.reply)?,
            })
        });
        let methods = methods.collect::<Result<_, Error>>()?;
        // Telling of a type may find new ones, which go to the end of the list.
        let mut told = Vec::new();
        while let Some(found) = types.found.get(told.len()).copied() {
            told.push(types.told(found)?);
        }
        let (package, service, doc) = (package.to_owned(), service.to_owned(), self.doc.clone());
        Ok(ProtoFile { package, service, doc, methods, types: told }.to_string())
    }

    /// # Errors
    /// An error if `name` is not a name in a `.proto`.
    fn check(&self, name: &str) -> Result<(), Error> {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match name.chars().all(is_inner) && !name.starts_with(|c: char| c.is_ascii_digit()) {
            true if !name.is_empty() => Ok(()),
            _ => {
                let name = name.escape_debug();
                let why = "names there are of ASCII letters, digits and `_`";
                Err(self.untold(format_args!("`{name}` is not a name in one, {why}")))
            }
        }
    }

    /// # Errors
    /// `name` is no name of a service or method, which a `.proto` gives in a comment if need be.
    fn check_wire(&self, name: &str) -> Result<(), Error> {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "._-$".contains(c);
        match name.chars().all(is_letter) {
            true => Ok(()),
            false => Err(self.untold(format_args!(
                "`{}` is not a name in one, nor of a service or method",
                name.escape_debug()
            ))),
        }
    }

    fn untold(&self, why: impl std::fmt::Display) -> Error {
        let service = self.service.escape_debug();
        Error::invalid_config(format!("{service} cannot be written as a `.proto`: {why}"))
    }
}

const UNKNOWN_TYPE: &str = "one of its types is not known here";

#[derive(Clone, Copy)]
enum Found<'a> {
    Message(&'a MessageDescription),
    Enum(&'a EnumDescription),
}

/// The types found so far, each with the name it is printed by.
struct Types<'a> {
    of: &'a ServiceDescription,
    service: &'a str,
    found: Vec<Found<'a>>,
    names: HashMap<&'a str, String>,
}

impl<'a> Types<'a> {
    fn message(&mut self, name: &str) -> Result<String, Error> {
        let found = self.of.message(name).map(|message| (&*message.name, Found::Message(message)));
        self.name(name, found)
    }

    fn enumeration(&mut self, name: &str) -> Result<String, Error> {
        let found = self.of.enumeration(name).map(|of| (&*of.name, Found::Enum(of)));
        self.name(name, found)
    }

    /// The name it is printed by: its own, with a number if that is the service's.
    fn name(&mut self, own: &str, found: Option<(&'a str, Found<'a>)>) -> Result<String, Error> {
        if let Some(name) = self.names.get(own) {
            return Ok(name.clone());
        }
        let (own, found) = found.ok_or_else(|| {
            let own = own.escape_debug();
            self.of.untold(format_args!("the instance does not describe the type `{own}`"))
        })?;
        self.of.check(own)?;
        let of = self.of;
        let is_free = |name: &String| of.message(name).is_none() && of.enumeration(name).is_none();
        let mut numbered = (2_u64..).map(|number| format!("{own}{number}"));
        let name = match own == self.service {
            true => numbered.find(is_free).unwrap_or_default(),
            false => own.to_owned(),
        };
        self.found.push(found);
        self.names.insert(own, name.clone());
        Ok(name)
    }

    fn told(&mut self, found: Found<'a>) -> Result<ProtoType, Error> {
        match found {
            Found::Message(message) => {
                let fields = message.fields.iter().map(|field| self.field(field));
                let fields = fields.collect::<Result<_, Error>>()?;
                Ok(ProtoType::Message {
                    name: self.message(&message.name)?,
                    doc: message.doc.clone(),
                    fields,
                    is_oneof: message.is_oneof,
                    reserved: message.reserved.clone(),
                })
            }
            Found::Enum(of) => {
                let values = of.values.iter().map(|value| {
                    self.of.check(&value.name)?;
                    Ok((value.name.clone(), value.number))
                });
                let values = values.collect::<Result<_, Error>>()?;
                Ok(ProtoType::Enum {
                    name: self.enumeration(&of.name)?,
                    doc: of.doc.clone(),
                    values,
                    reserved: of.reserved.clone(),
                })
            }
        }
    }

    fn field(&mut self, field: &FieldDescription) -> Result<ProtoField, Error> {
        self.of.check(&field.name)?;
        let type_text = match field.label {
            FieldLabel::Single => self.type_name(&field.value)?,
            FieldLabel::Unknown => return Err(self.of.untold(UNKNOWN_TYPE)),
            FieldLabel::Optional => format!("optional {}", self.type_name(&field.value)?),
            FieldLabel::Repeated => format!("repeated {}", self.type_name(&field.value)?),
            FieldLabel::Map => {
                let of = field.key.clone().unwrap_or_default();
                let (key, value) = (self.type_name(&of)?, self.type_name(&field.value)?);
                if of.kind == TypeKind::Enum {
                    let FieldDescription { name, doc, tag, .. } = field;
                    let by = ProtoField::by_variant(name, doc, *tag, &key, &value);
                    return Ok(of_bytes(by, field));
                }
                format!("map<{key}, {value}>")
            }
        };
        let (name, doc) = (field.name.clone(), field.doc.clone());
        Ok(of_bytes(ProtoField { name, doc, tag: field.tag, type_text }, field))
    }

    fn type_name(&mut self, of: &TypeDescription) -> Result<String, Error> {
        match of.kind {
            TypeKind::Message | TypeKind::Nested | TypeKind::Tuple => self.message(&of.name),
            TypeKind::Enum => Ok(self.enumeration(&of.name)? + ".Value"),
            TypeKind::Unknown => Err(self.of.untold(UNKNOWN_TYPE)),
            TypeKind::Duration => Ok(ProtoFile::DURATION.to_owned()),
            TypeKind::Timestamp => Ok(ProtoFile::TIMESTAMP.to_owned()),
            TypeKind::Json => Ok(ProtoFile::VALUE.to_owned()),
            // A narrow integer is one of its kind.
            _ => Ok(TypeDescription { bits: 0, ..of.clone() }.text().to_owned()),
        }
    }
}

/// The field, with how many bytes it has where its description says so.
fn of_bytes(field: ProtoField, of: &FieldDescription) -> ProtoField {
    match of.value.length {
        Some(length) => field.of_bytes(length),
        None => field,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::{Duration, SystemTime};

    use rpc_core::client::ServiceClient;
    use rpc_core::{Result, Status, Streaming};
    use rpc_macros::{error, message, service};

    use super::*;
    use crate::describe::CallKind;
    use crate::describe::collect::collect;

    /// A colour.
    #[message(crate = crate)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    enum Color {
        Red,
        Green,
    }

    /// Of the same name as its service.
    #[message(crate = crate, reserved(9))]
    #[derive(Debug, Clone, PartialEq)]
    struct Paint {
        /// How it looks.
        color: Color,
        small: u8,
        wide: Option<i64>,
        inner: Vec<Self>,
        shades: HashMap<u8, Shade>,
        bytes: Vec<u8>,
        drying: Duration,
        mixed: HashMap<String, SystemTime>,
        layers: Option<Vec<[Shade; 2]>>,
        /// How much.
        left: HashMap<Color, (u32, Option<String>)>,
    }

    #[message(crate = crate)]
    #[derive(Debug, Clone, PartialEq)]
    enum Shade {
        Named { name: String },
        Mixed(Color),
    }

    #[error(crate = crate)]
    #[derive(Debug)]
    enum Dry {
        Out {
            left: u32,
        },
        #[rpc(status)]
        Status(Status),
    }

    /// Paints.
    ///
    /// In colours.
    #[service(crate = crate, name = "shop.art.Paint")]
    trait Painter {
        /// Mixes two.
        #[rpc(idempotent)]
        async fn mix(&self, one: Paint, other: Paint) -> std::result::Result<Paint, Dry>;
        #[rpc(oneway)]
        async fn spill(&self) -> Result<()>;
        async fn shades(&self, of: Streaming<Color>) -> Result<Streaming<Shade>>;
    }

    fn described() -> ServiceDescription {
        let key = ServiceKey::with_parts("shop.art.Paint", "blue", "1.0.0");
        collect(&key, PainterClient::DESCRIPTOR, None)
    }

    #[test]
    fn a_description_prints_what_its_trait_prints() {
        let printed = described().to_proto().unwrap();
        assert_eq!(printed, PainterClient::DESCRIPTOR.to_proto());
        assert!(printed.contains("import \"google/protobuf/timestamp.proto\";"), "{printed}");
    }

    #[test]
    fn what_is_no_name_or_not_described_is_refused() {
        let refused = |change: fn(&mut ServiceDescription)| {
            let mut description = described();
            change(&mut description);
            description.to_proto().unwrap_err().to_string()
        };
        let evil = refused(|of| of.methods[0].name = "mix\n}".to_owned());
        assert!(evil.contains("`mix\\n}` is not a name in one"), "{evil}");
        let mut odd = described();
        odd.methods[0].name = "mix-two".to_owned();
        let odd = odd.to_proto().unwrap();
        for line in ["  // On the wire: mix-two\n", "  rpc mix_two("] {
            assert!(odd.contains(line), "{odd}");
        }
        let evil = refused(|of| of.messages[0].fields[0].name = "1a".to_owned());
        assert!(evil.contains("`1a` is not a name in one"), "{evil}");
        let missing = refused(|of| of.enums.clear());
        assert!(missing.contains("does not describe the type `Color`"), "{missing}");
        let unknown = refused(|of| of.messages[0].fields[0].value.kind = TypeKind::Unknown);
        assert!(unknown.contains("one of its types is not known here"), "{unknown}");
        let unknown = refused(|of| of.messages[0].fields[0].label = FieldLabel::Unknown);
        assert!(unknown.contains("one of its types is not known here"), "{unknown}");
        let unknown = refused(|of| of.methods[1].kind = CallKind::Unknown);
        assert!(unknown.contains("the kind of its method `spill` is not known here"), "{unknown}");
    }
}
