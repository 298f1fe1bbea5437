//! How requests leave: many at once, those of nobody, and those that another writer overtakes. Time is paused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, duplex};
use tokio::time::{sleep, timeout};

use super::peers::{answer, heard, session, xid_of};
use crate::zookeeper::client::ZooKeeperClient;
use crate::zookeeper::ticket::SessionTicket;

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
