//! The settings of one source, in the form that builder, file and environment share before merging.

use rpc_core::Error;
use serde_json::Value;

use super::key::Key;
use super::origin::Origin;

/// The settings of one source, in its order. A builder fills one; it is checked with all others
/// when the configuration is loaded.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Layer {
    pub(super) settings: Vec<Raw>,
    /// The places of the names of its sections, in a file.
    pub(super) sections: Vec<(Key, Origin)>,
}

/// A setting as its source has it.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) key: Key,
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// The places of the parts of the value, in a file.
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
    /// A layer without settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`, as a builder, in the form that a file would have. A name with
    /// dots is quoted: `consumer.services."shop.Inventory".timeout`.
    pub fn set(self, key: &str, value: impl Into<Value>) -> Self {
        self.push(Key::dotted(key), value.into())
    }

    /// Sets a key given as names, which may contain dots, such as
    /// `["consumer", "services", "shop.Inventory", "timeout"]`.
    pub fn set_at<'a>(
        self,
        key: impl IntoIterator<Item = &'a str>,
        value: impl Into<Value>,
    ) -> Self {
        self.push(Key::of(key), value.into())
    }

    /// Sets `key` as an argument of the program, called `name` in messages. It is stronger than
    /// file and environment.
    pub fn argument(mut self, name: &str, key: &str, value: impl Into<Value>) -> Self {
        let origin = Origin::Argument { name: name.to_owned() };
        self.settings.push(Raw::new(Key::dotted(key), value.into(), origin));
        self
    }

    /// Sets `key` as a rule, called `name` in messages. It is stronger than every source. For
    /// [`Consumer::apply_rules`](crate::Consumer::apply_rules) and
    /// [`Sources::rules`](super::Sources).
    pub fn rule(mut self, name: &str, key: &str, value: impl Into<Value>) -> Self {
        let origin = Origin::Rule { name: name.to_owned() };
        self.settings.push(Raw::new(Key::dotted(key), value.into(), origin));
        self
    }

    /// Sets a key given as names as `origin`, a rule of a config centre, orders.
    pub(crate) fn ordered<'a>(
        mut self,
        key: impl IntoIterator<Item = &'a str>,
        value: Value,
        origin: Origin,
    ) -> Self {
        self.settings.push(Raw::new(Key::of(key), value, origin));
        self
    }

    /// Converts its settings into rules; one without a name is called `rule`.
    pub(super) fn into_rules(mut self) -> Self {
        for setting in &mut self.settings {
            if !matches!(setting.origin, Origin::Rule { .. } | Origin::ConfigCenter { .. }) {
                setting.origin = Origin::Rule { name: String::new() };
            }
        }
        self
    }

    /// Splits it into what gives way to every source, and the others.
    pub(super) fn split_rules(self) -> (Self, Self) {
        let gives_way = |setting: &Raw| setting.origin.gives_way();
        let (weak, strong) = self.settings.into_iter().partition(gives_way);
        let layer = |settings| Self { settings, sections: Vec::new() };
        (layer(weak), layer(strong))
    }

    /// Splits it into the settings of a builder and those of the program's arguments.
    pub(super) fn split(self) -> (Self, Self) {
        let is_argument = |setting: &Raw| matches!(setting.origin, Origin::Argument { .. });
        let (arguments, builder) = self.settings.into_iter().partition(is_argument);
        let layer = |settings| Self { settings, sections: Vec::new() };
        (layer(builder), layer(arguments))
    }

    /// Appends the settings of `stronger`, which override these.
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

    /// Puts the value at its place, replacing an earlier one.
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
