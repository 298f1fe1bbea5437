//! Registry addresses as text:
//! `scheme://[user[:password]@]host[:port][,host[:port]...][/path][?key=value&...]`.
//!
//! Strict on purpose: an error in an address is reported when it is read, with what was expected,
//! and not as a connection that never comes up. The extension point knows which schemes exist, and
//! the file of each scheme which hosts and keys it takes.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::io;

use rpc_core::Error;

/// A registry's address, parsed.
///
/// `Display` and `Debug` leave out user name, password and parameters, and encode the path again.
///
/// ```
/// use dubhe_registry::RegistryUrl;
///
/// # fn main() -> Result<(), rpc_core::Error> {
/// let url = RegistryUrl::parse("dubhe://:s3cret@registry-1,[::1]:7000?codecs=json,msgpack")?;
/// assert_eq!((&*url.scheme, &*url.password), ("dubhe", "s3cret"));
/// let servers: Vec<_> = url.hosts.iter().map(|host| host.address(20890)).collect();
/// assert_eq!(servers, ["registry-1:20890", "[::1]:7000"]);
/// assert_eq!(url.values("codecs"), ["json", "msgpack"]);
/// assert_eq!(url.to_string(), "dubhe://registry-1,[::1]:7000");
///
/// // A backend refuses the parts that it would ignore.
/// let refused = url.expect_only(true, &["zone"]).unwrap_err().to_string();
/// assert!(refused.contains("codecs"), "{refused}");
/// # Ok(())
/// # }
/// ```
/// It is shown without user, password and parameters, but with those that name a place of the registry.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryUrl {
    /// The kind of registry: `dev`, `dubhe`, `static`, `memory` or a program's own.
    pub scheme: String,
    /// User name, or the empty string.
    pub user: String,
    /// Password, or the empty string; never printed.
    pub password: String,
    /// The addresses of its servers, in the order given; empty if the URL has none.
    pub hosts: Vec<Host>,
    /// The part after the hosts, percent-decoded, without the leading `/`.
    pub path: String,
    /// Parameters by key, percent-decoded.
    pub query: BTreeMap<String, String>,
}

/// Parameters by which one server is several registries, each with its own lists, here and on disk.
const PLACES: [&str; 2] = ["namespace", "group"];

/// One server of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Name or IP address; IPv6 addresses without brackets.
    pub name: String,
    /// Port from 1 to 65535, if the address has one.
    pub port: Option<u16>,
}

impl Host {
    /// The `host:port` to connect to, with `default` if the address has no port.
    #[must_use]
    pub fn address(&self, default: u16) -> String {
        let port = self.port.unwrap_or(default);
        if self.name.contains(':') {
            format!("[{}]:{port}", self.name)
        } else {
            format!("{}:{port}", self.name)
        }
    }
}

// === impl RegistryUrl ===

