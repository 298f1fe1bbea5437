//! A value as a flat list: what stands between a message and a format of serde's.

use bytes::Bytes;

use crate::message::schema::EnumSchema;

/// A value, or the beginning or end of several. A map is its keys and values in turn.
#[derive(Debug, Clone, Copy)]
pub(super) enum SerdeEvent {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    /// Of a message: 64-bit integers are texts in formats for people.
    Int64(i64),
    Uint64(u64),
    F32(f32),
    F64(f64),
    /// A text: where it begins among all, and its length.
    Text(usize, u32),
    /// Bytes, by their index.
    Bytes(usize),
    /// The name of a field.
    Name(&'static str),
    Variant(&'static EnumSchema, i32),
    List(usize),
    Map(usize),
    End,
}

/// The list, and what does not fit in it.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) list: Vec<SerdeEvent>,
    texts: String,
    bytes: Vec<Bytes>,
}

impl Events {
    pub(super) fn push(&mut self, event: SerdeEvent) {
        self.list.push(event);
    }

    /// `false` if the text is longer than 4 GiB.
    pub(super) fn push_text(&mut self, text: &str) -> bool {
        let Ok(len) = u32::try_from(text.len()) else { return false };
        self.list.push(SerdeEvent::Text(self.texts.len(), len));
        self.texts.push_str(text);
        true
    }

    pub(super) fn push_bytes(&mut self, bytes: Bytes) {
        self.list.push(SerdeEvent::Bytes(self.bytes.len()));
        self.bytes.push(bytes);
    }

    pub(super) fn text(&self, start: usize, len: u32) -> &str {
        self.texts.get(start..start + len as usize).unwrap_or_default()
    }

    pub(super) fn bytes(&self, index: usize) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        self.bytes.get(index).unwrap_or(&NONE)
    }

    /// The event at this place; the end is behind the last.
    pub(super) fn at(&self, at: usize) -> SerdeEvent {
        self.list.get(at).copied().unwrap_or(SerdeEvent::End)
    }
}
