//! What becomes of a value in protobuf, where labels are a matter of bytes and what it cannot nest is a
//! message.

use super::content::Plain;
use super::crossing::{Crossing, Outcomes, cost, garbled, refused};
use super::finding::ReadOutcome;
use super::slot::{Slot, SlotKind, TupleFields};
use crate::describe::types::FieldLabel;

impl Crossing {
    pub(super) fn read_numbered(self, writer: Slot<'_>, reader: Slot<'_>) -> Option<Outcomes> {
        use FieldLabel::{Map, Optional, Repeated, Single, Unknown};
        let (written, read) = (writer.value()?, reader.value()?);
        writer.types.spend(cost(written, read))?;
        Some(match (writer.label(), reader.label()) {
            (Unknown, _) | (_, Unknown) => return None,
            (Single | Optional, Single | Optional) => {
                let mut outcomes = self.value(written, read)?;
                outcomes.extend(self.presence(writer, reader, written));
                outcomes
            }
            (Repeated, Repeated) => self.packed(written, read)?,
            // One is read as a list of one, and the bytes of one as numbers in a row.
            (Single | Optional, Repeated) => match written.is_delimited() && !read.is_delimited() {
                true => garbled(),
                false => self.value(written, read)?,
            },
            (Repeated, Single | Optional) => self.last_of_list(written, read)?,
            (Map, Map) => {
                let mut outcomes = self.value(written, read)?;
                outcomes.extend(self.keys(writer, reader)?);
                outcomes
            }
            // An entry is a message; the numbers of a list are read from its bytes.
            (Map, label) if label == Repeated || read.is_delimited() => garbled(),
            (label, Map) if label == Repeated || written.is_delimited() => garbled(),
            (Map, _) | (_, Map) => refused(),
        })
    }

    /// One value.
    fn value(self, written: SlotKind<'_>, read: SlotKind<'_>) -> Option<Outcomes> {
        Some(match (written, read) {
            (SlotKind::Plain(Plain::Enum(_)), SlotKind::Plain(Plain::Enum(_)))
            | (SlotKind::Message(_), SlotKind::Message(_))
            | (SlotKind::Json, SlotKind::Json) => self.compared_elsewhere(),
            (SlotKind::Nested(writer, length), SlotKind::Nested(reader, others)) => {
                let mut outcomes = self.read_numbered(writer, reader)?;
                outcomes.extend(self.lengths(length, others));
                outcomes
            }
            (SlotKind::Tuple(writer), SlotKind::Tuple(reader)) => self.tuple(writer, reader)?,
            (SlotKind::Plain(writer), SlotKind::Plain(reader)) if is_told_apart(writer, reader) => {
                self.plain(writer, reader)
            }
            _ if written.is_delimited() && read.is_delimited() => garbled(),
            _ => refused(),
        })
    }

    /// A tuple is a message; what the reader has not is skipped, what nobody sends is the default.
    fn tuple(self, writer: TupleFields<'_>, reader: TupleFields<'_>) -> Option<Outcomes> {
        let mut outcomes = Outcomes::new();
        if writer.fields.len() != reader.fields.len() {
            outcomes.insert((ReadOutcome::Changed, false));
        }
        for (one, other) in writer.slots().zip(reader.slots()) {
            outcomes.extend(self.read_numbered(one, other)?);
        }
        Some(outcomes)
    }

    /// Whether a value that is absent is told from the default.
    fn presence(
        self,
        writer: Slot<'_>,
        reader: Slot<'_>,
        written: SlotKind<'_>,
    ) -> Option<(ReadOutcome, bool)> {
        let is_optional = |slot: Slot<'_>| slot.label() == FieldLabel::Optional;
        match (is_optional(writer), is_optional(reader)) {
            _ if self.is_astray => None,
            (true, false) => Some((ReadOutcome::NoneAsDefault, self.writer_is_new)),
            (false, true) if !written.is_always_written() => {
                Some((ReadOutcome::DefaultAsNone, false))
            }
            _ => None,
        }
    }

    /// Lists: numbers stand in a row behind one length, others one by one.
    fn packed(self, written: SlotKind<'_>, read: SlotKind<'_>) -> Option<Outcomes> {
        match (written, read) {
            (SlotKind::Plain(writer), SlotKind::Plain(reader))
                if !writer.is_delimited() && !reader.is_delimited() =>
            {
                match writer.has_same_width(reader) {
                    true => self.value(written, read),
                    false => Some(garbled()),
                }
            }
            _ if written.is_delimited() && read.is_delimited() => self.value(written, read),
            _ => Some(garbled()),
        }
    }

    /// Of a list one value is the last, or all of them merged.
    fn last_of_list(self, written: SlotKind<'_>, read: SlotKind<'_>) -> Option<Outcomes> {
        Some(match (written.is_delimited(), read.is_delimited()) {
            (true, true) => {
                let mut outcomes = self.value(written, read)?;
                outcomes.insert((ReadOutcome::Changed, false));
                outcomes
            }
            (false, true) => garbled(),
            (_, false) => refused(),
        })
    }
}

/// Whether samples tell what is read: a time is a message, which another type reads by chance.
fn is_told_apart(writer: Plain<'_>, reader: Plain<'_>) -> bool {
    let is_time = |of| matches!(of, Plain::Time(_));
    writer.is_one_type(reader) || !(is_time(writer) || is_time(reader))
}
