//! The address of a ZooKeeper registry: servers, chroot, credentials and times.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Error, amount};

use super::dial::Servers;
use super::open::SessionWish;
use crate::dubbo::{Layout, RecordForm};
use crate::tls::TlsSettings;
use crate::{Host, RegistryParams, RegistryUrl};

/// The port of a server if an address has none.
const PORT: u16 = 2181;

/// After how long without us the servers drop what we registered, if the address does not say.
const SESSION: Duration = Duration::from_secs(40);

/// How long one server may take to open a session, if the address does not say: in the clear, and over
/// TLS, which is a few more ways there and back.
const TIMEOUT: Duration = Duration::from_secs(1);
const TLS_TIMEOUT: Duration = Duration::from_secs(2);

/// What an address may ask for: with less no session would open or last, and more is a mistake.
const SESSIONS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(60);

/// What an address says.
#[derive(Debug)]
pub(super) struct ZooKeeperAddress {
    /// For people, without credentials and parameters.
    pub(super) text: Arc<str>,
    pub(super) servers: Servers,
    /// In front of every path; empty, or begins with `/` and does not end with it.
    pub(super) chroot: Arc<str>,
    pub(super) layout: Arc<Layout>,
}

impl ZooKeeperAddress {
    /// Reads the address and the settings of a registry.
    ///
    /// # Errors
    /// A part that is malformed, unknown or cannot work.
    pub(super) fn read(config: &RegistryParams) -> Result<Self, Error> {
        let mut url = RegistryUrl::parse(&config.url)?;
        let own = ["session", "timeout", "backup"];
        url.expect_keys(&[&own[..], &TlsSettings::KEYS, &Layout::KEYS].concat())?;
        if let Some(backup) = url.query.remove("backup") {
            url.hosts.extend(hosts(&url, &backup)?);
        }
        if url.hosts.is_empty() {
            return Err(url.wrong("it needs a server, as in zookeeper://127.0.0.1:2181"));
        }
        let wish = SessionWish {
            timeout: time(&url, "session", SESSIONS)?.unwrap_or(SESSION),
            credentials: credentials(&url, config.token.as_deref())?,
        };
        let tls = TlsSettings::of(&url)?;
        let usual = if tls.is_some() { TLS_TIMEOUT } else { TIMEOUT };
        let timeout = time(&url, "timeout", TIMEOUTS)?.unwrap_or(usual);
        // The rest is for the hello, so that it is known which of them was too slow.
        let tls = tls.map(|tls| tls.within(timeout * 3 / 4));
        let addresses = url.hosts.iter().map(|host| host.address(PORT)).collect();
        let servers = Servers::new(addresses, timeout, wish, tls);
        let layout = Layout::of(&url, config, RecordForm::Curator, PORT)?;
        let chroot = chroot(&url)?.into();
        Ok(Self { text: url.to_string().into(), servers, chroot, layout: Arc::new(layout) })
    }
}

fn hosts(url: &RegistryUrl, backup: &str) -> Result<Vec<Host>, Error> {
    let wrong = |_| url.wrong("backup is not of the form host:port,host:port");
    Ok(RegistryUrl::parse(&format!("zookeeper://{backup}")).map_err(wrong)?.hosts)
}

/// A time with its unit, or in milliseconds.
fn time(
    url: &RegistryUrl,
    key: &str,
    possible: RangeInclusive<Duration>,
) -> Result<Option<Duration>, Error> {
    let Some(text) = url.query.get(key) else { return Ok(None) };
    let is_bare = text.bytes().all(|byte| byte.is_ascii_digit());
    let with_unit = if is_bare { format!("{text}ms") } else { text.clone() };
    let time = amount::parse_positive_duration(&with_unit);
    let time = time.map_err(|error| url.wrong(&format!("{key}: {error}")))?;
    if possible.contains(&time) {
        return Ok(Some(time));
    }
    let unit = if is_bare { format!(", which is {with_unit}") } else { String::new() };
    let [least, most] = [possible.start(), possible.end()].map(|time| amount::show_duration(*time));
    Err(url.wrong(&format!("{key} is `{text}`{unit}: write {least} to {most}")))
}

