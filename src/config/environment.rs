//! Environment variables to settings: `DUBHE_CONSUMER__CODEC=json` sets `consumer.codec`.
//!
//! Names of services cannot be written in a variable's name, so keys below `consumer.services` and
//! `provider.services` are left to the file and the builder. A key whose last name is free
//! (`provider.metadata.*`) takes the rest of the variable's name in lower case.

use std::ffi::OsString;

use rpc_core::Error;
use serde_json::Value;

use super::file::value_of;
use super::key::{ANY, Key};
use super::layer::{Layer, Raw};
use super::origin::Origin;
use super::schema::Schema;

/// What every variable of ours begins with.
const PREFIX: &str = "DUBHE_";

/// Names the file; empty for none.
pub(super) const FILE: &str = "DUBHE_CONFIG";

/// Ours, but no settings: the file, the log filter of examples and tools, the Python of the tests.
const RESERVED: [&str; 3] = [FILE, "DUBHE_LOG", "DUBHE_PYTHON"];

/// The settings among `variables`; those without our prefix are not looked at.
pub(super) fn parse(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    schema: &Schema,
) -> Result<Layer, Error> {
    let keys: Vec<(String, Key)> = schema
        .leaves()
        .into_iter()
        .filter(|(key, _)| has_variable(key))
        .map(|(key, _)| (variable(&key), key))
        .collect();
    let mut layer = Layer::new();
    for (name, text) in variables {
        let name = name.to_string_lossy();
        if !name.starts_with(PREFIX) || RESERVED.contains(&&*name) {
            continue;
        }
        let Some(key) = keys.iter().find_map(|(known, key)| named(&name, known, key)) else {
            let known = keys.iter().map(|(known, _)| known.as_str());
            let known = known.chain(RESERVED);
            return Err(Error::unknown_name("environment variable", &name, known));
        };
        layer.settings.push(setting(&key, &name, text)?);
    }
    Ok(layer)
}

/// Whether a variable can set `key`: only its last name is free, if any.
pub(super) fn has_variable(key: &Key) -> bool {
    !key.section(key.parts().len() - 1).has_any()
}

/// The key that the variable `name` sets, if it is `key`, whose variable is `known`.
fn named(name: &str, known: &str, key: &Key) -> Option<Key> {
    let Some(start) = known.strip_suffix(ANY) else {
        return (name == known).then(|| key.clone());
    };
    let free = name.strip_prefix(start).filter(|free| !free.is_empty())?;
    Some(key.section(key.parts().len() - 1).child(&free.to_ascii_lowercase()))
}

/// The variable that sets `key`.
pub(super) fn variable(key: &Key) -> String {
    let parts: Vec<String> = key.parts().map(str::to_ascii_uppercase).collect();
    format!("{PREFIX}{}", parts.join("__"))
}

/// The text is read as TOML if the key takes that, else as a string without quotes.
fn setting(key: &Key, name: &str, text: OsString) -> Result<Raw, Error> {
    let origin = Origin::Environment { variable: name.to_owned() };
    let text = text
        .into_string()
        .map_err(|_| Error::invalid_config("the value is not UTF-8").at(&origin))?;
    let raw = |value| Raw { key: key.clone(), value, origin: origin.clone() };
    let as_toml = value_of(&text).map(raw);
    let as_text = raw(Value::String(text));
    match as_toml {
        Some(value) if value.alone().is_ok() || as_text.alone().is_err() => Ok(value),
        _ => Ok(as_text),
    }
}
