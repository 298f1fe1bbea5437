//! Calls that nobody waits for any more, at each place where they may be.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rpc_core::client::ClientConfig;
use rpc_core::descriptor::ServiceDescriptor;
use rpc_core::server::{Dispatcher, Handler, ServerConfig};
use rpc_core::{ChannelState, Code, Delivery, Invocation, Metrics, Reply, ReplyFuture, ServiceKey};
use support::{ECHO, Text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(20);

/// Flags and body of the next frame.
async fn frame(peer: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 16];
    peer.read_exact(&mut head).await.unwrap();
    let mut body = vec![0; u32::from_be_bytes([head[12], head[13], head[14], head[15]]) as usize];
    peer.read_exact(&mut body).await.unwrap();
    (head[2], body)
}

fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A queue of requests, each with 100 ms to live.
const QUEUED: u64 = 10_000;

/// Keeps its thread for a millisecond, and notes calls that begin long after their deadline.
struct Busy {
    begun: Arc<AtomicU64>,
    late: Arc<AtomicU64>,
}

impl Handler for Busy {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        support::descriptor()
    }

    fn call(&self, _: usize, invocation: Invocation) -> ReplyFuture {
        let (begun, late) = (self.begun.clone(), self.late.clone());
        Box::pin(async move {
            begun.fetch_add(1, Ordering::AcqRel);
            let tolerance = Duration::from_millis(100);
            if Instant::now() > invocation.deadline.instant() + tolerance {
                late.fetch_add(1, Ordering::AcqRel);
            }
            std::thread::sleep(Duration::from_millis(1));
            Ok(Reply::new(Text::default()))
        })
    }
}

#[tokio::test]
async fn a_request_that_expired_in_the_queue_never_begins() {
    let (begun, late) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let handler = Busy { begun: begun.clone(), late: late.clone() };
    let mut dispatcher = Dispatcher::new(support::codecs(), Metrics::new("provider"));
    dispatcher.add(ServiceKey::new("Test"), Arc::new(handler), |_, invoker| invoker).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let (_server, address) = support::serve(address, dispatcher, ServerConfig::default());
    let mut peer = TcpStream::connect(address).await.unwrap();
    // Flags, path, 100,000 microseconds.
    let body = [&[1, 9][..], b"Test/echo", &[0xa0, 0x8d, 0x06]].concat();
    let mut queue = Vec::new();
    for id in 0..QUEUED {
        queue.extend_from_slice(&[0xda, 0xbb, 0xcd, 0]);
        queue.extend_from_slice(&id.to_be_bytes());
        queue.extend_from_slice(&(body.len() as u32).to_be_bytes());
        queue.extend_from_slice(&body);
    }
    let (mut read, mut write) = peer.split();
    let answered = async {
        let (mut head, mut body) = ([0; 16], Vec::new());
        for _ in 0..QUEUED {
            read.read_exact(&mut head).await.unwrap();
            body.resize(usize::from(head[15]) + (usize::from(head[14]) << 8), 0);
            read.read_exact(&mut body).await.unwrap();
        }
    };
    let both = async { tokio::join!(async { write.write_all(&queue).await.unwrap() }, answered) };
    tokio::time::timeout(LONG, both).await.expect("each has an answer");
    assert_eq!(late.load(Ordering::Acquire), 0);
    let begun = begun.load(Ordering::Acquire);
    assert!((1..QUEUED / 2).contains(&begun), "{begun} of {QUEUED} have run");
}

#[tokio::test]
async fn a_provider_is_told_that_the_deadline_of_a_call_has_passed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, listener.local_addr().unwrap());
    let timeout = Duration::from_millis(100);
    let call = tokio::spawn(channel.invoke(support::invocation(ECHO, "late", timeout)));
    let (mut peer, _) = listener.accept().await.unwrap();
    let told = async {
        while !holds(&frame(&mut peer).await.1, "late") {}
        frame(&mut peer).await
    };
    let (flags, body) = tokio::time::timeout(LONG / 4, told).await.expect("it is told");
    assert_eq!((flags & 0xe0, body[0], body.len()), (0xa0, b'C', 9));
    let status = call.await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::DeadlineExceeded, Delivery::MaybeSent));
}

#[tokio::test]
async fn a_call_given_up_before_its_frame_was_written_was_not_sent_and_never_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, listener.local_addr().unwrap());
    let call = |text: &str, timeout| {
        tokio::spawn(channel.invoke(support::invocation(ECHO, text, timeout)))
    };
    let first = call("first", LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    assert_eq!(frame(&mut peer).await.0 & 0xe0, 0xe0, "a heartbeat");
    assert!(holds(&frame(&mut peer).await.1, "first"));
    peer.write_all(&[&[0xda, 0xbb, 0x2d, 20][..], &[0xff; 8], &[0; 4]].concat()).await.unwrap();
    while channel.state() != ChannelState::Ready {
        tokio::task::yield_now().await;
    }
    // More than the sockets take: what comes after waits in this process.
    let large = call(&"x".repeat(8_000_000), LONG);
    tokio::task::yield_now().await;
    let (late, dropped) = (call("late", Duration::from_millis(100)), call("dropped", LONG));
    let status = late.await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::DeadlineExceeded, Delivery::NotSent));
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    let next = call("next", LONG);
    tokio::task::yield_now().await;
    assert_eq!(frame(&mut peer).await.1.len() / 1_000_000, 8);
    let mut frames = vec![frame(&mut peer).await];
    while !holds(&frames.last().unwrap().1, "next") {
        frames.push(frame(&mut peer).await);
    }
    let requests: Vec<_> = frames.iter().filter(|(flags, _)| flags & 0x20 == 0).collect();
    assert_eq!(requests.len(), 1, "only the last is a request");
    let one_way = frames.iter().all(|(flags, _)| flags & 0x60 != 0x60);
    assert!(one_way && !frames.iter().any(|(_, body)| body.first() == Some(&b'C')), "{frames:?}");
    first.abort();
    large.abort();
    next.abort();
}
