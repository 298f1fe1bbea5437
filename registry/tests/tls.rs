//! `tls=true`: etcd and ZooKeeper as they are, with certificates that are good, wrong, expired and replaced.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use dubhe_registry::{Registration, Registry, connect};
use rpc_core::{Error, Subscription};
use servers::{
    CertificateAuthority, CertificateWish, EtcdServer, SecureServer, ZooKeeperServer, free_ports,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use world::{LIMIT, instance, key, shows};

/// How soon everything is right again after a fault has ended.
const HEALED: Duration = Duration::from_secs(5);

/// The error of a registry that lets nobody in.
async fn refusal(url: &str) -> Error {
    let registry = connect(url).unwrap();
    let error = registry.services().await.unwrap_err();
    // What is named is the registry, and nothing of its parameters.
    let address = registry.address();
    assert!(error.to_string().starts_with(&format!("registry {address}: ")), "{error}");
    error
}

/// A registry whose servers speak TLS.
struct Secure {
    scheme: &'static str,
    /// Where it speaks TLS, and where it does not.
    ports: (String, String),
    authority: CertificateAuthority,
    client: servers::CertificateFiles,
    _running: Box<dyn std::any::Any>,
}

impl Secure {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        if let (Some(secure), Some(plain)) = (SecureServer::start_etcd(), EtcdServer::start()) {
            let SecureServer { server, authority, files, client } = secure;
            let ports = (server.address(), plain.address());
            let running = Box::new((server, plain, files));
            all.push(Self { scheme: "etcd", ports, authority, client, _running: running });
        }
        if let Some(secure) = SecureServer::start_zookeeper() {
            let SecureServer { server, authority, files, client } = secure;
            let ports = (server.secure_address().to_string(), server.address().to_string());
            let running = Box::new((server, files));
            all.push(Self { scheme: "zookeeper", ports, authority, client, _running: running });
        }
        all
    }

    /// An address; a Java program that has just started is slow.
    fn at(&self, port: &str, query: &str) -> String {
        let time = if self.scheme == "zookeeper" { "timeout=20s" } else { "session=2s" };
        format!("{}://{port}?{time}&{query}", self.scheme)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_certificates_is_told_with_what_to_do() {
    let (strangers, own) = (CertificateAuthority::new(), CertificateAuthority::new());
    let strange = strangers.issue("client", CertificateWish::default());
    let expired = CertificateWish { valid: Duration::ZERO, ..CertificateWish::default() };
    for secure in Secure::all() {
        let (ca, strange_ca) = (secure.authority.ca(), strangers.ca());
        let (ca, strange_ca) = (ca.display(), strange_ca.display());
        let late = secure.authority.issue("late", expired);
        let with = |cert: &std::path::Path, key: &std::path::Path| {
            format!("tls=true&ca={ca}&cert={}&key={}", cert.display(), key.display())
        };
        let good = with(&secure.client.cert, &secure.client.key);
        connect(&secure.at(&secure.ports.0, &good)).unwrap().services().await.unwrap();
        let at = &secure.ports.0;
        let key = secure.client.key.display();
        // Whether it is for us to mend, and what is said.
        for (query, is_ours, expected) in [
            ("tls=true".to_owned(), false, "is signed by none that this system trusts"),
            (
                good.replace(&*ca.to_string(), &strange_ca.to_string()),
                false,
                "is signed by none of",
            ),
            (
                format!("{good}&server-name=a.test"),
                false,
                "does not name `a.test`, only 127.0.0.1, localhost:",
            ),
            (format!("{good}&server-name=10.0.0.9"), false, "does not name `10.0.0.9`, only "),
            (format!("tls=true&ca={ca}"), true, "wants a client certificate"),
            (with(&strange.cert, &strange.key), true, "refuses our certificate"),
            (with(&late.cert, &late.key), true, "refuses our certificate"),
            (
                with(&secure.client.cert, &strange.key),
                true,
                "does not belong to the first certificate",
            ),
            (with(&own.path("none.pem"), &strange.key), true, "none.pem: No such file"),
            (format!("tls=true&ca={key}"), true, "has no `-----BEGIN CERTIFICATE-----`"),
            (with(&strange.cert, &strange.cert), true, "has no `-----BEGIN PRIVATE KEY-----`"),
            ("tls=true&ca=/".to_owned(), true, "cannot read ca /: it is not a file"),
        ] {
            let error = refusal(&secure.at(at, &query)).await;
            assert_eq!(error.is_refused(), is_ours, "{query}: {error}");
            let text = error.to_string();
            assert!(text.contains(expected), "{query}: {text}");
            assert!(text.contains(at) || is_ours, "{query}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_at_a_plain_port_and_the_reverse_are_told() {
    for secure in Secure::all() {
        let (encrypted, plain) = (&secure.ports.0, &secure.ports.1);
        let error = refusal(&secure.at(encrypted, "")).await.to_string();
        assert!(error.contains("TLS") && error.contains("tls=true"), "{error}");
        let error = refusal(&secure.at(plain, "tls=true")).await.to_string();
        assert!(error.contains("TLS"), "{error}");
        assert!(error.contains("does not speak TLS") || error.contains("hung up"), "{error}");
    }
}

#[tokio::test]
async fn a_port_that_says_nothing_or_something_else_is_told_in_time() {
    for (answer, expected) in [
        (&b""[..], "does not finish the TLS handshake within 1.5s"),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "does not speak TLS: take its port for TLS, or leave out",
        ),
        // An alert: it speaks no version of ours.
        (&[0x15, 3, 1, 0, 2, 2, 70], "ended TLS (ProtocolVersion)"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(answer).await;
                open.push(stream);
            }
        });
        for scheme in ["etcd", "zookeeper"] {
            let begun = Instant::now();
            let error = refusal(&format!("{scheme}://{at}?tls=true")).await;
            assert!(!error.is_refused() && error.to_string().contains(expected), "{error}");
            assert!(error.to_string().contains(&at.to_string()), "{error}");
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        }
        serving.abort();
    }
    let [closed] = free_ports();
    for scheme in ["etcd", "zookeeper"] {
        let error = refusal(&format!("{scheme}://127.0.0.1:{closed}?tls=true")).await.to_string();
        assert!(error.contains("cannot connect to"), "{error}");
    }
}

/// A provider and a consumer, from processes of their own.
struct Pair {
    guard: Registration,
    list: Subscription,
    _registries: [Arc<dyn Registry>; 2],
}

impl Pair {
    async fn at(url: &str) -> Self {
        let registries = [connect(url).unwrap(), connect(url).unwrap()];
        let guard = registries[0].register(instance("shop.Stock", "a:1")).await.unwrap();
        let mut list = registries[1].subscribe(&key("shop.Stock")).await.unwrap();
        shows(&mut list, &["a:1"]).await;
        Self { guard, list, _registries: registries }
    }

    /// Waits until both have noticed that the server is away; returns what they say of it.
    async fn miss_it(&self, reason: &str) {
        let mut trouble = self.list.watch_trouble();
        let told = trouble.wait_for(|trouble| {
            trouble.as_ref().is_some_and(|trouble| trouble.error.contains(reason))
        });
        let told = timeout(LIMIT, told).await;
        assert!(told.is_ok(), "{reason}: {:?}", self.list.trouble());
        drop(told);
        timeout(LIMIT, self.guard.watch().wait_for(|is| !is)).await.unwrap().unwrap();
        assert_eq!(self.list.latest().instances.len(), 1, "the list stays");
    }

    /// Everything is right within 5 s after the server lets in who comes anew.
    async fn heals(&mut self, url: &str) {
        let newcomer = connect(url).unwrap();
        let let_in = async {
            while newcomer.services().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, let_in).await.expect("nobody is let in");
        let begun = Instant::now();
        let mut trouble = self.list.watch_trouble();
        timeout(LIMIT, trouble.wait_for(Option::is_none)).await.expect("it heals").unwrap();
        timeout(LIMIT, self.guard.watch().wait_for(|is| *is)).await.expect("it heals").unwrap();
        shows(&mut self.list, &["a:1"]).await;
        assert!(begun.elapsed() < HEALED, "it took {:?}", begun.elapsed());
    }
}

/// A server after it has done what takes its time, in a thread of its own.
async fn after<S: Send + 'static>(mut server: S, work: impl FnOnce(&mut S) + Send + 'static) -> S {
    let working = tokio::task::spawn_blocking(move || {
        work(&mut server);
        server
    });
    working.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_expire_and_are_replaced_on_disk_are_taken_with_the_next_connection() {
    let Some(secure) = SecureServer::start_etcd() else { return };
    let SecureServer { mut server, authority, files, client } = secure;
    let (ca, cert, key) = (authority.ca(), client.cert.display(), client.key.display());
    // The name of the host may be another, if the address says which it is.
    let url = format!(
        "etcd://localhost:{}?session=2s&tls=true&ca={}&cert={cert}&key={key}&server-name=127.0.0.1",
        server.address().rsplit(':').next().unwrap(),
        ca.display()
    );
    let mut pair = Pair::at(&url).await;
    // A connection that is open stays so; the next one finds a certificate that has expired.
    let expired = CertificateWish { valid: Duration::ZERO, ..CertificateWish::default() };
    authority.issue_into(&files, expired);
    assert!(pair.guard.is_registered() && pair.list.trouble().is_none());
    server.kill();
    let server = after(server, EtcdServer::restart).await;
    pair.miss_it("expired").await;
    // A new authority has signed all; neither process is told.
    let next = CertificateAuthority::new();
    next.issue_into(&files, CertificateWish::default());
    std::fs::write(&ca, next.ca_pem()).unwrap();
    next.issue_into(&client, CertificateWish::default());
    // etcd reads whom it trusts as it starts.
    let _server = after(server, EtcdServer::restart).await;
    pair.heals(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_that_is_killed_and_comes_back_has_everything_again_over_tls() {
    let Some(secure) = SecureServer::start_etcd() else { return };
    let parameters = secure.parameters();
    let SecureServer { mut server, authority: _authority, .. } = secure;
    let url = format!("etcd://{}?session=2s&{parameters}", server.address());
    let mut pair = Pair::at(&url).await;
    server.kill();
    pair.miss_it("").await;
    let _server = after(server, EtcdServer::restart).await;
    pair.heals(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zookeeper_that_is_killed_and_comes_back_goes_on_with_the_session_over_tls() {
    let Some(secure) = SecureServer::start_zookeeper() else { return };
    let parameters = secure.parameters();
    let SecureServer { mut server, authority: _authority, .. } = secure;
    let at = server.secure_address();
    // Consumers list themselves from a task that nothing waits for.
    let url = format!("zookeeper://{at}?{parameters}&timeout=20s&register-consumer=false");
    let mut pair = Pair::at(&url).await;
    let before = sessions(&server);
    server.kill();
    pair.miss_it("").await;
    let revive = |server: &mut ZooKeeperServer| {
        server.run();
        server.wait_until_ready();
    };
    let server = after(server, revive).await;
    pair.heals(&url).await;
    assert_eq!(sessions(&server), before, "they are the sessions of before");
}

/// The sessions that own nodes, as the server tells them.
fn sessions(server: &ZooKeeperServer) -> Vec<String> {
    let told = server.ask("dump");
    let of_nodes = told.split("Sessions with Ephemerals").nth(1).unwrap_or_default();
    let ids = of_nodes.lines().filter(|line| line.starts_with("0x"));
    let mut ids: Vec<_> = ids.map(str::to_owned).collect();
    ids.sort();
    assert!(!ids.is_empty(), "{told}");
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn digest_authentication_of_zookeeper_works_over_tls() {
    let authority = CertificateAuthority::new();
    let files = authority.issue("server", CertificateWish::default());
    // With a certificate of ours the server would know us by that, too.
    let Some(server) = ZooKeeperServer::start_secure(&files, None) else { return };
    let ca = authority.ca();
    let at = format!("{}?tls=true&ca={}&timeout=20s", server.secure_address(), ca.display());
    let registry = connect(&format!("zookeeper://ann:s3cret@{at}")).unwrap();
    let guard = registry.register(instance("shop.Stock", "a:1")).await.unwrap();
    timeout(LIMIT, guard.watch().wait_for(|is| *is)).await.expect("it is registered").unwrap();
    let error = refusal(&format!("zookeeper://ann:wrong@{at}")).await;
    assert!(error.is_refused() && error.to_string().contains("check user and password"), "{error}");
}
