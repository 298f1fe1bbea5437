//! What goes wrong while things are set up: names, addresses, configuration, binding.
//!
//! A call never fails with this; it fails with a [`Status`](crate::Status).

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Why something could not be set up.
///
/// `Display` names the thing, the cause and the remedy; so does `Debug`, because a `main` that returns
/// the error prints that. An error of a setting begins with its place: file, line and column, the
/// variable, or the builder.
///
/// | question | kind |
/// | --- | --- |
/// | [`is_unknown_name`](Self::is_unknown_name) | a name of an extension, method or key that does not exist |
/// | [`is_invalid_config`](Self::is_invalid_config) | a value that cannot work |
/// | [`is_bind`](Self::is_bind) | an address that cannot be bound |
/// | [`is_unreachable`](Self::is_unreachable) | a server that is needed now and does not answer |
/// | [`is_refused`](Self::is_refused) | a server that answers and rejects us, as for a wrong token |
/// | [`is_closed`](Self::is_closed) | a thing that was shut down |
/// | [`is_busy`](Self::is_busy) | a request from inside an operation that cannot serve it |
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    /// What is to blame inside a value, the outermost first, until its place is known.
    parameter: Vec<String>,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    UnknownName,
    InvalidConfig,
    Bind,
    Unreachable,
    Refused,
    Closed,
    Busy,
}

impl Error {
    fn new(kind: Kind, message: String) -> Self {
        Self(Box::new(Inner { kind, parameter: Vec::new(), message, source: None }))
    }

