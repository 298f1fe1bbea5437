//! Key/values that travel beside the body of a call (Dubbo calls them attachments).
//!
//! As gRPC's metadata: a key may have several values, and a value is text or bytes. An empty map
//! costs nothing: it is a null pointer, neither allocated nor written to the wire.

use std::fmt;
use std::sync::Arc;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;

/// Key/values of a call in the order they were added. Clones share them until one changes.
///
/// Keys are folded to lowercase. A protocol on HTTP needs keys of letters, digits, `-`, `_` and `.`,
/// and sends bytes only under keys that end in `-bin`. A call carries at most 128 entries and 16 KiB.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// use dubhe::Metadata;
///
/// let mut metadata = Metadata::new();
/// metadata.insert("Tenant", "blue");
/// metadata.append("label", "a");
/// metadata.append("label", "b");
/// assert_eq!(metadata.value("tenant"), Some("blue"));
/// assert_eq!(metadata.values("label").count(), 2);
/// assert_eq!(metadata.len(), 3);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    entries: Option<Arc<Vec<(String, MetadataValue)>>>,
}

/// One value: text or bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataValue {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl MetadataValue {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The bytes, if it is not text.
    #[must_use]
    pub fn as_binary(&self) -> Option<&Bytes> {
        match self {
            Self::Text(_) => None,
            Self::Binary(bytes) => Some(bytes),
        }
    }

    /// Its length in bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has no bytes.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for MetadataValue {
    /// Text as it is, bytes in base64.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Binary(bytes) => Base64Display::new(bytes, &STANDARD_NO_PAD).fmt(f),
        }
    }
}

impl From<String> for MetadataValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for MetadataValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for MetadataValue {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<Bytes> for MetadataValue {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for MetadataValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl Metadata {
    /// No entries; does not allocate.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self { entries: None }
    }

    /// Whether there is no entry.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.as_ref().is_none_or(|entries| entries.is_empty())
    }

    /// How many entries there are; a key counts once for each of its values.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, |entries| entries.len())
    }

    /// The first text of `key`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values(key).find_map(MetadataValue::as_text)
    }

    /// The first bytes of `key`.
    #[must_use]
    pub fn binary(&self, key: &str) -> Option<&Bytes> {
        self.values(key).find_map(MetadataValue::as_binary)
    }

    /// Every value of `key`, in the order they were added.
    pub fn values<'a, 'k>(
        &'a self,
        key: &'k str,
    ) -> impl Iterator<Item = &'a MetadataValue> + use<'a, 'k> {
        self.iter().filter(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// Sets `key` to `value`, replacing all it had.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<MetadataValue>) {
        let (key, value) = (lowercase(key), value.into());
        let entries = self.entries_mut();
        match entries.iter().position(|(k, _)| *k == key) {
            Some(at) => {
                entries[at].1 = value;
                let mut index = 0;
                entries.retain(|(k, _)| {
                    index += 1;
                    index - 1 <= at || *k != key
                });
            }
            None => entries.push((key, value)),
        }
    }

    /// Adds `value` to those of `key`.
    pub fn append(&mut self, key: impl Into<String>, value: impl Into<MetadataValue>) {
        let entry = (lowercase(key), value.into());
        self.entries_mut().push(entry);
    }

    fn entries_mut(&mut self) -> &mut Vec<(String, MetadataValue)> {
        Arc::make_mut(self.entries.get_or_insert_default())
    }

    /// Removes every value of `key` and returns the first.
    pub fn remove(&mut self, key: &str) -> Option<MetadataValue> {
        // Asked first: a map that others share is not copied for nothing.
        self.values(key).next()?;
        let entries = Arc::make_mut(self.entries.as_mut()?);
        let at = entries.iter().position(|(k, _)| k.eq_ignore_ascii_case(key))?;
        let (_, first) = entries.remove(at);
        entries.retain(|(k, _)| !k.eq_ignore_ascii_case(key));
        Some(first)
    }

    /// All entries in the order they were added.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MetadataValue)> {
        self.entries.iter().flat_map(|entries| entries.iter().map(|(k, v)| (k.as_str(), v)))
    }

    /// Adds every entry of `other`, replacing the values of the keys it has. Does not allocate if
    /// there is none yet.
    pub fn extend(&mut self, other: &Self) {
        if self.is_empty() {
            self.entries.clone_from(&other.entries);
            return;
        }
        for (key, _) in other.iter() {
            self.remove(key);
        }
        for (key, value) in other.iter() {
            self.append(key, value.clone());
        }
    }
}

fn lowercase(key: impl Into<String>) -> String {
    let mut key = key.into();
    key.make_ascii_lowercase();
    key
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.iter().map(|(key, value)| match value {
            MetadataValue::Text(text) => (key, text as &dyn fmt::Debug),
            MetadataValue::Binary(bytes) => (key, bytes as &dyn fmt::Debug),
        });
        f.debug_map().entries(values).finish()
    }
}

impl<K: Into<String>, V: Into<MetadataValue>> FromIterator<(K, V)> for Metadata {
    /// Entries of the same key are values of it.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut metadata = Self::new();
        for (key, value) in entries {
            metadata.append(key, value);
        }
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(metadata: &'a Metadata, key: &'a str) -> Vec<&'a str> {
        metadata.values(key).filter_map(MetadataValue::as_text).collect()
    }

    #[test]
    fn keys_are_case_insensitive_and_inserted_values_replace() {
        let mut metadata =
            Metadata::from_iter([("Trace-Id", "1"), ("other", "x"), ("TRACE-ID", "2")]);
        assert_eq!(texts(&metadata, "trace-id"), ["1", "2"]);
        metadata.insert("trace-id", "3");
        assert_eq!(metadata.value("TRACE-ID"), Some("3"));
        assert_eq!(metadata.len(), 2);
        assert_eq!(metadata.remove("trace-id"), Some("3".into()));
        assert_eq!(metadata.remove("trace-id"), None);
        assert_eq!(metadata.len(), 1);
    }

    #[test]
    fn a_key_has_several_values_of_text_and_bytes() {
        let mut metadata = Metadata::new();
        metadata.append("accept", "a");
        metadata.append("Accept", Bytes::from_static(&[0, 255]));
        metadata.append("accept", "b");
        assert_eq!(texts(&metadata, "accept"), ["a", "b"]);
        assert_eq!(metadata.binary("accept").unwrap(), &[0, 255][..]);
        assert_eq!(metadata.values("accept").count(), 3);
        assert_eq!(metadata.remove("accept"), Some("a".into()));
        assert!(metadata.is_empty());
    }

    #[test]
    fn clones_share_entries_until_one_of_them_changes() {
        let first = Metadata::from_iter([("a", "1")]);
        let mut second = Metadata::new();
        second.extend(&first);
        second.insert("b", "2");
        let mut third = second.clone();
        third.remove("a");
        let entries = [&first, &second, &third].map(Metadata::len);
        assert_eq!(entries, [1, 2, 1]);
        assert_eq!(third.value("b"), Some("2"));
    }

    #[test]
    fn what_extends_replaces_all_values_of_its_keys() {
        let mut metadata = Metadata::from_iter([("a", "1"), ("a", "2"), ("b", "3")]);
        metadata.extend(&Metadata::from_iter([("a", "4"), ("a", "5")]));
        assert_eq!(texts(&metadata, "a"), ["4", "5"]);
        assert_eq!(texts(&metadata, "b"), ["3"]);
    }
}
