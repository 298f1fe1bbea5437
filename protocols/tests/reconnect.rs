//! Connections that are lost, refused, silent or new: what a channel makes of them.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use rpc_core::client::ClientConfig;
use rpc_core::server::ServerConfig;
use rpc_core::{Channel, ChannelState, Code, Delivery};
use support::{ECHO, HANG};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(20);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("nothing came of it")
}

/// The answer to a heartbeat.
fn pong() -> Vec<u8> {
    [&[0xda, 0xbb, 0x2d, 20][..], &[0xff; 8], &[0; 4]].concat()
}

/// Waits for the next heartbeat, whatever comes before it.
async fn heartbeat(provider: &mut TcpStream) {
    let mut head = [0; 16];
    while head[2] & 0xe0 != 0xe0 {
        provider.read_exact(&mut head).await.unwrap();
        let mut body =
            vec![0; u32::from_be_bytes([head[12], head[13], head[14], head[15]]) as usize];
        provider.read_exact(&mut body).await.unwrap();
    }
}

#[tokio::test]
async fn an_unreachable_provider_fails_without_sending_and_heals_by_itself() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, address);
    let status = support::call(&channel, ECHO, "", LONG).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Unavailable, Delivery::NotSent));
    assert!(status.message().starts_with("cannot connect: "), "{status}");
    assert_eq!(status.address(), Some(&*address.to_string()));
    assert_eq!(channel.state(), ChannelState::Down);
    let _provider = support::provider_at(address, ServerConfig::default()).await;
    assert_eq!(support::call(&channel, ECHO, "back", LONG).await.unwrap(), "back");
    assert_eq!(channel.state(), ChannelState::Ready);
}

#[tokio::test]
async fn a_lost_connection_fails_its_calls_as_maybe_sent_and_is_opened_again() {
    let mut provider = support::provider(ServerConfig::default()).await;
    let address = provider.address;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, address);
    let call = tokio::spawn(channel.invoke(support::invocation(HANG, "", LONG)));
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    drop(provider);
    let status = soon(call).await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Unavailable, Delivery::MaybeSent));
    let _provider = support::provider_at(address, ServerConfig::default()).await;
    let answer = soon(async {
        loop {
            // A try to connect that began before the new provider may still fail a call, unsent.
            match support::call(&channel, ECHO, "again", LONG).await {
                Err(status) => assert_eq!(status.delivery(), Delivery::NotSent),
                Ok(answer) => return answer,
            }
        }
    });
    assert_eq!(answer.await, "again");
}

#[tokio::test]
async fn a_silent_provider_with_calls_in_flight_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = ClientConfig {
        heartbeat: Duration::from_millis(50),
        heartbeat_timeout: Duration::from_secs(1),
        ..ClientConfig::default()
    };
    let connector = support::connector(config);
    let channel = support::channel(&connector, listener.local_addr().unwrap());
    let call = tokio::spawn(channel.invoke(support::invocation(ECHO, "", LONG)));
    let (mut provider, _) = soon(listener.accept()).await.unwrap();
    soon(heartbeat(&mut provider)).await;
    for _ in 0..3 {
        provider.write_all(&pong()).await.unwrap();
        let answered = Instant::now();
        soon(heartbeat(&mut provider)).await;
        assert!(answered.elapsed() >= Duration::from_millis(50), "asked before it was silent");
    }
    // It has been there, and is silent from now on.
    let silent = Instant::now();
    let status = call.await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Unavailable, Delivery::MaybeSent));
    assert!(status.message().contains("did not answer a heartbeat within 1s"), "{status}");
    assert!(silent.elapsed() < Duration::from_secs(4), "{:?}", silent.elapsed());
}

#[tokio::test]
async fn a_heartbeat_of_the_provider_is_answered_in_its_form() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, listener.local_addr().unwrap());
    let call = tokio::spawn(channel.invoke(support::invocation(ECHO, "", LONG)));
    let (mut provider, _) = soon(listener.accept()).await.unwrap();
    // In hessian2, as those of Dubbo are.
    let request = [0xda, 0xbb, 0xe2, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0x4e];
    provider.write_all(&request).await.unwrap();
    // What comes before the answer is a heartbeat and a request.
    let answered = async {
        loop {
            let (status, id, body) = support::answer(&mut provider).await;
            if status == 20 {
                return (id, body);
            }
        }
    };
    assert_eq!(soon(answered).await, (9, vec![0x4e]));
    call.abort();
}

