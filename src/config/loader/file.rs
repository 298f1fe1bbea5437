//! The configuration file: TOML to settings that know their line.
//!
//! The text comes from outside; `process.rs` finds and reads the file.

use rpc_core::Error;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Repeated;
use super::key::Key;
use super::layer::{Inside, Layer, Raw};
use super::origin::Origin;
use super::places::Places;
use super::schema::{Schema, SchemaEntry};

/// A configuration file that was read.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// The file, as error messages name it.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl ConfigFile {
    pub(super) fn parse(&self, schema: &Schema) -> Result<Layer, Error> {
        if let Some(text) = self.text.strip_prefix('\u{feff}') {
            // A byte order mark does not count as a column.
            return Self { path: self.path.clone(), text: text.to_owned() }.parse(schema);
        }
        let places = Places::of(&self.path, &self.text);
        let table = DeTable::parse(&self.text).map_err(|error| {
            let Some(span) = error.span() else { return self.too_deep(&places) };
            let told = malformed(error.message(), self.text.get(span.clone()));
            Error::invalid_config(told).at(places.origin(span.start))
        })?;
        let mut reader = Reader { places: &places, schema, layer: Layer::new() };
        reader.section(table.into_inner(), &Key::root())?;
        Ok(reader.layer)
    }

    /// The error of a key with more dots than the parser supports; the parser's own error has no
    /// place.
    fn too_deep(&self, places: &Places<'_>) -> Error {
        let is_deep = |text| {
            let (_, errors) = DeTable::parse_recoverable(text);
            errors.iter().any(|error| error.span().is_none())
        };
        let lines = places.lines();
        let first_after = lines.partition_point(|start| !is_deep(&self.text[..*start]));
        let line = first_after.checked_sub(1).map_or(0, |line| lines[line]);
        let rest = &self.text[line..];
        let indent = rest.len() - rest.trim_start().len();
        let told = "a key with too many names: write fewer dots";
        Error::invalid_config(told).at(places.origin(line + indent))
    }
}

struct Reader<'a> {
    places: &'a Places<'a>,
    schema: &'a Schema,
    layer: Layer,
}

impl Reader<'_> {
    fn section(&mut self, table: DeTable<'_>, section: &Key) -> Result<(), Error> {
        for (name, value) in table {
            let key = section.child(name.get_ref());
            match self.schema.lookup(&key) {
                SchemaEntry::Section => {
                    self.layer.sections.push((key.clone(), self.places.origin(name.span().start)));
                    self.subsection(value, &key)?;
                }
                SchemaEntry::Leaf => self.leaf(value, key)?,
                SchemaEntry::Unknown { depth, known } => {
                    let origin = self.places.origin(name.span().start);
                    let key = deepest(key, &value);
                    return Err(self.schema.unknown_key(&key, depth, known).at(origin));
                }
            }
        }
        Ok(())
    }

    fn subsection(&mut self, value: Spanned<DeValue<'_>>, key: &Key) -> Result<(), Error> {
        let origin = self.places.origin(value.span().start);
        match value.into_inner() {
            DeValue::Table(table) => self.section(table, key),
            DeValue::Array(list) => match self.schema.repeated() {
                Some(repeated) if *key == Key::dotted(repeated.section) => {
                    self.tables(list.into_iter().collect(), repeated, origin)
                }
                _ => Err(no_section(key, "array", origin)),
            },
            other => Err(no_section(key, other.type_str(), origin)),
        }
    }

    /// Reads `[[section]]`, written several times: keys that do not belong to an entry apply to
    /// all.
    fn tables(
        &mut self,
        mut tables: Vec<Spanned<DeValue<'_>>>,
        repeated: Repeated,
        origin: Origin,
    ) -> Result<(), Error> {
        let section = &Key::dotted(repeated.section);
        if tables.len() == 1 {
            return tables.pop().map_or(Ok(()), |only| self.subsection(only, section));
        }
        let key = section.child(repeated.key);
        let (mut entries, mut inside) = (Vec::new(), Vec::new());
        for (index, table) in tables.into_iter().enumerate() {
            let place = self.places.origin(table.span().start);
            let mut reader =
                Reader { places: self.places, schema: self.schema, layer: Layer::new() };
            reader.subsection(table, section)?;
            let mut entry = serde_json::Map::new();
            for setting in reader.layer.settings {
                self.schema.check(&setting)?;
                let name = setting.key.parts().next_back().unwrap_or_default().to_owned();
                match &*name {
                    name if name == repeated.key || repeated.own.contains(&name) => {
                        let key = key.item(index).child(name);
                        inside.push(Inside { key, name: None, value: setting.origin });
                        entry.insert(name.to_owned(), setting.value);
                    }
                    _ if self.layer.settings.iter().any(|other| other.key == setting.key) => {
                        let message =
                            format!("an earlier [[{section}]] sets it; it holds for all of them");
                        return Err(setting.blame(&message));
                    }
                    _ => self.layer.settings.push(setting),
                }
            }
            if !entry.contains_key(repeated.key) {
                let name = repeated.key;
                let message = format!("{section}: it has no {name}; each [[{section}]] needs one");
                return Err(Error::invalid_config(message).at(place));
            }
            inside.push(Inside { key: key.item(index), name: None, value: place });
            entries.push(Value::Object(entry));
        }
        self.layer.settings.push(Raw { key, value: Value::Array(entries), origin, inside });
        Ok(())
    }

    fn leaf(&mut self, value: Spanned<DeValue<'_>>, key: Key) -> Result<(), Error> {
        let origin = self.places.origin(value.span().start);
        let mut inside = Vec::new();
        let value = read(value, &key, self.places, &mut inside)?;
        self.layer.settings.push(Raw { key, value, origin, inside });
        Ok(())
    }
}

