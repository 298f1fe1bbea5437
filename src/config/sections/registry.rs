//! The section `[registry]`: where providers are listed, in one registry or in several.
//!
//! Several are written as `[[registry]]`, as a list of addresses, or as addresses with commas
//! between them. Whatever the form, they are one value: a stronger source replaces all of them, so
//! that no program registers by mistake with a registry of a weaker source.

use std::fmt;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::RegistryAddress;
use super::secret::Secret;
use super::value::folder;

/// `[registry]`: where providers are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RegistryConfig {
    /// `scheme://…`, or several; the scheme chooses the registry. Default: none.
    pub address: RegistryAddresses,
    /// The token that registries require, unless one has a token of its own. Default: none.
    pub token: Option<Secret>,
    /// Whether lists are kept on disk, so that a consumer starts without its registry.
    /// Default true.
    pub cache: bool,
    /// Directory of those lists. Default: `dubhe` in the user's cache directory.
    #[serde(serialize_with = "lossy", deserialize_with = "folder")]
    pub cache_dir: Option<PathBuf>,
    /// The zone of instances that name none, unless the registry that lists them has a zone of its own.
    /// Default: none.
    pub zone: Option<String>,
    /// Whether rules are followed that are kept in the registry, if it keeps any. Default true.
    pub use_as_config_center: bool,
}

/// Shows a path as Unicode, which it need not be.
fn lossy<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(to)
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            address: RegistryAddresses::default(),
            token: None,
            cache: true,
            cache_dir: None,
            zone: None,
            use_as_config_center: true,
        }
    }
}

// === impl RegistryAddresses ===

/// The registries in use, in order; none by default. `Serialize` shows them without passwords.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryAddresses(Vec<RegistryEntry>);

/// One registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegistryEntry {
    pub(crate) address: RegistryAddress,
    /// Its own token, from one `[[registry]]` of several.
    pub(crate) token: Option<Secret>,
    /// Of the instances that it lists and that name none, likewise.
    pub(crate) zone: Option<String>,
    pub(crate) place: AddressPlace,
}

/// Where an address is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressPlace {
    /// It, or several with commas between them, is the whole value.
    Alone,
    /// It is this element of a list.
    Item(usize),
    /// It stands in this one of several tables.
    Table(usize),
}

/// A registry in a list, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    address: String,
    token: Option<Secret>,
    zone: Option<String>,
}

impl RegistryAddresses {
    /// The addresses, in order.
    pub fn iter(&self) -> impl Iterator<Item = &RegistryAddress> {
        self.0.iter().map(|entry| &entry.address)
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The registries, in order.
    pub(crate) fn entries(&self) -> &[RegistryEntry] {
        &self.0
    }

    fn push(&mut self, written: &Written, place: AddressPlace) -> Result<(), String> {
        for address in split(&written.address) {
            let address = address.parse().map_err(|error| format!("{error}"))?;
            if self.iter().any(|known| *known == address) {
                return Err(format!("`{address}` is there twice: name each registry once"));
            }
            self.0.push(RegistryEntry {
                address,
                token: written.token.clone(),
                zone: written.zone.clone(),
                place,
            });
        }
        Ok(())
    }
}

/// The addresses in a text. A comma also separates the hosts of one address; another address begins
/// with a scheme, perhaps after blanks.
fn split(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut begun = 0;
    for (comma, _) in text.match_indices(',') {
        let rest = text[comma + 1..].trim_start();
        let word = rest.split(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).next();
        if word.is_some_and(|word| !word.is_empty() && rest[word.len()..].starts_with("://")) {
            found.push(&text[begun..comma]);
            begun = text.len() - rest.len();
        }
    }
    found.push(&text[begun..]);
    found
}

impl<'de> Deserialize<'de> for RegistryAddresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut addresses = Self::default();
        Reading { into: &mut addresses, index: None }.deserialize(deserializer)?;
        Ok(addresses)
    }
}

/// Reads what stands at `registry.address`, or the element at `index` of it, so that a mistake is
/// told with its place.
struct Reading<'a> {
    into: &'a mut RegistryAddresses,
    index: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.index {
            None => "an address in quotes, or a list of them",
            Some(_) => "an address in quotes",
        })
    }

    fn visit_str<E: de::Error>(self, address: &str) -> Result<(), E> {
        let written = Written { address: address.to_owned(), token: None, zone: None };
        let place = self.index.map_or(AddressPlace::Alone, AddressPlace::Item);
        self.into.push(&written, place).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let written = Written::deserialize(MapAccessDeserializer::new(map))?;
        let place = self.index.map_or(AddressPlace::Alone, AddressPlace::Table);
        self.into.push(&written, place).map_err(A::Error::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.index.is_some() {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        let mut next = 0;
        while list.next_element_seed(Reading { into: self.into, index: Some(next) })?.is_some() {
            next += 1;
        }
        match next {
            0 => Err(A::Error::custom("an empty list names no registry: name one registry")),
            _ => Ok(()),
        }
    }
}

impl Serialize for RegistryAddresses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [] => serializer.serialize_none(),
            [one] => serializer.collect_str(&one.address),
            _ => serializer.collect_seq(self.iter().map(RegistryAddress::to_string)),
        }
    }
}

impl fmt::Display for RegistryAddresses {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.iter().enumerate() {
            write!(f, "{}{address}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_parts_registries_only_where_another_scheme_begins() {
        for (text, parts) in [
            ("dev://", vec!["dev://"]),
            ("static://a:1,b:2", vec!["static://a:1,b:2"]),
            ("dev://a,dubhe://h:1,h:2", vec!["dev://a", "dubhe://h:1,h:2"]),
            ("zookeeper://a,etcd+x://b", vec!["zookeeper://a", "etcd+x://b"]),
            ("dev://a, dubhe://h:1,h:2,\n dns://b", vec!["dev://a", "dubhe://h:1,h:2", "dns://b"]),
            ("dev://a, b:1", vec!["dev://a, b:1"]),
            ("", vec![""]),
            (",://", vec![",://"]),
        ] {
            assert_eq!(split(text), parts, "{text}");
        }
    }
}
