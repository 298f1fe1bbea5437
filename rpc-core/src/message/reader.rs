//! How a message asks a format for its values: one call a value, through an object-safe trait.

use std::fmt;

use bytes::Bytes;

use super::problem::{Cut, Problem, Read};
use super::schema::{EnumSchema, Positions, RecordSchema};

/// A reader's place in an open record, list or map. The caller keeps it, so a reader needs no
/// stack.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ReadScope {
    /// The reader's own, such as how many are left.
    pub left: u64,
    /// The reader's own, such as what kind of thing is open.
    pub aux: u64,
    /// How many elements or entries are said to come, if the format says so, and at most as many
    /// as the bytes that are left can hold; else 0.
    pub hint: usize,
    /// The field that is looked at first.
    pub expected: usize,
    /// Whether elements of a list and values of a map may be null. Elsewhere a null there is
    /// refused: in a list it is no default, because nobody left it out.
    pub takes_null: bool,
    levels: usize,
    seen: u64,
    /// A word for each 64 further fields.
    more_seen: Vec<u64>,
    /// The name that an enum with data does not know.
    unknown: Option<Box<str>>,
}

impl ReadScope {
    /// A place where messages may nest `levels` deeper.
    #[must_use]
    #[inline]
    pub const fn new(levels: usize) -> Self {
        let more_seen = Vec::new();
        Self {
            left: 0,
            aux: 0,
            hint: 0,
            expected: 0,
            takes_null: false,
            levels,
            seen: 0,
            more_seen,
            unknown: None,
        }
    }

    /// How deep what is passed over may nest; for [`Reader::skip`].
    #[must_use]
    #[inline]
    pub const fn levels(&self) -> usize {
        self.levels
    }

    /// The field of this name; `None` if it is unknown. The next is looked for behind it.
    ///
    /// Of an enum with data an unknown field is a variant of another version. It is the index
    /// behind the last field, which [`Reader::next_field`] gives as any other.
    ///
    /// # Errors
    /// It came before, in this spelling or in another.
    #[inline]
    pub fn field(&mut self, record: &RecordSchema, name: &[u8]) -> Read<Option<usize>> {
        let Some(at) = record.find(name, self.expected) else {
            return Ok(self.unknown_field(record, name));
        };
        self.expected = at + 1;
        if self.insert(at) { Ok(Some(at)) } else { Err(twice(name)) }
    }

    #[cold]
    fn unknown_field(&mut self, record: &RecordSchema, name: &[u8]) -> Option<usize> {
        if record.positions != Positions::Never {
            return None;
        }
        self.unknown = Some(Cut(&String::from_utf8_lossy(name)).to_string().into());
        Some(record.fields.len())
    }

    /// The name that was unknown last.
    pub(super) fn unknown(&self) -> &str {
        self.unknown.as_deref().unwrap_or_default()
    }

    /// The field at the next position; `None` if there is none.
    #[inline]
    pub fn position(&mut self, record: &RecordSchema) -> Option<usize> {
        let at = self.expected;
        self.expected += 1;
        (at < record.fields.len()).then_some(at)
    }

    /// Notes a field; `false` if it came before.
    #[inline]
    fn insert(&mut self, at: usize) -> bool {
        if at >= 64 {
            return self.insert_far(at);
        }
        let bit = 1 << at;
        let is_new = self.seen & bit == 0;
        self.seen |= bit;
        is_new
    }

    fn insert_far(&mut self, at: usize) -> bool {
        let (word, bit) = (at / 64 - 1, 1 << (at % 64));
        if self.more_seen.len() <= word {
            self.more_seen.resize(word + 1, 0);
        }
        let seen = &mut self.more_seen[word];
        let is_new = *seen & bit == 0;
        *seen |= bit;
        is_new
    }
}

#[cold]
fn twice(name: &[u8]) -> Problem {
    Problem::twice(&String::from_utf8_lossy(name))
}

