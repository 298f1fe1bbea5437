//! Where a setting comes from: what error messages and `dubhe config` point at.

use std::collections::BTreeMap;
use std::fmt;

use rpc_core::Error;
use serde::ser::{Error as _, Serialize, SerializeStruct, Serializer};
use serde_json::Value;

use super::key::Key;
use super::layer::{Inside, Raw};
use super::schema::leaves;
use super::tree::Config;

/// Who set a key; weaker ones first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody: it is the default.
    Default,
    /// The attribute on the trait.
    Attribute,
    /// The program, through a builder.
    Builder,
    /// The configuration file.
    File {
        /// The file, as it was named.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// An argument of the program.
    Argument {
        /// As it is written, such as `--registry`.
        name: String,
    },
    /// A rule that may change while the program runs.
    Rule {
        /// Its name; may be empty.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Attribute => f.write_str("attribute on the trait"),
            Self::Builder => f.write_str("builder"),
            Self::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            Self::Environment { variable } => f.write_str(variable),
            Self::Argument { name } => f.write_str(name),
            Self::Rule { name } if name.is_empty() => f.write_str("rule"),
            Self::Rule { name } => write!(f, "rule {name}"),
        }
    }
}

/// How much a setting of a method counts beside another that contradicts it: the more specific
/// place first, then the stronger source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Strength {
    /// 0 for all services, then the levels above `[consumer]` that are in force for the method.
    level: usize,
    source: u8,
}

impl Strength {
    pub(super) const fn new(level: usize, origin: &Origin) -> Self {
        let source = match origin {
            Origin::Default => 0,
            Origin::Attribute => 1,
            Origin::Builder => 2,
            Origin::File { .. } => 3,
            Origin::Environment { .. } => 4,
            Origin::Argument { .. } => 5,
            Origin::Rule { .. } => 6,
        };
        Self { level, source }
    }

    /// Whether it was set for one service or one method, rather than for all.
    #[must_use]
    pub const fn is_specific(self) -> bool {
        self.level > 0 || self.source == 1
    }
}

/// Where everything stands that somebody set.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Origins {
    /// Of values: keys, and in a file also what is inside their values.
    values: BTreeMap<Key, Origin>,
    /// Of names, in a file: sections, and what is inside values.
    names: BTreeMap<Key, Origin>,
}

impl Origins {
    /// Notes where `setting` stands; of what stood at its key before nothing is left.
    pub(super) fn set(&mut self, setting: &Raw) {
        self.unset(&setting.key);
        self.values.insert(setting.key.clone(), setting.origin.clone());
        for Inside { key, name, value } in &setting.inside {
            self.values.insert(key.clone(), value.clone());
            self.names.extend(name.iter().map(|name| (key.clone(), name.clone())));
        }
    }

    /// Forgets what stood at `key` and inside of it.
    pub(super) fn unset(&mut self, unset: &Key) {
        for places in [&mut self.values, &mut self.names] {
            let old = places.range(unset..).take_while(|(key, _)| key.is_in(unset));
            let old: Vec<Key> = old.map(|(key, _)| key.clone()).collect();
            old.iter().for_each(|key| drop(places.remove(key)));
        }
    }

    /// Notes where the name of a section stands.
    pub(super) fn name_section(&mut self, section: Key, origin: Origin) {
        self.names.insert(section, origin);
    }

    /// Whether it is known where `key` itself stands.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.values.contains_key(key)
    }

    /// Who set `key`, or the value that it is inside of.
    pub(super) fn of(&self, key: &Key) -> &Origin {
        let around = (1..=key.parts().len()).rev().map(|depth| key.section(depth));
        let set = around.filter_map(|key| self.values.get(&key)).next();
        set.unwrap_or(&Origin::Default)
    }

    /// Where the name of `section` stands, or else who set the first key in it.
    pub(super) fn of_section(&self, section: &Key) -> &Origin {
        let first = || self.values.range(section..).map(|(_, origin)| origin).next();
        self.names.get(section).or_else(first).unwrap_or(&Origin::Default)
    }

    /// `error`, about `key` or what it says is inside its value, with the place in front.
    pub(super) fn blame(&self, key: &Key, mut error: Error) -> Error {
        let inside = error.take_parameter();
        let whole = inside.iter().fold(key.clone(), |key, step| key.step(step));
        let (shown, origin) = match (error.is_unknown_name(), inside.is_empty()) {
            // It is no key, so it is the section that is shown.
            (true, false) => {
                let name = self.names.get(&whole).unwrap_or_else(|| self.of(&whole));
                (whole.section(whole.parts().len() - 1), name)
            }
            // An extension that nobody knows, perhaps with parameters beside its name.
            (true, true) => (whole.clone(), self.of(&whole.child("name"))),
            (false, _) => (whole.clone(), self.of(&whole)),
        };
        error.at(format_args!("{origin}: {shown}"))
    }
}

/// A key, the value in force, and who set it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The key, as TOML writes it.
    pub key: String,
    /// Its value, as JSON text; secrets are `"***"`.
    pub value: String,
    /// Who set it.
    pub origin: Origin,
}

impl Serialize for Setting {
    /// `{ "key": …, "value": …, "origin": … }`, the value as itself and the origin as people read it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: Value = serde_json::from_str(&self.value).map_err(S::Error::custom)?;
        let mut setting = serializer.serialize_struct("Setting", 3)?;
        setting.serialize_field("key", &self.key)?;
        setting.serialize_field("value", &value)?;
        setting.serialize_field("origin", &self.origin.to_string())?;
        setting.end()
    }
}

impl fmt::Display for Setting {
    /// `key = value (origin)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, origin } = self;
        write!(f, "{key} = {value} ({origin})")
    }
}

impl Config {
    /// Whether nobody has set `key`, such as `provider.port`.
    pub(crate) fn is_default(&self, key: &str) -> bool {
        *self.origins.of(&Key::dotted(key)) == Origin::Default
    }

    /// `error`, about the key of this text or something inside its value, with its place in front.
    pub(crate) fn blame(&self, key: &str, error: Error) -> Error {
        self.origins.blame(&Key::dotted(key), error)
    }

    /// Every key that has a value, sorted by section, with where that value comes from. The name
    /// and the parameters of an extension are listed one by one.
    #[must_use]
    pub fn sources(&self) -> Vec<Setting> {
        let tree = self.to_value();
        let set = leaves(&tree).into_iter().filter(|(_, value)| !value.is_null());
        set.map(|(key, value)| Setting {
            value: value.to_string(),
            origin: self.origins.of(&key).clone(),
            key: key.to_string(),
        })
        .collect()
    }
}
