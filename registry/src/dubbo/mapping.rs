//! Which applications provide an interface: a list of names that only grows, in one value per interface.

/// The applications of a mapping, each once, in its order.
pub(crate) fn applications(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if names.len() == MAX_APPLICATIONS {
            break;
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
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
const MAX_APPLICATIONS: usize = 1000;
