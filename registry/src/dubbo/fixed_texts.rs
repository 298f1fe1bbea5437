//! Texts by name that do not change once they are read, all in one: most are shorter than what holds a text of its
//! own.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// Sorted by name, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct FixedTexts {
    /// Each name, and behind it its text.
    all: Box<str>,
    /// Where each of both ends.
    ends: Box<[(u32, u32)]>,
}

impl FixedTexts {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, text)| text)
    }

    pub(crate) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// In the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let part = |from, to| self.all.get(from as usize..to as usize).unwrap_or_default();
        self.ends.iter().scan(0, move |start, (middle, end)| {
            let from = std::mem::replace(start, *end);
            Some((part(from, *middle), part(*middle, *end)))
        })
    }
}

/// Of what is longer than 4 GiB together, which no server takes, the end is left out.
impl From<BTreeMap<String, String>> for FixedTexts {
    fn from(map: BTreeMap<String, String>) -> Self {
        let (mut all, mut ends) = (String::new(), Vec::with_capacity(map.len()));
        for (name, text) in map {
            let middle = u32::try_from(all.len() + name.len());
            let end = u32::try_from(all.len() + name.len() + text.len());
            let (Ok(middle), Ok(end)) = (middle, end) else { break };
            all.extend([name, text]);
            ends.push((middle, end));
        }
        Self { all: all.into(), ends: ends.into() }
    }
}

/// As a map.
impl Serialize for FixedTexts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_and_writes_what_it_was_made_of_in_the_order_of_names() {
        let said = [("b", "1"), ("", "\u{e4}2"), ("\u{e4}a", ""), ("c", "33")];
        let said = said.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let map = BTreeMap::from(said);
        let texts = FixedTexts::from(map.clone());
        assert!(texts.contains_key("b") && !texts.contains_key("a") && !texts.contains_key("1"));
        assert_eq!((texts.get(""), texts.get("c"), texts.len()), (Some("\u{e4}2"), Some("33"), 4));
        let read = texts.iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(read.collect::<BTreeMap<_, _>>(), map);
        assert_eq!(serde_json::to_string(&texts).unwrap(), serde_json::to_string(&map).unwrap());
        assert_eq!(FixedTexts::default(), BTreeMap::new().into());
    }
}