impl RegistryUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// No scheme, a bad port, an empty host, a malformed or repeated parameter.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).map_err(|why| {
            // Which other forms are possible is the scheme's matter, and known after this.
            Error::invalid_config(format!("registry address `{}`: {why}", redacted(text)))
        })
    }

    /// Splits an address at its delimiters, and decodes the parts.
    fn read(text: &str) -> Result<Self, String> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("it contains blanks or control characters, leave them out".to_owned());
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("it has no `://`: write scheme://…, such as dev:// or static://HOST:PORT")?;
        if !is_scheme(scheme) {
            return Err(
                "its scheme is not lower-case letters and digits: write one such as dev or static"
                    .to_owned(),
            );
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') || query.contains('@') {
            // Else the end of a password would be read, and shown, as a path or a parameter.
            return Err(
                "an `@` comes after a `/` or `?`: in user name and password write %2F and \
                 %3F for these, elsewhere write %40 for the `@`"
                    .to_owned(),
            );
        }
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let decode_login = |text| {
            decode(text).map_err(|_| "its user name or password has a malformed `%XX`".to_owned())
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            user: decode_login(user)?,
            password: decode_login(password)?,
            hosts: match hosts {
                "" => Vec::new(),
                hosts => hosts.split(',').map(read_host).collect::<Result<_, _>>()?,
            },
            path: decode(path)?,
            query: read_query(query)?,
        })
    }

    /// Checks that the address holds only what its scheme understands: hosts, a password where
    /// `takes_password`, and the parameters in `known`. A part that would be ignored is refused.
    ///
    /// # Errors
    /// A user name, a password, a path or another parameter, which it names.
    pub fn expect_only(&self, takes_password: bool, known: &[&str]) -> Result<(), Error> {
        let scheme = &self.scheme;
        if !self.user.is_empty() || (!self.password.is_empty() && !takes_password) {
            let remedy = match takes_password {
                true => format!("write {scheme}://:TOKEN@HOST, or set registry.token"),
                false => "leave out the part before the `@`".to_owned(),
            };
            let what = if self.user.is_empty() { "password" } else { "user name" };
            return Err(self.wrong(&format!("{scheme}:// takes no {what}, {remedy}")));
        }
        if !self.path.is_empty() {
            let path = Encoded { text: &self.path, special: "%?@" };
            let why = format!("{scheme}:// takes no path, leave out `/{path}`");
            return Err(self.wrong(&why));
        }
        self.expect_keys(known)
    }

    /// Checks that every parameter is one of `known`.
    ///
    /// # Errors
    /// Another parameter, listing the known ones.
    pub fn expect_keys(&self, known: &[&str]) -> Result<(), Error> {
        let Some(key) = self.query.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        let kind = format!("parameter of {}://", self.scheme);
        if known.is_empty() {
            let key = key.escape_debug();
            return Err(Error::invalid_config(format!("unknown {kind} `{key}`, it takes none")));
        }
        Err(Error::unknown_name(&kind, key, known.iter().copied()))
    }

    /// The values of a comma-separated parameter; none if it is absent.
    #[must_use]
    pub fn values(&self, key: &str) -> Vec<String> {
        let text = self.query.get(key).map_or("", String::as_str);
        let parts = text.split(',').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    /// Fails if there is a token, which is the password of the user, and no user.
    #[cfg(feature = "_grpc")]
    pub(crate) fn expect_user_of(&self, token: Option<&str>) -> Result<(), Error> {
        if !self.user.is_empty() || token.is_none_or(str::is_empty) {
            return Ok(());
        }
        Err(self.wrong(&format!(
            "its token is a password without a user: write {}://USER@HOST, or leave out the token",
            self.scheme
        )))
    }

    /// An error about this address: what is wrong with it and what to write.
    pub(crate) fn wrong(&self, why: &str) -> Error {
        Error::invalid_config(format!("registry address `{self}`: {why}"))
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        for (i, host) in self.hosts.iter().enumerate() {
            f.write_str(if i > 0 { "," } else { "" })?;
            let bracketed = host.name.contains(':');
            f.write_str(if bracketed { "[" } else { "" })?;
            f.write_str(&host.name)?;
            f.write_str(if bracketed { "]" } else { "" })?;
            if let Some(port) = host.port {
                write!(f, ":{port}")?;
            }
        }
        if !self.path.is_empty() {
            write!(f, "/{}", Encoded { text: &self.path, special: "%?@" })?;
        }
        let mut before = '?';
        for name in PLACES {
            if let Some(value) = self.query.get(name) {
                write!(f, "{before}{name}={}", Encoded { text: value, special: "%?@&" })?;
                before = '&';
            }
        }
        Ok(())
    }
}

/// A text as an address has it: these characters, and what cannot be seen, as `%XX`.
struct Encoded<'a> {
    text: &'a str,
    special: &'a str,
}

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.text.chars() {
            if c.is_control() || c.is_whitespace() || self.special.contains(c) {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    write!(f, "%{byte:02X}")?;
                }
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistryUrl({self})")
    }
}