fn credentials(url: &RegistryUrl, token: Option<&str>) -> Result<Option<Arc<str>>, Error> {
    match (url.user.as_str(), url.password.as_str(), token) {
        ("", "", None | Some("")) => Ok(None),
        ("", "", Some(token)) => match token.split_once(':') {
            Some((user, password)) if !user.is_empty() && !password.is_empty() => {
                Ok(Some(token.into()))
            }
            _ => Err(url.wrong("its token is not of the form user:password")),
        },
        ("", _, _) | (_, "", _) => {
            Err(url.wrong("it needs both user and password, as in zookeeper://ann:s3cret@host"))
        }
        (user, password, _) => Ok(Some(format!("{user}:{password}").into())),
    }
}

/// What is in front of every path.
fn chroot(url: &RegistryUrl) -> Result<String, Error> {
    if url.path.is_empty() {
        return Ok(String::new());
    }
    let is_name = |name: &str| !["", ".", ".."].contains(&name);
    let is_path = url.path.split('/').all(is_name) && !url.path.contains(char::is_control);
    match is_path {
        true => Ok(format!("/{}", url.path)),
        false => Err(url.wrong("its path is none of ZooKeeper's: write it like /shop/eu")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<ZooKeeperAddress, Error> {
        ZooKeeperAddress::read(&RegistryParams::new(url))
    }

    #[test]
    fn an_address_says_servers_chroot_credentials_and_times() {
        let plain = address("zookeeper://a").unwrap();
        assert_eq!((&*plain.chroot, plain.servers.count()), ("", 1));
        assert_eq!(plain.servers.limit(), 2 * TIMEOUT);
        assert!(!plain.servers.has_credentials());
        let full = "zookeeper://ann:s@a:1,[::1]/shop/eu?session=60000&timeout=2s&backup=b,c:7";
        let full = address(full).unwrap();
        assert_eq!((&*full.chroot, full.servers.count()), ("/shop/eu", 4));
        assert_eq!(&*full.text, "zookeeper://a:1,[::1],b,c:7/shop/eu");
        assert_eq!(full.servers.limit(), Duration::from_secs(10));
        assert!(full.servers.has_credentials());
        assert!(!format!("{full:?}").contains("ann"), "{full:?}");
    }

    #[test]
    fn a_token_may_hold_the_credentials() {
        let with = |token: &str| {
            let params = RegistryParams::new("zookeeper://a");
            ZooKeeperAddress::read(&RegistryParams { token: Some(token.to_owned()), ..params })
        };
        assert!(with("ann:s3cret").unwrap().servers.has_credentials());
        let error = with("s3cret").unwrap_err().to_string();
        assert!(error.contains("not of the form user:password") && !error.contains("s3cret"));
    }

    #[test]
    fn an_address_that_cannot_work_says_what_to_write() {
        for (url, expected) in [
            ("zookeeper://", "it needs a server, as in zookeeper://127.0.0.1:2181"),
            ("zookeeper://a?sesion=1s", "did you mean `session`?"),
            ("zookeeper://a?session=soon", "session: `soon` is not a duration"),
            ("zookeeper://a?timeout=0", "timeout: 0 is too short"),
            ("zookeeper://a?session=999h", "session is `999h`: write 1s to 1h"),
            ("zookeeper://a?session=5", "session is `5`, which is 5ms: write 1s to 1h"),
            ("zookeeper://a?timeout=1", "timeout is `1`, which is 1ms: write 50ms to 1m"),
            ("zookeeper://a?timeout=2m", "timeout is `2m`: write 50ms to 1m"),
            ("zookeeper://a?backup=b:x", "backup is not of the form host:port,host:port"),
            ("zookeeper://ann@a", "it needs both user and password"),
            ("zookeeper://:pa55@a", "it needs both user and password"),
            ("zookeeper://a/shop//eu", "write it like /shop/eu"),
            ("zookeeper://a/shop/", "write it like /shop/eu"),
            ("zookeeper://a/..", "write it like /shop/eu"),
            ("zookeeper://a?register-mode=x", "register-mode"),
        ] {
            let error = address(url).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("pa55"), "{url}: {error}");
        }
    }
}