/// The error of a value where a section is expected.
fn no_section(key: &Key, is: &str, origin: Origin) -> Error {
    let message = format!("{key}: expected a section [{key}], this is a value ({is})");
    Error::invalid_config(message).at(origin)
}

/// The value of a TOML text such as `3`, `["a"]` or `{ name = "a" }`, if it is one.
pub(super) fn value_of(text: &str) -> Option<Value> {
    read(DeValue::parse(text).ok()?, &Key::root(), &Places::of("", text), &mut Vec::new()).ok()
}

/// The value of `key`, and the places of everything inside it.
fn read(
    value: Spanned<DeValue<'_>>,
    key: &Key,
    places: &Places<'_>,
    inside: &mut Vec<Inside>,
) -> Result<Value, Error> {
    let origin = places.origin(value.span().start);
    Ok(match value.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Boolean(is) => Value::Bool(is),
        DeValue::Array(list) => {
            let mut elements = Vec::new();
            for (index, element) in list.into_iter().enumerate() {
                let key = key.item(index);
                let place = places.origin(element.span().start);
                elements.push(read(element, &key, places, inside)?);
                inside.push(Inside { key, name: None, value: place });
            }
            Value::Array(elements)
        }
        DeValue::Table(table) => {
            let mut entries = serde_json::Map::new();
            for (name, entry) in table {
                let key = key.child(name.get_ref());
                let place = places.origin(entry.span().start);
                let value = read(entry, &key, places, inside)?;
                let name_place = Some(places.origin(name.span().start));
                inside.push(Inside { key, name: name_place, value: place });
                entries.insert(name.into_inner().into_owned(), value);
            }
            Value::Object(entries)
        }
        other => number(&other)
            .map_err(|message| Error::invalid_config(format!("{key}: {message}")).at(origin))?,
    })
}

/// The parser's error at `place`; two frequent mistakes have texts of our own. A value is not
/// repeated, because it may be a secret.
fn malformed(message: &str, place: Option<&str>) -> String {
    match (message, place) {
        ("duplicate key", Some(name)) => format!("duplicate key `{name}`: keep one of them"),
        _ if message.starts_with("string values must be quoted")
            || message.starts_with("invalid boolean") =>
        {
            "this is not a value: write a text in quotes, key = \"text\"".to_owned()
        }
        _ => message.to_owned(),
    }
}

/// As above, a value is not repeated.
fn number(value: &DeValue<'_>) -> Result<Value, &'static str> {
    match value {
        DeValue::Integer(integer) => {
            let (digits, radix) = (integer.as_str(), integer.radix());
            let small = i64::from_str_radix(digits, radix).map(Value::from);
            let number = small.or_else(|_| u64::from_str_radix(digits, radix).map(Value::from));
            number.map_err(|_| "this is a number beyond all bounds: write a smaller one")
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            let told = "must be a finite number";
            number.map(Value::Number).ok_or(told)
        }
        _ => Err("dates are not used here: write a text in quotes"),
    }
}

/// The first key that `value`, which stands at `key`, would set.
fn deepest(mut key: Key, mut value: &Spanned<DeValue<'_>>) -> Key {
    while let Some((name, inner)) = value.get_ref().as_table().and_then(|table| table.iter().next())
    {
        key = key.child(name.get_ref());
        value = inner;
    }
    key
}
