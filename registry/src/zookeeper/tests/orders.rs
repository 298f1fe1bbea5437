//! How requests leave: many at once, those of nobody, and those that another writer overtakes. Time is paused.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{sleep, timeout};

use super::peers::{answer, heard, session, xid_of};
use crate::dubbo::NodeTree as _;
use crate::zookeeper::client::ZooKeeperClient;
use crate::zookeeper::jute::JuteWriter;
use crate::zookeeper::message::NodeAccess;
use crate::zookeeper::ticket::SessionTicket;
use crate::zookeeper::tree::ZooKeeperTree;

const LONG: Duration = Duration::from_secs(40);

/// Which operation a request is.
fn op_of(frame: &[u8]) -> i32 {
    i32::from_be_bytes(*frame[4..].first_chunk().unwrap())
}

#[tokio::test(start_paused = true)]
async fn all_watches_of_a_long_list_are_removed_at_the_server() {
    let (client, mut server, _) = session(LONG);
    let path: Arc<str> = "/a".into();
    let names: Vec<String> = (0..5000).map(|i| format!("{i:04}")).collect();
    let watching = client.watching(&path);
    watching.enter_children(names.iter().map(String::as_str));
    drop(watching);
    for name in &names {
        let frame = heard(&mut server).await;
        assert_eq!(op_of(&frame), 18, "{name} is still watched");
        assert_eq!(&frame[12..], [b"/a/", name.as_bytes(), &[0, 0, 0, 2]].concat());
        server.write_all(&answer(xid_of(&frame), 0, &[])).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_holds_is_closed_also_while_its_server_answers_nothing() {
    let (client, mut server, _) = session(LONG);
    let paths = (0..1024).map(|i| format!("/{i}"));
    timeout(Duration::from_secs(1), client.stats(paths)).await.unwrap_err();
    for _ in 0..1024 {
        heard(&mut server).await;
    }
    drop(client);
    assert_eq!(op_of(&heard(&mut server).await), -11);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_reads_nothing_is_not_pinged_more_and_more() {
    let (ours, mut server) = duplex(16);
    let ticket = Arc::new(SessionTicket::new(7, Bytes::from_static(&[1; 16]), LONG));
    let _client = ZooKeeperClient::start(ours, ticket);
    for _ in 0..50 {
        sleep(Duration::from_secs(4)).await;
        server.write_all(&answer(-2, 0, &[])).await.unwrap();
    }
    let mut pings = 0;
    while timeout(Duration::from_millis(1), heard(&mut server)).await.is_ok() {
        pings += 1;
    }
    assert!((1..=3).contains(&pings), "{pings}");
}

/// A stat of a node with this version, which ends with this session.
fn stat(version: i32, owner: i64) -> BytesMut {
    let stat = JuteWriter::new().long(1).long(1).long(0).long(0).int(version).int(0).int(0);
    stat.long(owner).int(0).int(0).long(0).finish()
}

/// Answers a request, which is to be this operation; returns it.
async fn answer_to(server: &mut DuplexStream, op: i32, code: i32, body: &[u8]) -> Vec<u8> {
    let frame = heard(server).await;
    assert_eq!(op_of(&frame), op);
    server.write_all(&answer(xid_of(&frame), code, body)).await.unwrap();
    frame
}

#[tokio::test(start_paused = true)]
async fn a_node_that_another_session_takes_meanwhile_is_taken_over_from_it() {
    // Whether or not the version shows it: a new node's is 0.
    for (code, body) in [(-103, BytesMut::new()), (0, stat(4, 9))] {
        let (client, mut server, _) = session(LONG);
        let client = Arc::into_inner(client).unwrap();
        let access = NodeAccess::Open;
        let tree = ZooKeeperTree::new(client, (&"zookeeper://test".into(), &"".into()), access);
        let serving = async {
            let read = |version, owner| {
                let value = JuteWriter::new().buffer(b"old").finish();
                [&value[4..], &stat(version, owner)[4..]].concat()
            };
            answer_to(&mut server, 4, 0, &read(3, 7)).await;
            let body = body.get(4..).unwrap_or_default();
            let set = answer_to(&mut server, 5, code, body).await;
            assert!(set.ends_with(&[b'n', b'e', b'w', 0, 0, 0, 3]), "{set:?}");
            answer_to(&mut server, 4, 0, &read(4, 9)).await;
            answer_to(&mut server, 14, 0, &[0, 0, 0, 2]).await;
        };
        let serving = timeout(Duration::from_secs(5), serving);
        let (put, served) = tokio::join!(tree.put_owned("/a", Bytes::from_static(b"new")), serving);
        put.unwrap();
        served.unwrap();
    }
}
