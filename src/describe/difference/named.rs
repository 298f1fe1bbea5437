//! What becomes of a value where formats have names, and lists stand in lists.
//!
//! What is nested stands there in its own place, so a field has a form, whatever is nested for it in
//! protobuf: `Option<Vec<T>>` and `Vec<T>` differ in `None` alone.

use super::content::Plain;
use super::crossing::{Crossing, Outcomes, cost, garbled, refused};
use super::finding::{BodyForm, ReadOutcome};
use super::slot::{Slot, SlotKind, TupleFields};
use crate::describe::types::FieldLabel;

/// What stands in a place.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    /// Whether nothing may stand there.
    is_optional: bool,
    form: Form<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Form<'a> {
    One(SlotKind<'a>),
    /// The elements; of an array, how many.
    List(SlotKind<'a>, Option<u32>),
    /// The field, for its keys, and the values.
    Map(Slot<'a>, SlotKind<'a>),
    Tuple(TupleFields<'a>),
}

impl<'a> Place<'a> {
    /// The place of a field; `None` if its type is not known.
    fn of_slot(slot: Slot<'a>, length: Option<u32>) -> Option<Self> {
        let value = slot.value()?;
        let form = match slot.label() {
            FieldLabel::Unknown => return None,
            FieldLabel::Single => return Self::of_kind(value),
            FieldLabel::Optional => {
                return Some(Self { is_optional: true, ..Self::of_kind(value)? });
            }
            FieldLabel::Repeated => Form::List(value, length),
            FieldLabel::Map => Form::Map(slot, value),
        };
        Some(Self { is_optional: false, form })
    }

    /// The place of an element.
    fn of_kind(kind: SlotKind<'a>) -> Option<Self> {
        let form = match kind {
            SlotKind::Nested(slot, length) => return Self::of_slot(slot, length),
            SlotKind::Tuple(fields) => Form::Tuple(fields),
            _ => Form::One(kind),
        };
        Some(Self { is_optional: false, form })
    }
}

impl Crossing {
    pub(super) fn read_named(self, writer: Slot<'_>, reader: Slot<'_>) -> Option<Outcomes> {
        writer.types.spend(8)?;
        let (written, read) = (Place::of_slot(writer, None)?, Place::of_slot(reader, None)?);
        let mut outcomes = self.form(writer, written.form, read.form)?;
        if written.is_optional && !read.is_optional && !self.is_astray && !takes_null(read) {
            outcomes.insert((ReadOutcome::NoneAsDefault, self.writer_is_new));
        }
        Some(outcomes)
    }

    /// A value in a list, map or tuple, where nothing is left out. `of` pays.
    fn element(self, of: Slot<'_>, written: SlotKind<'_>, read: SlotKind<'_>) -> Option<Outcomes> {
        self.place(of, Place::of_kind(written)?, Place::of_kind(read)?)
    }

    fn place(self, of: Slot<'_>, written: Place<'_>, read: Place<'_>) -> Option<Outcomes> {
        let mut outcomes = self.form(of, written.form, read.form)?;
        if written.is_optional && !read.is_optional && !takes_null(read) {
            outcomes.insert((ReadOutcome::Refused, self.writer_is_new));
        }
        Some(outcomes)
    }

    fn form(self, of: Slot<'_>, written: Form<'_>, read: Form<'_>) -> Option<Outcomes> {
        use Form::{List, Map, One, Tuple};
        of.types.spend(8)?;
        Some(match (written, read) {
            (One(written), One(read)) => self.one(of, written, read)?,
            (_, One(SlotKind::Json)) => self.into_json(of, written)?,
            // Those values arrive that the other type has, too.
            (One(SlotKind::Json), _) => self.of_json(),
            (List(writer, length), List(reader, others)) => {
                let mut outcomes = self.element(of, writer, reader)?;
                outcomes.extend(self.lengths(length, others));
                outcomes
            }
            (Map(writer, value), Map(reader, other)) => {
                let mut outcomes = self.element(of, value, other)?;
                outcomes.extend(self.keys(writer, reader)?);
                outcomes
            }
            (Tuple(writer), Tuple(reader)) if writer.fields.len() != reader.fields.len() => {
                refused()
            }
            (Tuple(writer), Tuple(reader)) => {
                let mut outcomes = Outcomes::new();
                for (one, other) in writer.slots().zip(reader.slots()) {
                    let (one, other) = (Place::of_slot(one, None)?, Place::of_slot(other, None)?);
                    outcomes.extend(self.place(of, one, other)?);
                }
                outcomes
            }
            (Tuple(writer), List(reader, length)) => {
                let mut outcomes = self.lengths(count(writer), length);
                for one in writer.slots() {
                    let one = Place::of_slot(one, None)?;
                    outcomes.extend(self.place(of, one, Place::of_kind(reader)?)?);
                }
                outcomes
            }
            (List(writer, length), Tuple(reader)) => {
                let mut outcomes = self.lengths(length, count(reader));
                for other in reader.slots() {
                    let other = Place::of_slot(other, None)?;
                    outcomes.extend(self.place(of, Place::of_kind(writer)?, other)?);
                }
                outcomes
            }
            // A message is read from a list, by position, where a format is no text.
            (List(..) | Tuple(_), One(SlotKind::Message(false)))
                if self.form == BodyForm::Msgpack =>
            {
                garbled()
            }
            (Map(..), One(SlotKind::Message(_))) | (One(SlotKind::Message(_)), Map(..)) => {
                garbled()
            }
            _ => refused(),
        })
    }

    /// One value.
    fn one(self, of: Slot<'_>, written: SlotKind<'_>, read: SlotKind<'_>) -> Option<Outcomes> {
        of.types.spend(cost(written, read))?;
        Some(match (written, read) {
            (SlotKind::Plain(Plain::Enum(_)), SlotKind::Plain(Plain::Enum(_)))
            | (SlotKind::Message(_), SlotKind::Message(_))
            | (SlotKind::Json, SlotKind::Json) => self.compared_elsewhere(),
            (SlotKind::Plain(writer), SlotKind::Plain(reader)) => self.plain(writer, reader),
            (_, SlotKind::Json) => self.into_json(of, Form::One(written))?,
            (SlotKind::Json, _) => self.of_json(),
            _ => refused(),
        })
    }

    /// Those values of JSON arrive that the other type has.
    fn of_json(self) -> Outcomes {
        if self.is_astray { garbled() } else { [(ReadOutcome::Refused, self.writer_is_new)].into() }
    }

    /// What a value of JSON has of what was no such one.
    fn into_json(self, of: Slot<'_>, written: Form<'_>) -> Option<Outcomes> {
        of.types.spend(8)?;
        let is_json = self.form == BodyForm::Json;
        Some(match written {
            _ if self.is_astray => garbled(),
            // 64 bits are a text in JSON, and more than a number of a value has in msgpack.
            Form::One(SlotKind::Plain(Plain::Int(_, 64))) if is_json => {
                [(ReadOutcome::Changed, false)].into()
            }
            Form::One(SlotKind::Plain(Plain::Int(_, 64))) => refused(),
            Form::One(SlotKind::Plain(Plain::Bytes(_))) if is_json => {
                [(ReadOutcome::Changed, false)].into()
            }
            Form::One(SlotKind::Plain(Plain::Bytes(_))) => refused(),
            Form::One(_) => Outcomes::new(),
            Form::List(item, _) => self.into_json(of, Place::of_kind(item)?.form)?,
            Form::Map(slot, value) => {
                let mut outcomes = self.into_json(of, Place::of_kind(value)?.form)?;
                if !is_json && !matches!(slot.key()?, Plain::Text | Plain::Enum(_)) {
                    outcomes.extend(refused());
                }
                outcomes
            }
            Form::Tuple(fields) => {
                let mut outcomes = Outcomes::new();
                for slot in fields.slots() {
                    outcomes.extend(self.into_json(of, Place::of_slot(slot, None)?.form)?);
                }
                outcomes
            }
        })
    }
}

fn takes_null(place: Place<'_>) -> bool {
    matches!(place.form, Form::One(SlotKind::Json))
}

fn count(of: TupleFields<'_>) -> Option<u32> {
    u32::try_from(of.fields.len()).ok()
}
