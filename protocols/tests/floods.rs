//! Peers that send much of what costs them little: what it costs the provider is bounded, and others
//! are served meanwhile.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use rpc_core::client::ClientConfig;
use rpc_core::server::ServerConfig;
use support::{ECHO, HANG, Provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(20);

/// Frames of one kind in a flood: far more than sockets take.
const MANY: usize = 2_000_000;

async fn raw(provider: &Provider) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(provider.address).await.unwrap()
}

/// Another peer is served.
async fn others_are_served(provider: &Provider) {
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    assert_eq!(support::call(&channel, ECHO, "here", LONG).await.unwrap(), "here");
}

/// Sends `frame` again and again without reading anything, until the provider closes the
/// connection or takes no more for `stalled`; returns how many were sent, and whether it closed.
async fn flood(peer: &mut TcpStream, frame: &[u8], stalled: Duration) -> (usize, bool) {
    let portion = frame.repeat(1000);
    for sent in 0..MANY / 1000 {
        match tokio::time::timeout(stalled, peer.write_all(&portion)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return (sent * 1000, true),
            Err(_) => return (sent * 1000, false),
        }
    }
    (MANY, false)
}

/// Whether the provider closes before long; what it sends is thrown away.
async fn closes(peer: &mut TcpStream) -> bool {
    let mut buf = [0; 4096];
    let read = async { while peer.read(&mut buf).await.is_ok_and(|n| n > 0) {} };
    tokio::time::timeout(LONG, read).await.is_ok()
}

/// The frame of a dubbo event.
fn event(two_way: bool, body: &[u8]) -> Vec<u8> {
    let flags = if two_way { 0xed } else { 0xad };
    let length = (body.len() as u32).to_be_bytes();
    [&[0xda, 0xbb, flags, 0][..], &7_u64.to_be_bytes(), &length, body].concat()
}

#[tokio::test]
async fn heartbeats_whose_answers_nobody_takes_stop_being_read_and_end_the_connection() {
    // One that nobody ends takes no more than sockets and its answers may hold.
    let config = ServerConfig { write_timeout: LONG * 30, ..ServerConfig::default() };
    let provider = support::provider(config).await;
    let mut peer = raw(&provider).await;
    let (sent, _) = flood(&mut peer, &event(true, b""), Duration::from_secs(1)).await;
    assert!(sent < MANY, "all were read");
    others_are_served(&provider).await;
    let config = ServerConfig { write_timeout: Duration::from_secs(1), ..ServerConfig::default() };
    let provider = support::provider(config).await;
    let mut peer = raw(&provider).await;
    let (sent, closed) = flood(&mut peer, &event(true, b""), LONG).await;
    assert!(closed, "{sent} were taken");
    others_are_served(&provider).await;
}

#[tokio::test]
async fn events_that_ask_for_nothing_cost_no_room_and_keep_nobody_waiting() {
    let provider = support::provider(ServerConfig::default()).await;
    let mut peer = raw(&provider).await;
    // A cancel of a call that nobody made, an event of no meaning, an answer to nobody.
    let cancel = event(false, b"C\0\0\0\0\0\0\0\x09");
    let answer = [&[0xda, 0xbb, 0x0d, 20][..], &9_u64.to_be_bytes(), &[0, 0, 0, 1, 1]].concat();
    let mix = [cancel, event(false, b"?"), answer].concat();
    for _ in 0..20 {
        peer.write_all(&mix.repeat(1000)).await.unwrap();
        others_are_served(&provider).await;
    }
    peer.write_all(&support::frame(1, false, ECHO, "still here")).await.unwrap();
    assert!(support::answer(&mut peer).await.2.ends_with(b"still here"));
}

#[tokio::test]
async fn an_id_in_use_is_refused_and_its_first_call_goes_on() {
    let mut provider = support::provider(ServerConfig::default()).await;
    let mut peer = raw(&provider).await;
    peer.write_all(&support::frame(5, false, HANG, "first")).await.unwrap();
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    for _ in 0..100 {
        // Whether it is polled at once or not, the second does not take the first one's place.
        peer.write_all(&support::frame(5, false, HANG, "second")).await.unwrap();
        let (status, id, body) = support::answer(&mut peer).await;
        assert_eq!((status, id), (40, 5));
        assert!(String::from_utf8_lossy(&body).contains("request id 5 is in use"), "{body:?}");
    }
    provider.release.notify_waiters();
    let (status, id, body) = support::answer(&mut peer).await;
    assert!((status, id) == (20, 5) && body.ends_with(b"first"), "{body:?}");
}

