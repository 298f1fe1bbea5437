//! The children of a path as etcd's keys tell them, and how events change them.
//!
//! etcd has keys in order, but no tree: the children of `/a` are the names that follow `/a/` in keys,
//! up to the next `/`. A name with a key of its own has that one's value; one that only stands in
//! longer keys is a child without value, as a folder is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::messages::EtcdKeyValue;
use crate::dubbo::{ReadOf, TreeNode};

/// The most children that are taken on.
const MAX_CHILDREN: usize = 100_000;

/// The most bytes that their names and values may have.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The children of one path at one revision.
#[derive(Debug)]
pub(super) struct Children {
    /// The path and a `/`.
    prefix: Vec<u8>,
    read: ReadOf,
    nodes: BTreeMap<Arc<str>, Child>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Child {
    /// The value of its own key, if it has one; empty if values are not read.
    value: Option<Bytes>,
    /// Whether longer keys go through it.
    is_folder: bool,
}

/// What an event means for the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListEffect {
    None,
    Changed,
    /// A folder may be gone; the keys have to be read again.
    Unclear,
}

/// Why there is no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

impl Children {
    pub(super) fn of(path: &str, read: ReadOf) -> Self {
        let prefix = format!("{path}/").into_bytes();
        Self { prefix, read, nodes: BTreeMap::new(), bytes: 0 }
    }

    /// The first key that can be below the path, and the first one behind all of them.
    pub(super) fn range(&self) -> (Vec<u8>, Vec<u8>) {
        (self.prefix.clone(), behind(&self.prefix))
    }

    /// Where to read on after `key`, the last one of a page: behind the whole folder that it is in.
    pub(super) fn after(&self, key: &[u8]) -> Vec<u8> {
        let below = key.get(self.prefix.len()..).unwrap_or_default();
        match below.iter().position(|byte| *byte == b'/') {
            Some(at) => behind(&key[..=self.prefix.len() + at]),
            None => [key, b"\0"].concat(),
        }
    }

    /// Takes on a key, or its absence if its version is 0.
    pub(super) fn apply(&mut self, kv: EtcdKeyValue) -> Result<ListEffect, TooMany> {
        let Some(below) = kv.key.strip_prefix(&self.prefix[..]) else {
            return Ok(ListEffect::None);
        };
        let (name, is_deeper) = match below.iter().position(|byte| *byte == b'/') {
            Some(at) => (&below[..at], true),
            None => (below, false),
        };
        // What is not text is none of ours.
        let Ok(name) = str::from_utf8(name) else {
            return Ok(ListEffect::None);
        };
        if name.is_empty() {
            return Ok(ListEffect::None);
        }
        match (kv.version == 0, is_deeper) {
            (true, true) => Ok(match self.nodes.get(name) {
                Some(child) if child.is_folder && child.value.is_none() => ListEffect::Unclear,
                _ => ListEffect::None,
            }),
            (true, false) => Ok(self.remove(name)),
            (false, true) => self.put_folder(name),
            (false, false) => self.put(name, kv.value),
        }
    }

    pub(super) fn list(&self) -> Arc<[TreeNode]> {
        let node = |(name, child): (&Arc<str>, &Child)| TreeNode {
            name: Arc::clone(name),
            value: child.value.clone().unwrap_or_default(),
        };
        self.nodes.iter().map(node).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn put(&mut self, name: &str, value: Vec<u8>) -> Result<ListEffect, TooMany> {
        let value = match self.read {
            ReadOf::Values => Bytes::from(value),
            ReadOf::Names => Bytes::new(),
        };
        self.bytes += value.len();
        let known = self.nodes.contains_key(name);
        let child = self.child(name)?;
        let old = child.value.replace(value);
        let is_same = old == child.value;
        self.bytes -= old.map_or(0, |old| old.len());
        Ok(if known && is_same { ListEffect::None } else { ListEffect::Changed })
    }

    fn put_folder(&mut self, name: &str) -> Result<ListEffect, TooMany> {
        let known = self.nodes.contains_key(name);
        self.child(name)?.is_folder = true;
        Ok(if known { ListEffect::None } else { ListEffect::Changed })
    }

    fn remove(&mut self, name: &str) -> ListEffect {
        let Some(child) = self.nodes.get_mut(name) else {
            return ListEffect::None;
        };
        let Some(value) = child.value.take() else {
            return ListEffect::None;
        };
        self.bytes -= value.len();
        if child.is_folder {
            return ListEffect::Unclear;
        }
        self.nodes.remove(name);
        self.bytes -= name.len();
        ListEffect::Changed
    }

    /// The child of this name, made if there is none.
    fn child(&mut self, name: &str) -> Result<&mut Child, TooMany> {
        if !self.nodes.contains_key(name) {
            self.bytes += name.len();
            if self.nodes.len() >= MAX_CHILDREN {
                return Err(TooMany);
            }
        }
        if self.bytes > MAX_BYTES {
            return Err(TooMany);
        }
        Ok(self.nodes.entry(name.into()).or_default())
    }
}

/// The first key that does not begin with `prefix`, which ends with a `/`.
fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> EtcdKeyValue {
        let (key, value) = (key.into(), value.into());
        EtcdKeyValue { key, value, version: 1, ..EtcdKeyValue::default() }
    }

