//! Compares the program's settings in code with file and environment: which are replaced, and which
//! stay.

use std::fmt;

use serde_json::Value;

use super::key::Key;
use super::layer::{Layer, Raw};
use super::origin::Origin;
use super::origins::Origins;

/// The settings that the program made in code.
pub(super) struct InCode {
    /// The last value of each key.
    settings: Vec<(Key, Value)>,
    /// Keys that are not replaced.
    staying: Vec<Key>,
}

impl InCode {
    pub(super) fn of(builder: &Layer, stays: fn(&Key, &Value) -> bool) -> Self {
        let mut settings: Vec<(Key, Value)> = Vec::new();
        for Raw { key, value, .. } in &builder.settings {
            settings.retain(|(known, _)| known != key);
            settings.push((key.clone(), value.clone()));
        }
        let staying = settings.iter().filter(|(key, value)| stays(key, value));
        Self { staying: staying.map(|(key, _)| key.clone()).collect(), settings }
    }

    /// Removes from `layer`, the file or the environment, the settings that do not replace the
    /// code, and returns those that differ from it.
    pub(super) fn keep(&self, layer: &mut Layer) -> Vec<(Key, Origin)> {
        let taken = layer.settings.extract_if(.., |setting| self.staying.contains(&setting.key));
        let differs =
            |Raw { key, value, .. }: &Raw| !self.settings.contains(&(key.clone(), value.clone()));
        taken.filter(differs).map(|setting| (setting.key, setting.origin)).collect()
    }

    /// The settings in code that are not in force in `tree`, because file or environment override
    /// them.
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

/// The contradictions between code and file or environment, and the variables without effect.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Overruled {
    /// Replaced settings, with the place that replaced each.
    pub(crate) replaced: Replacements,
    /// Settings that stay, with the place that says otherwise.
    pub(crate) kept: Replacements,
    /// Variables that set nothing, as orchestrators make them.
    pub(crate) passed_over: Vec<String>,
}

/// Keys with places; `Display` separates them with commas and shows no values, which may be secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Replacements(pub(super) Vec<(Key, Origin)>);

impl Replacements {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Replacements {
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