    /// `name` is not among `known`; `kind` says of what, such as `codec`.
    #[must_use]
    pub fn unknown_name<'a>(
        kind: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        Self::unknown(kind, name, &known, nearest(name, &known))
    }

    /// As [`unknown_name`](Self::unknown_name) for keys of services, which may be meant although
    /// group, version or package are not theirs.
    #[must_use]
    pub fn unknown_service<'a>(
        kind: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let nearest = nearest_service(name, &known).or_else(|| {
            // Of a package far away: it is no slip, but more likely meant than any other.
            let is_named_so = |key: &&&str| simple_name_of(key) == simple_name_of(name);
            known.iter().find(is_named_so).copied()
        });
        Self::unknown(kind, name, &known, nearest)
    }

    /// As [`unknown_name`](Self::unknown_name) where `name` is what others call `meant`.
    pub(crate) fn unknown_alias<'a>(
        kind: &str,
        name: &str,
        meant: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        Self::unknown(kind, name, &known, Some(meant))
    }

    fn unknown(kind: &str, name: &str, known: &[&str], nearest: Option<&str>) -> Self {
        let nearest = nearest.map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default();
        let (name, known) = (name.escape_debug(), listed(known));
        Self::new(
            Kind::UnknownName,
            format!("unknown {kind} `{name}`{nearest}, available: {known}"),
        )
    }

    /// `name` means something, but is not part of this build; `known` are.
    #[must_use]
    pub fn not_built_in<'a>(
        kind: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known = listed(&known.into_iter().collect::<Vec<_>>());
        let name = name.escape_debug();
        let message = format!("{kind} `{name}` is not built in, available: {known}");
        Self::new(Kind::UnknownName, message)
    }

    /// `name` is not part of this build, but would be with the feature of that name; `known` are.
    #[must_use]
    pub fn needs_feature<'a>(
        kind: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known = listed(&known.into_iter().collect::<Vec<_>>());
        let name = name.escape_debug();
        let message = format!(
            "{kind} `{name}` is not built in, switch on the feature `{name}` of dubhe; \
             available: {known}"
        );
        Self::new(Kind::UnknownName, message)
    }

    /// A setting has a value that cannot work; the message names it and the remedy.
    #[must_use]
    pub fn invalid_config(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidConfig, message.into())
    }

    /// An address could not be bound.
    #[must_use]
    pub fn bind(message: impl Into<String>) -> Self {
        Self::new(Kind::Bind, message.into())
    }

    /// A server that is needed now does not answer.
    #[must_use]
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unreachable, message.into())
    }

    /// A server answers and rejects us; trying again does not help before a setting is changed, which
    /// the message names.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message.into())
    }

    /// The thing was shut down before.
    #[must_use]
    pub fn closed(message: impl Into<String>) -> Self {
        Self::new(Kind::Closed, message.into())
    }

    /// A request from inside an operation that is still under way, which it cannot serve.
    #[must_use]
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(Kind::Busy, message.into())
    }

    /// Puts the place of the error, such as `dubhe.toml:3:1`, before its message.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {self}");
        self.0.parameter.clear();
        self
    }

    /// Attributes the error to the parameter `name` of an extension, or to a part of it: the
    /// configuration then points at the line of that parameter.
    ///
    /// ```
    /// # use rpc_core::Error;
    /// let error = Error::invalid_config("0 asks no provider: write 1 to 64").in_parameter("forks");
    /// assert_eq!(error.to_string(), "forks: 0 asks no provider: write 1 to 64");
    /// ```
    #[must_use]
    pub fn in_parameter(mut self, name: &str) -> Self {
        self.0.parameter.insert(0, name.to_owned());
        self
    }

    /// Removes and returns the names set by [`in_parameter`](Self::in_parameter), the outermost
    /// first, for a caller that knows the place; elements of lists are `[0]`, `[1]` and so on.
    pub fn take_parameter(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0.parameter)
    }

    /// Sets the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Whether a name was given that is not known.
    #[must_use]
    pub fn is_unknown_name(&self) -> bool {
        self.0.kind == Kind::UnknownName
    }

    /// Whether a setting has a value that cannot work.
    #[must_use]
    pub fn is_invalid_config(&self) -> bool {
        self.0.kind == Kind::InvalidConfig
    }

    /// Whether an address could not be bound.
    #[must_use]
    pub fn is_bind(&self) -> bool {
        self.0.kind == Kind::Bind
    }

    /// Whether a server that is needed did not answer.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.0.kind == Kind::Unreachable
    }

    /// Whether a server refused us for good, such as a registry to which we showed a wrong token.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.0.kind == Kind::Refused
    }

    /// Whether the thing had been shut down before.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.kind == Kind::Closed
    }

    /// Whether the thing was asked by a part of what it was doing, such as an extension that asks its
    /// consumer for other settings while it is made for these. Later it may do it.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.0.kind == Kind::Busy
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name that nobody knows stands in the message.
        let unknown = usize::from(self.is_unknown_name());
        let steps = &self.0.parameter[..self.0.parameter.len().saturating_sub(unknown)];
        for (at, step) in steps.iter().enumerate() {
            let dot = if at == 0 || step.starts_with('[') { "" } else { "." };
            write!(f, "{dot}{step}")?;
        }
        let colon = if steps.is_empty() { "" } else { ": " };
        write!(f, "{colon}{}", self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

fn listed(known: &[&str]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

/// Longer names are compared with none.
const LONGEST: usize = 64;

/// The known name closest to `name`, if it is close enough to be a slip of the hand.
#[must_use]
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let length = name.chars().count();
    // What is this long was no slip, and is not worth comparing.
    if length > LONGEST {
        return None;
    }
    let limit = (length / 3).max(1);
    let scored = known.iter().map(|known| (edit_distance(name, known), *known));
    scored.filter(|(distance, _)| *distance <= limit).min().map(|(_, known)| known)
}

/// The known key of a service that `name` was probably meant for: the same interface of another group or
/// version, or of a package that is a slip of the hand away; else a slip of the hand away anywhere, or one
/// of both written without its package.
#[must_use]
pub fn nearest_service<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let same = |part: fn(&str) -> &str| -> Vec<&'a str> {
        known.iter().filter(|key| part(key) == part(name)).copied().collect()
    };
    // Of those with the same part, the one whose whole key is nearest.
    let near_by = |part: fn(&str) -> &str, among: &[&'a str]| {
        let parts: Vec<&str> = among.iter().copied().map(part).collect();
        let near = nearest(part(name), &parts)?;
        let like_it = among.iter().copied().filter(|key| part(key) == near);
        like_it.min_by_key(|key| edit_distance(name, key))
    };
    let is_short = |key: &str| !interface_of(key).contains('.');
    // With a package each they are as likely two services.
    let one_is_short = |key: &&&str| is_short(name) || is_short(key);
    // From what is most of a key to the least that tells services apart.
    near_by(interface_of, &same(interface_of))
        .or_else(|| near_by(interface_of, &same(simple_name_of)))
        .or_else(|| near_by(interface_of, known))
        .or_else(|| {
            let among: Vec<&str> = known.iter().filter(one_is_short).copied().collect();
            near_by(simple_name_of, &among)
        })
}