/// A key of a map to be read, in place.
#[derive(Debug)]
pub enum KeyMut<'a> {
    /// A `bool`.
    Bool(&'a mut bool),
    /// A number with a sign.
    Int(&'a mut i64),
    /// A number without one.
    Uint(&'a mut u64),
    /// A text.
    Str(&'a mut String),
}

/// What is next, where a format says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// No value.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number that fits in `u64`.
    Unsigned,
    /// A whole number below 0 that fits in `i64`.
    Signed,
    /// Any other number.
    Float,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// A list.
    List,
    /// A map or record.
    Map,
    /// The format does not say.
    Untold,
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Unsigned | Self::Signed => "a whole number",
            Self::Float => "a number",
            Self::Text => "a text",
            Self::Bytes => "bytes",
            Self::List => "an array",
            Self::Map => "a map",
            Self::Untold => "something else",
        })
    }
}

/// What stands where a variant of an enum without data is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variant {
    /// Its number, known or not.
    Number(i64),
    /// A name that the enum does not have.
    Unknown(String),
}

/// A format being read.
///
/// A message asks for its values one by one. Each method that reads a single value takes the
/// format's `null` for the default of the type, lists and maps take it for empty ones, and records
/// for one without fields. What a method returns is bounded by the bytes that are there; the caller
/// counts memory beyond that.
pub trait Reader {
    /// Whether the format is text for people; see [`Writer::is_text`](super::Writer::is_text).
    fn is_text(&self) -> bool;

    /// What is next, without passing over it.
    ///
    /// # Errors
    /// The bytes end, or cannot be a value.
    fn kind(&mut self) -> Read<ValueKind>;

    /// Passes over a null, if one is next.
    ///
    /// # Errors
    /// The bytes end.
    fn null(&mut self) -> Read<bool>;

    /// Passes over a value of any kind in which maps nest at most `levels` deep; a list counts
    /// where it stands in a list.
    ///
    /// # Errors
    /// It is malformed or nested deeper ([`TooDeep`](super::TooDeep)).
    fn skip(&mut self, levels: usize) -> Read;

    /// A `bool`.
    ///
    /// # Errors
    /// Something else is next.
    fn bool(&mut self) -> Read<bool>;

    /// A number that fits in `i64`.
    ///
    /// # Errors
    /// Something else is next.
    fn i64(&mut self) -> Read<i64>;

    /// A number that fits in `u64`.
    ///
    /// # Errors
    /// Something else is next.
    fn u64(&mut self) -> Read<u64>;

    /// A number.
    ///
    /// # Errors
    /// Something else is next, or it does not fit in `f64`.
    fn f64(&mut self) -> Read<f64>;

    /// A text, in place of what is in `into`.
    ///
    /// # Errors
    /// Something else is next.
    fn string(&mut self, into: &mut String) -> Read;

    /// Bytes, in place of what is in `into`. Gives how many were copied; a slice of the body takes
    /// no memory.
    ///
    /// # Errors
    /// Something else is next.
    fn bytes(&mut self, into: &mut Bytes) -> Read<usize>;

    /// As [`bytes`](Self::bytes), always copied.
    ///
    /// # Errors
    /// Something else is next.
    fn byte_vec(&mut self, into: &mut Vec<u8>) -> Read<usize>;

