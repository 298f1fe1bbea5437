//! Names of Dubbo in a `.proto`: services and methods may have others than protobuf takes.

use std::borrow::Cow;

/// `name` as a `.proto` can write it: an `_` for what is no ASCII letter or digit, and before a digit
/// that begins it.
#[must_use]
pub fn proto_name(name: &str) -> Cow<'_, str> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_late = name.starts_with(|c: char| c.is_ascii_digit());
    if !name.is_empty() && !is_late && name.chars().all(is_inner) {
        return Cow::Borrowed(name);
    }
    let inner = name.chars().map(|c| if is_inner(c) { c } else { '_' });
    let before = if is_late || name.is_empty() { "_" } else { "" };
    before.chars().chain(inner).collect()
}

/// The names as they are printed: those that a `.proto` cannot write are changed, and numbered
/// where that is another's.
pub(super) fn printed<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<Cow<'a, str>> {
    let mut printed: Vec<Cow<'a, str>> = Vec::new();
    for name in names.clone() {
        let own = proto_name(name);
        let is_free = |wanted: &str| {
            let is_others = printed.iter().any(|other| *other == wanted);
            !is_others && (wanted == name || names.clone().all(|other| other != wanted))
        };
        let found = if is_free(&own) { own } else { numbered(&own, is_free).into() };
        printed.push(found);
    }
    printed
}

fn numbered(name: &str, is_free: impl Fn(&str) -> bool) -> String {
    let mut names = (2_u64..).map(|number| format!("{name}{number}"));
    names.find(|name| is_free(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proto_cannot_write_is_changed_and_stays_apart() {
        assert_eq!(proto_name("say_hello"), "say_hello");
        assert_eq!(proto_name("1shop$x"), "_1shop_x");
        assert_eq!(proto_name(""), "_");
        let names = ["a-b", "a_b", "a$b", "a.b", "c"];
        assert_eq!(printed(names.into_iter()), ["a_b2", "a_b", "a_b3", "a_b4", "c"]);
        assert_eq!(printed(["x", "x"].into_iter()), ["x", "x2"]);
    }
}
