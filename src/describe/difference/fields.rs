//! The fields of a message in two versions: which are the same, and what each becomes on its way.

use std::collections::BTreeSet;

use super::crossing::{Crossing, Outcomes};
use super::finding::{BodyForm, BodyPart, Effect, Peers, ReadOutcome};
use super::index::Types;
use super::slot::Slot;
use crate::describe::types::{FieldDescription, MessageDescription};

/// A message of one version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) types: &'a Types<'a>,
    pub(super) message: &'a MessageDescription,
}

/// A message of both versions, and where it travels.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessagePair<'a> {
    pub(super) old: Side<'a>,
    pub(super) new: Side<'a>,
    pub(super) parts: &'a BTreeSet<BodyPart>,
    /// Whether it is a typed error, of which whoever cannot read it has the status.
    pub(super) is_error: bool,
}

/// A field that is there in both versions, or in one.
#[derive(Debug, Clone, Copy)]
pub(super) enum PairedField<'a> {
    Both(&'a FieldDescription, &'a FieldDescription),
    Old(&'a FieldDescription),
    New(&'a FieldDescription),
}

/// One way of a body: who meets whom, and what part of the call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) peers: Peers,
    pub(super) part: BodyPart,
}

impl Flow {
    /// Every way of bodies that are these parts.
    pub(super) fn of(parts: &BTreeSet<BodyPart>) -> impl Iterator<Item = Self> {
        let both = [Peers::OldCallers, Peers::NewCallers];
        parts.iter().flat_map(move |part| both.map(|peers| Self { peers, part: *part }))
    }

    /// Whether the new version writes and the old one reads.
    pub(super) fn is_written_by_new(self) -> bool {
        (self.peers == Peers::NewCallers) == (self.part == BodyPart::Arguments)
    }

    /// The effect of an outcome in a codec.
    pub(super) fn effect(self, form: BodyForm, (outcome, is_new): (ReadOutcome, bool)) -> Effect {
        let Self { peers, part } = self;
        let outcome = match (part, outcome) {
            // A typed error that cannot be read leaves its status.
            (BodyPart::Error, ReadOutcome::Refused) => ReadOutcome::StatusAlone,
            _ => outcome,
        };
        Effect { peers, part, form, outcome, is_new }
    }
}

// === impl PairedField ===

impl<'a> PairedField<'a> {
    /// The fields of `old` and `new`: those with a common name are the same, and of the others those
    /// with a common number and type, as after a new name.
    pub(super) fn all(old: Side<'a>, new: Side<'a>) -> Vec<Self> {
        let mut left: Vec<&FieldDescription> = new.message.fields.iter().collect();
        let fields = old.message.fields.iter();
        let mut take = |found: &dyn Fn(&FieldDescription) -> bool| {
            let at = left.iter().position(|field| found(field))?;
            Some(left.remove(at))
        };
        let named: Vec<_> =
            fields.map(|field| (field, take(&|it| is_namesake(field, it)))).collect();
        let same = |(field, namesake): (&'a FieldDescription, Option<_>)| {
            let alike = |it: &FieldDescription| {
                it.tag == field.tag && is_alike(old.types, field, new.types, it)
            };
            match namesake.or_else(|| take(&alike)) {
                Some(same) => Self::Both(field, same),
                None => Self::Old(field),
            }
        };
        let mut pairs: Vec<Self> = named.into_iter().map(same).collect();
        pairs.extend(left.into_iter().map(Self::New));
        pairs
    }
}

fn is_namesake(one: &FieldDescription, other: &FieldDescription) -> bool {
    one.json_name == other.json_name || one.name == other.name
}

/// Whether a field of another name can be the same: protobuf reads each as it is.
fn is_alike(
    old: &Types<'_>,
    one: &FieldDescription,
    new: &Types<'_>,
    other: &FieldDescription,
) -> bool {
    if one.value.kind != other.value.kind || one.label != other.label {
        return false;
    }
    // Of types that are both still there under their names, each is another.
    let is_there =
        |of: &Types<'_>, name: &str| of.message(name).is_some() || of.enumeration(name).is_some();
    one.value.name == other.value.name
        || !is_there(new, &one.value.name) && !is_there(old, &other.value.name)
}

// === impl MessagePair ===

