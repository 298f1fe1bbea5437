//! The place of every setting of a configuration, which errors about it point at.

use std::collections::BTreeMap;

use rpc_core::Error;

use super::key::Key;
use super::layer::{Inside, Raw};
use super::origin::Origin;

/// The places of all settings that are not at their default.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Origins {
    /// Of values: keys, and in a file also what is inside their values.
    values: BTreeMap<Key, Origin>,
    /// Of names, in a file: sections, and what is inside values.
    names: BTreeMap<Key, Origin>,
}

impl Origins {
    /// Notes the place of `setting`, and forgets everything that was at its key before.
    pub(super) fn set(&mut self, setting: &Raw) {
        self.unset(&setting.key);
        self.values.insert(setting.key.clone(), setting.origin.clone());
        for Inside { key, name, value } in &setting.inside {
            self.values.insert(key.clone(), value.clone());
            self.names.extend(name.iter().map(|name| (key.clone(), name.clone())));
        }
    }

    /// Forgets the places of `key` and of everything inside it.
    pub(crate) fn unset(&mut self, unset: &Key) {
        for places in [&mut self.values, &mut self.names] {
            let old = places.range(unset..).take_while(|(key, _)| key.is_in(unset));
            let old: Vec<Key> = old.map(|(key, _)| key.clone()).collect();
            old.iter().for_each(|key| drop(places.remove(key)));
        }
    }

    /// Notes the place of the name of a section.
    pub(super) fn name_section(&mut self, section: Key, origin: Origin) {
        self.names.insert(section, origin);
    }

    /// Whether the place of `key` itself is known.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.values.contains_key(key)
    }

    /// The origin of `key`, or of the value that contains it.
    pub(crate) fn of(&self, key: &Key) -> &Origin {
        let around = (1..=key.parts().len()).rev().map(|depth| key.section(depth));
        let set = around.filter_map(|key| self.values.get(&key)).next();
        set.unwrap_or(&Origin::Default)
    }

    /// The place of the name of `section`, or of the first key in it.
    pub(crate) fn of_section(&self, section: &Key) -> &Origin {
        let first = || self.values.range(section..).map(|(_, origin)| origin).next();
        self.names.get(section).or_else(first).unwrap_or(&Origin::Default)
    }

    /// Puts the place in front of `error`, which is about `key` or a part of its value.
    pub(crate) fn blame(&self, key: &Key, mut error: Error) -> Error {
        let inside = error.take_parameter();
        let whole = inside.iter().fold(key.clone(), |key, step| key.step(step));
        let (shown, origin) = match (error.is_unknown_name(), inside.is_empty()) {
            // It is not a key, so the section is shown.
            (true, false) => {
                let name = self.names.get(&whole).unwrap_or_else(|| self.of(&whole));
                (whole.section(whole.parts().len() - 1), name)
            }
            // An unknown extension, perhaps with parameters beside its name.
            (true, true) => (whole.clone(), self.of(&whole.child("name"))),
            (false, _) => (whole.clone(), self.of(&whole)),
        };
        error.at(format_args!("{origin}: {shown}"))
    }
}
