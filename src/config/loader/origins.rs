//! Where every setting of a configuration stands: what errors about it point at.

use std::collections::BTreeMap;

use rpc_core::Error;

use super::key::Key;
use super::layer::{Inside, Raw};
use super::origin::Origin;

/// Where everything stands that somebody set.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Origins {
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
    pub(crate) fn unset(&mut self, unset: &Key) {
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
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.values.contains_key(key)
    }

    /// Who set `key`, or the value that it is inside of.
    pub(crate) fn of(&self, key: &Key) -> &Origin {
        let around = (1..=key.parts().len()).rev().map(|depth| key.section(depth));
        let set = around.filter_map(|key| self.values.get(&key)).next();
        set.unwrap_or(&Origin::Default)
    }

    /// Where the name of `section` stands, or else who set the first key in it.
    pub(crate) fn of_section(&self, section: &Key) -> &Origin {
        let first = || self.values.range(section..).map(|(_, origin)| origin).next();
        self.names.get(section).or_else(first).unwrap_or(&Origin::Default)
    }

    /// `error`, about `key` or what it says is inside its value, with the place in front.
    pub(crate) fn blame(&self, key: &Key, mut error: Error) -> Error {
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
