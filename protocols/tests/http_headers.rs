//! Headers and metadata: what one side says reaches the other whole, or it is told what did not.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use dubhe_protocols::Server;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc_core::descriptor::ServiceDescriptor;
use rpc_core::server::{Dispatcher, Handler, ServerConfig};
use rpc_core::{Invocation, Metadata, Metrics, Reply, ReplyFuture, ServiceKey, Status};
use support::{ECHO, Text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Answers with the metadata it was given, as text; or, if the body has some, with the metadata
/// that is in the body, as `key=value` lines.
struct Mirror;

impl Handler for Mirror {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        support::descriptor()
    }

    fn call(&self, index: usize, invocation: Invocation) -> ReplyFuture {
        let seen: Vec<String> =
            invocation.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        Box::pin(async move {
            let Text(text) = invocation.decode()?;
            let pairs = text.split('|').filter_map(|pair| pair.split_once('='));
            let metadata: Metadata = pairs.collect();
            if index != ECHO {
                return Err(Status::not_found("no such article").with_metadata(metadata));
            }
            let mut reply = Reply::new(Text(seen.join("|")));
            reply.metadata = metadata;
            Ok(reply)
        })
    }
}

async fn start() -> (Server, SocketAddr) {
    let mut dispatcher = Dispatcher::new(support::codecs(), Metrics::new("provider"));
    dispatcher.add(ServiceKey::new("Test"), Arc::new(Mirror), |_, invoker| invoker).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    support::serve(address, dispatcher, ServerConfig::default())
}

/// The whole answer to a call with these header lines and this body.
async fn call(at: SocketAddr, method: &str, lines: &[u8], body: &str) -> Vec<u8> {
    let head = format!("POST /Test/{method} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
    let length = format!("content-length: {}\r\n\r\n{body}", body.len());
    let mut peer = TcpStream::connect(at).await.unwrap();
    peer.write_all(&[head.as_bytes(), lines, length.as_bytes()].concat()).await.unwrap();
    let mut answer = Vec::new();
    let read = peer.read_to_end(&mut answer);
    tokio::time::timeout(std::time::Duration::from_secs(10), read).await.unwrap().unwrap();
    answer
}

fn has(answer: &[u8], part: &[u8]) -> bool {
    answer.windows(part.len()).any(|window| window == part)
}

#[track_caller]
fn check(answer: &[u8], status: u16, part: &str) {
    let shown = String::from_utf8_lossy(answer);
    assert!(shown.starts_with(&format!("HTTP/1.1 {status} ")), "{shown}");
    assert!(has(answer, part.as_bytes()), "no {part:?} in {shown}");
}

#[tokio::test]
async fn a_header_in_utf_8_is_metadata_and_other_bytes_are_refused_by_name() {
    let (_server, at) = start().await;
    check(&call(at, "echo", "name: J\u{f6}rg\r\n".as_bytes(), "").await, 200, "name=J\u{f6}rg");
    let other = call(at, "echo", b"fine: x\r\nname: J\xf6rg\r\n", "").await;
    check(&other, 400, "header `name` is not UTF-8");
    // One of several, and those of our own.
    check(&call(at, "echo", b"name: x\r\nname: \xff\r\n", "").await, 400, "header `name`");
    for own in ["tri-service-group", "tri-service-version", "tri-service-timeout", "content-type"] {
        let lines = [own.as_bytes(), b": \xff\r\n"].concat();
        check(&call(at, "echo", &lines, "").await, 400, &format!("header `{own}` is not"));
    }
    // What is HTTP's own business is nobody's metadata.
    check(&call(at, "echo", b"user-agent: \xff\r\n", "").await, 200, "content-length: 0\r\n");
}

#[tokio::test]
async fn headers_that_have_one_value_are_refused_when_they_stand_twice() {
    let (_server, at) = start().await;
    for own in ["tri-service-group", "tri-service-version", "tri-service-timeout", "content-type"] {
        let lines = format!("{own}: 1\r\n{own}: 1\r\n");
        let answer = call(at, "echo", lines.as_bytes(), "").await;
        check(&answer, 400, &format!("header `{own}` occurs twice"));
    }
}

#[tokio::test]
async fn a_header_that_comes_several_times_is_one_value_in_its_order() {
    let (_server, at) = start().await;
    let lines = b"via: a\r\nother: x\r\nVIA: b, c\r\nvia: d\r\n";
    check(&call(at, "echo", lines, "").await, 200, "via=a, b, c, d|other=x");
    let cookies = b"cookie: a=1\r\ncookie: b=2; c=3\r\n";
    check(&call(at, "echo", cookies, "").await, 200, "cookie=a=1; b=2; c=3");
}

#[tokio::test]
async fn the_crumbs_of_an_http2_cookie_are_one_cookie() {
    let (_server, at) = start().await;
    let io = TokioIo::new(TcpStream::connect(at).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::post(format!("http://{at}/Test/echo"))
        .header("cookie", "a=1")
        .header("via", "1")
        .header("cookie", "b=2")
        .header("via", "2");
    let request = request.body(Full::new(Bytes::new())).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "cookie=a=1; b=2|via=1, 2");
    driver.abort();
}

#[tokio::test]
async fn metadata_of_an_answer_is_a_header_in_utf_8() {
    let (_server, at) = start().await;
    check(&call(at, "echo", b"", "Trace-Id=7|name=J\u{f6}rg").await, 200, "trace-id: 7\r\n");
    check(&call(at, "echo", b"", "name=J\u{f6}rg").await, 200, "name: J\u{f6}rg\r\n");
    check(&call(at, "fail", b"", "hint=buy more").await, 404, "hint: buy more\r\n");
}

#[tokio::test]
async fn metadata_that_cannot_be_a_header_fails_its_call_by_name() {
    let (_server, at) = start().await;
    for (key, value) in [
        ("line", "a\r\nset-cookie: b"),
        ("control", "a\u{1}"),
        ("no key", "a"),
        ("", "a"),
        ("content-length", "3"),
        ("content-type", "text/html"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
    ] {
        let answer = call(at, "echo", b"", &format!("fine=1|{key}={value}")).await;
        check(&answer, 500, &format!("metadata `{key}` of the answer"));
        check(&answer, 500, "\"internal\"");
        assert!(!has(&answer, b"\r\nset-cookie"), "{answer:?}");
        // What fails anyway keeps its code, and says what it could not bring.
        let failed = call(at, "fail", b"", &format!("fine=1|{key}={value}")).await;
        check(&failed, 404, "no such article");
        check(&failed, 404, &format!("metadata `{key}` of the answer"));
        check(&failed, 404, "fine: 1\r\n");
    }
}

#[tokio::test]
async fn keys_that_end_in_bin_carry_bytes_in_base64_both_ways() {
    let (_server, at) = start().await;
    // The mirror shows bytes in base64 as well. Padding may be there or not; a list is several
    // values.
    let lines = b"trace-bin: AP8=\r\nTRACE-bin: AQ, Ag==\r\n";
    check(&call(at, "echo", lines, "").await, 200, "trace-bin=AP8|trace-bin=AQ|trace-bin=Ag");
    check(&call(at, "echo", b"trace-bin: %%\r\n", "").await, 400, "`trace-bin` carries bytes");
    // Text under such a key would be read as base64.
    let answer = call(at, "echo", b"", "trace-bin=text").await;
    check(&answer, 500, "a key that ends in `-bin` has bytes");
}
