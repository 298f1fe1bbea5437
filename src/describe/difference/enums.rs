//! What changed in an enum without data.

use std::collections::{BTreeSet, HashMap};

use super::content::{Content, Plain, ReadContent, is_same, is_same_variant};
use super::fields::Flow;
use super::finding::{BodyForm, BodyPart, ChangeKind, Effect, Finding, ReadOutcome, Severity};
use super::messages::{NEW_VARIANT, finding, released, unknown_variants};
use crate::describe::types::{EnumDescription, EnumValue};

/// An enum of both versions, and where it travels.
#[derive(Debug, Clone, Copy)]
pub(super) struct EnumPair<'a> {
    pub(super) old: &'a EnumDescription,
    pub(super) new: &'a EnumDescription,
    pub(super) parts: &'a BTreeSet<BodyPart>,
}

impl EnumPair<'_> {
    /// What it costs to look for each variant of one in the other, on every way and in every codec.
    pub(super) fn cost(&self) -> usize {
        let size = |of: &EnumDescription| of.values.len() + of.reserved.len();
        let (old, new) = (size(self.old), size(self.new));
        // Of variants of one number each is looked for by its name.
        let mut numbers: HashMap<i32, usize> = HashMap::new();
        for value in &self.new.values {
            *numbers.entry(value.number).or_default() += 1;
        }
        let most = numbers.into_values().max().unwrap_or(0);
        let namesakes = old.saturating_mul(most - most.min(1)).saturating_mul(old + new);
        let ways = 2 * BodyForm::ALL.len() * self.parts.len();
        old.saturating_mul(new).saturating_add(namesakes).saturating_mul(2 + ways)
    }

    /// What changed, in the enum of this name.
    pub(super) fn compare(&self, name: &str) -> Vec<Finding> {
        let Self { old, new, .. } = *self;
        let same = |value: &EnumValue| {
            new.values.iter().find(|other| is_same_variant(old, value, new, other))
        };
        let place = |value: &EnumValue| format!("{name}::{}", shown(value));
        let mut found = Vec::new();
        for value in &old.values {
            found.extend(match same(value) {
                Some(other) => self.changed(place(value), value, other),
                None => Some(self.removed(place(value), value)),
            });
        }
        let is_known = |value: &EnumValue| {
            old.values.iter().any(|other| is_same_variant(old, other, new, value))
        };
        for value in new.values.iter().filter(|value| !is_known(value)) {
            found.push(self.added(place(value), value));
        }
        if old.takes_unknown != new.takes_unknown {
            found.push(unknown_variants(name.to_owned(), new.takes_unknown));
        }
        let is_used =
            |number: u32| new.values.iter().any(|it| u32::try_from(it.number) == Ok(number));
        found.extend(released(name.to_owned(), &old.reserved, &new.reserved, is_used));
        found
    }

    /// What the readers have of a variant, which is there in both versions or in one.
    fn effects(&self, old: Option<&EnumValue>, new: Option<&EnumValue>) -> BTreeSet<Effect> {
        let mut effects = BTreeSet::new();
        for flow in Flow::of(self.parts) {
            let (sent, partner, writer, reader) = match flow.is_written_by_new() {
                true => (new, old, self.new, self.old),
                false => (old, new, self.old, self.new),
            };
            let Some(sent) = sent else { continue };
            let is_new = flow.is_written_by_new() && partner.is_none();
            for form in BodyForm::ALL {
                let outcome = crossing(writer, sent, reader, form);
                effects.extend(outcome.map(|outcome| flow.effect(form, (outcome, is_new))));
            }
        }
        effects
    }

    fn changed(&self, place: String, old: &EnumValue, new: &EnumValue) -> Option<Finding> {
        let (mut words, mut remedies, mut kind) = (Vec::new(), Vec::new(), None);
        if old.name != new.name {
            words.push(format!("is called {}, was {}", new.name, old.name));
            remedies.push(format!("`#[rpc(name = \"{}\")]` keeps the name", old.name));
            kind = Some(ChangeKind::VariantRenamed);
        }
        if old.number != new.number {
            words.push(format!("has number {}, had {}", new.number, old.number));
            remedies.push(format!("`= {}` keeps the number, wherever it stands", old.number));
            kind = kind.or(Some(ChangeKind::VariantRenumbered));
        }
        let effects = self.effects(Some(old), Some(new));
        let found = finding(place, kind?, words.join("; "), effects, true);
        Some(Finding { remedy: remedies.join("; "), ..found })
    }

    fn removed(&self, place: String, old: &EnumValue) -> Finding {
        let effects = self.effects(Some(old), None);
        let mut remedy = "remove it when nobody sends it any more".to_owned();
        let number = u32::try_from(old.number);
        let is_kept = number.is_ok_and(|number| self.new.reserved.contains(&number))
            || self.new.values.iter().any(|value| value.number == old.number);
        if !is_kept {
            remedy += &format!("; `reserved({})` keeps its number from others", old.number);
        }
        let change = format!("is gone, had number {}", old.number);
        let found = finding(place, ChangeKind::VariantRemoved, change, effects, false);
        Finding { remedy, ..found }
    }

    fn added(&self, place: String, new: &EnumValue) -> Finding {
        let effects = self.effects(None, Some(new));
        let change = format!("is new, with number {}", new.number);
        let found = finding(place, ChangeKind::VariantAdded, change, effects, false);
        let taken = self.old.values.iter().find(|value| value.number == new.number);
        let number = u32::try_from(new.number);
        if let Some(taken) = taken {
            let remedy =
                format!("give it a number of its own: {} is that of {}", new.number, shown(taken));
            return Finding { remedy, ..found };
        }
        if number.is_ok_and(|number| self.old.reserved.contains(&number)) {
            return Finding {
                kind: ChangeKind::ReservedNumber,
                change: format!("is new, with number {}, which was reserved", new.number),
                severity: found.severity.max(Severity::Risky),
                remedy: "give it a number that nothing had before".to_owned(),
                ..found
            };
        }
        let is_fine = found.severity == Severity::Compatible;
        Finding { remedy: if is_fine { String::new() } else { NEW_VARIANT.to_owned() }, ..found }
    }
}

/// Its name in Rust, as people know it.
fn shown(value: &EnumValue) -> &str {
    if value.rust_name.is_empty() { &value.name } else { &value.rust_name }
}

/// What `reader` has in place of a variant, unless it has the same.
fn crossing(
    writer: &EnumDescription,
    sent: &EnumValue,
    reader: &EnumDescription,
    form: BodyForm,
) -> Option<ReadOutcome> {
    let content = Content::Variant(sent);
    let (of, others) = (Plain::Enum(writer), Plain::Enum(reader));
    Some(match others.read(&content, of, form) {
        ReadContent::Value(read) if is_same(&content, of, &read, others) => return None,
        ReadContent::Value(read) if read.is_default() => ReadOutcome::Lost,
        ReadContent::Value(_) => ReadOutcome::Changed,
        ReadContent::Other => ReadOutcome::TakenAsOther,
        ReadContent::Refused => ReadOutcome::Refused,
    })
}