#[tokio::test]
async fn a_head_over_its_limits_is_refused_in_few_words() {
    let provider = support::provider(ServerConfig::default()).await;
    let mut peer = raw(&provider).await;
    let path = [&[1, 0x80, 0x80, 0x40][..], &[1; 1 << 20]].concat();
    let entries = [&b"\x02\x09Test/echo\x81\x01"[..], &[0; 300]].concat();
    let metadata = [&b"\x02\x09Test/echo\x01\x01k\x80\x80\x02"[..], &[b'v'; 1 << 15]].concat();
    for (body, limit) in [
        (path, "more than 1024 bytes"),
        (entries, "more than 128 entries of metadata"),
        (metadata, "more than 16 KiB of metadata"),
    ] {
        let length = (body.len() as u32).to_be_bytes();
        let id = 3_u64.to_be_bytes();
        let frame = [&[0xda, 0xbb, 0xcd, 0][..], &id, &length, &body].concat();
        peer.write_all(&frame).await.unwrap();
        let (status, id, answer) = support::answer(&mut peer).await;
        assert_eq!((status, id), (40, 3));
        let told = String::from_utf8_lossy(&answer);
        assert!(answer.len() < 200 && told.contains(limit), "{told}");
    }
}

#[tokio::test]
async fn connections_without_a_byte_are_closed_in_time() {
    let config =
        ServerConfig { sniff_timeout: Duration::from_millis(300), ..ServerConfig::default() };
    let provider = support::provider(config).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(raw(&provider).await);
    }
    others_are_served(&provider).await;
    for peer in &mut silent {
        assert!(closes(peer).await);
    }
}

// === HTTP/2 ===