    /// A variant of an enum without data, by name or number.
    ///
    /// # Errors
    /// Neither is next.
    fn variant(&mut self, of: &'static EnumSchema) -> Read<Variant>;

    /// Begins a record.
    ///
    /// # Errors
    /// Something else is next.
    fn begin_record(&mut self, record: &'static RecordSchema, scope: &mut ReadScope) -> Read;

    /// The next field of the record that is known, whose value is to be read then; others are
    /// passed over. `None` at the end of the record.
    ///
    /// # Errors
    /// The record is malformed, a field occurs twice ([`ReadScope::field`]), or what is passed over
    /// is nested too deep.
    fn next_field(
        &mut self,
        record: &'static RecordSchema,
        scope: &mut ReadScope,
    ) -> Read<Option<usize>>;

    /// Begins a list.
    ///
    /// # Errors
    /// Something else is next.
    fn begin_list(&mut self, scope: &mut ReadScope) -> Read;

    /// Whether another element comes, which is to be read then; `false` at the end of the list.
    ///
    /// # Errors
    /// The list is malformed, or the element is null and [`ReadScope::takes_null`] is not set.
    fn next_item(&mut self, scope: &mut ReadScope) -> Read<bool>;

    /// Begins a map.
    ///
    /// # Errors
    /// Something else is next.
    fn begin_map(&mut self, scope: &mut ReadScope) -> Read;

    /// Reads the next key; its value is to be read then. `false` at the end of the map.
    ///
    /// A key that is no text is read from text too, and null is none.
    ///
    /// # Errors
    /// The map is malformed, the key is of another kind, or the value is null and
    /// [`ReadScope::takes_null`] is not set.
    fn next_key(&mut self, scope: &mut ReadScope, key: KeyMut<'_>) -> Read<bool>;

    /// Elements of a list of numbers with a sign: fills `into` from the start and gives how many
    /// there were. Fewer than it holds are the last.
    ///
    /// # Errors
    /// As [`next_item`](Self::next_item) and [`i64`](Self::i64).
    fn i64s(&mut self, scope: &mut ReadScope, into: &mut [i64]) -> Read<usize> {
        for (count, value) in into.iter_mut().enumerate() {
            if !self.next_item(scope)? {
                return Ok(count);
            }
            *value = self.i64()?;
        }
        Ok(into.len())
    }

    /// As [`i64s`](Self::i64s), of numbers without a sign.
    ///
    /// # Errors
    /// As [`next_item`](Self::next_item) and [`u64`](Self::u64).
    fn u64s(&mut self, scope: &mut ReadScope, into: &mut [u64]) -> Read<usize> {
        for (count, value) in into.iter_mut().enumerate() {
            if !self.next_item(scope)? {
                return Ok(count);
            }
            *value = self.u64()?;
        }
        Ok(into.len())
    }

    /// As [`i64s`](Self::i64s), of floats.
    ///
    /// # Errors
    /// As [`next_item`](Self::next_item) and [`f64`](Self::f64).
    fn f64s(&mut self, scope: &mut ReadScope, into: &mut [f64]) -> Read<usize> {
        for (count, value) in into.iter_mut().enumerate() {
            if !self.next_item(scope)? {
                return Ok(count);
            }
            *value = self.f64()?;
        }
        Ok(into.len())
    }
}

/// Makes `into` this text, in the room that it has if that is enough.
#[inline]
pub fn set_string(into: &mut String, text: &str) {
    if into.capacity() < text.len() {
        *into = text.to_owned();
    } else {
        into.clear();
        into.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{FieldSchema, Positions};

    #[test]
    fn a_field_is_taken_once_however_many_there_are() {
        const FIELD: FieldSchema = FieldSchema::new(1, "", "");
        static FIELDS: [FieldSchema; 200] = [FIELD; 200];
        let mut scope = ReadScope::new(1);
        assert!((0..FIELDS.len()).all(|at| scope.insert(at)));
        assert!((0..FIELDS.len()).all(|at| !scope.insert(at)));

        static NAMED: [FieldSchema; 2] =
            [FieldSchema::new(1, "id", "id"), FieldSchema::new(2, "theName", "the_name")];
        let record = RecordSchema::new("Order", &NAMED, Positions::Compact);
        let mut scope = ReadScope::new(1);
        assert_eq!(scope.field(&record, b"theName").unwrap(), Some(1));
        assert_eq!(scope.field(&record, b"else").unwrap(), None);
        assert_eq!(scope.field(&record, b"id").unwrap(), Some(0));
        let error = scope.field(&record, b"the_name").unwrap_err().to_string();
        assert_eq!(error, "`the_name` occurs twice; send it once");
    }
}
