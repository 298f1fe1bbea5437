//! The conditions of Dubbo's rules: texts that are matched, and addresses.

use std::net::IpAddr;

use rpc_core::Error;
use serde_json::Value;

use super::fields::{Fields, wrong};

/// Stands for every host.
pub(super) const ANY_HOST: &str = "0.0.0.0";

/// Stands for every name.
pub(super) const ANY: &str = "*";

/// A condition on a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextMatch {
    Exact(String),
    Prefix(String),
    /// It is this text, or any if it is `*`.
    Wildcard(String),
    Empty,
    NotEmpty,
}

impl TextMatch {
    const KEYS: [&str; 6] = ["exact", "prefix", "regex", "wildcard", "empty", "noempty"];

    /// The first condition that `fields` has, in Dubbo's order.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Error> {
        fields.expect_only("condition", &Self::KEYS)?;
        if let Some(text) = fields.text("exact")? {
            return Ok(Self::Exact(text));
        }
        if let Some(text) = fields.text("prefix")? {
            return Ok(Self::Prefix(text));
        }
        if let Some(value) = fields.value("regex") {
            return Err(wrong(&fields.at("regex"), value, "matched here: write exact or prefix"));
        }
        if let Some(text) = fields.text("wildcard")? {
            return Ok(Self::Wildcard(text));
        }
        if fields.value("empty").is_some() {
            return Ok(Self::Empty);
        }
        if fields.value("noempty").is_some() {
            return Ok(Self::NotEmpty);
        }
        Err(wrong(&fields.at("exact"), &Value::Null, "a condition: write exact or prefix"))
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == exact,
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Wildcard(wildcard) => wildcard == ANY || text == wildcard,
            Self::Empty => text.is_empty(),
            Self::NotEmpty => !text.is_empty(),
        }
    }

    /// The conditions at `key` of which one has to hold: `{ oneof: [ { exact: … } ] }`.
    pub(super) fn one_of(fields: &Fields<'_>, key: &str) -> Result<Option<Vec<Self>>, Error> {
        let Some(section) = fields.section(key)? else { return Ok(None) };
        section.expect_only("condition", &["oneof"])?;
        let any = section.sections("oneof")?;
        any.iter().map(Self::read).collect::<Result<_, _>>().map(Some)
    }
}

/// A condition on an address, `host:port` or `host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AddressMatch {
    Exact(String),
    Pattern(AddressPattern),
    Net(IpAddr, u8),
    Any,
}

/// A host with a place for each of its four numbers, and perhaps a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AddressPattern {
    /// From and to of each number.
    numbers: [(u8, u8); 4],
    port: Option<u16>,
}

impl AddressMatch {
    /// The condition at `key`, if there is one.
    pub(super) fn at(fields: &Fields<'_>, key: &str) -> Result<Option<Self>, Error> {
        let Some(fields) = fields.section(key)? else { return Ok(None) };
        // Dubbo spells it so.
        fields.expect_only("condition", &["cird", "cidr", "wildcard", "exact"])?;
        for key in ["cird", "cidr"] {
            if let Some(text) = fields.text(key)? {
                let expected = "a network such as 10.0.0.0/24";
                let net =
                    net(&text).ok_or_else(|| wrong(&fields.at(key), &text.into(), expected))?;
                return Ok(Some(net));
            }
        }
        if let Some(text) = fields.text("wildcard")? {
            let expected = "a pattern such as 10.20.*.*, or 10.20.1-9.*:20880";
            let found = pattern(&text);
            return Ok(Some(
                found.ok_or_else(|| wrong(&fields.at("wildcard"), &text.into(), expected))?,
            ));
        }
        match fields.text("exact")? {
            Some(exact) => Ok(Some(Self::Exact(exact))),
            None => Err(wrong(&fields.at("exact"), &Value::Null, "an address")),
        }
    }

    /// Whether every address fits.
    pub(super) fn is_any(&self) -> bool {
        *self == Self::Any
    }

    pub(super) fn holds(&self, address: &str) -> bool {
        let (host, port) = split(address);
        let ip = || host.parse::<IpAddr>().ok();
        match self {
            Self::Any => true,
            Self::Exact(exact) => address == exact,
            Self::Net(net, bits) => ip().is_some_and(|ip| is_in(ip, *net, *bits)),
            Self::Pattern(pattern) => {
                let Some(IpAddr::V4(ip)) = ip() else { return false };
                let mut numbers = ip.octets().into_iter().zip(pattern.numbers);
                pattern.port.is_none_or(|own| port == Some(own))
                    && numbers.all(|(number, (from, to))| (from..=to).contains(&number))
            }
        }
    }
}

/// Host and port of an address, without the brackets of IPv6.
pub(super) fn split(address: &str) -> (&str, Option<u16>) {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().ok())
        }
        _ => (address, None),
    };
    (host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), port)
}

/// The host of an address, without the brackets of IPv6.
pub(crate) fn host_of(address: &str) -> &str {
    split(address).0
}

/// `10.0.0.0/24`, or one address.
fn net(text: &str) -> Option<AddressMatch> {
    let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
    let ip: IpAddr = ip.parse().ok()?;
    let whole = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(whole), |bits| bits.parse().ok())?;
    (bits <= whole).then_some(AddressMatch::Net(ip, bits))
}

fn is_in(ip: IpAddr, net: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (ip, net) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            ip.to_bits() & mask == net.to_bits() & mask
        }
        (IpAddr::V6(ip), IpAddr::V6(net)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            ip.to_bits() & mask == net.to_bits() & mask
        }
        _ => false,
    }
}

