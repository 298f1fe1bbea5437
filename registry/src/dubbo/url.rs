//! Dubbo's URL, `scheme://[user[:password]@]host:port/path?key=value&…`: the one place that parses and
//! writes it, as text and as the name of a node.
//!
//! Values travel unescaped in Dubbo: whatever would break the grammar cannot be said. Ours can: in URLs
//! of our own ([`is_ours`](DubboUrl::is_ours)) path, keys and values are percent-encoded where they must
//! be, and decoded again. Other URLs are taken as they stand.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::Ipv6Addr;
use std::ops::Bound;

use super::escape::{decode, encode_form, escape};

/// The scheme of what we publish: no Java or Go consumer has a protocol of this name, so none calls it.
pub(crate) const OUR_SCHEME: &str = "dubhe";

/// The parameter that marks a URL as ours whatever its scheme is.
pub(crate) const PROTOCOLS: &str = "dubhe.protocols";

/// Before the keys of old providers: `default.x` also says `x`, if that is not said.
pub(super) const DEFAULT: &str = "default.";

/// Longest URL that is read, in bytes, as text or as the name of a node.
const MAX_BYTES: usize = 1024 * 1024;

/// Most parameters of a URL that is read.
const MAX_PARAMS: usize = 4096;

/// A URL of Dubbo: a provider, a consumer or a rule.
///
/// `Display` is Dubbo's full text: parameters sorted by key, an IPv6 host in brackets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DubboUrl {
    /// The protocol of a provider, or `consumer`, `override`, `empty` and the like.
    pub(crate) scheme: String,
    /// User name, or the empty string.
    pub(crate) user: String,
    /// Password, or the empty string.
    pub(crate) password: String,
    /// Name or IP address; IPv6 addresses without brackets.
    pub(crate) host: String,
    /// The port, if there is one.
    pub(crate) port: Option<u16>,
    /// The part between host and parameters without its leading `/`: mostly the interface.
    pub(crate) path: String,
    /// Parameters by key, all of them, as they are meant.
    pub(crate) params: BTreeMap<String, String>,
}

// === impl DubboUrl ===

impl DubboUrl {
    /// Reads the text of a URL.
    ///
    /// A key without `=` has the empty value; of a repeated key the last counts.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("it has {} bytes and may have {MAX_BYTES}", text.len()));
        }
        let (head, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, rest) = head.split_once("://").ok_or("it has no `scheme://`")?;
        if scheme.is_empty() || !scheme.bytes().all(is_scheme_byte) {
            return Err("its scheme is not letters, digits, `+`, `-`, `.` or `_`".to_owned());
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = split_address(address, scheme)?;
        let ours = scheme == OUR_SCHEME || has_key(query, PROTOCOLS);
        Ok(Self {
            scheme: scheme.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            host: host.to_owned(),
            port,
            path: if ours { decode(path, false)? } else { path.to_owned() },
            params: read_params(query, ours)?,
        })
    }

    /// Reads the name of a node: the whole URL encoded as a form, by Java or by Go, leniently.
    pub(crate) fn from_node_name(name: &str) -> Result<Self, String> {
        if name.len() > MAX_BYTES {
            return Err(format!("it has {} bytes and may have {MAX_BYTES}", name.len()));
        }
        Self::parse(&decode(name, true)?)
    }

    /// The name of its node: the text encoded as a form, as Java does it.
    pub(crate) fn to_node_name(&self) -> String {
        encode_form(&self.to_string())
    }

    /// Whether it was written by us: by its scheme, or by a parameter that only we write.
    pub(crate) fn is_ours(&self) -> bool {
        self.scheme == OUR_SCHEME || self.params.contains_key(PROTOCOLS)
    }

    /// The value of a parameter, or of its `default.` form of old providers; empty if it is absent.
    pub(crate) fn param(&self, key: &str) -> &str {
        if let Some(value) = self.params.get(key) {
            return value;
        }
        if self.is_ours() {
            return "";
        }
        let from = (Bound::Included(DEFAULT), Bound::Unbounded);
        let mut old =
            self.params.range::<str, _>(from).take_while(|(key, _)| key.starts_with(DEFAULT));
        old.find(|(found, _)| found[DEFAULT.len()..] == *key).map_or("", |(_, value)| value)
    }

    /// The interface: the parameter of that name, or else the path.
    pub(crate) fn interface(&self) -> &str {
        match self.param("interface") {
            "" => &self.path,
            interface => interface,
        }
    }

    /// `host:port`, with brackets around an IPv6 address and port 0 for none.
    pub(crate) fn address(&self) -> String {
        join_address(&self.host, self.port.unwrap_or(0))
    }
}