/// A frame of HTTP/2.
fn h2(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection that has said what an HTTP/2 client says first.
async fn raw_h2(provider: &Provider) -> TcpStream {
    let mut peer = raw(provider).await;
    peer.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    peer.write_all(&h2(4, 0, 0, &[])).await.unwrap();
    peer
}

/// Header block of `POST http://a/Test/hang`.
const HEAD: &[u8] = b"\x83\x86\x04\x0a/Test/hang\x01\x01a";

#[tokio::test]
async fn a_header_without_end_ends_its_connection() {
    let provider = support::provider(ServerConfig::default()).await;
    let mut peer = raw_h2(&provider).await;
    // Literal headers without indexing, each 1,000 bytes, in CONTINUATION frames that never end it.
    let field = [&b"\x00\x01x\x7f\xe9\x06"[..], &[b'y'; 1000]].concat();
    peer.write_all(&h2(1, 0x1, 1, HEAD)).await.unwrap();
    let (sent, closed) = flood(&mut peer, &h2(9, 0, 1, &field), LONG).await;
    assert!(closed && sent < 100_000, "{sent} were taken");
    others_are_served(&provider).await;
}

/// A provider that has little patience with heads, and none who waits for it to end.
async fn impatient() -> Provider {
    let config = ServerConfig {
        header_timeout: Duration::from_millis(300),
        idle_timeout: LONG * 30,
        ..ServerConfig::default()
    };
    support::provider(config).await
}

#[tokio::test]
async fn http2_without_a_request_ends_in_time() {
    let provider = impatient().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = h2(4, 0, 0, &[]);
    for first in [
        preface.to_vec(),
        [preface, &settings[..]].concat(),
        [preface, &settings[..4]].concat(),
        // Half a head, and a whole one that is to be continued.
        [preface, &settings[..], &h2(1, 0x5, 1, HEAD)[..12]].concat(),
        [preface, &settings[..], &h2(1, 0x1, 1, HEAD)].concat(),
        [preface, &settings[..], &h2(1, 0x1, 1, HEAD), &h2(9, 0, 1, b"")].concat(),
    ] {
        let mut peer = raw(&provider).await;
        peer.write_all(&first).await.unwrap();
        assert!(closes(&mut peer).await, "{first:?}");
    }
    others_are_served(&provider).await;
}

#[tokio::test]
async fn http2_that_answers_pings_but_asks_for_nothing_ends_in_time() {
    let provider = impatient().await;
    let mut peer = raw_h2(&provider).await;
    // What comes in between does not give it more time.
    let chatter = async {
        while peer.write_all(&h2(6, 0, 0, &[0; 8])).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, chatter).await.unwrap();
}

#[tokio::test]
async fn a_later_head_of_http2_that_never_ends_ends_its_connection() {
    let mut provider = impatient().await;
    for rest in [h2(1, 0x1, 3, HEAD), h2(1, 0x5, 3, HEAD)[..20].to_vec(), vec![0]] {
        let mut peer = raw_h2(&provider).await;
        peer.write_all(&h2(1, 0x5, 1, HEAD)).await.unwrap();
        assert_eq!(provider.events.recv().await.unwrap(), "started");
        peer.write_all(&rest).await.unwrap();
        assert!(closes(&mut peer).await, "{rest:?}");
        assert_eq!(provider.events.recv().await.unwrap(), "dropped");
    }
}

#[tokio::test]
async fn http2_that_has_asked_may_wait_as_long_as_its_answer_takes() {
    let mut provider = impatient().await;
    let mut peer = raw_h2(&provider).await;
    peer.write_all(&h2(1, 0x5, 1, HEAD)).await.unwrap();
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    let mut read = Vec::new();
    let wait = async { while peer.read_buf(&mut read).await.is_ok_and(|n| n > 0) {} };
    tokio::time::timeout(Duration::from_millis(900), wait).await.expect_err("it was closed");
    provider.release.notify_waiters();
    // `:status: 200`
    while !read.contains(&0x88) {
        let n = tokio::time::timeout(LONG, peer.read_buf(&mut read)).await.unwrap().unwrap();
        assert!(n > 0, "it was closed without an answer");
    }
}

#[tokio::test]
async fn http2_that_answers_no_ping_ends_in_time_whatever_runs() {
    let config = ServerConfig {
        header_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(400),
        ..ServerConfig::default()
    };
    let mut provider = support::provider(config).await;
    let mut peer = raw_h2(&provider).await;
    peer.write_all(&h2(1, 0x5, 1, HEAD)).await.unwrap();
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    assert!(closes(&mut peer).await);
    assert_eq!(provider.events.recv().await.unwrap(), "dropped");
}

/// Kind, stream and payload of the next frame.
async fn next_h2(peer: &mut TcpStream) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    peer.read_exact(&mut head).await.unwrap();
    let [a, b, c, kind, _, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    peer.read_exact(&mut payload).await.unwrap();
    (kind, u32::from_be_bytes(stream), payload)
}

#[tokio::test]
async fn http2_may_have_256_streams_at_a_time() {
    let provider = support::provider(ServerConfig::default()).await;
    let mut peer = raw_h2(&provider).await;
    let (kind, _, settings) = tokio::time::timeout(LONG, next_h2(&mut peer)).await.unwrap();
    // SETTINGS, of which MAX_CONCURRENT_STREAMS is the third.
    let streams = settings.chunks(6).find(|setting| setting[..2] == [0, 3]);
    assert_eq!((kind, streams), (4, Some(&[0, 3, 0, 0, 1, 0][..])));
}

#[tokio::test]
async fn a_body_that_nobody_wants_any_more_is_read_for_a_moment_only() {
    let provider = support::provider(ServerConfig::default()).await;
    let mut peer = raw_h2(&provider).await;
    // A content type that is not spoken, and a body that does not come.
    let head = [HEAD, b"\x0f\x10\x03a/b"].concat();
    peer.write_all(&h2(1, 0x4, 1, &head)).await.unwrap();
    let mut answered = None;
    let reset = async {
        loop {
            match next_h2(&mut peer).await {
                (1, 1, _) => answered = Some(Instant::now()),
                (3, 1, _) => break,
                _ => {}
            }
        }
    };
    tokio::time::timeout(LONG / 2, reset).await.expect("its stream is ended");
    // One that is reset too soon loses its answer.
    let read_for = answered.expect("it is told why").elapsed();
    assert!(read_for >= Duration::from_millis(900), "{read_for:?}");
}

#[tokio::test]
async fn http1_that_is_told_and_then_silent_ends_in_time() {
    let provider = impatient().await;
    for first in ["POST ", "GET / HTTP/1.1\r\n", "POST /Test/echo HTTP/1.1\r\nhost: a\r\n"] {
        let mut peer = raw(&provider).await;
        peer.write_all(first.as_bytes()).await.unwrap();
        assert!(closes(&mut peer).await, "{first:?}");
    }
    others_are_served(&provider).await;
}

#[tokio::test]
async fn pings_and_settings_whose_answers_nobody_takes_stop_being_read() {
    for frame in [h2(6, 0, 0, &[0; 8]), h2(4, 0, 0, &[])] {
        let provider = support::provider(ServerConfig::default()).await;
        let mut peer = raw_h2(&provider).await;
        let (sent, _) = flood(&mut peer, &frame, Duration::from_secs(1)).await;
        assert!(sent < MANY, "all were read");
        others_are_served(&provider).await;
    }
}

#[tokio::test]
async fn streams_that_are_opened_and_reset_end_their_connection_and_leave_no_calls() {
    // Calls whose bodies are to come, and calls that are whole and run.
    for is_whole in [false, true] {
        let flags = if is_whole { 0x5 } else { 0x4 };
        let mut provider = support::provider(ServerConfig::default()).await;
        let mut peer = raw_h2(&provider).await;
        let mut sent = 0_u32;
        while is_whole && sent < 10 {
            let stream = sent * 2 + 1;
            peer.write_all(&h2(1, flags, stream, HEAD)).await.unwrap();
            assert_eq!(provider.events.recv().await.unwrap(), "started");
            peer.write_all(&h2(3, 0, stream, &8_u32.to_be_bytes())).await.unwrap();
            assert_eq!(provider.events.recv().await.unwrap(), "dropped");
            sent += 1;
        }
        let ended = loop {
            let mut portion = Vec::new();
            for _ in 0..100 {
                let stream = sent * 2 + 1;
                portion.extend(h2(1, flags, stream, HEAD));
                portion.extend(h2(3, 0, stream, &8_u32.to_be_bytes()));
                sent += 1;
            }
            if peer.write_all(&portion).await.is_err() {
                break true;
            }
            if sent > 1_000_000 {
                break false;
            }
        };
        assert!(ended, "all of {sent} were borne");
        others_are_served(&provider).await;
        let report = provider.server.drain(Duration::ZERO, Duration::from_secs(1)).await;
        assert_eq!(report.cut_calls, 0, "left of {sent}");
    }
}
