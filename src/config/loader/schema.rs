//! Every key there is, taken from the sections themselves, so that no list can fall behind them.

use rpc_core::settings::{self, SettingError};
use rpc_core::{Error, nearest};
use serde::Serialize;
use serde_json::Value;

use super::key::{ANY, Key};
use super::layer::Raw;
use super::origins::Origins;
use super::{Repeated, Sections};

/// The tree of keys: objects are sections, everything else is a key with its default.
#[derive(Debug)]
pub(crate) struct Schema {
    tree: Value,
    repeated: Option<Repeated>,
    read: fn(Value) -> Result<(), SettingError>,
}

/// The kind of a place in the tree.
#[derive(Debug)]
pub(super) enum SchemaEntry<'a> {
    /// A section.
    Section,
    /// A key.
    Leaf,
    /// Neither; `known` are the names in the deepest existing section, whose depth is `depth`.
    Unknown { depth: usize, known: Vec<&'a str> },
}

impl Schema {
    pub(crate) fn of<S: Sections>() -> Self {
        let tree = to_value(&S::example());
        Self { tree, repeated: S::REPEATED, read: |tree| settings::read::<S>(tree).map(drop) }
    }

    /// The section that a file may write several times.
    pub(super) fn repeated(&self) -> Option<Repeated> {
        self.repeated
    }

    pub(super) fn lookup(&self, key: &Key) -> SchemaEntry<'_> {
        let mut at = &self.tree;
        for (depth, part) in key.parts().enumerate() {
            let Value::Object(section) = at else {
                return SchemaEntry::Unknown { depth, known: Vec::new() };
            };
            match section.get(part).or_else(|| section.get(ANY)) {
                Some(next) => at = next,
                None => {
                    let known = section.keys().map(String::as_str).collect();
                    return SchemaEntry::Unknown { depth, known };
                }
            }
        }
        if at.is_object() { SchemaEntry::Section } else { SchemaEntry::Leaf }
    }

    /// Every key with its default; [`ANY`] stands for a free name.
    pub(crate) fn leaves(&self) -> Vec<(Key, &Value)> {
        leaves(&self.tree)
    }

    /// Checks that the key of `setting` exists and, alone, takes its value.
    ///
    /// # Errors
    /// Its place, what is wrong and what is possible.
    pub(super) fn check(&self, setting: &Raw) -> Result<(), Error> {
        match self.lookup(&setting.key) {
            SchemaEntry::Leaf => {}
            SchemaEntry::Section => return Err(setting.blame("is a section, it takes no value")),
            SchemaEntry::Unknown { depth, known } => {
                return Err(self.unknown_key(&setting.key, depth, known).at(&setting.origin));
            }
        }
        let Err(error) = self.takes(setting) else { return Ok(()) };
        let mut error = error.into_error(&format!("key of {}", setting.key));
        // The path from the root, which is shorter where serde reads a section twice.
        let way = error.take_parameter();
        let inside = way.get(setting.key.parts().len()..).unwrap_or_default();
        let error = inside.iter().rev().fold(error, |error, step| error.in_parameter(step));
        let mut origins = Origins::default();
        origins.set(setting);
        Err(origins.blame(&setting.key, error))
    }

    /// Reads the sections with this setting and nothing else set.
    pub(super) fn takes(&self, setting: &Raw) -> Result<(), SettingError> {
        let mut tree = Value::Object(serde_json::Map::new());
        setting.insert_into(&mut tree);
        (self.read)(tree)
    }

    /// The error of a key that does not exist, whose first `depth` names do.
    pub(super) fn unknown_key(&self, key: &Key, depth: usize, known: Vec<&str>) -> Error {
        let section = key.section(depth);
        if known.is_empty() {
            return Error::invalid_config(format!(
                "{section}: is a key, it has no keys of its own"
            ));
        }
        let part = key.parts().nth(depth).unwrap_or_default();
        if let Some(quoted) = self.unquoted(key, depth, &known) {
            return Error::invalid_config(format!(
                "[{section}] has no key `{part}`; write a name with dots in quotes: [{quoted}]"
            ));
        }
        let kind = match depth {
            0 => "section".to_owned(),
            _ => format!("key in [{section}]"),
        };
        Error::unknown_name(&kind, part, known)
    }

    /// The section that was meant if quotes were forgotten around a free name: its parts are those
    /// of `key` up to the first of `known`. `None` if the unknown part, the one at `depth`, rather
    /// is a key.
    fn unquoted(&self, key: &Key, depth: usize, known: &[&str]) -> Option<Key> {
        let parts: Vec<&str> = key.parts().collect();
        let around = key.section(depth.checked_sub(1)?);
        let is_name = matches!(self.lookup(&around.child(ANY)), SchemaEntry::Section);
        let part = parts.get(depth)?;
        let is_more = parts.len() > depth + 1 || part.starts_with(char::is_uppercase);
        if !is_name || !is_more || nearest(part, known).is_some() {
            return None;
        }
        let name = parts[depth - 1..].iter().take_while(|part| !known.contains(part));
        let name: Vec<&str> = name.copied().collect();
        Some(around.child(&name.join(".")))
    }
}

/// `sections` as values; null stands for settings that are not set.
pub(crate) fn to_value(sections: &impl Serialize) -> Value {
    serde_json::to_value(sections).expect("every field is written as a string, number, list or map")
}

/// The keys under `value` with theirs, in order.
pub(crate) fn leaves(value: &Value) -> Vec<(Key, &Value)> {
    let mut found = Vec::new();
    collect(value, &Key::root(), &mut found);
    found
}

fn collect<'a>(value: &'a Value, key: &Key, found: &mut Vec<(Key, &'a Value)>) {
    match value {
        Value::Object(section) => {
            for (name, value) in section {
                collect(value, &key.child(name), found);
            }
        }
        leaf => found.push((key.clone(), leaf)),
    }
}
