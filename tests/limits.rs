//! What a provider and a consumer bear: bad peers, too many of anything, calls nobody waits for.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{Delivery, RunningProvider};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::http::post;
use support::process::{self, ProviderCommand};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use support::{Dice, memory, soon, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

#[test]
fn becomes_a_provider() {
    process::become_provider();
}

/// A provider with these settings, and a client of it.
async fn open(toml: &str) -> (RunningProvider, ShopClient) {
    let provider = support::provider(&memory(), toml).serve(ShopServer::new(Clerk::new("a")));
    let provider = provider.start().await.unwrap();
    let client = support::consumer(&support::fixed(&provider), toml).client().await.unwrap();
    (provider, client)
}

/// Whether the peer closes before it sends anything.
async fn closes(stream: &mut TcpStream) -> bool {
    // A reset is as good as an end.
    soon(stream.read(&mut [0; 1])).await.unwrap_or(0) == 0
}

#[tokio::test]
async fn connections_past_the_limit_are_closed_and_the_others_live() {
    // A silent one past the limit has a deadline of its own, a shorter one.
    let (provider, shop) =
        open("provider.limits.connections = 3\nprovider.limits.sniff_timeout = \"60s\"").await;
    shop.look(1).await.unwrap();
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(TcpStream::connect(provider.local_addr()).await.unwrap());
    }
    let mut refused = TcpStream::connect(provider.local_addr()).await.unwrap();
    assert!(closes(&mut refused).await);
    shop.look(2).await.unwrap();
    // When one goes there is room for another.
    drop(open);
    until("there is room", async || {
        let mut stream = TcpStream::connect(provider.local_addr()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.ok()?;
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.ok()?;
        (&start == b"HTTP/1.1 200").then_some(())
    })
    .await;
}

const FULL: &str = "1 connections are open already; raise `provider.limits.connections`";

#[tokio::test]
async fn a_peer_past_the_limit_of_connections_is_told_so_in_the_face_it_speaks() {
    let (provider, first) = open("provider.limits.connections = 1").await;
    first.look(1).await.unwrap();
    let second = support::consumer(&support::fixed(&provider), "consumer.retries = 0");
    let second: ShopClient = second.client().await.unwrap();
    // The call that opens the connection, and one that meets it after it was refused.
    for _ in 0..2 {
        let status = second.look(2).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, FULL), "{status}");
        assert!(matches!(status.delivery(), Delivery::Refused | Delivery::NotSent), "{status}");
    }
    let http = post(provider.local_addr(), "/test.Shop/look", "[1]").await;
    assert_eq!((http.status, http.error()), (503, ("resource_exhausted".into(), FULL.into())));
    let http2 = post_http2(provider.local_addr(), "/test.Shop/look", "[1]").await;
    assert_eq!((http2.0, http2.1["message"].as_str()), (503, Some(FULL)));
    first.look(3).await.unwrap();
    // With room again the refused consumer recovers by itself.
    drop(first);
    until("there is room", async || second.look(4).await.ok()).await;
}

#[tokio::test]
async fn a_peer_whose_face_is_not_served_is_told_the_setting() {
    let (json_only, shop) = open("provider.protocols = [\"json\"]\nconsumer.retries = 0").await;
    let status = shop.look(1).await.unwrap_err();
    let text = "dubbo is not served on this port; add it to `provider.protocols`";
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, text), "{status}");
    assert_eq!(post(json_only.local_addr(), "/test.Shop/look", "[1]").await.status, 200);
    let (dubbo_only, shop) = open("provider.protocols = [\"dubbo\"]").await;
    let http = post(dubbo_only.local_addr(), "/test.Shop/look", "[1]").await;
    let text = "json is not served on this port; add it to `provider.protocols`";
    assert_eq!((http.status, http.error()), (503, ("unimplemented".into(), text.into())));
    shop.look(2).await.unwrap();
}

