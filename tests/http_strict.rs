//! Requests that two readers could take for two different things, or that are refused anyway: none
//! reaches a handler, and none is waited for.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::http::{raw, read, send};
use support::soon;
use support::till::{LINE, Running};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_body_of_two_content_types_is_refused() {
    let till = Running::with("").await;
    let both = [("content-type", "application/json"), ("content-type", "text/plain")];
    for headers in [[both[0], both[1]], [both[1], both[0]], [both[0], both[0]]] {
        let twice = till.post(&headers).await;
        assert_eq!(twice.status, 400, "{twice:?}");
        assert!(twice.error().1.contains("`content-type` occurs twice"), "{twice:?}");
    }
    assert_eq!(till.paid(), 0);
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    let till = Running::with("").await;
    for lines in [
        &[LINE][..],
        &[LINE, "Host: localhost", "Host: localhost"],
        &[LINE, "Host: localhost", "Host: evil.example"],
        &["POST /test.Till/pay HTTP/1.0", "Host: localhost", "Host: localhost"],
        &["POST http://localhost/test.Till/pay HTTP/1.1"],
        &[LINE, "Host:"],
        &[LINE, "Host: localhost, evil.example"],
        &[LINE, "Host: evil.example@localhost"],
        &[LINE, "Host: localhost:port"],
        &[LINE, "Host: localhost/"],
        &[LINE, "Host: local\u{e4}host"],
    ] {
        let answer = till.post_raw(lines).await;
        assert_eq!(answer.status, 400, "{lines:?}: {answer:?}");
        let (code, text) = answer.error();
        assert!(code == "invalid_argument" && text.contains("Host"), "{lines:?}: {text}");
    }
    assert_eq!(till.paid(), 0);
}

#[tokio::test]
async fn a_target_that_names_its_host_is_the_one_that_counts() {
    let till = Running::with("").await;
    let own = "POST http://localhost:80/test.Till/pay HTTP/1.1";
    assert_eq!(till.post_raw(&[own, "Host: evil.example"]).await.status, 200);
    let other = "POST http://evil.example/test.Till/pay HTTP/1.1";
    assert_eq!(till.post_raw(&[other, "Host: localhost"]).await.status, 421);
    assert_eq!(till.paid(), 1);
}

#[tokio::test]
async fn http2_names_its_host_too_and_does_not_name_another() {
    let till = Running::with("").await;
    let io = TokioIo::new(TcpStream::connect(till.at).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let driver = tokio::spawn(connection);
    for (authority, host, status) in [
        ("localhost", None, 200),
        ("localhost", Some("LOCALHOST"), 200),
        ("evil.example", None, 421),
        ("localhost", Some("evil.example"), 400),
        ("evil.example", Some("localhost"), 400),
    ] {
        let mut request = Request::post(format!("http://{authority}/test.Till/pay"))
            .header("content-type", "application/json");
        if let Some(host) = host {
            request = request.header("host", host);
        }
        // Without a body its arguments are not to be read, which is as good as a call.
        let response = soon(sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()));
        let response = response.await.unwrap();
        let text = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let reached = bytes.windows(13).any(|part| part == b"test.Till/pay");
        match status {
            200 => assert!(text == 400 && reached, "{authority} {host:?}: {text} {bytes:?}"),
            _ => assert!(text == status && !reached, "{authority} {host:?}: {text} {bytes:?}"),
        }
    }
    driver.abort();
}

#[tokio::test]
async fn a_path_with_an_empty_segment_is_refused() {
    let till = Running::with("").await;
    for path in [
        "//test.Till/pay",
        "///test.Till/pay",
        "/test.Till//pay",
        "/test.Till/pay/",
        "//",
        "http://localhost//test.Till/pay",
    ] {
        let line = format!("POST {path} HTTP/1.1");
        let answer = till.post_raw(&[&line, "Host: localhost"]).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert!(answer.error().1.contains("empty segment"), "{path}: {answer:?}");
    }
    assert_eq!(till.paid(), 0);
}

