//! Which applications provide an interface: a list of names that only grows, in one value per interface.

use std::collections::HashSet;

/// The applications of a mapping, each once, in its order: the first [`MAX_APPLICATIONS`].
pub(crate) fn applications(text: &str) -> Vec<&str> {
    all(text).take(MAX_APPLICATIONS).collect()
}

/// How many applications a mapping names beyond those that are read of it.
pub(crate) fn left_out(text: &str) -> usize {
    all(text).skip(MAX_APPLICATIONS).count()
}

/// All applications of a mapping, each once, in its order.
fn all(text: &str) -> impl Iterator<Item = &str> {
    let mut known = HashSet::new();
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.filter(move |name| known.insert(*name))
}

/// The mapping with `application` in it, or `None` if it is there already. Names are compared as a whole:
/// `shop` is not part of `shop-2`. Whatever else stands there stays as it is.
pub(crate) fn with_application(text: Option<&str>, application: &str) -> Option<String> {
    let text = text.unwrap_or_default();
    if text.split(',').any(|name| name.trim() == application) {
        return None;
    }
    match text.trim().trim_end_matches(',') {
        "" => Some(application.to_owned()),
        others => Some(format!("{others},{application}")),
    }
}

/// Most applications that are read of one mapping.
pub(super) const MAX_APPLICATIONS: usize = 1000;
