//! The json protocol: what curl, scripts and browsers may send, and what they get.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::net::SocketAddr;

use dubhe::RunningProvider;
use dubhe::prelude::*;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::http::{post, send, send_on};
use support::memory;
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[dubhe::service(name = "test.Teller")]
trait Teller {
    /// What the handler sees.
    #[rpc(idempotent)]
    async fn tell(&self, first: String, second: u32) -> Result<String>;

    /// Never ends by itself.
    #[rpc(idempotent)]
    async fn wait(&self) -> Result<()>;
}

struct Tells;

impl Teller for Tells {
    async fn tell(&self, first: String, second: u32) -> Result<String> {
        let call = CallContext::current().unwrap();
        let seen: Vec<String> = call.metadata().iter().map(|(k, v)| format!("{k}={v}")).collect();
        let left = call.deadline().remaining().as_secs();
        Ok(format!("{first} {second} [{}] {left}", seen.join(",")))
    }

    async fn wait(&self) -> Result<()> {
        std::future::pending().await
    }
}

async fn start(toml: &str) -> (RunningProvider, SocketAddr) {
    let provider = support::provider(&memory(), toml)
        .serve(ShopServer::new(Clerk::new("a")))
        .serve(TellerServer::new(Tells));
    let provider = provider.start().await.unwrap();
    let address = provider.local_addr();
    (provider, address)
}

