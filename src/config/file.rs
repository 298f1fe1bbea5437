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
        match value.into_inner() {
            DeValue::Table(table) => self.section(table, key),
            DeValue::Array(list) if *key == Key::dotted("registry") => {
                self.registries(list.into_iter().collect(), key, origin)
            }
            other => {
                let is = other.type_str();
                let message = format!("{key}: expected a section [{key}], this is a value ({is})");
                Err(Error::invalid_config(message).at(origin))
            }
        }
    }

    /// `[[registry]]`: each has an address and may have a token; what else is set holds for all.
    fn registries(
        &mut self,
        mut tables: Vec<Spanned<DeValue<'_>>>,
        section: &Key,
        origin: Origin,
    ) -> Result<(), Error> {
        if tables.len() == 1 {
            return tables.pop().map_or(Ok(()), |only| self.subsection(only, section));
        }
        let mut entries = Vec::new();
        for table in tables {
            let place = self.file.origin(table.span().start);
            let mut reader = Reader { file: self.file, schema: self.schema, layer: Layer::new() };
            reader.subsection(table, section)?;
            let mut entry = serde_json::Map::new();
            for setting in reader.layer.settings {
                setting.check(self.schema)?;
                let name = setting.key.parts().next_back().unwrap_or_default().to_owned();
                match &*name {
                    "address" | "token" => drop(entry.insert(name, setting.value)),
                    _ if self.layer.settings.iter().any(|other| other.key == setting.key) => {
                        let message = "an earlier [[registry]] sets it; it holds for all of them";
                        return Err(setting.blame(message));
                    }
                    _ => self.layer.settings.push(setting),
                }
            }
            if !entry.contains_key("address") {
                let message = format!("{section}: it has no address; each [[{section}]] needs one");
                return Err(Error::invalid_config(message).at(place));
            }
            entries.push(Value::Object(entry));
        }
        let key = section.child("address");
        self.layer.settings.push(Raw { key, value: Value::Array(entries), origin });
        Ok(())
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
