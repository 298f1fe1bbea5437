//! The configuration file: TOML to settings that know their line.
//!
//! The text comes from outside; who finds and reads the file is `process.rs`.

use rpc_core::Error;
use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::key::Key;
use super::layer::{Layer, Raw, unknown_key};
use super::origin::Origin;
use super::schema::{Entry, Schema};

/// A configuration file that was read.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// The file, as error messages name it.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl ConfigFile {
    pub(super) fn parse(&self, schema: &Schema) -> Result<Layer, Error> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            Error::invalid_config(error.message()).at(self.origin(offset))
        })?;
        let mut reader = Reader { file: self, schema, layer: Layer::new() };
        reader.section(table.into_inner(), &Key::root())?;
        Ok(reader.layer)
    }

    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Origin::File {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

struct Reader<'a> {
    file: &'a ConfigFile,
    schema: &'a Schema,
    layer: Layer,
}

impl Reader<'_> {
    fn section(&mut self, table: DeTable<'_>, section: &Key) -> Result<(), Error> {
        for (name, value) in table {
            let key = section.child(name.get_ref());
            match self.schema.lookup(&key) {
                Entry::Section => self.subsection(value, &key)?,
                Entry::Leaf => self.leaf(value, key)?,
                Entry::Unknown { depth, known } => {
                    let origin = self.file.origin(name.span().start);
                    return Err(unknown_key(&key, depth, known).at(origin));
                }
            }
        }
        Ok(())
    }

    fn subsection(&mut self, value: Spanned<DeValue<'_>>, key: &Key) -> Result<(), Error> {
        let origin = self.file.origin(value.span().start);
        let mut tables = match value.into_inner() {
            DeValue::Table(table) => return self.section(table, key),
            DeValue::Array(list) if *key == Key::dotted("registry") => list.into_iter(),
            other => {
                let is = other.type_str();
                let message = format!("{key}: expected a section [{key}], this is a value ({is})");
                return Err(Error::invalid_config(message).at(origin));
            }
        };
        match (tables.next(), tables.next()) {
            (Some(only), None) => self.subsection(only, key),
            (first, second) => {
                let place =
                    second.or(first).map_or(origin, |table| self.file.origin(table.span().start));
                Err(Error::invalid_config(
                    "registry: exactly one registry is supported: keep one [[registry]]",
                )
                .at(place))
            }
        }
    }

    fn leaf(&mut self, value: Spanned<DeValue<'_>>, key: Key) -> Result<(), Error> {
        let origin = self.file.origin(value.span().start);
        let value = to_json(value)
            .map_err(|message| Error::invalid_config(format!("{key}: {message}")).at(&origin))?;
        self.layer.settings.push(Raw { key, value, origin });
        Ok(())
    }
}

/// The value of a TOML text such as `3`, `["a"]` or `{ name = "a" }`, if it is one.
pub(super) fn value_of(text: &str) -> Option<Value> {
    to_json(DeValue::parse(text).ok()?).ok()
}

fn to_json(value: Spanned<DeValue<'_>>) -> Result<Value, String> {
    if value.get_ref().is_datetime() {
        return Err("dates are not used here: write a text in quotes".to_owned());
    }
    Value::deserialize(ValueDeserializer::from(value)).map_err(|error| error.message().to_owned())
}