impl<'a> MessagePair<'a> {
    /// Pays for looking each field of one up in the other, on every way and in every codec; `None` if
    /// that is not left.
    pub(super) fn spend(&self) -> Option<()> {
        let size = |of: &MessageDescription| of.fields.len() + of.reserved.len();
        let pairs = size(self.old.message).saturating_mul(size(self.new.message));
        let ways = 2 * BodyForm::ALL.len() * self.parts.len();
        self.old.types.spend(pairs.saturating_mul(2 + ways))
    }

    /// Whether two fields are of one type, whatever the names in it.
    pub(super) fn is_same_type(
        &self,
        old: &'a FieldDescription,
        new: &'a FieldDescription,
    ) -> bool {
        Slot::new(self.old.types, old).is_same_type(Slot::new(self.new.types, new))
    }

    /// What becomes of a field; `None` if one of its types is not known.
    pub(super) fn effects(&self, field: PairedField<'a>) -> Option<BTreeSet<Effect>> {
        let mut effects = BTreeSet::new();
        for flow in Flow::of(self.parts) {
            let (sent, partner) = match (field, flow.is_written_by_new()) {
                (PairedField::Both(old, new), false) => (Some(old), Some(new)),
                (PairedField::Both(old, new), true) => (Some(new), Some(old)),
                (PairedField::Old(old), false) => (Some(old), None),
                (PairedField::New(new), true) => (Some(new), None),
                _ => (None, None),
            };
            for form in BodyForm::ALL {
                let outcomes = match sent {
                    Some(sent) => self.journey(flow, form, sent, partner)?,
                    // Of variants that nobody sends nobody reads a default.
                    None if self.old.message.is_oneof => continue,
                    None => [(ReadOutcome::NotSent, !flow.is_written_by_new())].into(),
                };
                effects.extend(outcomes.into_iter().map(|outcome| flow.effect(form, outcome)));
            }
        }
        Some(effects)
    }

    /// What becomes of all fields where the whole message is another one.
    pub(super) fn effects_of_whole(&self) -> BTreeSet<Effect> {
        let mut effects = BTreeSet::new();
        for flow in Flow::of(self.parts) {
            let writer = if flow.is_written_by_new() { self.new } else { self.old };
            for form in BodyForm::ALL {
                for sent in &writer.message.fields {
                    let mut outcomes = self.journey(flow, form, sent, None).unwrap_or_default();
                    // What was sent is not there for the reader, whoever is meant by it.
                    if outcomes.remove(&(ReadOutcome::Skipped, flow.is_written_by_new())) {
                        outcomes.insert((ReadOutcome::Lost, false));
                    }
                    effects.extend(outcomes.into_iter().map(|it| flow.effect(form, it)));
                }
            }
        }
        effects
    }

    /// What the reader has of a field that is sent. Its `partner` is the same field at the reader's
    /// side; in a codec it may be found as another one, or not at all.
    fn journey(
        &self,
        flow: Flow,
        form: BodyForm,
        sent: &'a FieldDescription,
        partner: Option<&'a FieldDescription>,
    ) -> Option<Outcomes> {
        let writer_is_new = flow.is_written_by_new();
        let (writer, reader) = match writer_is_new {
            true => (self.new, self.old),
            false => (self.old, self.new),
        };
        let Some(found) = reader.find(sent, form) else {
            let is_new = writer_is_new && partner.is_none();
            let outcome = match (reader.message.is_oneof, partner) {
                (true, _) if self.is_error => ReadOutcome::StatusAlone,
                (true, _) if reader.message.takes_unknown => ReadOutcome::TakenAsOther,
                (true, _) => ReadOutcome::Refused,
                (false, Some(_)) => ReadOutcome::Lost,
                (false, None) => ReadOutcome::Skipped,
            };
            return Some([(outcome, is_new)].into());
        };
        let is_astray = partner.is_none_or(|partner| !std::ptr::eq(partner, found));
        Crossing { form, writer_is_new, is_astray }
            .read(Slot::new(writer.types, sent), Slot::new(reader.types, found))
    }
}

impl<'a> Side<'a> {
    /// The field as which the reader finds one that is sent.
    fn find(&self, sent: &FieldDescription, form: BodyForm) -> Option<&'a FieldDescription> {
        let fields = &self.message.fields;
        match form {
            BodyForm::Protobuf => fields.iter().find(|field| field.tag == sent.tag),
            // A name goes before the other spelling.
            _ => fields
                .iter()
                .find(|field| field.json_name == sent.json_name)
                .or_else(|| fields.iter().find(|field| field.name == sent.json_name)),
        }
    }
}