/// `shop.Inventory` of `blue/shop.Inventory:1.0.0`.
fn interface_of(key: &str) -> &str {
    let key = key.split_once('/').map_or(key, |(_, rest)| rest);
    key.split_once(':').map_or(key, |(interface, _)| interface)
}

/// `Inventory` of it.
fn simple_name_of(key: &str) -> &str {
    let interface = interface_of(key);
    interface.rsplit_once('.').map_or(interface, |(_, name)| name)
}

/// Edit distance with swapped neighbours as one edit (optimal string alignment), row by row.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(LONGEST).collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let substituted = above[j] + usize::from(a[i] != b[j]);
            let mut least = substituted.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_lists_the_known_ones_and_the_nearest() {
        let error = Error::unknown_name("codec", "jsn", ["json", "msgpack", "protobuf"]);
        let text = error.to_string();
        assert_eq!(
            text,
            "unknown codec `jsn` (did you mean `json`?), available: json, msgpack, protobuf"
        );
        assert!(error.is_unknown_name());
        let error = Error::unknown_name("router", "tag", []);
        assert_eq!(error.to_string(), "unknown router `tag`, available: none");
    }

    #[test]
    fn a_service_may_be_meant_by_another_group_version_or_package() {
        let known = [
            "blue/shop.Inventory:1.0.0",
            "ext.Greeter",
            "Clock",
            "shop.Inventor:1.0.1",
            "sho.Inventor",
        ];
        for (name, meant) in [
            ("shop.Inventory", Some(known[0])),
            ("shop.Inventry", Some(known[0])),
            ("shop.Inventory:2.0.0", Some(known[0])),
            ("Inventory", Some(known[0])),
            ("Greeter", Some("ext.Greeter")),
            ("Greter:1", Some("ext.Greeter")),
            ("time.Clock", Some("Clock")),
            // The same interface before one whose name is nearer.
            ("shop.Inventory:1.0.1", Some(known[0])),
            ("sho.Inventory", Some(known[0])),
            // As likely another one.
            ("international.Greeter", None),
            ("shop.Cart", None),
        ] {
            assert_eq!(nearest_service(name, &known), meant, "{name}");
        }
        let text = Error::unknown_service("service", "Greeter", ["ext.Greeter"]).to_string();
        let expected = "unknown service `Greeter` (did you mean `ext.Greeter`?), available: ";
        assert!(text.starts_with(expected), "{text}");
        // As likely another one, but more likely than the others.
        let text = Error::unknown_service("service", "store.Greeter", ["a.Clock", "ext.Greeter"]);
        assert!(text.to_string().contains("(did you mean `ext.Greeter`?)"), "{text}");
    }

    #[test]
    fn a_name_that_goes_on_and_on_means_nothing_known() {
        let endless = "failover".repeat(40);
        assert_eq!(nearest(&endless, &["failover", "failfast"]), None);
        assert_eq!(nearest("failovr", &["failover", "failfast"]), Some("failover"));
    }

    #[test]
    fn a_slip_of_the_hand_is_a_letter_more_less_other_or_two_swapped() {
        let known = ["failover", "failfast", "tag", "p2c"];
        for (name, meant) in [
            ("failvoer", Some("failover")),
            ("failfst", Some("failfast")),
            ("tga", Some("tag")),
            ("p2cc", Some("p2c")),
            ("x2c", Some("p2c")),
            ("random", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, &known), meant, "{name}");
        }
        assert_eq!(edit_distance(&"a".repeat(100_000), ""), 64);
    }
}
