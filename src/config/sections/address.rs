//! Addresses in configuration: those of registries, and those at which consumers find this
//! provider.
//!
//! The part after a registry's scheme is interpreted by the registry.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where instances are listed: `scheme://…`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegistryAddress {
    text: String,
    scheme_end: usize,
}

impl RegistryAddress {
    /// The scheme, such as `dev`; it names the registry's extension.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.text[..self.scheme_end]
    }

    /// The whole address, with the password if it has one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for RegistryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RegistryAddress {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why: &str| ParseAddressError {
            shown: registry::redacted(text),
            expected: format!("a registry's address: {why}").into(),
        };
        let form = "write scheme://…, such as dev:// or static://HOST:PORT";
        let Some((scheme, _)) = text.split_once("://") else {
            let registries = registry::builtin();
            let begins =
                |scheme: &&str| text.strip_prefix(scheme).is_some_and(|rest| rest.starts_with(':'));
            let meant = registries.names().find(begins);
            return Err(fail(
                &meant.map_or_else(|| form.to_owned(), |scheme| format!("write {scheme}://…")),
            ));
        };
        if scheme.contains(|c: char| c.is_ascii_uppercase()) {
            return Err(fail("write its scheme in small letters"));
        }
        let is_blank = |c: char| c.is_whitespace() || c.is_control();
        if text.contains(is_blank) {
            return Err(fail("it contains blanks or control characters, leave them out"));
        }
        let is_scheme = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
        if scheme.is_empty() || !scheme.chars().all(is_scheme) {
            return Err(fail(form));
        }
        Ok(Self { text: text.to_owned(), scheme_end: scheme.len() })
    }
}

impl TryFrom<String> for RegistryAddress {
    type Error = ParseAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RegistryAddress> for String {
    fn from(address: RegistryAddress) -> Self {
        address.text
    }
}

impl fmt::Display for RegistryAddress {
    /// The address with `***` in place of user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&registry::redacted(&self.text))
    }
}

// === impl AdvertisedAddress ===

/// Where consumers connect to: a host, and a port if it is not the one that is bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AdvertisedAddress {
    /// A name or an IP address, the latter without brackets.
    pub host: String,
    /// The port; `None` for the one that is bound.
    pub port: Option<u16>,
}

impl AdvertisedAddress {
    /// `host:port` as instances publish it; `bound` is used where no port is set.
    #[must_use]
    pub fn with_bound_port(&self, bound: u16) -> String {
        let whole = Self { host: self.host.clone(), port: Some(self.port.unwrap_or(bound)) };
        whole.to_string()
    }

    fn parse_name(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port > 0)?)),
            None => (text, None),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        (!host.is_empty() && host.chars().all(is_host))
            .then(|| Self { host: host.to_owned(), port })
    }
}

impl FromStr for AdvertisedAddress {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = if let Ok(ip) = text.parse::<IpAddr>() {
            (!ip.is_unspecified()).then_some((ip, None))
        } else if let Ok(socket) = text.parse::<SocketAddr>() {
            (!socket.ip().is_unspecified() && socket.port() > 0)
                .then(|| (socket.ip(), Some(socket.port())))
        } else {
            return Self::parse_name(text).ok_or_else(|| not_advertised(text));
        };
        let (ip, port) = address.ok_or_else(|| not_advertised(text))?;
        Ok(Self { host: ip.to_string(), port })
    }
}

fn not_advertised(text: &str) -> ParseAddressError {
    ParseAddressError {
        shown: registry::redacted(text),
        expected: "an address to connect to: write a host, or HOST:PORT, that others can reach"
            .into(),
    }
}

impl TryFrom<String> for AdvertisedAddress {
    type Error = ParseAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AdvertisedAddress> for String {
    fn from(address: AdvertisedAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for AdvertisedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host.parse::<Ipv6Addr>()) {
            (Some(port), Ok(host)) => write!(f, "[{host}]:{port}"),
            (Some(port), Err(_)) => write!(f, "{}:{port}", self.host),
            (None, _) => f.write_str(&self.host),
        }
    }
}

// === impl HostName ===

/// A name or an IP address, without port and brackets; a name in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

