//! Key/values that travel beside the body of a call (Dubbo calls them attachments).
//!
//! Keys are lowercase ASCII as in HTTP/2 headers, values are text. An empty map costs nothing: it
//! is a null pointer, neither allocated nor written to the wire.

use std::fmt;
use std::sync::Arc;

/// Text key/values of a call, in the order they were added. Clones share them until one changes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    entries: Option<Arc<Vec<(String, String)>>>,
}

impl Metadata {
    /// No entries; does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: None }
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.as_ref().is_none_or(|entries| entries.is_empty())
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, |entries| entries.len())
    }

    /// The value of `key`, or `None`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v)
    }

    /// Sets `key` to `value`, replacing an earlier value. Keys are folded to lowercase.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (mut key, value) = (key.into(), value.into());
        key.make_ascii_lowercase();
        let entries = Arc::make_mut(self.entries.get_or_insert_default());
        match entries.iter_mut().find(|(k, _)| *k == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }

    /// Removes `key` and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let entries = Arc::make_mut(self.entries.as_mut()?);
        let at = entries.iter().position(|(k, _)| k.eq_ignore_ascii_case(key))?;
        Some(entries.remove(at).1)
    }

    /// All entries in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .flat_map(|entries| entries.iter().map(|(k, v)| (k.as_str(), v.as_str())))
    }

    /// Adds every entry of `other`, replacing those of the same key. Does not allocate if there is
    /// none yet.
    pub fn extend(&mut self, other: &Self) {
        if self.is_empty() {
            self.entries.clone_from(&other.entries);
            return;
        }
        for (key, value) in other.iter() {
            self.insert(key, value);
        }
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut metadata = Self::new();
        for (key, value) in entries {
            metadata.insert(key, value);
        }
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_case_insensitive_and_later_values_replace() {
        let mut metadata = Metadata::from_iter([("Trace-Id", "1")]);
        metadata.insert("trace-id", "2");
        assert_eq!(metadata.value("TRACE-ID"), Some("2"));
        assert_eq!(metadata.len(), 1);
        assert_eq!(metadata.remove("trace-id").as_deref(), Some("2"));
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
}