/// Reads `name`, `name:port`, `[ipv6]` or `[ipv6]:port`.
fn read_host(text: &str) -> Result<Host, String> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (name, rest) =
            rest.split_once(']').ok_or("a `[` is not closed: write an IPv6 address as [::1]")?;
        if name.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("`{name}` is not an IPv6 address: write one as [::1]"));
        }
        match rest {
            "" => (name, None),
            rest => (
                name,
                Some(rest.strip_prefix(':').ok_or("a `]` is followed by other than `:PORT`")?),
            ),
        }
    } else {
        let is_of_ipv6 = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
        if text.matches(':').count() > 1 && text.chars().all(is_of_ipv6) {
            return Err(format!(
                "`{text}` has more than one `:`: write an IPv6 address in brackets, such as [::1]:7000"
            ));
        }
        match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        }
    };
    if name.is_empty() {
        return Err("a host is empty: write a name or an IP address".to_owned());
    }
    let bad_port = |port| format!("`{port}` is not a port: write 1 to 65535");
    let port = match port {
        None => None,
        Some(port) => match port.parse::<u16>() {
            Ok(number) if number > 0 => Some(number),
            _ => return Err(bad_port(port)),
        },
    };
    Ok(Host { name: name.to_owned(), port })
}

fn read_query(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut query = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| format!("parameter `{pair}` has no `=`"))?;
        if query.insert(decode(key)?, decode(value)?).is_some() {
            return Err(format!("parameter `{key}` is given twice"));
        }
    }
    Ok(query)
}