#[tokio::test]
async fn a_peer_that_accepts_and_hangs_up_is_not_asked_all_the_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, address);
    let hang_up = async {
        let mut accepted = 0;
        loop {
            drop(listener.accept().await.unwrap());
            accepted += 1;
            assert!(accepted <= 6, "no backoff between connections");
        }
    };
    let calling = async {
        loop {
            let status = support::call(&channel, ECHO, "", LONG).await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable);
        }
    };
    // Half a second has room for a first try and four with backoff.
    let both = async { tokio::join!(hang_up, calling) };
    assert!(tokio::time::timeout(Duration::from_millis(500), both).await.is_err());
}

#[tokio::test]
async fn a_connection_that_was_opened_again_stays_open_without_calls() {
    let config =
        || ServerConfig { sniff_timeout: Duration::from_millis(100), ..ServerConfig::default() };
    let provider = support::provider(config()).await;
    let address = provider.address;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, address);
    support::call(&channel, ECHO, "first", LONG).await.unwrap();
    drop(provider);
    becomes(&channel, ChannelState::Down).await;
    let _provider = support::provider_at(address, config()).await;
    becomes(&channel, ChannelState::Ready).await;
    let down = becomes(&channel, ChannelState::Down);
    let closed = tokio::time::timeout(Duration::from_millis(400), down);
    assert!(closed.await.is_err(), "the provider closed a connection that said nothing");
}

/// Accepts on `address` once it is free, and says nothing to anybody.
async fn silent_at(address: std::net::SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn a_connection_is_ready_again_only_when_the_provider_has_answered() {
    let provider = support::provider(ServerConfig::default()).await;
    let address = provider.address;
    let timeout = Duration::from_millis(100);
    let config = ClientConfig { connect_timeout: timeout, ..ClientConfig::default() };
    let connector = support::connector(config);
    let channel = support::channel(&connector, address);
    support::call(&channel, ECHO, "first", LONG).await.unwrap();
    drop(provider);
    // As a stopped process: the kernel accepts, nobody reads.
    let silent = silent_at(address).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let (mut stream, _) = soon(silent.accept()).await.unwrap();
        let mut heartbeat = [0; 16];
        soon(stream.read_exact(&mut heartbeat)).await.unwrap();
        assert_eq!(heartbeat[2] & 0xe0, 0xe0, "the first word is a heartbeat");
        assert_eq!(channel.state(), ChannelState::Down);
        let status = support::call(&channel, ECHO, "", LONG).await.unwrap_err();
        assert_eq!((status.code(), status.delivery()), (Code::Unavailable, Delivery::NotSent));
        assert!(status.message().contains("did not answer a heartbeat within 100ms"), "{status}");
        held.push(stream);
    }
    drop((silent, held));
    let _provider = support::provider_at(address, ServerConfig::default()).await;
    soon(async { while support::call(&channel, ECHO, "back", LONG).await.is_err() {} }).await;
    assert_eq!(channel.state(), ChannelState::Ready);
}

#[tokio::test]
async fn the_first_connection_takes_calls_at_once_and_is_ready_with_the_first_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, listener.local_addr().unwrap());
    let call = tokio::spawn(channel.invoke(support::invocation(ECHO, "x", LONG)));
    let (mut provider, _) = soon(listener.accept()).await.unwrap();
    let mut frames = [0; 16 + 16];
    soon(provider.read_exact(&mut frames)).await.unwrap();
    assert_eq!(frames[16 + 2] & 0xe0, 0xc0, "the request follows the heartbeat at once");
    assert_eq!(channel.state(), ChannelState::Connecting);
    provider.write_all(&pong()).await.unwrap();
    becomes(&channel, ChannelState::Ready).await;
    call.abort();
}

#[tokio::test]
async fn a_channel_connects_without_a_call_and_is_ready_once_the_provider_has_answered() {
    let provider = support::provider(ServerConfig::default()).await;
    let config = ClientConfig { connect_timeout: Duration::from_millis(50), ..Default::default() };
    let connector = support::connector(config);
    let channel = support::channel(&connector, provider.address);
    assert!(channel.connect() && channel.connect());
    becomes(&channel, ChannelState::Ready).await;
    let hangs = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = support::channel(&connector, hangs.local_addr().unwrap());
    assert!(silent.connect());
    assert_eq!(silent.state(), ChannelState::Connecting);
    becomes(&silent, ChannelState::Down).await;
}

#[test]
fn a_channel_that_cannot_connect_outside_a_runtime_says_so_and_stays_as_it_is() {
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, "127.0.0.1:1".parse().unwrap());
    assert!(!channel.connect());
    assert_eq!(channel.state(), ChannelState::Idle);
}

async fn becomes(channel: &Arc<dyn Channel>, state: ChannelState) {
    let is = async {
        while channel.state() != state {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, is).await.unwrap_or_else(|_| panic!("it never was {state:?}"));
}
