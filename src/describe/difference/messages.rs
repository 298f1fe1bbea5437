//! What changed in a message: its fields, or the variants of an enum with data.

use std::collections::BTreeSet;

use super::fields::{MessagePair, PairedField};
use super::finding::{ChangeKind, Effect, Finding, Severity};
use crate::describe::types::FieldDescription;

/// How the fields of a message are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// The fields of a type, by its name.
    Type(String),
    /// The arguments of a method, by its path.
    Arguments(String),
    /// What methods return that is no message.
    Result,
}

impl Subject {
    fn place(&self, field: &str) -> String {
        match self {
            Self::Type(name) => format!("{name}.{field}"),
            Self::Arguments(path) => format!("{path} argument {field}"),
            Self::Result => "result".to_owned(),
        }
    }

    fn noun(&self, pair: &MessagePair<'_>) -> &'static str {
        match self {
            _ if pair.old.message.is_oneof => "variant",
            Self::Type(_) => "field",
            Self::Arguments(_) => "argument",
            Self::Result => "result",
        }
    }

    /// What keeps the name of a field. Arguments have no attributes.
    fn keep_name(&self, old: &FieldDescription) -> String {
        match self {
            Self::Arguments(_) => {
                "keep the name in the trait, an implementation may have another; if \
                                   it is another argument, add it at the end"
                    .to_owned()
            }
            _ => format!(
                "`#[rpc(name = \"{}\")]` keeps the name, if it is the same; if it is another, give it \
                 a number of its own and reserve {}",
                old.name, old.tag
            ),
        }
    }

    fn keep_number(&self, old: &FieldDescription) -> String {
        match self {
            Self::Arguments(_) => "keep the order, and add arguments at the end".to_owned(),
            _ => format!("`#[rpc(tag = {})]` keeps the number", old.tag),
        }
    }

    /// How a whole type is called.
    pub(super) fn whole(&self) -> String {
        match self {
            Self::Type(name) => name.clone(),
            Self::Arguments(path) => format!("{path} arguments"),
            Self::Result => "result".to_owned(),
        }
    }
}

/// What changed between the messages of `pair`.
pub(super) fn compare(pair: &MessagePair<'_>, subject: &Subject) -> Vec<Finding> {
    let (old, new) = (pair.old.message, pair.new.message);
    if old.is_oneof != new.is_oneof {
        return vec![other_shape(pair, subject)];
    }
    let fields = PairedField::all(pair.old, pair.new);
    let mut found: Vec<Finding> = fields
        .iter()
        .filter_map(|field| match *field {
            PairedField::Both(one, other) => changed(pair, subject, one, other),
            PairedField::Old(field) => Some(removed(pair, subject, field)),
            PairedField::New(field) => Some(added(pair, subject, field)),
        })
        .collect();
    if matches!(subject, Subject::Arguments(_)) {
        found.extend(reordered(pair, subject, &fields));
    }
    if old.takes_unknown != new.takes_unknown && !pair.is_error {
        found.push(unknown_variants(subject.whole(), new.takes_unknown));
    }
    let is_used = |number: u32| new.fields.iter().any(|field| field.tag == number);
    found.extend(released(subject.whole(), &old.reserved, &new.reserved, is_used));
    found
}

/// A finding with these effects, as grave as they are; `is_lasting` of a thing that both have.
pub(super) fn finding(
    place: String,
    kind: ChangeKind,
    change: String,
    effects: BTreeSet<Effect>,
    is_lasting: bool,
) -> Finding {
    let (severity, order) = Severity::of(&effects, is_lasting);
    let (service, methods, remedy) = (String::new(), Vec::new(), String::new());
    Finding { service, place, kind, change, severity, order, effects, methods, remedy }
}

/// One without effects of its own.
pub(super) fn remark(
    place: String,
    kind: ChangeKind,
    change: String,
    severity: Severity,
    remedy: &str,
) -> Finding {
    let finding = finding(place, kind, change, BTreeSet::new(), true);
    Finding { severity, remedy: remedy.to_owned(), ..finding }
}

fn other_shape(pair: &MessagePair<'_>, subject: &Subject) -> Finding {
    let shape = |is_oneof| if is_oneof { "an enum with data" } else { "a struct" };
    let (old, new) = (shape(pair.old.message.is_oneof), shape(pair.new.message.is_oneof));
    let change = format!("is {new}, was {old}");
    let effects = pair.effects_of_whole();
    let found = finding(subject.whole(), ChangeKind::MessageShape, change, effects, true);
    Finding {
        // Some of it may be read by chance, which is nothing to build on.
        severity: Severity::Breaking,
        order: None,
        remedy: "use the new type in a new field or method, and keep the old one".to_owned(),
        ..found
    }
}

fn not_compared(place: String) -> Finding {
    remark(
        place,
        ChangeKind::NotCompared,
        "has a type that a description leaves out, that is not known here, or that nests too deep"
            .to_owned(),
        Severity::Risky,
        "compare it by eye; of a type that is newer than this version, update it",
    )
}

/// A field that both have.
fn changed<'a>(
    pair: &MessagePair<'a>,
    subject: &Subject,
    old: &'a FieldDescription,
    new: &'a FieldDescription,
) -> Option<Finding> {
    let place = subject.place(&old.json_name);
    let Some(effects) = pair.effects(PairedField::Both(old, new)) else {
        return Some(not_compared(place));
    };
    let is_variant = pair.old.message.is_oneof;
    let (mut words, mut kinds, mut remedies) = (Vec::new(), Vec::new(), Vec::new());
    if !pair.is_same_type(old, new) {
        words.push(format!("is {}, was {}", new.type_text(), old.type_text()));
        kinds.push(if is_variant { ChangeKind::VariantType } else { ChangeKind::FieldType });
    }
    if old.json_name != new.json_name {
        words.push(format!("is called {}, was {}", new.json_name, old.json_name));
        kinds.push(if is_variant { ChangeKind::VariantRenamed } else { ChangeKind::FieldRenamed });
        remedies.push(subject.keep_name(old));
    }
    if old.tag != new.tag {
        words.push(format!("has number {}, had {}", new.tag, old.tag));
        kinds.push(if is_variant {
            ChangeKind::VariantRenumbered
        } else {
            ChangeKind::FieldRenumbered
        });
        remedies.push(subject.keep_number(old));
    }
    let kind = *kinds.first()?;
    let found = finding(place, kind, words.join("; "), effects, true);
    if matches!(kind, ChangeKind::FieldType | ChangeKind::VariantType)
        && found.severity > Severity::Compatible
    {
        let noun = subject.noun(pair);
        remedies.insert(
            0,
            match found.severity {
                Severity::Breaking => format!(
                    "add a new {noun} in place of changing this one: write both, read the new one if \
                     it is there, and remove the old one when every peer has the new one"
                ),
                _ => "update first who reads it".to_owned(),
            },
        );
    }
    Some(Finding { remedy: remedies.join("; "), ..found })
}