/// Resolves `%XX`.
fn decode(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` has a malformed `%XX`");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
            let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                return Err(wrong());
            };
            bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn is_scheme(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

/// An address as messages show it, even if it is malformed: `***` stands for everything between the
/// scheme and the last `@`, which could be a password. Long addresses are cut.
///
/// ```
/// use dubhe_registry::redacted;
///
/// assert_eq!(redacted("dubhe://ann:s3cret@registry-1"), "dubhe://***@registry-1");
/// assert_eq!(redacted("dev://shop"), "dev://shop");
/// ```
#[must_use]
pub fn redacted(text: &str) -> String {
    let shown = match text.rsplit_once('@') {
        Some((login, rest)) => match login.split_once("://") {
            Some((scheme, _)) if is_scheme(scheme) => format!("{scheme}://***@{rest}"),
            _ => format!("***@{rest}"),
        },
        None => text.to_owned(),
    };
    let shown: String = shown.chars().take(200).collect();
    shown.escape_debug().to_string()
}

/// Why there is no connection to `server`, and what helps. An error that the system has no number for is
/// that of the name: the server may well run.
pub(crate) fn unreached(server: &str, error: &io::Error) -> String {
    let remedy = match error.raw_os_error() {
        Some(_) => "is it running?",
        None => "check the name of the host",
    };
    format!("cannot connect to {server}: {error}, {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_read() {
        let url = RegistryUrl::parse("dubhe://ann:p%40ss@a:1,[::1]:2,c/x/y?k=v%20w&l=1,2").unwrap();
        assert_eq!((url.scheme.as_str(), url.user.as_str()), ("dubhe", "ann"));
        assert_eq!((url.password.as_str(), url.path.as_str()), ("p@ss", "x/y"));
        let hosts: Vec<_> = url.hosts.iter().map(|host| host.address(9)).collect();
        assert_eq!(hosts, ["a:1", "[::1]:2", "c:9"]);
        assert_eq!(url.query["k"], "v w");
        assert_eq!(url.values("l"), ["1", "2"]);
        assert_eq!(url.to_string(), "dubhe://a:1,[::1]:2,c/x/y");
    }

    #[test]
    fn registries_of_one_server_have_lists_of_their_own_on_disk() {
        use crate::cache::Cache;
        use rpc_core::ServiceKey;

        let shown = |text: &str| RegistryUrl::parse(text).unwrap().to_string();
        let places = [
            "nacos://ann:secret@a:1?namespace=dev",
            "nacos://a:1?namespace=prod&register-mode=all",
            "nacos://a:1?group=x%26y&namespace=dev",
            "nacos://a:1",
        ];
        let places = places.map(shown);
        assert_eq!(
            places,
            [
                "nacos://a:1?namespace=dev",
                "nacos://a:1?namespace=prod",
                "nacos://a:1?namespace=dev&group=x%26y",
                "nacos://a:1"
            ]
        );
        let path = |place: &String| Cache::new("/c".as_ref(), place).path(&ServiceKey::new("a.B"));
        let paths: std::collections::BTreeSet<_> = places.iter().map(path).collect();
        assert_eq!(paths.len(), 4);
    }

    #[test]
    fn malformed_addresses_are_refused_with_the_remedy() {
        for (text, why) in [
            ("localhost", "no `://`"),
            ("://a", "scheme"),
            ("dubhe://a:0", "`0` is not a port"),
            ("dubhe://a:x", "`x` is not a port"),
            ("dubhe://a:99999", "`99999` is not a port"),
            ("dubhe://:1", "host is empty"),
            ("dubhe://a,,b", "host is empty"),
            ("dubhe://::1:7000", "write an IPv6 address in brackets, such as [::1]:7000"),
            ("dubhe://a,fe80::1", "write an IPv6 address in brackets"),
            ("dubhe://a:x:y", "`x:y` is not a port"),
            ("dubhe://[::1", "not closed"),
            ("dubhe://[zz]:1", "not an IPv6"),
            ("dubhe://a?k", "no `=`"),
            ("dubhe://a?k=1&k=2", "twice"),
            ("dubhe://a?k=%zz", "%XX"),
            ("dubhe://a b", "blanks"),
        ] {
            let error = RegistryUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let url = RegistryUrl::parse("dubhe://ann:secret@a:1").unwrap();
        assert!(!format!("{url} {url:?}").contains("secret"));
        let config = crate::RegistryParams::new("dubhe://ann:secret@a:1");
        assert!(!format!("{config:?}").contains("secret"));
        let error = RegistryUrl::parse("dubhe://ann:secret@a:x").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        let long = format!("{}secret@a:x", "x".repeat(300));
        for text in [
            "dubhe://ann:secret/more@a:1",
            "dubhe://ann:1/secret@a:1",
            "dubhe://ann:1?secret@a:1",
            "dubhe://ann:1?k=secret@a:1",
            "dubhe://secret?k@a:1",
            "dubhe://ann:secret%@a:1",
            "dubhe://ann:sec ret@a:1",
            "ann:secret@a:1",
            "ann:secret://@a:1",
            &long,
        ] {
            let error = RegistryUrl::parse(text).unwrap_err().to_string();
            assert!(!error.contains("sec"), "{text}: {error}");
            assert!(error.contains("***@a:"), "{text}: {error}");
        }
        let error = RegistryUrl::parse("dubhe://:a/b@h").unwrap_err();
        assert_eq!(
            error.to_string(),
            "registry address `dubhe://***@h`: an `@` comes after a `/` or `?`: in user name and \
             password write %2F and %3F for these, elsewhere write %40 for the `@`"
        );
    }

    #[test]
    fn a_path_is_shown_as_it_is_written() {
        for text in
            ["zookeeper://a/shop%20eu/x%25", "zookeeper://a/%1B[31m", "zookeeper://a/l\u{e4}den"]
        {
            assert_eq!(RegistryUrl::parse(text).unwrap().to_string(), text);
        }
        let url = RegistryUrl::parse("dubhe://a/shop%20eu").unwrap();
        let error = url.expect_only(true, &[]).unwrap_err().to_string();
        assert!(error.ends_with("takes no path, leave out `/shop%20eu`"), "{error}");
    }

    #[test]
    fn an_unknown_parameter_lists_the_known_ones() {
        let url = RegistryUrl::parse("static://a:1?codec=json").unwrap();
        let error = url.expect_keys(&["codecs", "protocols"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown parameter of static:// `codec` (did you mean `codecs`?), \
             available: codecs, protocols"
        );
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_told_from_a_server_that_does_not_run() {
        let error = tokio::net::TcpStream::connect("nobody.invalid:1").await.unwrap_err();
        let told = unreached("nobody.invalid:1", &error);
        assert!(told.ends_with(", check the name of the host"), "{told}");
        let refused = io::Error::from_raw_os_error(111);
        assert!(unreached("a:1", &refused).ends_with(", is it running?"));
    }
}
