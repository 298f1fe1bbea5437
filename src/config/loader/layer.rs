//! What one source sets: the form that builder, file and environment share before they are merged.

use rpc_core::settings::{self, SettingError};
use rpc_core::{Error, nearest};
use serde_json::Value;

use super::key::Key;
use super::origin::{Origin, Origins};
use super::schema::{Entry, Schema};

/// The settings of one source, in its order. A builder fills one; it is checked with all others
/// when the configuration is loaded.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Layer {
    pub(super) settings: Vec<Raw>,
    /// Where the names of its sections stand, in a file.
    pub(super) sections: Vec<(Key, Origin)>,
}

/// A setting as its source has it.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) key: Key,
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// Where in a file that stands which is inside the value.
    pub(super) inside: Vec<Inside>,
}

/// A parameter of an extension, an element of a list and the like, in a file.
#[derive(Debug, Clone)]
pub(super) struct Inside {
    pub(super) key: Key,
    /// Elements of lists have none.
    pub(super) name: Option<Origin>,
    pub(super) value: Origin,
}

impl Layer {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with `key` set by a builder to `value`, in the form a file would have. A name with
    /// dots is quoted: `consumer.services."shop.Inventory".timeout`.
    pub fn set(self, key: &str, value: impl Into<Value>) -> Self {
        self.push(Key::dotted(key), value.into())
    }

    /// The same with a key of names that may hold dots, such as
    /// `["consumer", "services", "shop.Inventory", "timeout"]`.
    pub fn set_at<'a>(
        self,
        key: impl IntoIterator<Item = &'a str>,
        value: impl Into<Value>,
    ) -> Self {
        self.push(Key::of(key), value.into())
    }

    /// The same with `key` set by an argument of the program, called `name` in messages: stronger
    /// than file and environment.
    pub fn argument(mut self, name: &str, key: &str, value: impl Into<Value>) -> Self {
        let origin = Origin::Argument { name: name.to_owned() };
        self.settings.push(Raw::new(Key::dotted(key), value.into(), origin));
        self
    }

    /// The same with `key` set by a rule, called `name` in messages: stronger than every source. For
    /// [`Consumer::apply_rules`](crate::Consumer::apply_rules) and
    /// [`Sources::rules`](super::Sources).
    pub fn rule(mut self, name: &str, key: &str, value: impl Into<Value>) -> Self {
        let origin = Origin::Rule { name: name.to_owned() };
        self.settings.push(Raw::new(Key::dotted(key), value.into(), origin));
        self
    }

    /// The same as rules; what has no name is called `rule`.
    pub(super) fn into_rules(mut self) -> Self {
        for setting in &mut self.settings {
            if !matches!(setting.origin, Origin::Rule { .. }) {
                setting.origin = Origin::Rule { name: String::new() };
            }
        }
        self
    }

    /// What a builder set, and what arguments of the program did.
    pub(super) fn split(self) -> (Self, Self) {
        let is_argument = |setting: &Raw| matches!(setting.origin, Origin::Argument { .. });
        let (arguments, builder) = self.settings.into_iter().partition(is_argument);
        let layer = |settings| Self { settings, sections: Vec::new() };
        (layer(builder), layer(arguments))
    }

    /// The same, and behind it what `stronger` sets.
    pub(crate) fn then(mut self, stronger: Self) -> Self {
        self.settings.extend(stronger.settings);
        self
    }

    fn push(mut self, key: Key, value: Value) -> Self {
        self.settings.push(Raw::new(key, value, Origin::Builder));
        self
    }
}

impl Raw {
    pub(super) fn new(key: Key, value: Value, origin: Origin) -> Self {
        Self { key, value, origin, inside: Vec::new() }
    }

    /// Whether this key exists and, alone, takes this value.
    ///
    /// # Errors
    /// Where it stands, what is wrong and what is possible.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), Error> {
        match schema.lookup(&self.key) {
            Entry::Leaf => {}
            Entry::Section => return Err(self.blame("is a section, it takes no value")),
            Entry::Unknown { depth, known } => {
                return Err(unknown_key(&self.key, depth, known).at(&self.origin));
            }
        }
        let Err(error) = self.alone() else { return Ok(()) };
        let mut error = error.into_error(&format!("key of {}", self.key));
        // The way from the root; cut short where serde reads a section twice.
        let way = error.take_parameter();
        let inside = way.get(self.key.parts().len()..).unwrap_or_default();
        let error = inside.iter().rev().fold(error, |error, step| error.in_parameter(step));
        let mut origins = Origins::default();
        origins.set(self);
        Err(origins.blame(&self.key, error))
    }

    /// Whether the tree takes this setting when nothing else is set.
    pub(super) fn alone(&self) -> Result<(), SettingError> {
        let mut tree = Value::Object(serde_json::Map::new());
        self.insert_into(&mut tree);
        settings::read::<super::Config>(tree).map(drop)
    }

    /// Puts the value at its place; what stood there before is gone.
    pub(super) fn insert_into(&self, tree: &mut Value) {
        let mut at = tree;
        for part in self.key.parts() {
            if !at.is_object() {
                *at = Value::Object(serde_json::Map::new());
            }
            at = &mut at[part];
        }
        *at = self.value.clone();
    }

    pub(super) fn blame(&self, message: &str) -> Error {
        let Self { key, origin, .. } = self;
        Error::invalid_config(format!("{key}: {message}")).at(origin)
    }
}

/// The error of a key that does not exist, whose first `depth` names do.
pub(super) fn unknown_key(key: &Key, depth: usize, known: Vec<&str>) -> Error {
    let section = key.section(depth);
    if known.is_empty() {
        return Error::invalid_config(format!("{section}: is a key, it has no keys of its own"));
    }
    if let Some(name) = unquoted_service(key, depth, &known) {
        let (part, section) =
            (key.parts().nth(depth).unwrap_or_default(), key.section(2).child(&name));
        return Error::invalid_config(format!(
            "[{}] has no key `{part}`; the name of a service with dots stands in quotes: [{section}]",
            key.section(depth)
        ));
    }
    let kind = match depth {
        0 => "section".to_owned(),
        _ => format!("key in [{section}]"),
    };
    let name = key.parts().nth(depth).unwrap_or_default();
    Error::unknown_name(&kind, name, known)
}

/// The service that was meant if quotes were forgotten around its name: the parts of `key` up to the
/// first of `known`. `None` if the unknown part, the one at `depth`, rather is a key.
fn unquoted_service(key: &Key, depth: usize, known: &[&str]) -> Option<String> {
    let parts: Vec<&str> = key.parts().collect();
    let is_name = matches!(parts[..], ["consumer" | "provider", "services", ..]) && depth == 3;
    let part = parts.get(depth)?;
    let is_more = parts.len() > depth + 1 || part.starts_with(char::is_uppercase);
    if !is_name || !is_more || nearest(part, known).is_some() {
        return None;
    }
    let name: Vec<&str> =
        parts[2..].iter().take_while(|part| !known.contains(part)).copied().collect();
    Some(name.join("."))
}
