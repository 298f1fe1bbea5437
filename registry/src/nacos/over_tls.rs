//! Nacos over TLS, played by a server that knows just enough of it: a login, and a connection that it lets in.
//! What real ones do is in `registry/tests/nacos.rs`.

use std::convert::Infallible;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc_core::Error;
use servers::{CertificateAuthority, CertificateFiles, CertificateWish};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Nacos;
use super::connection::GRPC_OFFSET;
use super::played::{PlayedAnswer, answered, asked, listen};
use crate::RegistryParams;
use crate::backend::{Backend as _, Demand};
use crate::tls::tests::acceptor;

/// What a login is worth here.
const TOKEN: &str = "a token";

struct Fake {
    /// That of HTTP; the other one is above it.
    port: u16,
    authority: CertificateAuthority,
    client: CertificateFiles,
    _serving: JoinSet<()>,
}

impl Fake {
    /// One that speaks TLS at its ports, or at that of gRPC alone.
    async fn start(has_secure_login: bool) -> Self {
        let authority = CertificateAuthority::new();
        let files = authority.issue("server", CertificateWish::default());
        let client = authority.issue("client", CertificateWish::default());
        let (http, grpc) = listen().await;
        let port = http.local_addr().unwrap().port();
        let mut serving = JoinSet::new();
        let at_login = has_secure_login.then(|| acceptor(&authority, &files, b"http/1.1"));
        serving.spawn(serve_logins(http, at_login));
        serving.spawn(serve_grpc(grpc, acceptor(&authority, &files, b"h2")));
        Self { port, authority, client, _serving: serving }
    }

    /// The parameters that let a client in.
    fn parameters(&self) -> String {
        let (ca, cert, key) = (self.authority.ca(), &self.client.cert, &self.client.key);
        format!("tls=true&ca={}&cert={}&key={}", ca.display(), cert.display(), key.display())
    }

    async fn open(&self, login: &str, query: &str) -> Result<usize, Error> {
        let url = format!("nacos://{login}127.0.0.1:{}?{query}", self.port);
        let nacos = Nacos::of(&RegistryParams::new(url)).unwrap();
        let session = nacos.connect(&Demand::default()).await?;
        session.services().await.map(|services| services.len())
    }
}

async fn serve_logins(listener: TcpListener, tls: Option<TlsAcceptor>) {
    let answer = format!("{{\"accessToken\":\"{TOKEN}\",\"tokenTtl\":18000}}");
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut asked = [0; 4096];
        match &tls {
            Some(tls) => {
                let Ok(mut stream) = tls.accept(stream).await else { continue };
                let count = stream.read(&mut asked).await.unwrap_or_default();
                assert!(asked[..count].starts_with(b"POST /nacos/v3/auth/user/login"));
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.flush().await;
            }
            None => {
                let count = stream.read(&mut asked).await.unwrap_or_default();
                assert!(!asked[..count].windows(6).any(|part| part == b"s3cret"));
                let _ = stream.write_all(b"HTTP/1.1 400 \r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    }
}

async fn serve_grpc(listener: TcpListener, tls: TlsAcceptor) {
    let mut serving = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let tls = tls.clone();
        serving.spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<PlayedAnswer, Infallible> {
    assert_eq!(request.uri().scheme_str(), Some("https"));
    let Some(asked) = asked(request).await else { return Ok(answered(None)) };
    let headers = &asked.metadata.as_ref().unwrap().headers;
    Ok(answered(Some(match asked.kind() {
        _ if headers.get("accessToken").is_some_and(|token| token != TOKEN) => {
            r#"{"resultCode":500,"errorCode":403,"message":"who"}"#
        }
        "ServiceListRequest" => r#"{"resultCode":200,"count":0,"serviceNames":[]}"#,
        _ => r#"{"resultCode":200,"supportAbilityNegotiation":true}"#,
    })))
}

#[tokio::test]
async fn both_ports_are_spoken_to_over_tls_and_what_is_wrong_is_told() {
    let fake = Fake::start(true).await;
    let good = fake.parameters();
    assert_eq!(fake.open("", &good).await.unwrap(), 0);
    assert_eq!(fake.open("ann:s3cret@", &good).await.unwrap(), 0);
    let (http, grpc) = (fake.port, fake.port + GRPC_OFFSET);
    let (http, grpc) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{grpc}"));
    let ca = format!("tls=true&ca={}", fake.authority.ca().display());
    let others = CertificateAuthority::new();
    let stranger = others.issue("client", CertificateWish::default());
    let foreign = format!("{ca}&cert={}&key={}", stranger.cert.display(), stranger.key.display());
    for (login, query, is_ours, expected) in [
        ("", "", false, "expects TLS (tls=true)".to_owned()),
        ("", "tls=true", false, format!("{grpc} is signed by none that this system trusts")),
        (
            "ann:s3cret@",
            "tls=true",
            false,
            format!("{http} is signed by none that this system trusts"),
        ),
        ("", &ca, true, format!("{grpc} wants a client certificate")),
        ("ann:s3cret@", &ca, true, format!("{http} wants a client certificate")),
        ("", &foreign, true, format!("{grpc} refuses our certificate")),
        ("ann:s3cret@", &foreign, true, format!("{http} refuses our certificate")),
        (
            "",
            &format!("{good}&server-name=a.test"),
            false,
            format!("{grpc} does not name `a.test`"),
        ),
    ] {
        let error = fake.open(login, query).await.unwrap_err();
        assert_eq!(error.is_refused(), is_ours, "{login}{query}: {error}");
        let text = error.to_string();
        assert!(text.contains(&expected) && !text.contains("s3cret"), "{query}: {text}");
    }
}

#[tokio::test]
async fn a_password_is_not_sent_in_the_clear_where_only_grpc_speaks_tls() {
    let fake = Fake::start(false).await;
    let good = fake.parameters();
    assert_eq!(fake.open("", &good).await.unwrap(), 0);
    let error = fake.open("ann:s3cret@", &good).await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{} does not speak TLS", fake.port)), "{error}");
    assert!(error.ends_with("for which Nacos needs server.ssl.enabled=true"), "{error}");
}