#[tokio::test]
async fn arguments_come_as_a_list_or_as_an_object() {
    let (_provider, at) = start("").await;
    let list = post(at, "/test.Teller/tell", r#"["a", 7]"#).await;
    assert_eq!((list.status, list.text()), (200, r#"{"value":"a 7 [] 59"}"#));
    assert_eq!(list.header("content-type"), Some("application/json"));
    let object = post(at, "/test.Teller/tell", r#"{"second": 7, "first": "a"}"#).await;
    assert_eq!(object.text(), list.text());
    // Absent is the default, unknown is skipped, and so is what is too much.
    assert_eq!(post(at, "/test.Teller/tell", "[]").await.text(), r#"{"value":" 0 [] 59"}"#);
    assert_eq!(
        post(at, "/test.Teller/tell", r#"{"third": 1}"#).await.text(),
        r#"{"value":" 0 [] 59"}"#
    );
    assert_eq!(post(at, "/test.Teller/tell", r#"["a", 7, 8]"#).await.text(), list.text());
    let answer = post(at, "/test.Shop/look", "[5]").await.json();
    assert_eq!(answer, serde_json::json!({ "id": "5", "who": "a" }));
}

#[tokio::test]
async fn a_call_that_names_no_time_has_that_of_the_provider() {
    let (_provider, at) = start("provider.limits.default_timeout = \"5s\"").await;
    let told = post(at, "/test.Teller/tell", "[]").await;
    assert_eq!(told.text(), r#"{"value":" 0 [] 4"}"#);
    let (_provider, at) = start("provider.limits.default_timeout = \"100ms\"").await;
    let late = post(at, "/test.Teller/wait", "[]").await;
    assert_eq!((late.status, &*late.error().0), (504, "deadline_exceeded"));
}

#[tokio::test]
async fn what_curl_sends_is_json_and_what_a_web_page_sends_is_not() {
    let (_provider, at) = start("").await;
    let body = br#"["bob"]"#;
    let curl = send(at, "POST", "/test.Shop/echo", &[FORM], body).await;
    assert_eq!((curl.status, curl.text()), (200, r#"{"value":"bob"}"#));
    let none = send(at, "POST", "/test.Shop/echo", &[], body).await;
    assert_eq!((none.status, none.text()), (200, r#"{"value":"bob"}"#));
    for added in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")] {
        let page = send(at, "POST", "/test.Shop/echo", &[FORM, added], body).await;
        assert_eq!(page.status, 415);
        assert!(page.error().1.contains("send `content-type: application/json`"), "{page:?}");
    }
}

#[tokio::test]
async fn a_content_type_that_is_not_spoken_lists_those_that_are() {
    let (_provider, at) = start("").await;
    for content_type in ["text/plain", "application/xml", "multipart/form-data; boundary=x"] {
        let headers = [("content-type", content_type)];
        let response = send(at, "POST", "/test.Shop/echo", &headers, b"[]").await;
        assert_eq!(response.status, 415, "{content_type}");
        let (code, text) = response.error();
        assert_eq!(code, "invalid_argument");
        let essence = content_type.split(';').next().unwrap();
        let start = format!("content type `{essence}` is not supported here, available: ");
        assert!(text.starts_with(&start) && text.contains("application/msgpack"), "{text}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_told_what_there_is() {
    let (_provider, at) = start("").await;
    let service = post(at, "/Greeter/hello", "[]").await;
    assert_eq!(service.status, 404);
    let text = "no service `Greeter` here, available: test.Shop, test.Teller, dubhe.Describe";
    assert_eq!(service.error(), ("unimplemented".to_owned(), text.to_owned()));
    let method = post(at, "/test.Teller/say", "[]").await;
    let text = "service test.Teller has no method `say`, available: tell, wait";
    assert_eq!((method.status, &*method.error().1), (404, text));
    assert_eq!(post(at, "/", "[]").await.status, 404);
}

#[tokio::test]
async fn only_post_calls() {
    let (_provider, at) = start("").await;
    for verb in ["GET", "PUT", "DELETE"] {
        let response = send(at, verb, "/test.Shop/echo", &[], b"").await;
        assert_eq!((response.status, response.header("allow")), (405, Some("POST")), "{verb}");
        assert!(response.error().1.contains("POST the arguments instead"), "{response:?}");
    }
}

#[tokio::test]
async fn arguments_that_cannot_be_read_name_the_call() {
    let (_provider, at) = start("").await;
    for body in [r#"["bob"#, "", r#"[{"a": 1}]"#, "\u{1}", "[1e400]"] {
        let response = post(at, "/test.Shop/echo", body).await;
        assert_eq!(response.status, 400, "{body:?}: {response:?}");
        let (code, text) = response.error();
        assert_eq!(code, "invalid_argument");
        assert!(text.contains("test.Shop/echo"), "{body:?}: {text}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(post(at, "/test.Shop/echo", &deep).await.status, 400);
}

#[tokio::test]
async fn a_status_has_the_http_status_of_its_code() {
    let (_provider, at) = start("").await;
    for (code, http) in [
        (Code::InvalidArgument, 400),
        (Code::DeadlineExceeded, 504),
        (Code::NotFound, 404),
        (Code::AlreadyExists, 409),
        (Code::PermissionDenied, 403),
        (Code::ResourceExhausted, 429),
        (Code::Unimplemented, 404),
        (Code::Internal, 500),
        (Code::Unavailable, 503),
        (Code::Unauthenticated, 401),
    ] {
        let response = post(at, "/test.Shop/fail", &format!("[{}]", code.number())).await;
        assert_eq!(response.status, http, "{code}");
        assert_eq!(response.error(), (code.name().to_owned(), "as you asked".to_owned()));
    }
    let panic = post(at, "/test.Shop/panic", "[]").await;
    assert_eq!((panic.status, &*panic.error().0), (500, "internal"));
}

#[tokio::test]
async fn a_body_over_the_limit_names_the_limit_and_its_setting() {
    let (_provider, at) = start("provider.limits.payload = \"1KiB\"").await;
    let whole = format!("[{}\"a\"]", " ".repeat(1024 - 5));
    assert_eq!(whole.len(), 1024);
    assert_eq!(post(at, "/test.Shop/echo", &whole).await.status, 200);
    let more = post(at, "/test.Shop/echo", &format!("{whole} ")).await;
    assert_eq!(more.status, 413);
    let text = "the body has more than the limit of 1024 bytes; send less or raise \
                `provider.limits.payload`";
    assert_eq!(more.error().1, text);
}

#[tokio::test]
async fn a_header_that_is_too_large_is_refused() {
    let (_provider, at) = start("provider.limits.header = \"8KiB\"").await;
    let large = "a".repeat(32 * 1024);
    let response = send(at, "POST", "/test.Shop/echo", &[JSON, ("x-large", &large)], b"[]").await;
    assert_eq!(response.status, 431);
    assert_eq!(post(at, "/test.Shop/echo", "[]").await.status, 200);
}

#[tokio::test]
async fn headers_are_metadata_except_those_of_http() {
    let (_provider, at) = start("").await;
    let headers =
        [JSON, ("Tenant", "blue"), ("user-agent", "test"), ("accept", "*/*"), ("trace-id", "1")];
    let response = send(at, "POST", "/test.Teller/tell", &headers, b"[]").await;
    assert_eq!(response.text(), r#"{"value":" 0 [tenant=blue,trace-id=1] 59"}"#);
}

#[tokio::test]
async fn the_caller_says_how_long_it_waits() {
    let (_provider, at) = start("").await;
    let headers = [JSON, ("tri-service-timeout", "5500")];
    let response = send(at, "POST", "/test.Teller/tell", &headers, b"[]").await;
    assert_eq!(response.text(), r#"{"value":" 0 [] 5"}"#);
    let headers = [JSON, ("tri-service-timeout", "50")];
    let late = send(at, "POST", "/test.Teller/wait", &headers, b"[]").await;
    assert_eq!((late.status, &*late.error().0), (504, "deadline_exceeded"));
    let headers = [JSON, ("tri-service-timeout", "soon")];
    let wrong = send(at, "POST", "/test.Teller/tell", &headers, b"[]").await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.error().1, "`tri-service-timeout` is not a number of milliseconds");
}

#[tokio::test]
async fn several_calls_share_one_http1_connection() {
    let (_provider, at) = start("").await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    for number in 0..50 {
        let (path, body) = ("/test.Shop/echo", format!("[\"{number}\"]"));
        let response = send_on(&mut stream, "POST", path, &[JSON], body.as_bytes()).await;
        assert_eq!(response.text(), format!("{{\"value\":\"{number}\"}}"));
    }
    // A call that failed leaves it usable.
    let wrong = send_on(&mut stream, "POST", "/nowhere", &[JSON], b"[]").await;
    assert_eq!(wrong.status, 404);
    assert_eq!(send_on(&mut stream, "POST", "/test.Shop/echo", &[JSON], b"[]").await.status, 200);
}

#[tokio::test]
async fn http2_calls_run_at_once_on_one_connection() {
    let (_provider, at) = start("").await;
    let io = TokioIo::new(TcpStream::connect(at).await.unwrap());
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let call = |number: u64| {
        let mut sender = sender.clone();
        let body = Full::new(Bytes::from(format!("[{number}, 50]")));
        let request = Request::post(format!("http://{at}/test.Shop/ponder")).header(JSON.0, JSON.1);
        async move { sender.send_request(request.body(body).unwrap()).await.unwrap() }
    };
    let begun = tokio::time::Instant::now();
    let calls: Vec<_> = (0..40).map(|number| (number, tokio::spawn(call(number)))).collect();
    for (number, call) in calls {
        let response = call.await.unwrap();
        assert_eq!(response.status(), 200);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(answer["id"], number.to_string());
    }
    assert!(begun.elapsed().as_millis() < 40 * 50, "one after the other: {:?}", begun.elapsed());
}

#[tokio::test]
async fn both_faces_share_one_port() {
    let (provider, at) = start("").await;
    let consumer = support::consumer(&support::fixed(&provider), "");
    let shop: ShopClient = consumer.client().await.unwrap();
    for id in 0..20 {
        assert_eq!(shop.look(id).await.unwrap().id, id);
        let answer = post(at, "/test.Shop/look", &format!("[{id}]")).await.json();
        assert_eq!(answer["id"], id.to_string());
    }
}

#[tokio::test]
async fn a_face_that_is_not_served_is_refused() {
    let (provider, at) = start("provider.protocols = [\"dubbo\"]").await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(b"POST /test.Shop/echo HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Closed or reset, with what was sent unread.
    let _ = support::soon(stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&answer));
    let consumer = support::consumer(&support::fixed(&provider), "");
    let shop: ShopClient = consumer.client().await.unwrap();
    assert_eq!(shop.look(1).await.unwrap().id, 1);
}

#[tokio::test]
async fn bodies_in_msgpack_and_protobuf_are_taken_too() {
    let (_provider, at) = start("").await;
    let echo = |content_type: &'static str, body: &'static [u8]| {
        let headers = [("content-type", content_type)];
        async move { send(at, "POST", "/test.Shop/echo", &headers, body).await }
    };
    // Field 1 of the arguments is the text; so is field 1 of the reply.
    let proto = echo("application/proto", b"\x0a\x03bob").await;
    assert_eq!((proto.status, &*proto.body), (200, &b"\x0a\x03bob"[..]));
    assert_eq!(proto.header("content-type"), Some("application/proto"));
    let msgpack = echo("application/msgpack", b"\x91\xa3bob").await;
    assert_eq!(msgpack.status, 200, "{msgpack:?}");
    assert!(msgpack.body.ends_with(b"\xa3bob"), "{msgpack:?}");
    let wrong = echo("application/proto", b"\x0a\xff").await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
}
