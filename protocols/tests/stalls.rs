//! Requests that lay somewhere on their way: what they took longer than others is taken off their time.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use rpc_core::Code;
use rpc_core::client::ClientConfig;
use rpc_core::server::ServerConfig;
use support::{ECHO, HANG};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The frame of a request to hang, with so many milliseconds to live; sent at this second of its
/// connection.
fn sent_at(second: u32, id: u64, millis: u32) -> Vec<u8> {
    let timeout = millis * 1000;
    let varint = [0, 7, 14, 21].map(|shift| (timeout >> shift) as u8 & 0x7f | 0x80);
    let block = [&[6, 4, 4][..], &(second * 1_000_000).to_le_bytes()].concat();
    // A timeout of five bytes of a varint, and a block.
    let head = [&[5, 9][..], b"Test/hang", &varint, &[0], &block].concat();
    let length = (head.len() as u32).to_be_bytes();
    [&[0xda, 0xbb, 0xcd, 0][..], &id.to_be_bytes(), &length, &head].concat()
}

#[tokio::test]
async fn a_request_that_came_later_than_its_time_allows_never_starts() {
    let mut provider = support::provider(ServerConfig::default()).await;
    let mut peer = TcpStream::connect(provider.address).await.unwrap();
    // The clock of this peer is ahead, so that nothing need wait for time to pass: what is sent at its
    // 60th second takes nothing, and what was sent at its 57th has taken three more.
    peer.write_all(&sent_at(60, 1, 60_000)).await.unwrap();
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    peer.write_all(&sent_at(57, 2, 2_000)).await.unwrap();
    let (_, id, body) = support::answer(&mut peer).await;
    // Refused: deadline_exceeded.
    assert_eq!((id, &body[..2]), (2, &[2, 4][..]));
    assert!(provider.events.try_recv().is_err(), "it has started");
    // With five seconds there are two left.
    peer.write_all(&sent_at(57, 3, 5_000)).await.unwrap();
    assert_eq!(provider.events.recv().await.unwrap(), "started");
}

#[tokio::test]
async fn calls_that_nothing_holds_up_keep_their_time() {
    let provider = support::provider(ServerConfig::default()).await;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    for _ in 0..200 {
        let answer = support::call(&channel, ECHO, "x", Duration::from_secs(10)).await;
        assert_eq!(answer.unwrap(), "x");
    }
    let status = support::call(&channel, HANG, "", Duration::from_millis(30)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}