fn removed<'a>(pair: &MessagePair<'a>, subject: &Subject, old: &'a FieldDescription) -> Finding {
    let place = subject.place(&old.json_name);
    let Some(effects) = pair.effects(PairedField::Old(old)) else {
        return not_compared(place);
    };
    let is_variant = pair.old.message.is_oneof;
    let kind = if is_variant { ChangeKind::VariantRemoved } else { ChangeKind::FieldRemoved };
    let mut change = format!("is gone, was {}", old.type_text());
    let mut remedy = match is_variant {
        true => "remove it when nobody sends it any more".to_owned(),
        false => "remove it when nobody reads it any more".to_owned(),
    };
    let new = pair.new.message;
    match new.fields.iter().find(|field| field.tag == old.tag) {
        Some(taker) if !is_reservable(subject) => {
            change += &format!("; its number {} is that of {}", old.tag, taker.json_name);
        }
        Some(taker) => {
            change += &format!("; its number {} is that of {}", old.tag, taker.json_name);
            remedy += &format!("; give {} a number of its own", taker.json_name);
        }
        None if !new.reserved.contains(&old.tag) && is_reservable(subject) => {
            remedy += &format!("; `reserved({})` keeps its number from others", old.tag);
        }
        None => {}
    }
    let found = finding(place, kind, change, effects, false);
    Finding { remedy, ..found }
}

