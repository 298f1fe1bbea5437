//! The types of two descriptions that meet: those of the same argument, result or field.
//!
//! They are found by where they are used, not by name, so a type may be renamed. Each pair is compared
//! once, with all the calls that carry it.

use std::collections::{BTreeMap, BTreeSet};

use super::enums::EnumPair;
use super::fields::{MessagePair, PairedField, Side};
use super::finding::{BodyPart, Finding};
use super::index::Types;
use super::messages::{self, Subject};
use super::slot::Slot;
use crate::describe::types::TypeKind;

/// A pair of types by their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    is_enum: bool,
    old: String,
    new: String,
}

/// Where a pair of types is used.
#[derive(Debug, Default)]
struct Uses {
    parts: BTreeSet<BodyPart>,
    /// Indices of methods of the old version.
    methods: BTreeSet<usize>,
    subject: Option<Subject>,
    is_error: bool,
    /// The pairs of types within.
    within: Vec<Key>,
}

/// The pairs of types found so far, in the order they were found.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    old: &'a Types<'a>,
    new: &'a Types<'a>,
    found: BTreeMap<Key, Uses>,
    order: Vec<Key>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(old: &'a Types<'a>, new: &'a Types<'a>) -> Self {
        Self { old, new, found: BTreeMap::new(), order: Vec::new() }
    }

    /// Adds the messages of a body, and every type within, as carried by a method; `subject` is how its
    /// fields are called where it is no type of its own.
    pub(super) fn add(
        &mut self,
        (old, new): (&str, &str),
        part: BodyPart,
        method: usize,
        subject: Option<Subject>,
    ) {
        let root = Key { is_enum: false, old: old.to_owned(), new: new.to_owned() };
        let mut left = vec![root.clone()];
        while let Some(key) = left.pop() {
            if !self.found.contains_key(&key) {
                let within = self.within(&key);
                self.order.push(key.clone());
                self.found.insert(key.clone(), Uses { within, ..Uses::default() });
            }
            let Some(uses) = self.found.get_mut(&key) else { continue };
            if self.old.spend(1 + uses.within.len()).is_none() {
                break;
            }
            if uses.parts.insert(part) | uses.methods.insert(method) {
                left.extend(uses.within.iter().cloned());
            }
        }
        if let Some(uses) = self.found.get_mut(&root) {
            uses.is_error |= part == BodyPart::Error;
            uses.subject = uses.subject.take().or(subject);
        }
    }

    fn sides(&self, key: &Key) -> Option<(Side<'a>, Side<'a>)> {
        let (old, new) = (self.old, self.new);
        let side = |types: &'a Types<'a>, name: &str| {
            types.message(name).map(|message| Side { types, message })
        };
        Some((side(old, &key.old)?, side(new, &key.new)?))
    }

    /// The pairs of types that the fields of a pair of messages have.
    fn within(&self, key: &Key) -> Vec<Key> {
        let Some((old, new)) = self.sides(key).filter(|_| !key.is_enum) else {
            return Vec::new();
        };
        if self
            .old
            .spend(old.message.fields.len().saturating_mul(new.message.fields.len()))
            .is_none()
        {
            return Vec::new();
        }
        let mut keys = Vec::new();
        for pair in PairedField::all(old, new).into_iter().rev() {
            let PairedField::Both(one, other) = pair else { continue };
            let (one, other) = (Slot::new(old.types, one), Slot::new(new.types, other));
            one.named_pairs(other, &mut |one, other| {
                keys.push(Key {
                    is_enum: one.kind == TypeKind::Enum,
                    old: one.name.clone(),
                    new: other.name.clone(),
                });
            });
        }
        keys
    }

    /// What changed in the types that were found.
    pub(super) fn compare(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for key in &self.order {
            let Some(uses) = self.found.get(key) else { continue };
            let mut found = self.pair(key, uses);
            let methods = self.old.service.methods.iter().enumerate();
            let methods: Vec<&str> = methods
                .filter(|(index, _)| uses.methods.contains(index))
                .map(|(_, method)| method.name.as_str())
                .collect();
            let length: usize = methods.iter().map(|name| 1 + name.len()).sum();
            if self.old.spend(length.saturating_mul(found.len())).is_none() {
                break;
            }
            for finding in &mut found {
                finding.methods = methods.iter().map(|name| (*name).to_owned()).collect();
            }
            findings.append(&mut found);
        }
        findings
    }

    /// What changed in a pair of types.
    fn pair(&self, key: &Key, uses: &Uses) -> Vec<Finding> {
        let name = match key.old == key.new {
            true => key.old.clone(),
            false => format!("{} (now {})", key.old, key.new),
        };
        let parts = &uses.parts;
        if key.is_enum {
            let pair = self.old.enumeration(&key.old).zip(self.new.enumeration(&key.new));
            let pair = pair.map(|(old, new)| EnumPair { old, new, parts });
            return match pair.filter(|pair| self.old.spend(pair.cost()).is_some()) {
                Some(pair) => pair.compare(&name),
                None => Vec::new(),
            };
        }
        let pair = self.sides(key);
        let pair = pair.map(|(old, new)| MessagePair { old, new, parts, is_error: uses.is_error });
        let subject = uses.subject.clone().unwrap_or(Subject::Type(name));
        match pair.filter(|pair| pair.spend().is_some()) {
            Some(pair) => messages::compare(&pair, &subject),
            None => Vec::new(),
        }
    }
}
