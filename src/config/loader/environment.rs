//! Environment variables to settings: `DUBHE_CONSUMER__CODEC=json` sets `consumer.codec`.
//!
//! A name with dots, such as that of a service, cannot be written in a variable's name, so keys
//! below one are left to the file and the builder. A key whose last name is free
//! (`provider.metadata.*`) takes the rest of the variable's name in lower case.

use std::ffi::OsString;

use rpc_core::Error;
use serde_json::Value;

use super::file::value_of;
use super::key::{ANY, Key};
use super::layer::{Layer, Raw};
use super::origin::Origin;
use super::schema::Schema;

/// The beginning of every variable of ours.
const PREFIX: &str = "DUBHE_";

/// Names the file; empty for none.
pub(super) const FILE: &str = "DUBHE_CONFIG";

/// Ours, but no settings: the file, the log filter of examples and tools, the Python and the Nacos of tests.
const RESERVED: [&str; 4] = [FILE, "DUBHE_LOG", "DUBHE_NACOS", "DUBHE_PYTHON"];

/// The settings among `variables`, and the names of variables that an orchestrator made. Variables
/// without our prefix are ignored.
pub(super) fn parse(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    schema: &Schema,
) -> Result<(Layer, Vec<String>), Error> {
    let keys: Vec<(String, Key)> = schema
        .leaves()
        .into_iter()
        .filter(|(key, _)| has_variable(key))
        .map(|(key, _)| (variable(&key), key))
        .collect();
    let (mut layer, mut passed_over) = (Layer::new(), Vec::new());
    for (name, text) in variables {
        let name = name.to_string_lossy();
        if !is_meant(&name, &keys) || RESERVED.contains(&&*name) {
            continue;
        }
        let Some(key) = keys.iter().find_map(|(known, key)| named(&name, known, key)) else {
            if is_link(&name, &text.to_string_lossy()) {
                passed_over.push(name.into_owned());
                continue;
            }
            let known: Vec<&str> = keys.iter().map(|(known, _)| known.as_str()).collect();
            return Err(unknown(&name, &known, schema));
        };
        layer.settings.push(setting(&key, &name, text, schema)?);
    }
    passed_over.sort();
    Ok((layer, passed_over))
}

/// Whether a variable is meant for us: by its beginning; in small letters, if a section follows.
fn is_meant(name: &str, keys: &[(String, Key)]) -> bool {
    let section = name.find("__").map(|end| name[..end + 2].to_ascii_uppercase());
    let is_section = |section: String| keys.iter().any(|(known, _)| known.starts_with(&section));
    name.starts_with(PREFIX) || section.is_some_and(is_section)
}

/// Whether a variable was made by Kubernetes for a Service, or by Docker for a linked container,
/// whose name begins with ours, such as `dubhe-registry`, rather than set by a person.
fn is_link(name: &str, value: &str) -> bool {
    // Docker passes on the whole environment of the other container, whatever its names.
    let is_env = |name: &str| name.find("_ENV_").is_some_and(|at| !name[..at].contains("__"));
    if name == format!("{PREFIX}NAME") || is_env(name) {
        return true;
    }
    // It has a section, so it is a key rather than a link.
    if name.contains("__") {
        return false;
    }
    let is_end = |rest: &str| rest.is_empty() || rest.starts_with('_');
    let is_port = |rest: &str| match rest.strip_prefix('_') {
        // A link has an address; `DUBHE_PROVIDER_PORT=20880` is a typing error.
        None => rest.is_empty() && value.contains("://"),
        Some(rest) => {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let mut protocols = ["_TCP", "_UDP", "_SCTP"].into_iter();
            let part = protocols.find_map(|protocol| rest.strip_prefix(protocol));
            part.is_some_and(|part| ["", "_PROTO", "_PORT", "_ADDR"].contains(&part))
        }
    };
    name.ends_with("_SERVICE_HOST")
        // A link has `/this-container/that-container`; `DUBHE_APPLICATION_NAME=shop` is a typing
        // error.
        || name.ends_with("_NAME") && value.starts_with('/')
        || name.split_once("_SERVICE_PORT").is_some_and(|(_, rest)| is_end(rest))
        || name.match_indices("_PORT").any(|(at, port)| is_port(&name[at + port.len()..]))
}

