//! How a message offers its values to a format: one call a value, through an object-safe trait.

use bytes::Bytes;

use super::problem::Problem;
use super::schema::{EnumSchema, FieldSchema, RecordSchema};

/// Where a value stands: in this field, or (`None`) in the list or map that is open, or as the
/// whole body.
pub type At = Option<&'static FieldSchema>;

/// A key of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRef<'a> {
    /// A `bool`.
    Bool(bool),
    /// A number of a type with a sign.
    Int(i64),
    /// A number of a type without one.
    Uint(u64),
    /// A text.
    Str(&'a str),
}

/// A format being written.
///
/// A message calls it with each of its values in the order of declaration. Absent ones (`None`)
/// are not offered. The methods return nothing: a writer keeps its first problem
/// ([`fail`](Self::fail)), ignores what follows, and the codec asks it in the end.
pub trait Writer {
    /// Whether the format is text for people: protobuf's JSON mapping then decides how types are
    /// written that JSON has no words for.
    fn is_text(&self) -> bool;

    /// Begins a record of which `present` fields follow.
    fn begin_record(&mut self, at: At, record: &'static RecordSchema, present: usize);

    /// Ends the record that was begun last.
    fn end_record(&mut self);

    /// Begins a list of `len` elements.
    fn begin_list(&mut self, at: At, len: usize);

    /// Ends the list that was begun last.
    fn end_list(&mut self);

    /// Begins a map of `len` entries, each a [`key`](Self::key) and a value.
    fn begin_map(&mut self, at: At, len: usize);

    /// A key of the map that was begun last; its value follows.
    fn key(&mut self, key: KeyRef<'_>);

    /// Ends the map that was begun last.
    fn end_map(&mut self);

    /// No value, where leaving it out would mean something else.
    fn null(&mut self, at: At);

    /// A `bool`.
    fn bool(&mut self, at: At, value: bool);

    /// A number of at most 32 bits with a sign.
    fn i32(&mut self, at: At, value: i32);

    /// A number of at most 32 bits without one.
    fn u32(&mut self, at: At, value: u32);

    /// A number of 64 bits with a sign.
    fn i64(&mut self, at: At, value: i64);

    /// A number of 64 bits without one.
    fn u64(&mut self, at: At, value: u64);

    /// A float of 32 bits.
    fn f32(&mut self, at: At, value: f32);

    /// A float of 64 bits.
    fn f64(&mut self, at: At, value: f64);

    /// A text.
    fn str(&mut self, at: At, value: &str);

    /// Bytes.
    fn bytes(&mut self, at: At, value: &[u8]);

    /// Bytes that may be kept instead of copied.
    fn shared(&mut self, at: At, value: &Bytes) {
        self.bytes(at, value);
    }

    /// A variant of an enum without data, by its number.
    fn variant(&mut self, at: At, of: &'static EnumSchema, number: i32);

    /// Something cannot be written; the first problem counts.
    fn fail(&mut self, problem: Problem);

    /// A list of `i32`.
    fn i32s(&mut self, at: At, values: &[i32]) {
        self.begin_list(at, values.len());
        values.iter().for_each(|value| self.i32(None, *value));
        self.end_list();
    }

    /// A list of `u32`.
    fn u32s(&mut self, at: At, values: &[u32]) {
        self.begin_list(at, values.len());
        values.iter().for_each(|value| self.u32(None, *value));
        self.end_list();
    }

    /// A list of `i64`.
    fn i64s(&mut self, at: At, values: &[i64]) {
        self.begin_list(at, values.len());
        values.iter().for_each(|value| self.i64(None, *value));
        self.end_list();
    }

    /// A list of `u64`.
    fn u64s(&mut self, at: At, values: &[u64]) {
        self.begin_list(at, values.len());
        values.iter().for_each(|value| self.u64(None, *value));
        self.end_list();
    }

    /// A list of `f32`.
    fn f32s(&mut self, at: At, values: &[f32]) {
        self.begin_list(at, values.len());
        values.iter().for_each(|value| self.f32(None, *value));
        self.end_list();
    }

    /// A list of `f64`.
    fn f64s(&mut self, at: At, values: &[f64]) {
        self.begin_list(at, values.len());
        values.iter().for_each(|value| self.f64(None, *value));
        self.end_list();
    }
}
