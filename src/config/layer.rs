//! What one source sets: the form that builder, file and environment share before they are merged.

use rpc_core::Error;
use serde_json::Value;

use super::key::Key;
use super::origin::Origin;
use super::schema::{Entry, Schema};

/// The settings of one source, in its order. A builder fills one; it is checked with all others
/// when the configuration is loaded.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Layer {
    pub(super) settings: Vec<Raw>,
}

/// A setting as its source has it.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) key: Key,
    pub(super) value: Value,
    pub(super) origin: Origin,
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
        self.settings.push(Raw { key: Key::dotted(key), value: value.into(), origin });
        self
    }

    /// What a builder set, and what arguments of the program did.
    pub(super) fn split(self) -> (Self, Self) {
        let is_argument = |setting: &Raw| matches!(setting.origin, Origin::Argument { .. });
        let (arguments, builder) = self.settings.into_iter().partition(is_argument);
        (Self { settings: builder }, Self { settings: arguments })
    }

    /// The same, and behind it what `stronger` sets.
    pub(crate) fn then(mut self, stronger: Self) -> Self {
        self.settings.extend(stronger.settings);
        self
    }

    fn push(mut self, key: Key, value: Value) -> Self {
        self.settings.push(Raw { key, value, origin: Origin::Builder });
        self
    }
}

impl Raw {
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
        match self.alone() {
            Ok(()) => Ok(()),
            Err(message) => Err(self.blame(&message)),
        }
    }

    /// Whether the tree takes this setting when nothing else is set.
    pub(super) fn alone(&self) -> Result<(), String> {
        let mut tree = Value::Object(serde_json::Map::new());
        self.insert_into(&mut tree);
        serde_json::from_value::<super::Config>(tree).map(drop).map_err(|error| error.to_string())
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
    let kind = match depth {
        0 => "section".to_owned(),
        _ => format!("key in [{section}]"),
    };
    let name = key.parts().nth(depth).unwrap_or_default();
    Error::unknown_name(&kind, name, known)
}
