//! Calls that nobody waits for any more, at each place where they may be.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use rpc_core::protocol::dubbo::ClientConfig;
use rpc_core::{ChannelState, Code, Delivery};
use support::ECHO;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