#[tokio::test]
async fn a_key_that_stands_twice_is_refused_by_its_name() {
    let till = Running::with("").await;
    for body in [r#"{"to":"a","to":"b"}"#, r#"{"to":null,"to":"b"}"#, r#"{"to":"a","t\u006f":"a"}"#]
    {
        let headers = [("content-type", "application/json")];
        let answer = send(till.at, "POST", "/test.Till/pay", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 400, "{body}");
        let (code, text) = answer.error();
        assert!(code == "invalid_argument" && text.contains("`to` occurs twice"), "{body}: {text}");
    }
    assert_eq!(till.paid(), 0);
}

#[tokio::test]
async fn a_length_over_the_limit_is_refused_before_anything_of_the_body_came() {
    let till = Running::with("provider.limits.payload = \"1KiB\"").await;
    for expect in ["", "Expect: 100-continue\r\n"] {
        let head = format!("{LINE}\r\nHost: localhost\r\n{expect}Content-Length: 1025\r\n\r\n");
        let mut stream = TcpStream::connect(till.at).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let begun = tokio::time::Instant::now();
        let answer = soon(read(&mut stream)).await;
        assert_eq!(answer.status, 413, "{answer:?}");
        assert!(answer.error().1.contains("`provider.limits.payload`"), "{answer:?}");
        assert!(begun.elapsed().as_millis() < 900, "waited {:?}", begun.elapsed());
        // And then it is not waited for long.
        assert_eq!(soon(stream.read(&mut [0; 1])).await.unwrap_or(0), 0);
    }
    // One that comes after all leaves its connection usable.
    let mut stream = TcpStream::connect(till.at).await.unwrap();
    let head = format!("{LINE}\r\nHost: localhost\r\nContent-Length: 1025\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(soon(read(&mut stream)).await.status, 413);
    stream.write_all(&[b' '; 1025]).await.unwrap();
    let next = format!("{LINE}\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n[\"bob\"]");
    stream.write_all(next.as_bytes()).await.unwrap();
    assert_eq!(soon(read(&mut stream)).await.status, 200);
}

#[tokio::test]
async fn other_refusals_come_before_the_body_too() {
    let till = Running::with("").await;
    for (head, status) in [
        ("POST /nowhere/pay HTTP/1.1\r\nHost: localhost", 404),
        ("PUT /test.Till/pay HTTP/1.1\r\nHost: localhost", 405),
        ("POST /test.Till/pay HTTP/1.1\r\nHost: evil.example", 421),
        ("POST /test.Till/pay HTTP/1.1\r\nHost: localhost\r\nOrigin: null", 415),
    ] {
        let begun = tokio::time::Instant::now();
        let head = format!("{head}\r\nContent-Length: 100\r\n\r\n");
        let answer = raw(till.at, head.as_bytes()).await;
        assert_eq!(answer.status, status, "{head}");
        assert!(begun.elapsed().as_millis() < 900, "waited {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_head_that_two_readers_could_take_for_two_things_is_refused_or_ends_its_connection() {
    let till = Running::with("").await;
    for line in [
        "Content-Length : 7",
        "Content-Length: 7\r\nContent-Length: 8",
        "Content-Length: 7\r\nX: a\r\n b",
        "Content-Length: +7",
        "Content-Length: 7\r\nX\0: a",
        "Content-Length: 7\r\nX: a\0b",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, gzip",
    ] {
        let head = format!("{LINE}\r\nHost: localhost\r\n{line}\r\n\r\n[\"bob\"]");
        let answer = raw(till.at, head.as_bytes()).await;
        assert_eq!(answer.status, 400, "{line:?}: {answer:?}");
    }
    assert_eq!(till.paid(), 0);
    // Chunks decide where both are given, and nothing after them is a request.
    let chunked = "Transfer-Encoding: chunked\r\n\r\n7\r\n[\"bob\"]\r\n0\r\n\r\n";
    let smuggled = format!("{LINE}\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n[\"bob\"]");
    let both = format!("{LINE}\r\nHost: localhost\r\nContent-Length: 4\r\n{chunked}{smuggled}");
    let mut stream = TcpStream::connect(till.at).await.unwrap();
    stream.write_all(both.as_bytes()).await.unwrap();
    assert_eq!(soon(read(&mut stream)).await.status, 200);
    assert_eq!(soon(stream.read(&mut [0; 1])).await.unwrap_or(0), 0, "it went on");
    assert_eq!(till.paid(), 1);
}
