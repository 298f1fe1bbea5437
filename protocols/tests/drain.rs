//! A provider on its way down: what had begun is answered, and nothing begins after it.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dubhe_protocols::Server;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc_core::client::ClientConfig;
use rpc_core::descriptor::ServiceDescriptor;
use rpc_core::server::{Dispatcher, Handler, ServerConfig};
use rpc_core::{ChannelState, Invocation, Metrics, Reply, ReplyFuture, ServiceKey};
use support::{SLOW_ECHO, Text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(20);

/// Counts its executions, which take a few turns of the runtime.
struct Counting {
    descriptor: &'static ServiceDescriptor,
    begun: Arc<AtomicUsize>,
}

impl Handler for Counting {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        self.descriptor
    }

    fn call(&self, _: usize, invocation: Invocation) -> ReplyFuture {
        let begun = self.begun.clone();
        Box::pin(async move {
            begun.fetch_add(1, Ordering::AcqRel);
            tokio::task::yield_now().await;
            Ok(Reply::new(invocation.decode::<Text>()?))
        })
    }
}

/// A provider of the test service and the number of executions that have begun.
fn counting() -> (Server, SocketAddr, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let handler = Counting { descriptor: support::descriptor(), begun: begun.clone() };
    let mut dispatcher = Dispatcher::new(support::codecs(), Metrics::new("provider"));
    dispatcher.add(ServiceKey::new("Test"), Arc::new(handler), |_, invoker| invoker).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let (server, address) = support::serve(address, dispatcher, ServerConfig::default());
    (server, address, begun)
}

/// Returns once nobody listens at `address` any more: the provider takes no new calls.
async fn refuses(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_whose_body_ends_after_the_drain_began_is_refused() {
    let (server, address, begun) = counting();
    let mut peer = TcpStream::connect(address).await.unwrap();
    let head = "POST /Test/slow_echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab";
    peer.write_all(head.as_bytes()).await.unwrap();
    // Once this is answered, the provider waits for the rest of the body of the other.
    let mut other = TcpStream::connect(address).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    other.read_exact(&mut [0; 12]).await.unwrap();
    drop(other);
    let drain = tokio::spawn(server.drain(Duration::ZERO, LONG));
    refuses(address).await;
    peer.write_all(b"cde").await.unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("the provider is shutting down"), "{answer}");
    assert_eq!(begun.load(Ordering::Acquire), 0);
    assert_eq!(drain.await.unwrap().cut_calls, 0);
}

#[tokio::test]
async fn a_notice_is_for_calls_that_come_all_the_same_and_ends_with_the_last_connection() {
    let (server, address, begun) = counting();
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, address);
    support::call(&channel, SLOW_ECHO, "x", LONG).await.unwrap();
    let drain = tokio::spawn(server.drain(LONG, LONG));
    let told = async {
        while channel.state() != ChannelState::Draining {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, told).await.expect("the consumer is told");
    assert_eq!(support::call(&channel, SLOW_ECHO, "late", LONG).await.unwrap(), "late");
    drop((channel, connector));
    let report = tokio::time::timeout(LONG / 2, drain).await.expect("nobody is left").unwrap();
    assert_eq!((report.cut_calls, report.cut_connections), (0, 0));
    assert_eq!(begun.load(Ordering::Acquire), 2);
}

#[tokio::test]
async fn http_connections_that_ask_for_nothing_end_when_a_drain_is_announced() {
    let provider = support::provider(ServerConfig::default()).await;
    let mut http1 = TcpStream::connect(provider.address).await.unwrap();
    http1.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    http1.read_exact(&mut [0; 12]).await.unwrap();
    let io = TokioIo::new(TcpStream::connect(provider.address).await.unwrap());
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, http2) = builder.handshake(io).await.unwrap();
    let http2 = tokio::spawn(http2);
    let request = hyper::Request::get("http://a/healthz").body(String::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    provider.server.announce_drain();
    let mut rest = Vec::new();
    let both = async { tokio::join!(http1.read_to_end(&mut rest), http2) };
    let (http1, http2) = tokio::time::timeout(LONG / 2, both).await.expect("they end");
    http1.unwrap();
    http2.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_begins_before_a_drain_is_answered() {
    for round in 0..30 {
        let (server, address, begun) = counting();
        let connector = support::connector(ClientConfig::default());
        let channel = support::channel(&connector, address);
        let answered = Arc::new(AtomicUsize::new(0));
        let mut callers = JoinSet::new();
        for _ in 0..8 {
            let (channel, answered) = (channel.clone(), answered.clone());
            callers.spawn(async move {
                while support::call(&channel, SLOW_ECHO, "x", LONG).await.is_ok() {
                    answered.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        while answered.load(Ordering::Acquire) < 20 + 13 * round {
            tokio::task::yield_now().await;
        }
        let report = server.drain(Duration::ZERO, LONG).await;
        assert_eq!(report.cut_calls, 0);
        callers.join_all().await;
        let (begun, answered) = (begun.load(Ordering::Acquire), answered.load(Ordering::Acquire));
        assert_eq!(begun, answered, "round {round}");
    }
}

#[tokio::test]
async fn when_a_drain_returns_neither_port_nor_connection_nor_handler_is_left() {
    let mut provider = support::provider(ServerConfig::default()).await;
    let address = provider.address;
    let mut peer = TcpStream::connect(address).await.unwrap();
    for one_way in [false, true] {
        peer.write_all(&support::frame(1, one_way, support::HANG, "x")).await.unwrap();
        assert_eq!(provider.events.recv().await.as_deref(), Some("started"));
    }
    let report = provider.server.drain(Duration::ZERO, Duration::ZERO).await;
    assert_eq!(report.cut_calls, 2);
    for _ in 0..2 {
        assert_eq!(provider.events.try_recv().as_deref(), Ok("dropped"));
    }
    std::net::TcpListener::bind(address).unwrap();
}
