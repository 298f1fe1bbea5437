//! The origin of a setting, which error messages and `dubhe config` point at.

use std::fmt;

use serde::ser::{Error as _, Serialize, SerializeStruct, Serializer};
use serde_json::Value;

use super::key::Key;

/// The origin of a setting; weaker ones first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The default: nothing has set it.
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
    /// A rule of a config centre.
    ConfigCenter {
        /// Its key there, such as `shop.Stock::.configurators`.
        rule: String,
        /// The address of the config centre, without password.
        address: String,
        /// Whether it is a rule for one service, and not for a whole application.
        is_of_service: bool,
        /// Whether it sets only what nothing else sets, as `absent://` does.
        is_absent: bool,
    },
}

impl Origin {
    /// Whether it gives way to everything that is set.
    pub(crate) const fn gives_way(&self) -> bool {
        matches!(self, Self::ConfigCenter { is_absent: true, .. })
    }
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
            Self::ConfigCenter { rule, address, is_absent, .. } => {
                let absent = if *is_absent { " (absent)" } else { "" };
                write!(f, "config centre, rule {rule} of {address}{absent}")
            }
        }
    }
}

/// The weight of a setting of a method against another that contradicts it: first the more specific
/// place, then the stronger source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Strength {
    /// 0 for all services, then the levels above `[consumer]` that are in force for the method.
    level: usize,
    source: u8,
    /// Whether it was set for one service or method. A rule for an application is put in force at
    /// each of its services, but was meant for none in particular.
    is_specific: bool,
}

impl Strength {
    pub(crate) const fn new(level: usize, origin: &Origin) -> Self {
        let source = match origin {
            Origin::Default | Origin::ConfigCenter { is_absent: true, .. } => 0,
            Origin::Attribute => 1,
            Origin::Builder => 2,
            Origin::File { .. } => 3,
            Origin::Environment { .. } => 4,
            Origin::Argument { .. } => 5,
            Origin::ConfigCenter { .. } => 6,
            Origin::Rule { .. } => 7,
        };
        let is_specific = match origin {
            Origin::ConfigCenter { is_of_service, .. } => *is_of_service,
            Origin::Attribute => true,
            _ => level > 0,
        };
        Self { level, source, is_specific }
    }

    /// Whether it was set for one service or one method, rather than for all.
    #[must_use]
    pub const fn is_specific(self) -> bool {
        self.is_specific
    }
}

/// A key, the value in force, and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The key, as TOML writes it.
    pub key: String,
    /// Its value, as JSON text; secrets are `"***"`.
    pub value: String,
    /// The origin of the value.
    pub origin: Origin,
}

impl Setting {
    /// What a rule orders at a key of these names, its value as JSON.
    pub(crate) fn ordered<'a>(
        key: impl IntoIterator<Item = &'a str>,
        value: &str,
        origin: Origin,
    ) -> Self {
        Self { key: Key::of(key).to_string(), value: value.to_owned(), origin }
    }
}

impl Serialize for Setting {
    /// `{ "key": …, "value": …, "origin": … }`, with the value as JSON and the origin as text.
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