/// Argument lists and results have nowhere to reserve numbers.
fn is_reservable(subject: &Subject) -> bool {
    matches!(subject, Subject::Type(_))
}

fn added<'a>(pair: &MessagePair<'a>, subject: &Subject, new: &'a FieldDescription) -> Finding {
    let place = subject.place(&new.json_name);
    let Some(effects) = pair.effects(PairedField::New(new)) else {
        return not_compared(place);
    };
    let old = pair.old.message;
    let is_variant = old.is_oneof;
    let kind = if is_variant { ChangeKind::VariantAdded } else { ChangeKind::FieldAdded };
    let change = format!("is new, {}", new.type_text());
    let found = finding(place, kind, change, effects, false);
    let taken = old.fields.iter().find(|field| field.tag == new.tag);
    let remedy = if taken.is_some() && matches!(subject, Subject::Arguments(_)) {
        "add arguments at the end".to_owned()
    } else if let Some(taken) = taken {
        format!("give it a number of its own: {} is that of {}", new.tag, taken.json_name)
    } else if old.reserved.contains(&new.tag) {
        return Finding {
            kind: ChangeKind::ReservedNumber,
            change: format!("{}, with number {}, which was reserved", found.change, new.tag),
            severity: found.severity.max(Severity::Risky),
            remedy: "give it a number that nothing had before".to_owned(),
            ..found
        };
    } else if is_variant && found.severity > Severity::Compatible {
        NEW_VARIANT.to_owned()
    } else {
        String::new()
    };
    Finding { remedy, ..found }
}

/// What helps where a reader refuses a new variant.
pub(super) const NEW_VARIANT: &str = "let every reader have it before anybody sends it; a variant \
     with `#[rpc(other)]` takes those to come";

/// Arguments that stand elsewhere in a list, by which people and some foreign programs call.
fn reordered(
    pair: &MessagePair<'_>,
    subject: &Subject,
    fields: &[PairedField<'_>],
) -> Option<Finding> {
    let position = |fields: &[FieldDescription], of: &FieldDescription| {
        fields.iter().position(|field| std::ptr::eq(field, of))
    };
    let (old, new) = (&pair.old.message.fields, &pair.new.message.fields);
    let moved = fields.iter().find_map(|field| match *field {
        PairedField::Both(one, other) => {
            let (from, to) = (position(old, one)?, position(new, other)?);
            (from != to).then_some((one, from, to))
        }
        _ => None,
    });
    moved.map(|(field, from, to)| {
        let change = format!(
            "of a list of arguments, as people and `curl` write it, {} is at {to}, was at {from}",
            field.json_name
        );
        remark(
            subject.whole(),
            ChangeKind::ArgumentOrder,
            change,
            Severity::Risky,
            "add arguments at the end; who calls by name is not concerned",
        )
    })
}

/// That an enum takes unknown variants now, or no longer.
pub(super) fn unknown_variants(place: String, takes: bool) -> Finding {
    let (change, severity, remedy) = match takes {
        true => ("takes variants that it does not know", Severity::Compatible, ""),
        false => (
            "no longer takes variants that it does not know",
            Severity::Risky,
            "keep the variant with `#[rpc(other)]`: without it each new variant is an error",
        ),
    };
    remark(place, ChangeKind::UnknownVariants, change.to_owned(), severity, remedy)
}

/// Numbers that were reserved and are not any more; the use of one is told where it is.
pub(super) fn released(
    place: String,
    old: &[u32],
    new: &[u32],
    is_used: impl Fn(u32) -> bool,
) -> Option<Finding> {
    let is_free = |number: &&u32| !new.contains(number) && !is_used(**number);
    let free: Vec<String> = old.iter().filter(is_free).map(u32::to_string).collect();
    (!free.is_empty()).then(|| {
        remark(
            place,
            ChangeKind::ReservedNumber,
            format!("no longer reserves {}", free.join(", ")),
            Severity::Risky,
            "keep it reserved: peers of old versions may still send it",
        )
    })
}
