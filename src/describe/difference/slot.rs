//! What becomes of the value of a field: its label, and the type under it.
//!
//! Messages and enums within are compared for themselves, so that each change is told once, where it
//! is.

use std::collections::BTreeSet;

use super::content::{Plain, ReadContent, is_same};
use super::finding::{BodyForm, ReadOutcome};
use crate::describe::types::{
    FieldDescription, FieldLabel, ServiceDescription, TypeDescription, TypeKind,
};

/// What a reader may have in place of values, each with whether only of values that are new.
pub(super) type Outcomes = BTreeSet<(ReadOutcome, bool)>;

/// A field at one side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    pub(super) service: &'a ServiceDescription,
    pub(super) field: &'a FieldDescription,
}

/// What stands under a label.
#[derive(Debug, Clone, Copy)]
enum Kind<'a> {
    Plain(Plain<'a>),
    /// Whether its fields exclude each other.
    Message(bool),
}

/// A value on its way from one version to the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crossing {
    pub(super) form: BodyForm,
    /// Whether the writer is the new version, which may write what the old one cannot.
    pub(super) writer_is_new: bool,
    /// Whether it is read into a field that is not its own, so that even the same value is another.
    pub(super) is_astray: bool,
}

impl<'a> Slot<'a> {
    fn kind(&self, of: &TypeDescription) -> Option<Kind<'a>> {
        let service = self.service;
        match of.kind {
            TypeKind::Message => {
                service.message(&of.name).map(|message| Kind::Message(message.is_oneof))
            }
            _ => Plain::of(of, |name| service.enumeration(name)).map(Kind::Plain),
        }
    }

    fn value(&self) -> Option<Kind<'a>> {
        self.kind(&self.field.value)
    }

    fn key(&self) -> Option<Plain<'a>> {
        match self.kind(self.field.key.as_ref()?)? {
            Kind::Plain(key) => Some(key),
            Kind::Message(_) => None,
        }
    }
}

impl Kind<'_> {
    /// Whether protobuf writes its length before it.
    fn is_delimited(self) -> bool {
        match self {
            Self::Plain(plain) => plain.is_delimited(),
            Self::Message(_) => true,
        }
    }

    fn is_message(self) -> bool {
        matches!(self, Self::Message(_))
    }
}

impl Crossing {
    /// What `reader` has of what `writer` writes; `None` if a type is not known.
    pub(super) fn read(self, writer: Slot<'_>, reader: Slot<'_>) -> Option<Outcomes> {
        use FieldLabel::{Map, Optional, Repeated, Single, Unknown};
        let (written, read) = (writer.value()?, reader.value()?);
        let is_protobuf = self.form == BodyForm::Protobuf;
        Some(match (writer.field.label, reader.field.label) {
            (Unknown, _) | (_, Unknown) => return None,
            (Single | Optional, Single | Optional) => {
                let mut outcomes = self.value(written, read);
                outcomes.extend(self.presence(writer, reader, written));
                outcomes
            }
            (Repeated, Repeated) if is_protobuf => self.packed(written, read),
            (Repeated, Repeated) => self.value(written, read),
            // Protobuf reads one as a list of one, and the bytes of one as numbers in a row.
            (Single | Optional, Repeated) if is_protobuf => {
                match written.is_delimited() && !read.is_delimited() {
                    true => garbled(),
                    false => self.value(written, read),
                }
            }
            (Repeated, Single | Optional) if is_protobuf => self.last_of_list(written, read),
            // A message is read from a list, by position, where a format is no text.
            (Repeated, Single | Optional)
                if matches!(read, Kind::Message(false)) && self.form == BodyForm::Msgpack =>
            {
                garbled()
            }
            (Single | Optional, Repeated) | (Repeated, Single | Optional) => refused(),
            (Map, Map) => {
                let mut outcomes = self.value(written, read);
                outcomes.extend(self.plain(writer.key()?, reader.key()?, true));
                outcomes
            }
            (Map, label) => self.map_as_other(label, read),
            (label, Map) => self.other_as_map(label, written),
        })
    }

    /// One value.
    fn value(self, written: Kind<'_>, read: Kind<'_>) -> Outcomes {
        let is_protobuf = self.form == BodyForm::Protobuf;
        match (written, read) {
            (Kind::Plain(Plain::Enum(_)), Kind::Plain(Plain::Enum(_)))
            | (Kind::Message(_), Kind::Message(_)) => match self.is_astray {
                true => garbled(),
                false => Outcomes::new(),
            },
            (Kind::Plain(writer), Kind::Plain(reader)) => self.plain(writer, reader, false),
            _ if is_protobuf && written.is_delimited() && read.is_delimited() => garbled(),
            _ => refused(),
        }
    }

    fn plain<'a>(self, writer: Plain<'a>, reader: Plain<'a>, is_key: bool) -> Outcomes {
        let mut outcomes = Outcomes::new();
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

    /// Whether a value that is absent is told from the default.
    fn presence(
        self,
        writer: Slot<'_>,
        reader: Slot<'_>,
        written: Kind<'_>,
    ) -> Option<(ReadOutcome, bool)> {
        let is_optional = |slot: Slot<'_>| slot.field.label == FieldLabel::Optional;
        match (is_optional(writer), is_optional(reader)) {
            _ if self.is_astray => None,
            (true, false) => Some((ReadOutcome::NoneAsDefault, self.writer_is_new)),
            (false, true) if self.form == BodyForm::Protobuf && !written.is_message() => {
                Some((ReadOutcome::DefaultAsNone, false))
            }
            _ => None,
        }
    }

    /// Protobuf's lists: numbers stand in a row behind one length, others one by one.
    fn packed(self, written: Kind<'_>, read: Kind<'_>) -> Outcomes {
        match (written, read) {
            (Kind::Plain(writer), Kind::Plain(reader))
                if !writer.is_delimited() && !reader.is_delimited() =>
            {
                match writer.has_same_width(reader) {
                    true => self.value(written, read),
                    false => garbled(),
                }
            }
            _ if written.is_delimited() && read.is_delimited() => self.value(written, read),
            _ => garbled(),
        }
    }

    /// Of protobuf's lists one value is the last, or all of them merged.
    fn last_of_list(self, written: Kind<'_>, read: Kind<'_>) -> Outcomes {
        match (written.is_delimited(), read.is_delimited()) {
            (true, true) => {
                let mut outcomes = self.value(written, read);
                outcomes.insert((ReadOutcome::Changed, false));
                outcomes
            }
            (false, true) => garbled(),
            (_, false) => refused(),
        }
    }

    fn map_as_other(self, label: FieldLabel, read: Kind<'_>) -> Outcomes {
        let is_list = label == FieldLabel::Repeated;
        let is_readable = match self.form {
            // An entry is a message; the numbers of a list are read from its bytes.
            BodyForm::Protobuf => is_list || read.is_delimited(),
            _ => !is_list && read.is_message(),
        };
        if is_readable { garbled() } else { refused() }
    }

    fn other_as_map(self, label: FieldLabel, written: Kind<'_>) -> Outcomes {
        let is_list = label == FieldLabel::Repeated;
        let is_readable = match self.form {
            BodyForm::Protobuf => is_list || written.is_delimited(),
            _ => !is_list && written.is_message(),
        };
        if is_readable { garbled() } else { refused() }
    }
}

/// An error or another value, by what the bytes happen to say.
pub(super) fn garbled() -> Outcomes {
    [(ReadOutcome::Changed, false), (ReadOutcome::Refused, false)].into()
}

fn refused() -> Outcomes {
    [(ReadOutcome::Refused, false)].into()
}
