//! Every key there is, taken from the tree itself, so that no list can fall behind it.

use serde_json::Value;

use super::consumer::{MethodOverrides, ServiceOverrides};
use super::instances::InstanceRule;
use super::key::{ANY, Key};
use super::provider::{HandlerOverrides, InstanceOverrides};
use super::tree::Config;

/// The tree of keys: objects are sections, everything else is a key with its default.
#[derive(Debug)]
pub(super) struct Schema(Value);

/// What stands at a place of the tree.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    /// A section.
    Section,
    /// A key.
    Leaf,
    /// Nothing; these are known in the deepest section that exists, whose depth is `depth`.
    Unknown { depth: usize, known: Vec<&'a str> },
}

impl Schema {
    pub(super) fn new() -> Self {
        let mut example = Config::default();
        let rule = || InstanceRule {
            metadata: [(ANY.to_owned(), String::new())].into(),
            ..InstanceRule::default()
        };
        let any = ServiceOverrides {
            methods: [(ANY.to_owned(), MethodOverrides::default())].into(),
            instances: [(ANY.to_owned(), rule())].into(),
            ..ServiceOverrides::default()
        };
        let key = rpc_core::ServiceKey::new(ANY);
        let own = InstanceOverrides {
            methods: [(ANY.to_owned(), HandlerOverrides::default())].into(),
            ..InstanceOverrides::default()
        };
        example.provider.services.insert(key.clone(), own);
        example.consumer.instances.insert(ANY.to_owned(), rule());
        example.provider.metadata.insert(ANY.to_owned(), String::new());
        example.consumer.services.insert(key, any);
        Self(example.to_value())
    }

    pub(super) fn lookup(&self, key: &Key) -> Entry<'_> {
        let mut at = &self.0;
        for (depth, part) in key.parts().enumerate() {
            let Value::Object(section) = at else {
                return Entry::Unknown { depth, known: Vec::new() };
            };
            match section.get(part).or_else(|| section.get(ANY)) {
                Some(next) => at = next,
                None => {
                    let known = section.keys().map(String::as_str).collect();
                    return Entry::Unknown { depth, known };
                }
            }
        }
        if at.is_object() { Entry::Section } else { Entry::Leaf }
    }

    /// Every key with its default; where any name may stand, it has [`ANY`].
    pub(super) fn leaves(&self) -> Vec<(Key, &Value)> {
        leaves(&self.0)
    }
}

/// The keys under `value` with theirs, in order.
pub(super) fn leaves(value: &Value) -> Vec<(Key, &Value)> {
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
