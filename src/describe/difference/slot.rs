//! A field of one version: its label, and the type under it.

use super::content::Plain;
use super::index::Types;
use crate::describe::types::{FieldDescription, FieldLabel, TypeDescription, TypeKind};

/// How deep types without a name of their own may nest in each other; values nest no deeper.
const MAX_DEPTH: usize = rpc_core::codec::MAX_DEPTH;

/// A field at one side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    pub(super) types: &'a Types<'a>,
    pub(super) field: &'a FieldDescription,
    /// How many types it nests in that have no name of their own.
    depth: usize,
}

/// What stands under a label.
#[derive(Debug, Clone, Copy)]
pub(super) enum SlotKind<'a> {
    Plain(Plain<'a>),
    /// Whether its fields exclude each other.
    Message(bool),
    /// A list, map or option in another: the field that holds it in protobuf. Of an array, its length.
    Nested(Slot<'a>, Option<u32>),
    Tuple(TupleFields<'a>),
    /// Any value of JSON.
    Json,
}

/// The values of a tuple, as the fields that hold them in protobuf.
#[derive(Debug, Clone, Copy)]
pub(super) struct TupleFields<'a> {
    pub(super) fields: &'a [FieldDescription],
    types: &'a Types<'a>,
    depth: usize,
}

impl<'a> Slot<'a> {
    pub(super) fn new(types: &'a Types<'a>, field: &'a FieldDescription) -> Self {
        Self { types, field, depth: 0 }
    }

    pub(super) fn label(self) -> FieldLabel {
        self.field.label
    }

    /// What its values are; `None` if that is not known, or nested deeper than any value.
    pub(super) fn value(self) -> Option<SlotKind<'a>> {
        self.kind(&self.field.value)
    }

    pub(super) fn key(self) -> Option<Plain<'a>> {
        match self.kind(self.field.key.as_ref()?)? {
            SlotKind::Plain(key) => Some(key),
            _ => None,
        }
    }

    fn kind(self, of: &'a TypeDescription) -> Option<SlotKind<'a>> {
        let Self { types, depth, .. } = self;
        let depth = depth + 1;
        Some(match of.kind {
            TypeKind::Message => SlotKind::Message(types.message(&of.name)?.is_oneof),
            TypeKind::Json => SlotKind::Json,
            TypeKind::Nested | TypeKind::Tuple if depth > MAX_DEPTH => return None,
            TypeKind::Nested => {
                let message = types.message(&of.name)?;
                let [field] = &message.fields[..] else { return None };
                SlotKind::Nested(Self { types, field, depth }, message.length)
            }
            TypeKind::Tuple => SlotKind::Tuple(TupleFields {
                fields: &types.message(&of.name)?.fields,
                types,
                depth,
            }),
            _ => SlotKind::Plain(Plain::of(of, |name| types.enumeration(name))?),
        })
    }

    /// Whether both are of one type, whatever the names of messages and enums in it.
    pub(super) fn is_same_type(self, other: Self) -> bool {
        let (one, two) = (self.field, other.field);
        let own = |of: &TypeDescription| (of.kind, of.bits, of.length);
        let key = |of: &FieldDescription| of.key.as_ref().map(own);
        one.label == two.label
            && key(one) == key(two)
            && own(&one.value) == own(&two.value)
            && self.types.spend(1).is_some()
            && match (self.value(), other.value()) {
                (Some(SlotKind::Nested(one, length)), Some(SlotKind::Nested(two, others))) => {
                    length == others && one.is_same_type(two)
                }
                (Some(SlotKind::Tuple(one)), Some(SlotKind::Tuple(two))) => {
                    one.fields.len() == two.fields.len()
                        && one.slots().zip(two.slots()).all(|(one, two)| one.is_same_type(two))
                }
                (Some(_), Some(_)) => true,
                // Of what is not known here, the name is all there is.
                _ => one.value.name == two.value.name,
            }
    }

    /// Calls `found` with each pair of types that have names and meet where this becomes `other`.
    pub(super) fn named_pairs(
        self,
        other: Self,
        found: &mut impl FnMut(&'a TypeDescription, &'a TypeDescription),
    ) {
        if self.types.spend(1).is_none() {
            return;
        }
        let mut pair = |one: &'a TypeDescription, two: &'a TypeDescription| {
            let has_name = matches!(one.kind, TypeKind::Message | TypeKind::Enum);
            if has_name && one.kind == two.kind {
                found(one, two);
            }
        };
        if let (Some(one), Some(two)) = (&self.field.key, &other.field.key) {
            pair(one, two);
        }
        pair(&self.field.value, &other.field.value);
        match (self.value(), other.value()) {
            (Some(SlotKind::Nested(one, _)), Some(SlotKind::Nested(two, _))) => {
                one.named_pairs(two, found);
            }
            // Where formats have names, what is nested stands in the place of the other.
            (Some(SlotKind::Nested(one, _)), Some(_)) => one.named_pairs(other, found),
            (Some(_), Some(SlotKind::Nested(two, _))) => self.named_pairs(two, found),
            (Some(SlotKind::Tuple(one)), Some(SlotKind::Tuple(two))) => {
                one.slots().zip(two.slots()).for_each(|(one, two)| one.named_pairs(two, found));
            }
            _ => {}
        }
    }
}

impl<'a> TupleFields<'a> {
    pub(super) fn slots(self) -> impl Iterator<Item = Slot<'a>> {
        let Self { types, depth, fields } = self;
        fields.iter().map(move |field| Slot { types, field, depth })
    }
}

impl SlotKind<'_> {
    /// Whether protobuf writes its length before it.
    pub(super) fn is_delimited(self) -> bool {
        match self {
            Self::Plain(plain) => plain.is_delimited(),
            _ => true,
        }
    }

    /// Whether protobuf writes it where it is the default, too.
    pub(super) fn is_always_written(self) -> bool {
        match self {
            Self::Plain(plain) => matches!(plain, Plain::Time(_) | Plain::Bytes(Some(_))),
            _ => true,
        }
    }
}
