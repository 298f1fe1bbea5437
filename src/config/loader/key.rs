//! The place of a setting in the tree, such as `consumer.services."shop.Inventory".timeout`.

use std::fmt;

/// Stands for any name.
pub(crate) const ANY: &str = "*";

/// A path of names. `Display` writes it as TOML does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Vec<Part>);

/// A name, or `[0]` and so on for an element of a list: a name may look like that too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    text: String,
    is_item: bool,
}

impl Key {
    /// The whole tree.
    pub(crate) fn root() -> Self {
        Self(Vec::new())
    }

    /// The key of a text such as `consumer.timeout`, as `Display` writes it: a name with dots
    /// stands in quotes, the position of an element in brackets.
    pub(crate) fn dotted(text: &str) -> Self {
        let name = || Part { text: String::new(), is_item: false };
        let (mut parts, mut last, mut quoted) = (Vec::new(), name(), false);
        for c in text.chars() {
            match c {
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(std::mem::replace(&mut last, name())),
                '[' if !quoted && !last.text.is_empty() => {
                    let item = Part { text: "[".to_owned(), is_item: true };
                    parts.push(std::mem::replace(&mut last, item));
                }
                c => last.text.push(c),
            }
        }
        parts.push(last);
        Self(parts)
    }

    /// A key of these names.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        parts.into_iter().fold(Self::root(), |key, name| key.child(name))
    }

    /// The key of `name` in this section.
    pub(crate) fn child(&self, name: &str) -> Self {
        self.with(name.to_owned(), false)
    }

    /// The key of the element at `index` of the list at this key.
    pub(crate) fn item(&self, index: usize) -> Self {
        self.with(format!("[{index}]"), true)
    }

    /// The key of what an error calls `step` inside the value at this key: a name, or `[0]` and so
    /// on.
    pub(crate) fn step(&self, step: &str) -> Self {
        let index = step.strip_prefix('[').and_then(|step| step.strip_suffix(']'));
        self.with(step.to_owned(), index.is_some_and(|index| index.parse::<usize>().is_ok()))
    }

    fn with(&self, text: String, is_item: bool) -> Self {
        let mut parts = self.0.clone();
        parts.push(Part { text, is_item });
        Self(parts)
    }

    /// Whether it is `other` or inside of it.
    pub(crate) fn is_in(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The section of the first `depth` names.
    pub(crate) fn section(&self, depth: usize) -> Self {
        Self(self.0.iter().take(depth).cloned().collect())
    }

    /// Its names, the outermost first.
    pub(crate) fn parts(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.0.iter().map(|part| &*part.text)
    }

    /// The section whose sections have any name, if it is in one of these.
    pub(crate) fn named_section(&self) -> Option<Self> {
        let at = self.parts().position(|part| part == ANY)?;
        (at + 1 < self.parts().len()).then(|| self.section(at))
    }

    /// Whether a part of it may be any name.
    pub(crate) fn has_any(&self) -> bool {
        self.parts().any(|part| part == ANY)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '*';
        for (at, Part { text, is_item }) in self.0.iter().enumerate() {
            if at > 0 && !is_item {
                f.write_str(".")?;
            }
            if *is_item || !text.is_empty() && text.chars().all(is_bare) {
                f.write_str(text)?;
            } else {
                write!(f, "{text:?}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_bare_are_quoted() {
        let key = Key::dotted("consumer.services").child("shop.Inventory").child("timeout");
        assert_eq!(key.to_string(), "consumer.services.\"shop.Inventory\".timeout");
        assert_eq!(key.section(2).to_string(), "consumer.services");
        assert_eq!(Key::dotted(&key.to_string()), key);
        let item = Key::dotted("consumer.routers").item(1).child("force");
        assert_eq!(item.to_string(), "consumer.routers[1].force");
        assert_eq!(Key::dotted(&item.to_string()), item);
        let name = Key::dotted("provider.metadata").child("[0]");
        assert_eq!(name.to_string(), "provider.metadata.\"[0]\"");
        assert_eq!(Key::dotted(&name.to_string()), name);
        assert_ne!(name, Key::dotted("provider.metadata").item(0));
    }
}
