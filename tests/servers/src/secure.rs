//! Servers that speak TLS, with an authority that they and their clients trust.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::{CertificateAuthority, CertificateFiles, CertificateWish, EtcdServer, ZooKeeperServer};

/// A server that lets in only clients with a certificate of its authority.
#[derive(Debug)]
pub struct SecureServer<S> {
    /// The server.
    pub server: S,
    /// Whom it trusts, and who has signed its certificate.
    pub authority: CertificateAuthority,
    /// The files of its certificate.
    pub files: CertificateFiles,
    /// The files of a certificate of a client.
    pub client: CertificateFiles,
}

impl SecureServer<EtcdServer> {
    /// etcd; `None` where it is not installed.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_etcd() -> Option<Self> {
        Self::start(|files, authority| EtcdServer::start_secure(files, Some(authority)))
    }

    /// The one that the tests of a program share, which ends with the last that holds it.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn shared_etcd() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<SecureServer<EtcdServer>>> = Mutex::new(Weak::new());
        shared(&SHARED, Self::start_etcd)
    }
}

impl SecureServer<ZooKeeperServer> {
    /// ZooKeeper; `None` where it is not installed.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_zookeeper() -> Option<Self> {
        Self::start(|files, authority| ZooKeeperServer::start_secure(files, Some(authority)))
    }

    /// The one that the tests of a program share, which ends with the last that holds it.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn shared_zookeeper() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<SecureServer<ZooKeeperServer>>> = Mutex::new(Weak::new());
        shared(&SHARED, Self::start_zookeeper)
    }
}

impl<S> SecureServer<S> {
    /// Starts one by `start`, which is given its files and the authority of its clients.
    pub fn start(
        start: impl FnOnce(&CertificateFiles, &CertificateAuthority) -> Option<S>,
    ) -> Option<Self> {
        let authority = CertificateAuthority::new();
        let files = authority.issue("server", CertificateWish::default());
        let client = authority.issue("client", CertificateWish::default());
        let server = start(&files, &authority)?;
        Some(Self { server, authority, files, client })
    }

    /// The parameters of an address that lets a client in.
    #[must_use]
    pub fn parameters(&self) -> String {
        let (ca, cert, key) = (self.authority.ca(), &self.client.cert, &self.client.key);
        let (ca, cert, key) = (ca.display(), cert.display(), key.display());
        format!("tls=true&ca={ca}&cert={cert}&key={key}")
    }
}

/// The server in `shared`, or a new one if nobody holds it any more.
fn shared<S>(
    shared: &Mutex<Weak<SecureServer<S>>>,
    start: impl FnOnce() -> Option<SecureServer<S>>,
) -> Option<Arc<SecureServer<S>>> {
    // Whoever failed while it started a server has left nothing here.
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(start()?);
    *shared = Arc::downgrade(&server);
    Some(server)
}