    fn gone(key: &str) -> EtcdKeyValue {
        EtcdKeyValue { key: key.into(), ..EtcdKeyValue::default() }
    }

    fn names(children: &Children) -> Vec<String> {
        children.list().iter().map(|node| node.name.to_string()).collect()
    }

    #[test]
    fn children_are_what_stands_between_two_slashes() {
        let mut children = Children::of("/a", ReadOf::Values);
        for key in ["/a/b", "/a/c/d", "/a/c/e/f", "/ab/c", "/a", "/a/"] {
            children.apply(put(key, key)).unwrap();
        }
        assert_eq!(names(&children), ["b", "c"]);
        assert_eq!(
            (&*children.list()[0].value, &*children.list()[1].value),
            (&b"/a/b"[..], &[][..])
        );
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        let mut children = Children::of("/a", ReadOf::Names);
        let odd = EtcdKeyValue { key: b"/a/\xff".to_vec(), version: 1, ..put("", "") };
        assert_eq!(children.apply(odd), Ok(ListEffect::None));
        assert_eq!(children.len(), 0);
    }

    #[test]
    fn an_event_says_whether_the_list_changed() {
        for (read, again) in
            [(ReadOf::Names, ListEffect::None), (ReadOf::Values, ListEffect::Changed)]
        {
            let mut children = Children::of("/a", read);
            for (event, effect) in [
                (put("/a/b", "1"), ListEffect::Changed),
                (put("/a/b", "1"), ListEffect::None),
                (put("/a/b", "2"), again),
                (put("/a/f/x", ""), ListEffect::Changed),
                (put("/a/f/y", ""), ListEffect::None),
                (gone("/a/f/x"), ListEffect::Unclear),
                (gone("/a/c"), ListEffect::None),
                (gone("/a/b"), ListEffect::Changed),
                (gone("/a/b"), ListEffect::None),
            ] {
                assert_eq!(children.apply(event.clone()), Ok(effect), "{event:?}");
            }
            assert_eq!(names(&children), ["f"]);
            assert_eq!(children.bytes, 1);
        }
    }

    #[test]
    fn a_page_is_followed_by_what_is_behind_the_folder_of_its_last_key() {
        let children = Children::of("/a", ReadOf::Names);
        assert_eq!(children.range(), (b"/a/".to_vec(), b"/a0".to_vec()));
        assert_eq!(children.after(b"/a/b"), b"/a/b\0");
        assert_eq!(children.after(b"/a/b/c/d"), b"/a/b0");
    }

    #[test]
    fn a_list_without_end_is_refused() {
        let mut children = Children::of("/a", ReadOf::Names);
        for number in 0..MAX_CHILDREN {
            children.apply(put(&format!("/a/{number}"), "")).unwrap();
        }
        assert_eq!(children.apply(put("/a/0", "")), Ok(ListEffect::None));
        assert_eq!(children.apply(put("/a/x", "")), Err(TooMany));
        let mut children = Children::of("/a", ReadOf::Values);
        let large = "x".repeat(MAX_BYTES / 2);
        assert_eq!(children.apply(put("/a/1", &large)), Ok(ListEffect::Changed));
        assert_eq!(children.apply(put("/a/2", &large)), Err(TooMany));
    }
}
