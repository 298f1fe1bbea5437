//! The place of a setting in the tree, such as `consumer.services."shop.Inventory".timeout`.

use std::fmt;

/// Stands where any name may stand.
pub(super) const ANY: &str = "*";

/// A path of names. `Display` writes it as TOML does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<String>);

impl Key {
    /// The whole tree.
    pub(super) fn root() -> Self {
        Self(Vec::new())
    }

    /// The key of a text such as `consumer.timeout`, as `Display` writes it: a name with dots stands
    /// in quotes, the position of an element in brackets.
    pub(super) fn dotted(text: &str) -> Self {
        let (mut parts, mut last, mut quoted) = (Vec::new(), String::new(), false);
        for c in text.chars() {
            match c {
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(std::mem::take(&mut last)),
                '[' if !quoted && !last.is_empty() => {
                    parts.push(std::mem::replace(&mut last, "[".to_owned()));
                }
                c => last.push(c),
            }
        }
        parts.push(last);
        Self(parts)
    }

    /// A key of these names.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(parts.into_iter().map(str::to_owned).collect())
    }

    /// The key of `name` in this section.
    pub(super) fn child(&self, name: &str) -> Self {
        let mut parts = self.0.clone();
        parts.push(name.to_owned());
        Self(parts)
    }

    /// The key of the element at `index` of the list at this key.
    pub(super) fn item(&self, index: usize) -> Self {
        self.child(&format!("[{index}]"))
    }

    /// Whether it is `other` or inside of it.
    pub(super) fn is_in(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The section of the first `depth` names.
    pub(super) fn section(&self, depth: usize) -> Self {
        Self(self.0.iter().take(depth).cloned().collect())
    }

    /// Its names, the outermost first.
    pub(super) fn parts(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.0.iter().map(String::as_str)
    }

    /// Whether a part of it may be any name.
    pub(super) fn has_any(&self) -> bool {
        self.0.iter().any(|part| part == ANY)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '*';
        for (at, part) in self.0.iter().enumerate() {
            let is_item = part.starts_with('[');
            if at > 0 && !is_item {
                f.write_str(".")?;
            }
            if is_item || !part.is_empty() && part.chars().all(is_bare) {
                f.write_str(part)?;
            } else {
                write!(f, "{part:?}")?;
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
    }
}
