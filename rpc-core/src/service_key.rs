//! The identity of a service: interface, group and version.
//!
//! Two services are the same exactly when all three parts are equal. The textual form is Dubbo's:
//! `[group/]interface[:version]`; an absent group or version is the empty string.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Interface, group and version of a service; cheap to clone.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// use dubhe::ServiceKey;
///
/// let key: ServiceKey = "blue/shop.Inventory:1.0.0".parse()?;
/// assert_eq!((key.group(), key.interface(), key.version()), ("blue", "shop.Inventory", "1.0.0"));
/// assert_eq!(key, ServiceKey::with_parts("shop.Inventory", "blue", "1.0.0"));
/// assert_ne!(key, ServiceKey::new("shop.Inventory"));
/// # Ok::<(), dubhe::ParseServiceKeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey {
    text: Arc<str>,
    group_end: u16,
    interface_end: u16,
}

impl ServiceKey {
    /// A key without group and version.
    ///
    /// The parts are taken as they are; use [`FromStr`] for text from outside.
    #[must_use]
    pub fn new(interface: &str) -> Self {
        Self::with_parts(interface, "", "")
    }

    /// A key of all three parts; an empty group or version means none.
    ///
    /// Parts longer than 64 KiB are cut there.
    #[must_use]
    pub fn with_parts(interface: &str, group: &str, version: &str) -> Self {
        let mut text = String::with_capacity(group.len() + interface.len() + version.len() + 2);
        if !group.is_empty() {
            text.push_str(cut(group, 0x3fff));
            text.push('/');
        }
        let group_end = text.len();
        text.push_str(cut(interface, 0x3fff));
        let interface_end = text.len();
        if !version.is_empty() {
            text.push(':');
            text.push_str(cut(version, 0x3fff));
        }
        Self {
            text: text.into(),
            group_end: u16::try_from(group_end).unwrap_or(u16::MAX),
            interface_end: u16::try_from(interface_end).unwrap_or(u16::MAX),
        }
    }

    /// The interface name, such as `shop.Inventory`.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.text[usize::from(self.group_end)..usize::from(self.interface_end)]
    }

    /// The group, or the empty string.
    #[must_use]
    pub fn group(&self) -> &str {
        self.text[..usize::from(self.group_end)].trim_end_matches('/')
    }

    /// The version, or the empty string.
    #[must_use]
    pub fn version(&self) -> &str {
        self.text[usize::from(self.interface_end)..].trim_start_matches(':')
    }

    /// The whole key in Dubbo's textual form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether both hold one text in memory; then they are equal if their parts begin at the same places.
    pub(crate) fn is_held_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text)
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceKey({})", self.text)
    }
}

/// Why a text is not a service key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a service key: expected [group/]interface[:version], {why}")]
pub struct ParseServiceKeyError {
    text: String,
    why: &'static str,
}

impl FromStr for ServiceKey {
    type Err = ParseServiceKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why| ParseServiceKeyError { text: cut(text, 200).to_owned(), why };
        if text.len() > 0x3fff {
            return Err(fail("and at most 16383 bytes"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(fail("without blanks or control characters"));
        }
        let (group, rest) = text.split_once('/').unwrap_or(("", text));
        let (interface, version) = rest.split_once(':').unwrap_or((rest, ""));
        if interface.is_empty() {
            return Err(fail("and the interface is empty"));
        }
        if interface.contains('/') || version.contains(['/', ':']) {
            return Err(fail("with at most one `/` and one `:`"));
        }
        Ok(Self::with_parts(interface, group, version))
    }
}

impl Serialize for ServiceKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ServiceKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The longest prefix of at most `max` bytes that ends on a character border.
fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_survive_the_textual_form() {
        for (text, parts) in [
            ("shop.Inventory", ("shop.Inventory", "", "")),
            ("blue/shop.Inventory", ("shop.Inventory", "blue", "")),
            ("shop.Inventory:1.2", ("shop.Inventory", "", "1.2")),
            ("blue/shop.Inventory:1.2", ("shop.Inventory", "blue", "1.2")),
        ] {
            let key: ServiceKey = text.parse().unwrap();
            assert_eq!((key.interface(), key.group(), key.version()), parts);
            assert_eq!(key.as_str(), text);
            assert_eq!(key, ServiceKey::with_parts(parts.0, parts.1, parts.2));
        }
    }

    #[test]
    fn malformed_keys_are_refused_with_the_expected_form() {
        for text in ["", "a/", "a/b/c", "x:1:2", "a b", "g/:1"] {
            let error = text.parse::<ServiceKey>().unwrap_err().to_string();
            assert!(error.contains("[group/]interface[:version]"), "{error}");
        }
    }
}
