//! Handshakes with a server in this process, which runs everywhere: with certificates as they should be, and with
//! those that are wrong in one way. What real servers do is in `registry/tests/tls.rs`.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use servers::{CertificateAuthority, CertificateFiles, CertificateWish};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::{ConnectFailure, TlsFailure, TlsSettings, connect, refusal};
use crate::RegistryUrl;

/// More than a handshake here may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A certificate that was valid once.
const EXPIRED: CertificateWish<'static> =
    CertificateWish { common_name: "test", names: &["127.0.0.1"], valid: Duration::ZERO };

/// Takes who has a certificate of `authority`, and speaks this protocol.
pub(crate) fn acceptor(
    authority: &CertificateAuthority,
    files: &CertificateFiles,
    protocol: &[u8],
) -> TlsAcceptor {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.ca()).unwrap()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_client_cert_verifier(clients.build().unwrap());
    let chain = CertificateDer::pem_file_iter(&files.cert).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let mut config = config.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// A server that tells everybody whom it lets in that it does, and clients of it.
struct World {
    authority: CertificateAuthority,
    client: CertificateFiles,
    address: String,
    _serving: JoinSet<()>,
}

/// What comes of a connection: nothing, or whether the fault is ours to mend, and the words.
type Outcome = Result<(), (bool, String)>;

impl World {
    /// One whose certificate is the one that `issue` has the authority issue.
    async fn with(issue: impl FnOnce(&CertificateAuthority) -> CertificateFiles) -> Self {
        let authority = CertificateAuthority::new();
        let server = issue(&authority);
        let client = authority.issue("client", CertificateWish::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let tls = acceptor(&authority, &server, b"test");
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = tls.accept(stream).await else { continue };
                let _ = stream.write_all(b"in").await;
                let _ = stream.shutdown().await;
            }
        });
        Self { authority, client, address, _serving: serving }
    }

    async fn usual() -> Self {
        Self::with(|authority| authority.issue("server", CertificateWish::default())).await
    }

    /// Connects as who has this certificate and trusts the authority, with more parameters.
    async fn greet(&self, own: &CertificateFiles, more: &str) -> Outcome {
        self.greet_trusting(&self.authority.ca(), own, more).await
    }

    async fn greet_trusting(&self, ca: &Path, own: &CertificateFiles, more: &str) -> Outcome {
        let (ca, cert, key) = (ca.display(), own.cert.display(), own.key.display());
        self.greet_by(&format!("tls=true&ca={ca}&cert={cert}&key={key}{more}")).await
    }

    async fn greet_by(&self, query: &str) -> Outcome {
        let url = RegistryUrl::parse(&format!("etcd://{}?{query}", self.address)).unwrap();
        let settings = TlsSettings::of(&url).unwrap();
        let greeting = async {
            let mut stream = match connect(&self.address, settings.as_ref(), &[b"test"]).await {
                Ok(stream) => stream,
                Err(ConnectFailure::Tls(TlsFailure::Ours(why))) => return Err((true, why)),
                Err(ConnectFailure::Tls(TlsFailure::Theirs(why))) => return Err((false, why)),
                Err(ConnectFailure::Tcp(error)) => panic!("{error}"),
            };
            let mut said = String::new();
            let of_refusal = |error: io::Error| match refusal(&error) {
                Some(why) => (true, why),
                None => (false, error.to_string()),
            };
            stream.read_to_string(&mut said).await.map_err(of_refusal)?;
            assert_eq!(said, "in");
            Ok(())
        };
        timeout(LIMIT, greeting).await.expect("it comes to an end")
    }
}

fn fails(outcome: Outcome, is_ours: bool, expected: &str) {
    let (told_ours, why) = outcome.unwrap_err();
    assert!(told_ours == is_ours && why.contains(expected), "{why}");
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_alone() {
    let world = World::usual().await;
    assert_eq!(world.greet(&world.client, "").await, Ok(()));
    let strangers = CertificateAuthority::new();
    let both = world.authority.path("both.pem");
    // As many as there are in the file count.
    fs::write(&both, strangers.ca_pem() + &world.authority.ca_pem()).unwrap();
    assert_eq!(world.greet_trusting(&both, &world.client, "").await, Ok(()));
    // One of the same name, and one of another.
    let other = strangers.below();
    for strange in [strangers.ca(), other.ca()] {
        let outcome = world.greet_trusting(&strange, &world.client, "").await;
        fails(outcome, false, "is signed by none of those in ca");
    }
}

#[tokio::test]
async fn a_server_has_to_have_the_name_that_is_asked_for() {
    let named = CertificateWish { names: &["a.test"], ..CertificateWish::default() };
    let world = World::with(|authority| authority.issue("server", named)).await;
    fails(world.greet(&world.client, "").await, false, "does not name `127.0.0.1`, only a.test:");
    assert_eq!(world.greet(&world.client, "&server-name=a.test").await, Ok(()));
    let outcome = world.greet(&world.client, "&server-name=b.test").await;
    fails(outcome, false, "does not name `b.test`");
}

#[tokio::test]
async fn a_server_whose_certificate_has_expired_is_not_spoken_to() {
    let world = World::with(|authority| authority.issue("server", EXPIRED)).await;
    fails(world.greet(&world.client, "").await, false, " ago: renew it");
}

#[tokio::test]
async fn what_we_present_is_our_certificate_with_its_chain_and_its_key() {
    let world = World::usual().await;
    let ca = world.authority.ca();
    fails(
        world.greet_by(&format!("tls=true&ca={}", ca.display())).await,
        true,
        "wants a client certificate",
    );
    let late = world.authority.issue("late", EXPIRED);
    fails(world.greet(&late, "").await, true, "refuses our certificate");
    let crossed = CertificateFiles { key: late.key.clone(), ..world.client.clone() };
    fails(world.greet(&crossed, "").await, true, "does not belong to the first certificate");

    let lower = world.authority.below();
    let own = lower.issue("own", CertificateWish::default());
    fails(world.greet(&own, "").await, true, "refuses our certificate");
    let chain = fs::read_to_string(&own.cert).unwrap() + &lower.ca_pem();
    fs::write(&own.cert, chain).unwrap();
    assert_eq!(world.greet(&own, "").await, Ok(()));
}

#[tokio::test]
async fn a_server_may_send_the_chain_to_its_authority() {
    let world = World::with(|authority| {
        let lower = authority.below();
        let files = lower.issue("server", CertificateWish::default());
        let chain = fs::read_to_string(&files.cert).unwrap() + &lower.ca_pem();
        let server = CertificateFiles {
            cert: authority.path("chain.pem"),
            key: authority.path("chain.key"),
        };
        fs::write(&server.cert, chain).unwrap();
        fs::copy(&files.key, &server.key).unwrap();
        server
    })
    .await;
    assert_eq!(world.greet(&world.client, "").await, Ok(()));
}
