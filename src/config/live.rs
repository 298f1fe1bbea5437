//! Which settings may change while a program runs, and which have changed.

use std::collections::BTreeMap;

use rpc_core::Error;

use super::in_force::Config;
use super::loader::{Key, Origin, Setting, leaves, to_value};

/// Sections and keys that stay as they were: ports are bound, connections are made, names are
/// registered.
const FIXED: [&str; 14] = [
    "application",
    "registry",
    "provider.port",
    "provider.bind",
    "provider.advertise",
    "provider.gate",
    "provider.hosts",
    "provider.metrics",
    "provider.protocols",
    "provider.limits",
    "consumer.connect_timeout",
    "consumer.heartbeat",
    "consumer.heartbeat_timeout",
    "consumer.limits",
];

/// Keys of single services and methods that stay as they were, by the end of the key.
const FIXED_ENDS: [&str; 2] = ["gate", "scope"];

impl Config {
    /// The settings that differ in `next`, with their origin there; the value is `null` if nothing
    /// is set any more.
    ///
    /// # Errors
    /// One of them cannot change while a program runs.
    pub(crate) fn changes_to(&self, next: &Self) -> Result<Vec<Setting>, Error> {
        let (old_tree, new_tree) = (to_value(self), to_value(next));
        let old: BTreeMap<Key, String> = texts(&old_tree);
        let new: BTreeMap<Key, String> = texts(&new_tree);
        let mut changed: Vec<Key> =
            new.iter().filter(|(key, value)| old.get(*key) != Some(*value)).map(at).collect();
        changed.extend(old.iter().filter(|(key, _)| !new.contains_key(*key)).map(at));
        if self.registry != next.registry && !changed.iter().any(|key| is_in(key, "registry")) {
            // A token, which is not shown.
            changed.push(Key::dotted("registry.token"));
        }
        if let Some(fixed) = changed.iter().find(|key| is_fixed(key)) {
            let text = "cannot change while the program runs: set it back, or restart the program; \
                        nothing of this change is in force";
            return Err(next.blame(&fixed.to_string(), Error::invalid_config(text)));
        }
        Ok(changed.into_iter().map(|key| next.setting(&key, &new)).collect())
    }

    fn setting(&self, key: &Key, values: &BTreeMap<Key, String>) -> Setting {
        let value = values.get(key).cloned();
        let origin = value.as_ref().map_or(Origin::Default, |_| self.origins.of(key).clone());
        Setting { key: key.to_string(), value: value.unwrap_or_else(|| "null".to_owned()), origin }
    }
}

fn at<T>((key, _): (&Key, T)) -> Key {
    key.clone()
}

fn is_fixed(key: &Key) -> bool {
    let is_of_service = is_in(key, "provider.services") || is_in(key, "consumer.services");
    FIXED.iter().any(|name| is_in(key, name))
        || (is_of_service && key.parts().next_back().is_some_and(|last| FIXED_ENDS.contains(&last)))
}

fn is_in(key: &Key, name: &str) -> bool {
    key.is_in(&Key::dotted(name))
}

fn texts(tree: &serde_json::Value) -> BTreeMap<Key, String> {
    let set = leaves(tree).into_iter().filter(|(_, value)| !value.is_null());
    set.map(|(key, value)| (key, value.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, Sources};

    fn config(settings: &[(&str, &str)]) -> Config {
        let rules =
            settings.iter().fold(Layer::new(), |rules, (key, value)| rules.rule("r1", key, *value));
        Config::load(Sources { rules, ..Sources::default() }).unwrap()
    }

    #[test]
    fn what_changed_is_told_with_who_says_so() {
        let before = config(&[("consumer.timeout", "2s"), ("consumer.services.A.codec", "json")]);
        let after = config(&[("consumer.timeout", "3s"), ("provider.metadata.zone", "east")]);
        let changed = before.changes_to(&after).unwrap();
        let told: Vec<String> = changed.iter().map(Setting::to_string).collect();
        assert_eq!(
            told,
            [
                "consumer.timeout = \"3s\" (rule r1)",
                "provider.metadata.zone = \"east\" (rule r1)",
                "consumer.services.A.codec = null (default)",
            ]
        );
        assert_eq!(before.changes_to(&before).unwrap(), []);
    }

    #[test]
    fn what_cannot_change_while_a_program_runs_is_refused_by_its_key() {
        for (key, value) in [
            ("application.name", "shop"),
            ("registry.address", "dev://"),
            ("registry.token", "sesame"),
            ("provider.bind", "0.0.0.0"),
            ("provider.advertise", "10.0.0.1"),
            ("provider.limits.payload", "1KiB"),
            ("provider.gate", "off"),
            ("provider.services.A.gate", "off"),
            ("provider.services.A.methods.m.gate", "off"),
            ("consumer.services.A.scope", "local"),
            ("consumer.heartbeat", "1s"),
            ("consumer.limits.queued", "1KiB"),
        ] {
            let error = config(&[]).changes_to(&config(&[(key, value)])).unwrap_err().to_string();
            let start = format!("rule r1: {key}: cannot change while the program runs");
            assert!(error.starts_with(&start), "{error}");
        }
    }
}