impl fmt::Display for DubboUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if !self.user.is_empty() || !self.password.is_empty() {
            f.write_str(&self.user)?;
            if !self.password.is_empty() {
                write!(f, ":{}", self.password)?;
            }
            f.write_char('@')?;
        }
        match (self.host.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.host)?,
            (true, None) => write!(f, "[{}]", self.host)?,
            (false, Some(port)) => write!(f, "{}:{port}", self.host)?,
            (false, None) => f.write_str(&self.host)?,
        }
        let ours = self.is_ours();
        if !self.path.is_empty() {
            f.write_char('/')?;
            f.write_str(&escape(&self.path, |c| ours && is_special(c, "%?#;+")))?;
        }
        let mut separator = '?';
        for (key, value) in &self.params {
            // `#`, `;` and `+` mean something to Go, which decodes values once more than Java.
            let key =
                escape(key, |c| if ours { is_special(c, "%&=#;+") } else { "&=".contains(c) });
            let value = escape(value, |c| if ours { is_special(c, "%&#;+") } else { c == '&' });
            write!(f, "{separator}{key}={value}")?;
            separator = '&';
        }
        Ok(())
    }
}

impl fmt::Debug for DubboUrl {
    /// Without login and parameters: both may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DubboUrl({}://{}/{})", self.scheme, self.address(), self.path)
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn join_address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether a character of ours is escaped; blanks are, because readers trim values.
fn is_special(c: char, special: &str) -> bool {
    c.is_whitespace() || special.contains(c)
}

fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-._".contains(&byte)
}

/// Splits `host[:port]`. Go writes an IPv6 address in brackets, Java without.
fn split_address<'a>(address: &'a str, scheme: &str) -> Result<(&'a str, Option<u16>), String> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("its host has a `[` without `]`")?;
            (host, rest.strip_prefix(':'))
        }
        // Only what has no port of its own is a whole address: `fe80::1:2` of a provider has one.
        None if scheme == "consumer" && address.parse::<Ipv6Addr>().is_ok() => (address, None),
        None => match address.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    if host.is_empty() {
        return Err("it has no host".to_owned());
    }
    if host.contains(['[', ']']) {
        return Err("its host holds a bracket in the wrong place".to_owned());
    }
    match port.map(str::parse) {
        None => Ok((host, None)),
        Some(Ok(port)) => Ok((host, Some(port))),
        Some(Err(_)) => Err("its port is not a number from 0 to 65535".to_owned()),
    }
}

fn has_key(query: &str, key: &str) -> bool {
    query.contains(key) && query.split('&').any(|pair| pair.split('=').next() == Some(key))
}

fn read_params(query: &str, ours: bool) -> Result<BTreeMap<String, String>, String> {
    let text = |raw| if ours { decode(raw, false) } else { Ok(String::from(raw)) };
    let mut params = BTreeMap::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key.is_empty() {
            continue;
        }
        params.insert(text(key)?, text(value)?);
        if params.len() > MAX_PARAMS {
            return Err(format!("it has more than {MAX_PARAMS} parameters"));
        }
    }
    Ok(params)
}
