//! The text of an argument, for what hashes it: as Java's `String.valueOf` writes it for strings,
//! integers, booleans, `null`, and lists and maps of these, so that peers in Java hash the same.
//!
//! Floats, bytes and messages have a stable text of our own. Entries of maps are sorted, because a
//! `HashMap` gives them in a different order in every process.

use std::fmt::Write as _;

use super::problem::Problem;
use super::schema::{EnumSchema, RecordSchema};
use super::traits::Field;
use super::writer::{At, KeyRef, Writer};
use crate::codec::MAX_DEPTH;

/// Appends the text of an argument; `false` if it has none.
pub(super) fn argument_text<T: Field>(value: &T, out: &mut String) -> bool {
    if value.is_absent() {
        out.push_str("null");
        return true;
    }
    value.nests_within(MAX_DEPTH) && append(out, |writer| value.write(writer, None))
}

/// Appends the text of what `write` writes; `false`, and nothing appended, if it fails.
pub fn append(out: &mut String, write: impl FnOnce(&mut dyn Writer)) -> bool {
    let start = out.len();
    let mut text = Text { out, open: Vec::new(), has_failed: false };
    write(&mut text);
    let is_whole = !text.has_failed;
    if !is_whole {
        out.truncate(start);
    }
    is_whole
}

struct Text<'a> {
    out: &'a mut String,
    open: Vec<Open>,
    has_failed: bool,
}

/// What is open: `[a, b]` or `{k=v, l=w}`.
enum Open {
    List {
        is_empty: bool,
    },
    /// Each entry begins at one of these places.
    Entries(Vec<usize>),
}

impl Text<'_> {
    /// What stands before a value: the name of its field, or what parts it from the one before.
    fn begin(&mut self, at: At) -> &mut String {
        if let Some(field) = at {
            self.entry(field.name);
        } else if let Some(Open::List { is_empty }) = self.open.last_mut()
            && !std::mem::take(is_empty)
        {
            self.out.push_str(", ");
        }
        self.out
    }

    fn entry(&mut self, key: impl std::fmt::Display) {
        if let Some(Open::Entries(starts)) = self.open.last_mut() {
            starts.push(self.out.len());
        }
        self.put(format_args!("{key}="));
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string never fails.
        let _ = self.out.write_fmt(text);
    }

    fn begin_entries(&mut self, at: At) {
        self.begin(at).push('{');
        self.open.push(Open::Entries(Vec::new()));
    }

    fn end_entries(&mut self) {
        if let Some(Open::Entries(starts)) = self.open.pop() {
            self.sort(&starts);
        }
        self.out.push('}');
    }

    fn sort(&mut self, starts: &[usize]) {
        let Some(first) = starts.first() else { return };
        let ends = starts.iter().skip(1).copied().chain([self.out.len()]);
        let texts = starts.iter().zip(ends).map(|(start, end)| &self.out[*start..end]);
        let mut entries: Vec<_> = texts.collect();
        entries.sort_unstable();
        let sorted = entries.join(", ");
        self.out.truncate(*first);
        self.out.push_str(&sorted);
    }
}

macro_rules! displayed {
    ($($name:ident($ty:ty) as $form:literal;)*) => {$(
        fn $name(&mut self, at: At, value: $ty) {
            self.begin(at);
            self.put(format_args!($form, value));
        }
    )*};
}

impl Writer for Text<'_> {
    fn is_text(&self) -> bool {
        false
    }

    fn begin_record(&mut self, at: At, _: &'static RecordSchema, _: usize) {
        self.begin_entries(at);
    }

    fn end_record(&mut self) {
        self.end_entries();
    }

    fn begin_list(&mut self, at: At, _: usize) {
        self.begin(at).push('[');
        self.open.push(Open::List { is_empty: true });
    }

    fn end_list(&mut self) {
        self.open.pop();
        self.out.push(']');
    }

    fn begin_map(&mut self, at: At, _: usize) {
        self.begin_entries(at);
    }

    fn key(&mut self, key: KeyRef<'_>) {
        match key {
            KeyRef::Bool(key) => self.entry(key),
            KeyRef::Int(key) => self.entry(key),
            KeyRef::Uint(key) => self.entry(key),
            KeyRef::Str(key) => self.entry(key),
        }
    }

    fn end_map(&mut self) {
        self.end_entries();
    }

    fn null(&mut self, at: At) {
        self.begin(at).push_str("null");
    }

    displayed! {
        bool(bool) as "{}";
        i32(i32) as "{}";
        u32(u32) as "{}";
        i64(i64) as "{}";
        u64(u64) as "{}";
        f32(f32) as "{:?}";
        f64(f64) as "{:?}";
        bytes(&[u8]) as "{:?}";
    }

    fn str(&mut self, at: At, value: &str) {
        self.begin(at).push_str(value);
    }

    fn variant(&mut self, at: At, of: &'static EnumSchema, number: i32) {
        self.begin(at).push_str(of.name_of(number));
    }

    fn fail(&mut self, _: Problem) {
        self.has_failed = true;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn text<T: Field>(value: T) -> String {
        let mut out = String::from("> ");
        assert!(argument_text(&value, &mut out));
        out
    }

    #[test]
    fn texts_are_those_of_java() {
        assert_eq!(text("bob".to_owned()), "> bob");
        assert_eq!(text(String::new()), "> ");
        assert_eq!(text(i64::MIN), "> -9223372036854775808");
        assert_eq!(text(u64::MAX), "> 18446744073709551615");
        assert_eq!(text(7_u8), "> 7");
        assert_eq!(text(true), "> true");
        assert_eq!(text(None::<String>), "> null");
        assert_eq!(text(Some(5_i32)), "> 5");
        assert_eq!(text(vec![1_i64, 2, 3]), "> [1, 2, 3]");
        assert_eq!(text(Vec::<String>::new()), "> []");
    }

    #[test]
    fn maps_have_one_text_whatever_their_order() {
        let entries = ["c", "a", "b"].map(|key| (key.to_owned(), 1_u64));
        assert_eq!(text(HashMap::from(entries)), "> {a=1, b=1, c=1}");
    }
}