/// Status and body of a POST over HTTP/2.
async fn post_http2(at: std::net::SocketAddr, path: &str, json: &str) -> (u16, serde_json::Value) {
    let io = TokioIo::new(TcpStream::connect(at).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = hyper::Request::post(format!("http://{at}{path}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(json.to_owned())));
    let response = soon(sender.send_request(request.unwrap())).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    driver.abort();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn calls_past_the_limit_in_flight_are_refused_by_the_name_of_its_setting() {
    let (provider, shop) = open("provider.limits.in_flight = 5\nconsumer.retries = 0").await;
    let mut running = JoinSet::new();
    for id in 0..5 {
        let shop = shop.clone();
        running.spawn(async move { shop.ponder(id, 60_000).await });
    }
    shop.look(1).await.unwrap();
    let status = shop.ponder(6, 60_000).await.unwrap_err();
    let text = "5 calls run already; raise `provider.limits.in_flight`";
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, text), "{status}");
    assert_eq!(status.delivery(), Delivery::Refused, "it may be sent elsewhere");
    let http = post(provider.local_addr(), "/test.Shop/look", "[1]").await;
    assert_eq!((http.status, &*http.error().1), (429, text));
    // Given up, they make room.
    running.abort_all();
    until("there is room", async || shop.ponder(7, 1).await.ok()).await;
}

#[tokio::test]
async fn one_connection_has_at_most_half_of_the_calls_while_others_are_open() {
    let (provider, hog) = open("provider.limits.in_flight = 5\nconsumer.retries = 0").await;
    let mut running = JoinSet::new();
    let mut begin = |shop: &ShopClient, calls: std::ops::Range<u64>| {
        for id in calls {
            let shop = shop.clone();
            running.spawn(async move { shop.ponder(id, 60_000).await });
        }
    };
    begin(&hog, 0..2);
    hog.look(1).await.unwrap();
    let other = support::consumer(&support::fixed(&provider), "consumer.retries = 0");
    let other: ShopClient = other.client().await.unwrap();
    other.look(2).await.unwrap();
    begin(&hog, 2..3);
    hog.look(3).await.unwrap();
    let status = hog.ponder(4, 60_000).await.unwrap_err();
    let text = "this caller runs 3 of 5 calls and leaves 2 to others, so it has no more; raise \
                `provider.limits.in_flight`";
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, text), "{status}");
    assert_eq!(status.delivery(), Delivery::Refused, "it may be sent elsewhere");
    // There is room left for the others.
    other.ponder(5, 1).await.unwrap();
    // Alone, it may have all.
    drop(other);
    until("it is alone", async || hog.ponder(6, 1).await.ok()).await;
}

#[tokio::test]
async fn a_request_over_the_limit_names_the_setting_and_the_connection_lives() {
    let (provider, _) = open("provider.limits.payload = \"10KiB\"").await;
    let strict =
        support::consumer(&support::fixed(&provider), "consumer.limits.payload = \"1KiB\"");
    let strict: ShopClient = strict.client().await.unwrap();
    let lax: ShopClient = support::consumer(&support::fixed(&provider), "").client().await.unwrap();
    for (shop, len, setting, delivery) in [
        (&strict, 2_000, "consumer.limits.payload", Delivery::NotSent),
        (&lax, 20_000, "provider.limits.payload", Delivery::Refused),
        (&lax, 2_000_000, "provider.limits.payload", Delivery::Refused),
    ] {
        let status = shop.echo("a".repeat(len)).await.unwrap_err();
        assert_eq!((status.code(), status.delivery()), (Code::InvalidArgument, delivery));
        assert!(status.message().contains(setting), "{status}");
        assert_eq!(shop.echo("b".into()).await.unwrap(), "b");
    }
}