/// The error of a variable that sets nothing: the reason, if it is known, and the known variables.
fn unknown(name: &str, known: &[&str], schema: &Schema) -> Error {
    if let Some(why) = misplaced(name, known, schema) {
        return Error::invalid_config(format!("environment variable `{name}`: {why}"));
    }
    // Of a section that exists, only its own variables.
    let mut sections = name.rmatch_indices("__").map(|(end, _)| &name[..end + 2]);
    let section = sections.find(|section| known.iter().any(|known| known.starts_with(section)));
    let in_section = known.iter().filter(|known| known.starts_with(section.unwrap_or_default()));
    let reserved = RESERVED.iter().filter(|_| section.is_none());
    Error::unknown_name("environment variable", name, in_section.chain(reserved).copied())
}

/// Why the setting that a variable is meant for has no variable of this name.
fn misplaced(name: &str, known: &[&str], schema: &Schema) -> Option<String> {
    let capitals = name.to_ascii_uppercase();
    if capitals != name && known.contains(&&*capitals) {
        return Some(format!("variables are in capitals, write `{capitals}`"));
    }
    let is_meant = |key: &&&str| {
        let rest = key.strip_prefix(PREFIX).and_then(|key| key.split_once("__"));
        rest.is_some_and(|(_, rest)| capitals.strip_prefix(PREFIX) == Some(rest))
    };
    let meant: Vec<String> = known.iter().filter(is_meant).map(|key| format!("`{key}`")).collect();
    if !meant.is_empty() {
        return Some(format!("its section is missing, write {}", meant.join(" or ")));
    }
    let is_below = |key: &Key| capitals.starts_with(&format!("{}__", variable(key)));
    let leaves = schema.leaves();
    if let Some(section) = leaves.iter().filter_map(|(key, _)| key.named_section()).find(is_below) {
        return Some(format!(
            "settings below [{section}] have no variable, because the names there hold dots: \
             write [{section}.\"…\"] into the configuration file"
        ));
    }
    let extension = || serde_json::json!({ "name": "x" });
    let takes_one =
        |key: &Key| schema.takes(&Raw::new(key.clone(), extension(), Origin::Default)).is_ok();
    let mut keys = leaves.into_iter().map(|(key, _)| key).filter(has_variable).filter(is_below);
    let key = variable(&keys.find(takes_one)?);
    Some(format!(
        "parameters of an extension have no variable of their own, write them into the value: \
         {key}='{{ name = \"…\", … }}'"
    ))
}

/// Whether a variable can set `key`: only its last name is free, if any.
pub(crate) fn has_variable(key: &Key) -> bool {
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
pub(crate) fn variable(key: &Key) -> String {
    let parts: Vec<String> = key.parts().map(str::to_ascii_uppercase).collect();
    format!("{PREFIX}{}", parts.join("__"))
}

/// The text is read as TOML if the key takes that, else as a string without quotes.
fn setting(key: &Key, name: &str, text: OsString, schema: &Schema) -> Result<Raw, Error> {
    let origin = Origin::Environment { variable: name.to_owned() };
    let text = text
        .into_string()
        .map_err(|_| Error::invalid_config("the value is not UTF-8").at(&origin))?;
    let raw = |value| Raw::new(key.clone(), value, origin.clone());
    let as_toml = value_of(&text).map(raw);
    let as_text = raw(Value::String(text));
    match as_toml {
        Some(value) if schema.takes(&value).is_ok() || schema.takes(&as_text).is_err() => Ok(value),
        _ => Ok(as_text),
    }
}
