//! What becomes of a value between two versions, as far as it is alike in all codecs.
//!
//! Messages and enums within are compared for themselves, so that each change is told once, where it
//! is.

use std::collections::BTreeSet;

use super::content::{Plain, ReadContent, is_same};
use super::finding::{BodyForm, ReadOutcome};
use super::slot::{Slot, SlotKind};

/// What a reader may have in place of values, each with whether only of values that are new.
pub(super) type Outcomes = BTreeSet<(ReadOutcome, bool)>;

/// A value on its way from one version to the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crossing {
    pub(super) form: BodyForm,
    /// Whether the writer is the new version, which may write what the old one cannot.
    pub(super) writer_is_new: bool,
    /// Whether it is read into a field that is not its own, so that even the same value is another.
    pub(super) is_astray: bool,
}

impl Crossing {
    /// What `reader` has of what `writer` writes; `None` if a type is not known, or nothing is left to
    /// pay for the answer.
    pub(super) fn read(self, writer: Slot<'_>, reader: Slot<'_>) -> Option<Outcomes> {
        match self.form {
            BodyForm::Protobuf => self.read_numbered(writer, reader),
            BodyForm::Msgpack | BodyForm::Json => self.read_named(writer, reader),
        }
    }

    /// A value of types that are compared for themselves, or that holds anything.
    pub(super) fn compared_elsewhere(self) -> Outcomes {
        if self.is_astray { garbled() } else { Outcomes::new() }
    }

    /// A value that is no message.
    pub(super) fn plain<'a>(self, writer: Plain<'a>, reader: Plain<'a>) -> Outcomes {
        let mut outcomes = self.samples(writer, reader, false);
        outcomes.extend(match (writer, reader) {
            (Plain::Bytes(written), Plain::Bytes(read)) => self.lengths(written, read),
            // A text may have any number of them.
            (Plain::Text, Plain::Bytes(Some(_))) => refused(),
            _ => Outcomes::new(),
        });
        outcomes
    }

    /// The keys of maps.
    pub(super) fn keys(self, writer: Slot<'_>, reader: Slot<'_>) -> Option<Outcomes> {
        let (written, read) = (writer.key()?, reader.key()?);
        writer.types.spend(written.cost(read))?;
        Some(match (written, read) {
            (Plain::Enum(_), Plain::Enum(_)) => self.compared_elsewhere(),
            _ => self.samples(written, read, true),
        })
    }

    fn samples<'a>(self, writer: Plain<'a>, reader: Plain<'a>, is_key: bool) -> Outcomes {
        let mut outcomes = Outcomes::new();
        if !self.is_astray && writer.is_one_type(reader) {
            return outcomes;
        }
        for content in writer.samples(reader) {
            let reading = match is_key {
                true => reader.read_key(&content, writer, self.form),
                false => reader.read(&content, writer, self.form),
            };
            let outcome = match reading {
                ReadContent::Value(read)
                    if !self.is_astray && is_same(&content, writer, &read, reader) =>
                {
                    continue;
                }
                ReadContent::Value(read) if read.is_default() => ReadOutcome::Lost,
                ReadContent::Value(_) => ReadOutcome::Changed,
                ReadContent::Other => ReadOutcome::TakenAsOther,
                ReadContent::Refused => ReadOutcome::Refused,
            };
            let is_new =
                self.writer_is_new && !self.is_astray && !reader.expresses(writer, &content);
            outcomes.insert((outcome, is_new));
        }
        outcomes
    }

    /// Values of an array or list of one length, read as one of another; a list has any.
    pub(super) fn lengths(self, written: Option<u32>, read: Option<u32>) -> Outcomes {
        match (written, read) {
            (_, None) => Outcomes::new(),
            // The old version has one length of those that the new one has.
            (None, Some(_)) => [(ReadOutcome::Refused, self.writer_is_new)].into(),
            (Some(one), Some(other)) if one == other => Outcomes::new(),
            _ => refused(),
        }
    }
}

/// What it costs to compare two kinds.
pub(super) fn cost(written: SlotKind<'_>, read: SlotKind<'_>) -> usize {
    match (written, read) {
        (SlotKind::Plain(writer), SlotKind::Plain(reader)) if !writer.is_one_type(reader) => {
            writer.cost(reader)
        }
        _ => 8,
    }
}

/// An error or another value, by what the bytes happen to say.
pub(super) fn garbled() -> Outcomes {
    [(ReadOutcome::Changed, false), (ReadOutcome::Refused, false)].into()
}

pub(super) fn refused() -> Outcomes {
    [(ReadOutcome::Refused, false)].into()
}