#[tokio::test]
async fn exactly_eight_mebibytes_pass_and_one_byte_more_does_not() {
    const LIMIT: usize = 8 << 20;
    let (provider, shop) = open("[consumer.limits]\npayload = \"16MiB\"").await;
    let refused = async |len: usize| {
        let status = shop.echo("a".repeat(len)).await.unwrap_err();
        assert_eq!((status.code(), status.delivery()), (Code::InvalidArgument, Delivery::Refused));
        let (_, rest) = status.message().split_once("too large: ").unwrap();
        rest.split_once(',').unwrap().0.parse::<usize>().unwrap()
    };
    // What stands around the text is known from what is refused.
    let around = refused(LIMIT).await - LIMIT;
    assert_eq!(shop.echo("a".repeat(LIMIT - around)).await.unwrap().len(), LIMIT - around);
    assert_eq!(refused(LIMIT - around + 1).await, LIMIT + 1);
    let padded = |len: usize| format!("[{}\"a\"]", " ".repeat(len - 5));
    let at = provider.local_addr();
    assert_eq!(post(at, "/test.Shop/echo", &padded(LIMIT)).await.status, 200);
    assert_eq!(post(at, "/test.Shop/echo", &padded(LIMIT + 1)).await.status, 413);
    assert_eq!(shop.echo("b".into()).await.unwrap(), "b");
}

#[tokio::test]
async fn an_answer_over_the_limit_names_the_setting_and_the_connection_lives() {
    let talkative = ShopServer::new(Clerk::new(&"a".repeat(5000)));
    let provider = support::provider(&memory(), "").serve(talkative).start().await.unwrap();
    let consumer =
        support::consumer(&support::fixed(&provider), "consumer.limits.payload = \"1KiB\"");
    let shop: ShopClient = consumer.client().await.unwrap();
    let status = shop.look(1).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("`consumer.limits.payload`"), "{status}");
    assert_eq!(shop.echo("b".into()).await.unwrap(), "b");
}

#[tokio::test]
async fn slow_and_silent_connections_are_closed_while_others_are_served() {
    let toml = "[provider.limits]\nsniff_timeout = \"300ms\"\nheader_timeout = \"300ms\"";
    let (provider, shop) = open(toml).await;
    let begun = Instant::now();
    let mut bad = JoinSet::new();
    for number in 0..500 {
        let at = provider.local_addr();
        bad.spawn(async move {
            let mut stream = TcpStream::connect(at).await.unwrap();
            let (start, dribbles): (&[u8], bool) = match number % 9 {
                0 => (b"", false),
                1 => (b"P", false),
                2 => (b"POST / HTTP/1.1\r\nhost:", false),
                3 => (b"POST / HTTP/1.1\r\nhost:", true),
                4 => (b"\xda\xbb\xe2\0\0\0", false),
                5 => (b"\xda\xbb\xcd\0\0\0\0\0\0\0\0\x01\0\x0f\0\0", true),
                6 => (b"PRI * HTTP/2.0\r\n", false),
                7 => (b"POST /test.Shop/look HTTP/1.1\r\ncontent-length: 9999\r\n\r\n", true),
                _ => (b"hello", false),
            };
            // One that is closed already need not take it.
            let mut taken = stream.write_all(start).await;
            let (mut read, mut write) = stream.split();
            let mut rest = Vec::new();
            let closed = read.read_to_end(&mut rest);
            tokio::pin!(closed);
            while dribbles && taken.is_ok() {
                let pause = tokio::time::sleep(Duration::from_millis(20));
                tokio::select! {
                    _ = &mut closed => return,
                    () = pause => taken = write.write_all(b"x").await,
                }
            }
            let _ = closed.await;
        });
    }
    let mut served = 0;
    let all = async { while bad.join_next().await.is_some() {} };
    tokio::pin!(all);
    loop {
        tokio::select! {
            () = &mut all => break,
            answer = shop.look(served) => { answer.unwrap(); served += 1 }
        }
        assert!(begun.elapsed() < Duration::from_secs(8), "they stay open");
    }
    assert!(served > 100, "{served}");
}

