//! The children of a path as etcd's keys tell them, and how events change them.
//!
//! etcd has keys in order, but no tree: the children of `/a` are the names that follow `/a/` in keys,
//! up to the next `/`. A name with a key of its own has that one's value; one that only stands in
//! longer keys is a child without value, as a folder is.
//!
//! Names and values are handed on and not kept: a child is known again by the hash of its name, keyed at
//! random, and so is its value.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;

use super::messages::EtcdKeyValue;
use crate::dubbo::{ChangedNode, ReadOf};

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
    /// By the hash of their names.
    nodes: HashMap<u64, Child>,
    hasher: RandomState,
    bytes: usize,
}

/// There is one for each that is listed, so it takes little memory.
#[derive(Debug, Clone, Copy, Default)]
struct Child {
    /// The hash of its own key's value; that of an empty one if values are not read.
    hash: u64,
    /// How long that is.
    length: u32,
    /// Whether it has a key of its own.
    has_value: bool,
    /// Whether longer keys go through it.
    is_folder: bool,
}

/// What an event means for the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListEffect {
    None,
    Changed(ChangedNode),
    /// A folder may be gone; the keys have to be read again.
    Unclear,
}

/// Why there is no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

impl Children {
    pub(super) fn of(path: &str, read: ReadOf) -> Self {
        let prefix = format!("{path}/").into_bytes();
        Self { prefix, read, nodes: HashMap::new(), hasher: RandomState::new(), bytes: 0 }
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
            (true, true) => Ok(match self.nodes.get(&self.hasher.hash_one(name)) {
                Some(child) if child.is_folder && !child.has_value => ListEffect::Unclear,
                _ => ListEffect::None,
            }),
            (true, false) => Ok(self.remove(name)),
            (false, true) => self.put_folder(name),
            (false, false) => self.put(name, kv.value),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn put(&mut self, name: &str, value: Vec<u8>) -> Result<ListEffect, TooMany> {
        let value = match self.read {
            ReadOf::Values => Bytes::from(value),
            ReadOf::Names => Bytes::new(),
        };
        let length = u32::try_from(value.len()).map_err(|_| TooMany)?;
        let hash = self.hasher.hash_one(&*value);
        self.bytes += value.len();
        let child = self.child(name)?;
        let old = *child;
        *child = Child { hash, length, has_value: true, ..old };
        self.bytes -= old.length as usize;
        let is_same = match self.read {
            ReadOf::Values => old.has_value && (old.hash, old.length) == (hash, length),
            ReadOf::Names => old.has_value || old.is_folder,
        };
        Ok(if is_same { ListEffect::None } else { changed(name, Some(value)) })
    }

    fn put_folder(&mut self, name: &str) -> Result<ListEffect, TooMany> {
        let child = self.child(name)?;
        let known = child.is_folder || child.has_value;
        child.is_folder = true;
        Ok(if known { ListEffect::None } else { changed(name, Some(Bytes::new())) })
    }

    fn remove(&mut self, name: &str) -> ListEffect {
        let hash = self.hasher.hash_one(name);
        let Some(child) = self.nodes.get_mut(&hash) else {
            return ListEffect::None;
        };
        if !child.has_value {
            return ListEffect::None;
        }
        self.bytes -= child.length as usize;
        *child = Child { is_folder: child.is_folder, ..Child::default() };
        if child.is_folder {
            return ListEffect::Unclear;
        }
        self.nodes.remove(&hash);
        self.bytes -= name.len();
        changed(name, None)
    }

    /// The child of this name, made if there is none.
    fn child(&mut self, name: &str) -> Result<&mut Child, TooMany> {
        let hash = self.hasher.hash_one(name);
        if !self.nodes.contains_key(&hash) {
            self.bytes += name.len();
            if self.nodes.len() >= MAX_CHILDREN {
                return Err(TooMany);
            }
        }
        if self.bytes > MAX_BYTES {
            return Err(TooMany);
        }
        Ok(self.nodes.entry(hash).or_default())
    }
}

fn changed(name: &str, value: Option<Bytes>) -> ListEffect {
    ListEffect::Changed(ChangedNode { name: name.into(), value })
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

    fn apply_all(
        children: &mut Children,
        events: impl IntoIterator<Item = EtcdKeyValue>,
    ) -> Vec<ChangedNode> {
        let effects = events.into_iter().map(|kv| children.apply(kv).unwrap());
        let changes = effects.filter_map(|effect| match effect {
            ListEffect::Changed(node) => Some(node),
            ListEffect::None | ListEffect::Unclear => None,
        });
        changes.collect()
    }

    #[test]
    fn children_are_what_stands_between_two_slashes() {
        let mut children = Children::of("/a", ReadOf::Values);
        let keys = ["/a/b", "/a/c/d", "/a/c/e/f", "/ab/c", "/a", "/a/"];
        let nodes = apply_all(&mut children, keys.map(|key| put(key, key)));
        let node = |name: &str, value: &'static str| {
            let value = Some(Bytes::from_static(value.as_bytes()));
            ChangedNode { name: name.into(), value }
        };
        assert_eq!(nodes, [node("b", "/a/b"), node("c", "")]);
        assert_eq!(children.len(), 2);
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
        #[derive(Debug, PartialEq)]
        enum Seen {
            Nothing,
            Put(&'static str),
            Gone,
            Unclear,
        }
        use Seen::{Gone, Nothing, Put, Unclear};
        for (read, [first, again]) in
            [(ReadOf::Names, [Put(""), Nothing]), (ReadOf::Values, [Put("1"), Put("2")])]
        {
            let mut children = Children::of("/a", read);
            for (event, seen) in [
                (put("/a/b", "1"), first),
                (put("/a/b", "1"), Nothing),
                (put("/a/b", "2"), again),
                (put("/a/f/x", ""), Put("")),
                (put("/a/f/y", ""), Nothing),
                (gone("/a/f/x"), Unclear),
                (gone("/a/c"), Nothing),
                (gone("/a/b"), Gone),
                (gone("/a/b"), Nothing),
            ] {
                let effect = match seen {
                    Nothing => ListEffect::None,
                    Unclear => ListEffect::Unclear,
                    Put(value) => {
                        let name = if event.key.starts_with(b"/a/b") { "b" } else { "f" };
                        changed(name, Some(Bytes::from_static(value.as_bytes())))
                    }
                    Gone => changed("b", None),
                };
                assert_eq!(children.apply(event.clone()), Ok(effect), "{event:?}");
            }
            assert_eq!((children.len(), children.bytes), (1, 1));
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
        assert!(matches!(children.apply(put("/a/1", &large)), Ok(ListEffect::Changed(_))));
        assert_eq!(children.apply(put("/a/2", &large)), Err(TooMany));
    }
}
