//! What the program set in code beside what file and environment say: what they replaced, and what
//! stays.

use std::fmt;

use serde_json::Value;

use super::key::Key;
use super::layer::{Layer, Raw};
use super::origin::{Origin, Origins};
use super::registry::RegistryAddresses;

/// The scheme of the registry that is of this process alone.
const OWN: &str = "memory";

/// What the program set in code.
pub(super) struct Code {
    /// The last value of each key.
    settings: Vec<(Key, Value)>,
    keeps_registry: bool,
}

impl Code {
    pub(super) fn of(builder: &Layer) -> Self {
        let mut settings: Vec<(Key, Value)> = Vec::new();
        for Raw { key, value, .. } in &builder.settings {
            settings.retain(|(known, _)| known != key);
            settings.push((key.clone(), value.clone()));
        }
        let keeps_registry = settings.iter().any(|(key, value)| is_own_registry(key, value));
        Self { settings, keeps_registry }
    }

    /// Takes out of `layer`, the file or the environment, what does not replace the code, and gives
    /// it unless it says the same.
    pub(super) fn keep(&self, layer: &mut Layer) -> Vec<(Key, Origin)> {
        if !self.keeps_registry {
            return Vec::new();
        }
        let registry = Key::dotted("registry.address");
        let taken = layer.settings.extract_if(.., |setting| setting.key == registry);
        let differs =
            |Raw { key, value, .. }: &Raw| !self.settings.contains(&(key.clone(), value.clone()));
        taken.filter(differs).map(|setting| (setting.key, setting.origin)).collect()
    }

    /// What of the code is not in force in `tree`, because file or environment set it otherwise.
    pub(super) fn replaced(&self, tree: &Value, origins: &Origins) -> Vec<(Key, Origin)> {
        let replaced = self.settings.iter().filter_map(|(key, value)| {
            let origin = origins.of(key);
            let is_outside = matches!(origin, Origin::File { .. } | Origin::Environment { .. });
            let in_force = key.parts().try_fold(tree, |at, part| at.get(part));
            (is_outside && in_force != Some(value)).then(|| (key.clone(), origin.clone()))
        });
        replaced.collect()
    }
}

/// Whether this setting has the program meet nobody outside of its process.
fn is_own_registry(key: &Key, value: &Value) -> bool {
    if *key != Key::dotted("registry.address") {
        return false;
    }
    // What cannot be read is an error elsewhere.
    let addresses: RegistryAddresses = serde_json::from_value(value.clone()).unwrap_or_default();
    !addresses.is_empty() && addresses.iter().all(|address| address.scheme() == OWN)
}

/// Where file and environment contradict the code, and what of them says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Overruled {
    /// What they replaced, with the place that did.
    pub(crate) replaced: Places,
    /// What they do not replace, with the place that says otherwise.
    pub(crate) kept: Places,
    /// Variables that set nothing, as orchestrators make them.
    pub(crate) passed_over: Vec<String>,
}

/// Keys with places; `Display` parts them with commas and shows no values, which may be secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Places(pub(super) Vec<(Key, Origin)>);

impl Places {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (at, (key, origin)) in self.0.iter().enumerate() {
            write!(f, "{}{key} ({origin})", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