#[tokio::test]
async fn a_full_table_of_descriptors_is_survived() {
    let (_registry, url) = support::registry(0).await;
    let provider = ProviderCommand::new("a", &url).after("ulimit -n 64").start().await;
    let shop: ShopClient = support::consumer(&url, "").client().await.unwrap();
    shop.look(1).await.unwrap();
    let mut open = Vec::new();
    for _ in 0..200 {
        open.push(TcpStream::connect(provider.address()).await.unwrap());
    }
    // The connection there is goes on; new ones come when there is room again.
    shop.look(2).await.unwrap();
    drop(open);
    let newcomer: ShopClient = support::consumer(&url, "").client().await.unwrap();
    assert_eq!(soon(newcomer.look(3)).await.unwrap().who, "a");
}

#[tokio::test]
async fn frames_that_are_no_frames_end_their_connection_alone() {
    let (provider, shop) = open("").await;
    let mut dice = Dice::new(7);
    for length in 0..200 {
        let mut stream = TcpStream::connect(provider.local_addr()).await.unwrap();
        let mut bytes = vec![0xda, 0xbb];
        bytes.extend((0..length).map(|_| dice.below(256) as u8));
        let _ = stream.write_all(&bytes).await;
    }
    // Longer than any frame may be.
    let mut stream = TcpStream::connect(provider.local_addr()).await.unwrap();
    stream.write_all(b"\xda\xbb\xed\0\0\0\0\0\0\0\0\x01\xff\xff\xff\xff").await.unwrap();
    assert!(closes(&mut stream).await);
    shop.look(1).await.unwrap();
}

/// Calls that are given up.
const CANCELLED: u64 = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_late_answer_of_a_cancelled_call_reaches_another_caller() {
    let (_provider, shop) = open("provider.limits.in_flight = 100000").await;
    shop.look(0).await.unwrap();
    let (cancelled, next) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(1)));
    let failed = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for seed in 0..64 {
        let (shop, next) = (shop.clone(), next.clone());
        let (cancelled, failed) = (cancelled.clone(), failed.clone());
        callers.spawn(async move {
            let mut dice = Dice::new(seed);
            let mut answered = 0_u64;
            while cancelled.load(Ordering::Acquire) < CANCELLED && !failed.load(Ordering::Acquire) {
                let id = next.fetch_add(1, Ordering::AcqRel);
                let polls = dice.below(6);
                let answer = match dice.below(8) {
                    0 => polled(polls, shop.ponder(id, dice.below(3))).await,
                    _ => polled(polls, shop.look(id)).await,
                };
                match answer {
                    None => drop(cancelled.fetch_add(1, Ordering::AcqRel)),
                    Some(answer) if answer.as_ref().is_ok_and(|answer| answer.id == id) => {
                        answered += 1;
                    }
                    Some(wrong) => {
                        failed.store(true, Ordering::Release);
                        panic!("asked for {id}, got {wrong:?}");
                    }
                }
            }
            answered
        });
    }
    let mut answered = 0;
    while let Some(caller) =
        tokio::time::timeout(Duration::from_secs(60), callers.join_next()).await.unwrap()
    {
        answered += caller.unwrap();
    }
    assert!(answered > 1000, "only {answered} calls were waited for");
    assert!(cancelled.load(Ordering::Acquire) >= CANCELLED);
    assert_eq!(shop.look(u64::MAX).await.unwrap().id, u64::MAX);
}

/// The outcome of `call` if it has one within so many polls, else it is dropped. With 5 polls it
/// is waited for.
async fn polled<T>(polls: u64, call: impl Future<Output = T>) -> Option<T> {
    let mut call = std::pin::pin!(call);
    if polls == 5 {
        return Some(call.await);
    }
    for _ in 0..=polls {
        let now = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx))).await;
        if let std::task::Poll::Ready(answer) = now {
            return Some(answer);
        }
        tokio::task::yield_now().await;
    }
    None
}
