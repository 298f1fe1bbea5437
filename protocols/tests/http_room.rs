//! What a peer with many HTTP/2 streams may hold of a provider, and for how long.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc_core::server::ServerConfig;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(10);
const NAMED: &str = "raise `provider.limits.buffered`";

/// A body that sends these pieces and then ends, or hangs.
struct Pieces(VecDeque<Bytes>, bool);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if self.1 => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

fn whole(text: String) -> Pieces {
    Pieces([text.into()].into(), true)
}

/// A connection whose streams may be sent this much before the client takes it.
async fn connect(at: SocketAddr, window: u32) -> (SendRequest<Pieces>, JoinHandle<bool>) {
    let io = TokioIo::new(TcpStream::connect(at).await.unwrap());
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    let (sender, connection) = builder.handshake(io).await.unwrap();
    (sender, tokio::spawn(async move { connection.await.is_ok() }))
}

fn post(
    sender: &mut SendRequest<Pieces>,
    method: &str,
    body: Pieces,
) -> JoinHandle<Response<Incoming>> {
    let request = Request::post(format!("http://test/Test/{method}")).body(body).unwrap();
    let response = sender.send_request(request);
    tokio::spawn(async move { response.await.unwrap() })
}

async fn soon<T>(task: JoinHandle<T>) -> T {
    tokio::time::timeout(PATIENCE, task).await.expect("nothing came of it").unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn config() -> ServerConfig {
    ServerConfig {
        payload: 10_000,
        buffered: 80_000,
        write_timeout: Duration::from_millis(300),
        ..ServerConfig::default()
    }
}

#[tokio::test]
async fn bodies_that_are_gathered_share_the_room_of_their_connection() {
    let provider = support::provider(config()).await;
    let (mut sender, _connection) = connect(provider.address, 65_535).await;
    let mut open = JoinSet::new();
    for _ in 0..5 {
        let pieces = (0..9).map(|_| Bytes::from(vec![b'x'; 1000])).collect();
        let response = post(&mut sender, "echo", Pieces(pieces, false));
        open.spawn(async move { response.await.unwrap() });
    }
    // 45,000 bytes come, 40,000 have room: one of them is told so.
    let refused = tokio::time::timeout(PATIENCE, open.join_next()).await.unwrap();
    let refused = refused.unwrap().unwrap();
    assert_eq!(refused.status(), 429);
    let told = text(refused).await;
    assert!(told.contains("this connection") && told.contains(NAMED), "{told}");
    // Another connection has room of its own.
    let (mut other, _connection) = connect(provider.address, 65_535).await;
    let answer = soon(post(&mut other, "echo", whole("y".repeat(9000)))).await;
    assert_eq!(text(answer).await.len(), 9000);
    assert!(open.try_join_next().is_none(), "what had room goes on");
}

#[tokio::test]
async fn answers_that_nobody_takes_share_the_room_and_end_their_connection() {
    let provider = support::provider(config()).await;
    // With a window of one byte, HTTP/2 takes a whole piece into its own buffer.
    for window in [0, 1] {
        let (mut sender, connection) = connect(provider.address, window).await;
        let mut held = Vec::new();
        for _ in 0..4 {
            let response = soon(post(&mut sender, "large", whole("9900".into()))).await;
            assert_eq!(response.status(), 200);
            held.push(response);
        }
        let fifth = soon(post(&mut sender, "large", whole("9900".into()))).await;
        assert_eq!(fifth.status(), 429, "window {window}");
        held.push(fifth);
        soon(connection).await;
    }
    let (mut other, _connection) = connect(provider.address, 65_535).await;
    let answer = soon(post(&mut other, "large", whole("9900".into()))).await;
    assert_eq!(text(answer).await.len(), 9900);
}

#[tokio::test]
async fn large_answers_arrive_whole_through_small_windows() {
    let server = ServerConfig { write_timeout: PATIENCE, ..ServerConfig::default() };
    let provider = support::provider(server).await;
    let (mut sender, _connection) = connect(provider.address, 1000).await;
    let large: Vec<_> =
        (0..8).map(|_| post(&mut sender, "large", whole("1000000".into()))).collect();
    for response in large {
        let response = soon(response).await;
        assert_eq!(response.headers()["content-length"], "1000000");
        let body = tokio::time::timeout(PATIENCE, text(response)).await.unwrap();
        assert!(body.len() == 1_000_000 && body.bytes().all(|byte| byte == b'x'));
    }
}

#[tokio::test]
async fn a_body_that_dribbles_is_given_up() {
    let server =
        ServerConfig { header_timeout: Duration::from_millis(300), ..ServerConfig::default() };
    let provider = support::provider(server).await;
    let (mut sender, _connection) = connect(provider.address, 65_535).await;
    let began = Instant::now();
    let one = Pieces([Bytes::from_static(b"x")].into(), false);
    let response = soon(post(&mut sender, "echo", one)).await;
    assert_eq!(response.status(), 408);
    assert!(text(response).await.contains("did not arrive in time"));
    // Six times as long is for bodies that do come.
    assert!(began.elapsed() < Duration::from_millis(1600), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_refused_before_it_comes() {
    let provider = support::provider(config()).await;
    let (mut sender, _connection) = connect(provider.address, 65_535).await;
    for (length, status) in [("10001", 413), ("10000", 200)] {
        let request = Request::post("http://test/Test/echo").header("content-length", length);
        let body = match status {
            200 => whole("x".repeat(10_000)),
            _ => Pieces(VecDeque::new(), false),
        };
        let begun = Instant::now();
        let response = sender.send_request(request.body(body).unwrap());
        let response = tokio::time::timeout(PATIENCE, response).await.unwrap().unwrap();
        assert_eq!(response.status(), status);
        assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_body_that_grows_past_the_limit_is_refused_where_it_does() {
    let provider = support::provider(config()).await;
    let (mut sender, _connection) = connect(provider.address, 65_535).await;
    for (pieces, status) in [(10, 200), (11, 413)] {
        let pieces = (0..pieces).map(|_| Bytes::from(vec![b'x'; 1000])).collect();
        // It has no length, and does not end where it is too long.
        let response = soon(post(&mut sender, "echo", Pieces(pieces, status == 200))).await;
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn arguments_of_calls_that_run_share_the_room_of_their_connection() {
    let mut provider = support::provider(config()).await;
    let (mut sender, _connection) = connect(provider.address, 65_535).await;
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(post(&mut sender, "hang", whole("x".repeat(9900))));
        let begun = tokio::time::timeout(PATIENCE, provider.events.recv());
        assert_eq!(begun.await.unwrap().unwrap(), "started");
    }
    let refused = soon(post(&mut sender, "hang", whole("x".repeat(9900)))).await;
    assert_eq!(refused.status(), 429);
    assert!(text(refused).await.contains(NAMED));
    provider.release.notify_waiters();
    for call in running {
        assert_eq!(text(soon(call).await).await.len(), 9900);
    }
}

#[tokio::test]
async fn a_connection_leaves_calls_to_others() {
    let server = ServerConfig { in_flight: 4, ..ServerConfig::default() };
    let mut provider = support::provider(server).await;
    let (mut hog, _first) = connect(provider.address, 65_535).await;
    let (mut other, _second) = connect(provider.address, 65_535).await;
    // Both are open.
    for sender in [&mut hog, &mut other] {
        assert_eq!(soon(post(sender, "echo", whole("x".into()))).await.status(), 200);
    }
    let mut running = Vec::new();
    for _ in 0..2 {
        running.push(post(&mut hog, "hang", whole(String::new())));
        let begun = tokio::time::timeout(PATIENCE, provider.events.recv());
        assert_eq!(begun.await.unwrap().unwrap(), "started");
    }
    let refused = soon(post(&mut hog, "hang", whole(String::new()))).await;
    assert_eq!(refused.status(), 429);
    assert!(text(refused).await.contains("raise `provider.limits.in_flight`"));
    running.push(post(&mut other, "hang", whole(String::new())));
    let begun = tokio::time::timeout(PATIENCE, provider.events.recv());
    assert_eq!(begun.await.unwrap().unwrap(), "started");
    running.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn a_stream_that_is_reset_drops_its_handler() {
    let mut provider = support::provider(ServerConfig::default()).await;
    let (mut sender, _connection) = connect(provider.address, 65_535).await;
    let call = post(&mut sender, "hang", whole(String::new()));
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    call.abort();
    let dropped = tokio::time::timeout(Duration::from_secs(1), provider.events.recv());
    assert_eq!(dropped.await.unwrap().unwrap(), "dropped");
    assert_eq!(text(soon(post(&mut sender, "echo", whole("x".into()))).await).await, "x");
}

#[tokio::test]
async fn an_http1_peer_that_goes_drops_its_handler() {
    let mut provider = support::provider(ServerConfig::default()).await;
    let mut peer = TcpStream::connect(provider.address).await.unwrap();
    let head = b"POST /Test/hang HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut peer, head).await.unwrap();
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    drop(peer);
    let dropped = tokio::time::timeout(Duration::from_secs(1), provider.events.recv());
    assert_eq!(dropped.await.unwrap().unwrap(), "dropped");
}
