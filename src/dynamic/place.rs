//! Where in the arguments a value stands: written out only for the one that is wrong.

use std::fmt;

/// Longest text of a person's own in a message, in characters.
const MOST: usize = 60;

/// A value's place, as a chain back to the arguments.
#[derive(Debug, Clone, Copy)]
pub(super) enum ValuePlace<'a> {
    /// The arguments themselves.
    Whole,
    /// A field, by name.
    Field(&'a Self, &'a str),
    /// An element of a list.
    Element(&'a Self, usize),
    /// An entry of a map, by key.
    Entry(&'a Self, &'a str),
}

impl ValuePlace<'_> {
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }
}

impl fmt::Display for ValuePlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Field(Self::Whole, name) => f.write_str(&cut(name)),
            Self::Field(of, name) => write!(f, "{of}.{}", cut(name)),
            Self::Element(of, index) => write!(f, "{of}[{index}]"),
            Self::Entry(of, key) => write!(f, "{of}[{:?}]", cut(key)),
        }
    }
}

/// The beginning of a text, which may be as long as a person likes.
pub(super) fn cut(text: &str) -> String {
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(MOST).collect();
    if chars.next().is_some() { start + "…" } else { start }
}