/// `*`, `10.20.*.*`, `10.20.*`, `10.20.1-9.*`, each with `:port` or `:*` behind it if need be.
fn pattern(text: &str) -> Option<AddressMatch> {
    let (host, port) = match text.split_once(':') {
        Some((host, ANY)) => (host, None),
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    if port.is_none() && (host == ANY || host == ANY_HOST) {
        return Some(AddressMatch::Any);
    }
    let parts: Vec<&str> = host.split('.').collect();
    let is_short = parts.len() < 4 && parts.last() == Some(&ANY);
    if parts.len() != 4 && !is_short {
        return None;
    }
    let mut numbers = [(0, u8::MAX); 4];
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = match part.split_once('-') {
            _ if part == ANY => (0, u8::MAX),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let only = part.parse().ok()?;
                (only, only)
            }
        };
    }
    // From a higher number down to a lower one there is no address.
    if numbers.iter().any(|(from, to)| from > to) {
        return None;
    }
    Some(AddressMatch::Pattern(AddressPattern { numbers, port }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn address(condition: &Value) -> Result<AddressMatch, Error> {
        let whole = json!({ "address": condition });
        let fields = Fields::of(&whole, "match").unwrap();
        AddressMatch::at(&fields, "address").map(Option::unwrap)
    }

    #[test]
    fn addresses_are_matched_as_dubbo_does() {
        for (condition, fits, others) in [
            (
                json!({ "wildcard": "10.20.*.*:20880" }),
                vec!["10.20.3.4:20880"],
                vec!["10.20.3.4:20881", "10.21.3.4:20880", "10.20.3.4", "shop:20880"],
            ),
            (
                json!({ "wildcard": "10.20.*:*" }),
                vec!["10.20.1.1:7", "10.20.1.1"],
                vec!["10.2.1.1"],
            ),
            (json!({ "wildcard": "10.0.0.1-9" }), vec!["10.0.0.9:1"], vec!["10.0.0.10:1"]),
            (json!({ "wildcard": "*" }), vec!["10.0.0.1:1", "shop:1", "[::1]:1"], vec![]),
            (json!({ "wildcard": "0.0.0.0" }), vec!["10.0.0.1:1"], vec![]),
            (
                json!({ "cird": "10.0.0.0/30" }),
                vec!["10.0.0.0:1", "10.0.0.3"],
                vec!["10.0.0.4:1", "[::1]:1", "shop:1"],
            ),
            (json!({ "cidr": "0.0.0.0/0" }), vec!["1.2.3.4:5"], vec!["shop:1"]),
            (json!({ "cird": "fd00::/8" }), vec!["[fd12::1]:1"], vec!["[fe80::1]:1", "10.0.0.1"]),
            (json!({ "cird": "10.0.0.7" }), vec!["10.0.0.7:1"], vec!["10.0.0.8:1"]),
            (json!({ "exact": "shop:1" }), vec!["shop:1"], vec!["shop:2", "shop"]),
        ] {
            let condition = address(&condition).unwrap();
            assert!(fits.iter().all(|fit| condition.holds(fit)), "{condition:?}");
            assert!(!others.iter().any(|other| condition.holds(other)), "{condition:?}");
        }
    }

    #[test]
    fn conditions_that_cannot_be_are_told_with_their_place() {
        for (condition, told) in [
            (
                json!({ "cird": "10.0.0.0/33" }),
                "match.address.cird: `10.0.0.0/33` is not a network",
            ),
            (json!({ "cird": "10.0.0/8" }), "is not a network such as"),
            (json!({ "wildcard": "10.0.0" }), "match.address.wildcard: `10.0.0` is not a pattern"),
            (json!({ "wildcard": "10.0.0.256" }), "is not a pattern"),
            (json!({ "wildcard": "*:x" }), "is not a pattern"),
            (json!({ "wildcard": "10.0.9-1.*" }), "is not a pattern"),
            (json!({}), "match.address.exact: `null` is not an address"),
            (json!({ "regex": "a" }), "unknown condition in match.address `regex`"),
            (json!("10.0.0.1"), "match.address: `10.0.0.1` is not an object with keys"),
        ] {
            let error = address(&condition).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn texts_are_matched_as_dubbo_does() {
        let read = |condition: Value| {
            let whole = json!({ "app": { "oneof": [condition] } });
            let fields = Fields::of(&whole, "match").unwrap();
            let found = TextMatch::one_of(&fields, "app").map(Option::unwrap);
            found.map(|mut all| all.remove(0)).map_err(|error| error.to_string())
        };
        let fits = |condition: Value, text: &str| read(condition).unwrap().holds(text);
        assert!(fits(json!({ "exact": "a" }), "a") && !fits(json!({ "exact": "a" }), "ab"));
        assert!(fits(json!({ "prefix": "a" }), "ab") && !fits(json!({ "prefix": "a" }), "ba"));
        assert!(fits(json!({ "wildcard": "*" }), "b") && !fits(json!({ "wildcard": "a*" }), "ab"));
        assert!(fits(json!({ "empty": "" }), "") && !fits(json!({ "empty": "" }), "a"));
        assert!(fits(json!({ "noempty": "" }), "a") && !fits(json!({ "noempty": "" }), ""));
        let error = read(json!({ "regex": "a.*" })).unwrap_err();
        assert!(error.contains("match.app.oneof[0].regex: `a.*` is not matched here"), "{error}");
        assert!(read(json!({})).unwrap_err().contains("match.app.oneof[0].exact: `null` is not a"));
    }
}
