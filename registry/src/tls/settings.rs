//! What an address says about TLS.

use std::path::PathBuf;
use std::time::Duration;

use rpc_core::Error;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::{RegistryUrl, sound};

/// How long a handshake may take, unless a registry says otherwise.
const HANDSHAKE: Duration = Duration::from_millis(1500);

/// How a server is to prove who it is, and we.
///
/// | parameter of the address | meaning | default |
/// | --- | --- | --- |
/// | `tls` | `true`: connections are encrypted, and the server's certificate is checked | `false` |
/// | `ca` | file with the certificates that are trusted, in PEM | those that the system trusts |
/// | `cert`, `key` | files with our own certificate, those that lead to its CA, and its key, in PEM; both or none | none |
/// | `server-name` | name or IP address that the server's certificate must have | the host |
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    pub(super) ca: Option<PathBuf>,
    pub(super) own: Option<OwnFiles>,
    pub(super) server_name: Option<ServerName<'static>>,
    /// How long a handshake may take.
    pub(super) handshake: Duration,
}

/// The files of our own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnFiles {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

impl TlsSettings {
    /// The parameters of an address that say something about TLS.
    pub(crate) const KEYS: [&str; 5] = ["tls", "ca", "cert", "key", "server-name"];

    /// What the address asks for; `None` without TLS.
    ///
    /// # Errors
    /// A value that cannot work, or one that would have no effect.
    pub(crate) fn of(url: &RegistryUrl) -> Result<Option<Self>, Error> {
        let value = |key| url.query.get(key).map(String::as_str);
        match value("tls") {
            Some("true") => {}
            None | Some("false") => {
                let needless = Self::KEYS[1..].iter().find(|key| url.query.contains_key(**key));
                return match needless {
                    None => Ok(None),
                    Some(key) => Err(url
                        .wrong(&format!("{key} is for TLS: write tls=true too, or leave it out"))),
                };
            }
            Some(other) => {
                let other = sound::plain(other);
                return Err(url.wrong(&format!("tls is `{other}`: write true or false")));
            }
        }
        let file = |key| match value(key) {
            Some("") => Err(url.wrong(&format!("{key} is empty: write {key}=FILE"))),
            path => Ok(path.map(PathBuf::from)),
        };
        let own = match (file("cert")?, file("key")?) {
            (Some(cert), Some(key)) => Some(OwnFiles { cert, key }),
            (None, None) => None,
            _ => {
                let why = "a client certificate is cert and key: write cert=FILE&key=FILE, which may be \
                           one file";
                return Err(url.wrong(why));
            }
        };
        let server_name = match value("server-name") {
            Some(name) => Some(certifiable(url, name, "server-name")?),
            None => {
                for host in &url.hosts {
                    certifiable(url, &host.name, "its host")?;
                }
                None
            }
        };
        Ok(Some(Self { ca: file("ca")?, own, server_name, handshake: HANDSHAKE }))
    }

    /// The same, with another limit for a handshake, which is 1.5 s otherwise.
    #[cfg(feature = "zookeeper")]
    pub(crate) fn within(self, handshake: Duration) -> Self {
        Self { handshake, ..self }
    }

    /// The name that the certificate of `server`, which is `host:port`, must have.
    pub(super) fn name_of(&self, server: &str) -> Option<ServerName<'static>> {
        self.server_name.clone().or_else(|| {
            let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
            let host = host.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).unwrap_or(host);
            ServerName::try_from(host.to_owned()).ok()
        })
    }
}

/// A name that a certificate can have.
fn certifiable(url: &RegistryUrl, name: &str, what: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        let name = sound::plain(name);
        url.wrong(&format!(
            "{what} `{name}` is nothing that a certificate names: write a host name or an IP address, \
             or the name in the certificate as server-name=NAME"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(query: &str) -> Result<Option<TlsSettings>, Error> {
        TlsSettings::of(&RegistryUrl::parse(&format!("etcd://a.test:1,[::1]{query}")).unwrap())
    }

    #[test]
    fn an_address_says_whom_to_trust_and_who_we_are() {
        assert_eq!(settings("").unwrap(), None);
        assert_eq!(settings("?tls=false").unwrap(), None);
        let plain = settings("?tls=true").unwrap().unwrap();
        assert_eq!((&plain.ca, &plain.own), (&None, &None));
        for (server, name) in
            [("a.test:1", "a.test"), ("[::1]:2379", "::1"), ("10.0.0.1:1", "10.0.0.1")]
        {
            assert_eq!(plain.name_of(server).unwrap().to_str(), name);
        }
        let full = "?tls=true&ca=/ca.pem&cert=own.pem&key=own%20key.pem&server-name=etcd.test";
        let full = settings(full).unwrap().unwrap();
        let own = OwnFiles { cert: "own.pem".into(), key: "own key.pem".into() };
        assert_eq!((full.ca.as_deref(), full.own.as_ref()), (Some("/ca.pem".as_ref()), Some(&own)));
        assert_eq!(full.name_of("[::1]:1").unwrap().to_str(), "etcd.test");
    }

    #[test]
    fn what_cannot_work_or_would_be_ignored_says_what_to_write() {
        for (query, expected) in [
            ("?tls=yes", "tls is `yes`: write true or false"),
            ("?ca=x", "ca is for TLS: write tls=true too"),
            ("?tls=false&cert=x", "cert is for TLS: write tls=true too"),
            ("?tls=true&cert=x", "write cert=FILE&key=FILE"),
            ("?tls=true&ca=", "ca is empty: write ca=FILE"),
            (
                "?tls=true&server-name=a%20b",
                "server-name `a b` is nothing that a certificate names",
            ),
        ] {
            let error = settings(query).unwrap_err().to_string();
            assert!(error.contains(expected), "{query}: {error}");
        }
    }
}
