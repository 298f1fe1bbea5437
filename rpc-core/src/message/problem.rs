//! Why a value cannot be written or read, and where in the message.

use std::fmt;

use super::wire::TooDeep;
use crate::codec::Exceeded;

/// What reading gives: a value, or why there is none.
pub type Read<T = ()> = Result<T, Problem>;

/// Why a value cannot be written or read, and where: `items[3].price: a number was expected`.
///
/// It is one pointer, and gathers its place on its way out of the message.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    message: String,
    /// From the inside out.
    path: Vec<Step>,
    /// Whether it looks like another version of a message, and of which, once that is known.
    version: Option<Option<&'static str>>,
}

#[derive(Clone, PartialEq, Eq)]
enum Step {
    Field(&'static str),
    Index(usize),
    Key(String),
}

impl Problem {
    /// A problem that says what was wrong.
    #[cold]
    #[must_use]
    pub fn new(message: impl fmt::Display) -> Self {
        Self(Box::new(Inner { message: message.to_string(), path: Vec::new(), version: None }))
    }

    /// Something else than was expected.
    #[cold]
    #[must_use]
    pub fn unexpected(expected: impl fmt::Display, found: &impl fmt::Display) -> Self {
        let found = found.to_string();
        Self::new(format_args!("{expected} was expected, not {}", Cut(&found)))
    }

    /// What was found where only another version of the message has it.
    #[cold]
    pub(super) fn other_version(message: impl fmt::Display) -> Self {
        let mut problem = Self::new(message);
        problem.0.version = Some(None);
        problem
    }

    /// The same, in the message of this name, unless it is one within.
    #[cold]
    pub(super) fn in_message(mut self, name: &'static str) -> Self {
        if let Some(of @ None) = &mut self.0.version {
            *of = Some(name);
        }
        self
    }

    /// A value that does not fit the type of this name.
    #[cold]
    #[must_use]
    pub fn does_not_fit(value: impl fmt::Display, name: &str) -> Self {
        Self::new(format_args!("{value} does not fit in {name}"))
    }

    /// A key that occurs twice in one map: which value counts, readers disagree about.
    #[cold]
    #[must_use]
    pub fn twice(key: &str) -> Self {
        Self::new(format_args!("`{}` occurs twice; send it once", Cut(key)))
    }

    /// An element of a list, or a value of a map, that is null.
    #[cold]
    #[must_use]
    pub fn null_element() -> Self {
        Self::new("null stands in a list or map whose values cannot be absent; leave it out")
    }

    /// A number or name that no variant of the enum `of` has, and no variant takes.
    #[cold]
    #[must_use]
    pub fn unknown_variant(value: impl fmt::Display, of: &str) -> Self {
        let value = value.to_string();
        Self::new(format_args!(
            "{of} has no variant `{}` here, the peers have different versions: update this one, \
             or mark a variant of {of} with `#[rpc(other)]`",
            Cut(&value)
        ))
    }

    /// Puts the problem into the field of this name.
    #[cold]
    #[must_use]
    pub fn in_field(self, name: &'static str) -> Self {
        self.at(Step::Field(name))
    }

    /// Puts the problem into the element at this index.
    #[cold]
    #[must_use]
    pub fn at_index(self, index: usize) -> Self {
        self.at(Step::Index(index))
    }

    /// Puts the problem into the value of this key.
    #[cold]
    #[must_use]
    pub fn at_key(self, key: &impl fmt::Display) -> Self {
        let key = Cut(&key.to_string()).to_string();
        self.at(Step::Key(key))
    }

    fn at(mut self, step: Step) -> Self {
        self.0.path.push(step);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.path.iter().rev().enumerate() {
            match step {
                Step::Field(name) if index == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "[\"{key}\"]")?,
            }
        }
        let colon = if self.0.path.is_empty() { "" } else { ": " };
        write!(f, "{colon}{}", self.0.message)?;
        match self.0.version {
            None => Ok(()),
            Some(of) => {
                let of = of.unwrap_or("this message");
                write!(
                    f,
                    ": the peers have different versions of {of}, or its fields other numbers"
                )
            }
        }
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({self})")
    }
}

impl std::error::Error for Problem {}

impl From<Exceeded> for Problem {
    #[cold]
    fn from(exceeded: Exceeded) -> Self {
        Self::new(exceeded)
    }
}

impl From<TooDeep> for Problem {
    #[cold]
    fn from(too_deep: TooDeep) -> Self {
        Self::new(too_deep)
    }
}

/// The beginning of a text that a peer sent, which may be as long as it likes.
pub(super) struct Cut<'a>(pub(super) &'a str);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let shown: String = self.0.chars().take(SHOWN).collect();
        let more = if shown.len() < self.0.len() { "…" } else { "" };
        write!(f, "{}{more}", shown.escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_told_from_the_outside_in() {
        let problem = Problem::new("a number was expected");
        assert_eq!(problem.to_string(), "a number was expected");
        let problem = problem.in_field("price").at_index(3).at_key(&"a\"b").in_field("items");
        assert_eq!(problem.to_string(), r#"items["a\"b"][3].price: a number was expected"#);
    }

    #[test]
    fn of_messages_in_each_other_the_innermost_has_another_version() {
        let problem = Problem::other_version("a varint was expected");
        let suffix = "or its fields other numbers";
        assert_eq!(
            problem.to_string(),
            format!(
                "a varint was expected: the peers have different versions of this message, {suffix}"
            )
        );
        let problem =
            problem.in_field("price").in_message("Line").in_field("lines").in_message("Order");
        assert_eq!(
            problem.to_string(),
            format!(
                "lines.price: a varint was expected: the peers have different versions of Line, {suffix}"
            )
        );
    }
}