impl HostName {
    /// The name or address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self(ip.to_string()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        match AdvertisedAddress::parse_name(name) {
            Some(AdvertisedAddress { host, port: None }) => Ok(Self(host.to_ascii_lowercase())),
            _ => Err(ParseAddressError {
                shown: registry::redacted(text),
                expected: "the name of a host: write one without a port, such as shop.local".into(),
            }),
        }
    }
}

impl TryFrom<String> for HostName {
    type Error = ParseAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0
    }
}

/// The reason why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not {expected}")]
pub struct ParseAddressError {
    /// The text without a possible password.
    shown: String,
    expected: Cow<'static, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_address_begins_with_its_scheme() {
        for (text, scheme) in [
            ("dev://", "dev"),
            ("dev://shop", "dev"),
            ("static://127.0.0.1:1,127.0.0.1:2", "static"),
            ("zookeeper://127.0.0.1:2181", "zookeeper"),
        ] {
            let address: RegistryAddress = text.parse().unwrap();
            assert_eq!((address.scheme(), address.as_str()), (scheme, text));
        }
        for text in ["", "dev", "://x", "a:secret", "my:/secret"] {
            let message = text.parse::<RegistryAddress>().unwrap_err().to_string();
            assert!(message.contains("write scheme://…, such as dev://"), "{message}");
        }
        for (text, told) in [
            ("dev:/", "write dev://…"),
            ("etcd:127.0.0.1:2379", "write etcd://…"),
            ("zookeeper:/127.0.0.1", "write zookeeper://…"),
            ("dev://a b", "it contains blanks or control characters, leave them out"),
            ("etcd://a:1, b:2", "it contains blanks or control characters, leave them out"),
        ] {
            let message = text.parse::<RegistryAddress>().unwrap_err().to_string();
            assert!(message.ends_with(told), "{message}");
        }
        let message = "Dev://".parse::<RegistryAddress>().unwrap_err().to_string();
        assert!(message.ends_with("write its scheme in small letters"), "{message}");
    }

    #[test]
    fn what_may_be_a_password_is_never_shown() {
        for (text, shown) in [
            ("dubhe://ann:secret@h:1", "dubhe://***@h:1"),
            ("dubhe://ann:sec/ret@h:1", "dubhe://***@h:1"),
            ("dubhe://:sec?r@t@h:1", "dubhe://***@h:1"),
        ] {
            assert_eq!(text.parse::<RegistryAddress>().unwrap().to_string(), shown);
        }
        let error = "dubhe://ann:sec ret@h:1".parse::<RegistryAddress>().unwrap_err();
        assert!(error.to_string().starts_with("`dubhe://***@h:1` is not "), "{error}");
        assert!(!format!("{error:?}").contains("ret"), "{error:?}");
    }

    #[test]
    fn an_advertised_address_takes_the_bound_port_unless_it_has_its_own() {
        for (text, whole) in [
            ("10.1.2.3", "10.1.2.3:20880"),
            ("10.1.2.3:99", "10.1.2.3:99"),
            ("shop.internal", "shop.internal:20880"),
            ("shop.internal:99", "shop.internal:99"),
            ("::1", "[::1]:20880"),
            ("[::1]:99", "[::1]:99"),
        ] {
            let address: AdvertisedAddress = text.parse().unwrap();
            assert_eq!(address.with_bound_port(20880), whole);
        }
    }

    #[test]
    fn nobody_can_connect_to_an_unspecified_address() {
        for text in ["", "0.0.0.0", "[::]:80", "a b", ":80", "host:x", "host:0", "10.0.0.1:0"] {
            let message = text.parse::<AdvertisedAddress>().unwrap_err().to_string();
            assert!(message.contains("write a host, or HOST:PORT"), "{message}");
        }
    }

    #[test]
    fn the_name_of_a_host_has_no_port() {
        for (text, name) in [
            ("Shop.Local", "shop.local"),
            ("shop.local.", "shop.local"),
            ("10.0.0.1", "10.0.0.1"),
            ("[0::1]", "::1"),
            ("::1", "::1"),
        ] {
            assert_eq!(text.parse::<HostName>().unwrap().as_str(), name);
        }
        for text in ["", ".", "shop.local:80", "10.0.0.1:80", "[::1]:80", "http://a", "*", "a b"] {
            let message = text.parse::<HostName>().unwrap_err().to_string();
            assert!(message.contains("write one without a port"), "{message}");
        }
    }
}
