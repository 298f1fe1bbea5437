//! Where a setting comes from: what error messages and `dubhe config` point at.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{Error as _, Serialize, SerializeStruct, Serializer};
use serde_json::Value;

use super::key::Key;
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
        };
        Self { level, source }
    }

    /// Whether it was set for one service or one method, rather than for all.
    #[must_use]
    pub const fn is_specific(self) -> bool {
        self.level > 0 || self.source == 1
    }
}

/// The keys that somebody set, and who.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Origins(BTreeMap<Key, Origin>);

impl Origins {
    pub(super) fn insert(&mut self, key: Key, origin: Origin) {
        self.0.insert(key, origin);
    }

    pub(super) fn of(&self, key: &Key) -> &Origin {
        self.0.get(key).unwrap_or(&Origin::Default)
    }

    /// Who set the first key in `section`.
    pub(super) fn first_in(&self, section: &Key) -> &Origin {
        let mut from_here = self.0.range(section..);
        from_here.next().map_or(&Origin::Default, |(_, origin)| origin)
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

    /// Every key that has a value, sorted by section, with where that value comes from.
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
