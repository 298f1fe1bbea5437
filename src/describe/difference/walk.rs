//! The types of two descriptions that meet: those of the same argument, result or field.
//!
//! They are found by where they are used, not by name, so a type may be renamed. Each pair is compared
//! once, with all the calls that carry it.

use std::collections::{BTreeMap, BTreeSet};

use super::enums::EnumPair;
use super::fields::{MessagePair, PairedField, Side};
use super::finding::{BodyPart, Finding};
use super::messages::{self, Subject};
use crate::describe::types::{FieldDescription, ServiceDescription, TypeKind};

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
    old: &'a ServiceDescription,
    new: &'a ServiceDescription,
    found: BTreeMap<Key, Uses>,
    order: Vec<Key>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(old: &'a ServiceDescription, new: &'a ServiceDescription) -> Self {
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
        let side = |service: &'a ServiceDescription, name: &str| {
            service.message(name).map(|message| Side { service, message })
        };
        Some((side(old, &key.old)?, side(new, &key.new)?))
    }

    /// The pairs of types that the fields of a pair of messages have.
    fn within(&self, key: &Key) -> Vec<Key> {
        let Some((old, new)) = self.sides(key).filter(|_| !key.is_enum) else {
            return Vec::new();
        };
        let pairs = PairedField::all(old, new).into_iter().rev();
        pairs
            .filter_map(|pair| match pair {
                PairedField::Both(one, other) => named(one, other),
                PairedField::Old(_) | PairedField::New(_) => None,
            })
            .collect()
    }

    /// What changed in the types that were found.
    pub(super) fn compare(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for key in &self.order {
            let Some(uses) = self.found.get(key) else { continue };
            let methods: Vec<String> = uses
                .methods
                .iter()
                .filter_map(|index| Some(self.old.methods.get(*index)?.name.clone()))
                .collect();
            let name = match key.old == key.new {
                true => key.old.clone(),
                false => format!("{} (now {})", key.old, key.new),
            };
            let parts = &uses.parts;
            if key.is_enum {
                let (old, new) = (self.old.enumeration(&key.old), self.new.enumeration(&key.new));
                if let (Some(old), Some(new)) = (old, new) {
                    findings.extend(EnumPair { old, new, parts }.compare(&name, &methods));
                }
            } else if let Some((old, new)) = self.sides(key) {
                let pair = MessagePair { old, new, parts, is_error: uses.is_error };
                let subject = uses.subject.clone().unwrap_or(Subject::Type(name));
                findings.extend(messages::compare(&pair, &subject, &methods));
            }
        }
        findings
    }
}

/// The types of a field, where both are messages or both enums.
fn named(one: &FieldDescription, other: &FieldDescription) -> Option<Key> {
    let (old, new) = (&one.value, &other.value);
    let is_named = matches!(old.kind, TypeKind::Message | TypeKind::Enum) && old.kind == new.kind;
    is_named.then(|| Key {
        is_enum: old.kind == TypeKind::Enum,
        old: old.name.clone(),
        new: new.name.clone(),
    })
}
