//! Values by name that do not change once they are read, in no more room than they need: a node of a
//! `BTreeMap` has room for eleven, and most services have one.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// Sorted by name, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FixedMap<V>(Box<[(String, V)]>);

impl<V> FixedMap<V> {
    /// In the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &V)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }
}

impl<V> Default for FixedMap<V> {
    fn default() -> Self {
        Self(Box::default())
    }
}

/// Of several with one name the last counts.
impl<V> FromIterator<(String, V)> for FixedMap<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(values: I) -> Self {
        BTreeMap::from_iter(values).into()
    }
}

impl<V> From<BTreeMap<String, V>> for FixedMap<V> {
    fn from(map: BTreeMap<String, V>) -> Self {
        Self(map.into_iter().collect())
    }
}

/// As a map.
impl<V: Serialize> Serialize for FixedMap<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_what_it_was_made_of_sorted_and_each_name_once() {
        let said = [("b", 1), ("a", 2), ("b", 3)].map(|(name, value)| (name.to_owned(), value));
        let map = FixedMap::from_iter(said);
        assert_eq!(map.values().copied().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"a":2,"b":3}"#);
    }
}
