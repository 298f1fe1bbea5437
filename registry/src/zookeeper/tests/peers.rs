//! What a session does with peers that no real server is: strangers, liars, and those that fall silent.
//! Time is paused.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use crate::zookeeper::client::{OpFailure, ZooKeeperClient};
use crate::zookeeper::connection::{MAX_ANSWER, RequestFailure};
use crate::zookeeper::jute::JuteWriter;
use crate::zookeeper::message::{NodeStat, ServerCode};
use crate::zookeeper::open::{OpenFailure, SessionWish, open_session};
use crate::zookeeper::ticket::SessionTicket;

fn wish() -> SessionWish {
    SessionWish { timeout: Duration::from_secs(40), credentials: Some("ann:s3cret".into()) }
}

fn ticket(timeout: Duration) -> Arc<SessionTicket> {
    Arc::new(SessionTicket::new(7, Bytes::from_static(&[1; 16]), timeout))
}

/// What comes of opening a session with a peer that says `words`, whatever it hears.
async fn opened(words: &[&[u8]]) -> Result<Arc<SessionTicket>, OpenFailure> {
    let (mut ours, mut theirs) = duplex(4096);
    for word in words {
        theirs.write_all(word).await.unwrap();
    }
    theirs.shutdown().await.unwrap();
    open_session(&mut ours, &wish(), None).await
}

pub(super) fn welcome(session: i64, timeout: i32) -> BytesMut {
    JuteWriter::new().int(0).int(timeout).long(session).buffer(&[1; 16]).bool(false).finish()
}

pub(super) fn answer(xid: i32, code: i32, body: &[u8]) -> BytesMut {
    let head = JuteWriter::new().int(xid).long(3).int(code).finish();
    let mut frame = BytesMut::from(&(head.len() - 4 + body.len()).to_be_bytes()[4..]);
    frame.extend_from_slice(&head[4..]);
    frame.extend_from_slice(body);
    frame
}

#[tokio::test(start_paused = true)]
async fn a_stranger_at_the_port_is_told_from_a_server_that_is_not_ready() {
    let strangers: [&[u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        // What a server of HTTP/2 begins with, etcd's for one.
        &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 250],
        &[0, 0, 0, 0],
        &[0, 0, 0, 20, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    ];
    for words in strangers {
        assert_eq!(opened(&[words]).await.unwrap_err(), OpenFailure::Foreign, "{words:?}");
    }
    let alert: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];
    assert_eq!(opened(&[alert]).await.unwrap_err(), OpenFailure::Tls);
    assert_eq!(opened(&[]).await.unwrap_err(), OpenFailure::Silent);
    for (kind, expected) in [
        (io::ErrorKind::ConnectionReset, OpenFailure::Silent),
        // Which is what TLS says of a record that is none.
        (io::ErrorKind::InvalidData, OpenFailure::Broken("why".to_owned())),
    ] {
        assert_eq!(OpenFailure::from(io::Error::new(kind, "why")), expected);
    }
    assert_eq!(opened(&[&welcome(0, 0)]).await.unwrap_err(), OpenFailure::Expired);
    let refused = opened(&[&welcome(7, 4000), &answer(-4, -115, &[])]).await;
    assert_eq!(refused.unwrap_err(), OpenFailure::Refused);
    let opened = opened(&[&welcome(7, 4000), &answer(-4, 0, &[])]).await.unwrap();
    assert_eq!((opened.id, opened.timeout), (7, Duration::from_secs(4)));
}

/// A session whose server is the returned stream.
pub(super) fn session(
    timeout: Duration,
) -> (Arc<ZooKeeperClient>, DuplexStream, Arc<SessionTicket>) {
    let (ours, theirs) = duplex(1 << 20);
    let ticket = ticket(timeout);
    (Arc::new(ZooKeeperClient::start(ours, Arc::clone(&ticket))), theirs, ticket)
}

pub(super) async fn heard(server: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let length = server.read_u32().await.unwrap();
    let mut frame = vec![0; length.try_into().unwrap()];
    server.read_exact(&mut frame).await.unwrap();
    frame
}

#[tokio::test(start_paused = true)]
async fn a_quiet_session_is_kept_alive_and_a_silent_server_given_up() {
    let (client, mut server, ticket) = session(Duration::from_secs(40));
    const PING: [u8; 8] = [255, 255, 255, 254, 0, 0, 0, 11];
    for _ in 0..20 {
        assert_eq!(heard(&mut server).await, PING);
        server.write_all(&answer(-2, 0, &[])).await.unwrap();
    }
    let began = Instant::now();
    client.ended().await;
    assert!(began.elapsed() <= Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(client.end().unwrap(), "the server has been silent for 10s");
    assert!(!ticket.is_over(), "the session goes on with the next connection");
    let lost = OpFailure::Request(RequestFailure::Lost);
    assert_eq!(client.get("/a").await.unwrap_err(), lost);
}

#[tokio::test(start_paused = true)]
async fn a_short_session_is_pinged_often_enough() {
    let (_client, mut server, _) = session(Duration::from_millis(400));
    let began = Instant::now();
    heard(&mut server).await;
    assert!(began.elapsed() < Duration::from_millis(150), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_does_not_shift_the_answers_of_others() {
    let (client, mut server, ticket) = session(Duration::from_secs(40));
    let impatient = tokio::time::timeout(Duration::from_secs(1), client.children("/a"));
    assert!(impatient.await.is_err());
    let asking = Arc::clone(&client);
    let second = tokio::spawn(async move { asking.children("/b").await });
    for _ in 0..2 {
        heard(&mut server).await;
    }
    server.write_all(&answer(1, 0, &[0, 0, 0, 1, 0, 0, 0, 1, b'x'])).await.unwrap();
    server.write_all(&answer(2, -101, &[])).await.unwrap();
    assert_eq!(second.await.unwrap(), Ok(None));
    assert_eq!(ticket.seen(), 3);
}

/// The number of a request that was heard.
pub(super) fn xid_of(frame: &[u8]) -> i32 {
    i32::from_be_bytes(*frame.first_chunk().unwrap())
}

/// An answer to whether there is a node, which was changed by the transaction `changed`.
fn stat(xid: i32, changed: i64) -> BytesMut {
    let stat = JuteWriter::new().long(1).long(changed).long(0).long(0).int(0).int(0).int(0);
    let stat = stat.long(0).int(0).int(0).long(0).finish();
    answer(xid, 0, &stat[4..])
}

#[tokio::test(start_paused = true)]
async fn stats_of_several_nodes_are_asked_for_at_once_and_handed_out_in_order() {
    let (client, mut server, _) = session(Duration::from_secs(40));
    let paths = ["/a", "/b", "/c"].map(ToOwned::to_owned);
    let [asking, given_up, last] = [(); 3].map(|()| Arc::clone(&client));
    let also = paths.clone();
    let impatient = tokio::spawn(async move { given_up.stats(also).await });
    let heard_all = async |server: &mut DuplexStream, count: i32, first: i32| {
        for number in 0..count {
            let frame = heard(server).await;
            assert_eq!(xid_of(&frame), first + number);
        }
    };
    heard_all(&mut server, 3, 1).await;
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    let both = tokio::spawn(async move {
        tokio::join!(asking.stats(paths), last.stat("/d"), last.stats(Vec::new()))
    });
    heard_all(&mut server, 4, 4).await;
    for (xid, changed) in [(1, 11), (2, 12), (3, 13), (4, 14), (6, 16), (7, 17)] {
        if xid == 6 {
            server.write_all(&answer(5, -101, &[])).await.unwrap();
        }
        server.write_all(&stat(xid, changed)).await.unwrap();
    }
    let (three, one, none) = both.await.unwrap();
    let changed = |stat: &Option<NodeStat>| stat.map(|stat| stat.changed);
    let three: Vec<_> = three.unwrap().iter().map(changed).collect();
    assert_eq!(three, [Some(14), None, Some(16)]);
    assert_eq!((changed(&one.unwrap()), none.unwrap().len()), (Some(17), 0));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_of_several_stats_is_theirs() {
    let (client, mut server, _) = session(Duration::from_secs(40));
    let asking = tokio::spawn(async move {
        let paths = || ["/a", "/b"].map(ToOwned::to_owned);
        (client.stats(paths()).await, client.stats(paths()).await)
    });
    for _ in 0..2 {
        heard(&mut server).await;
    }
    server.write_all(&stat(1, 1)).await.unwrap();
    server.write_all(&answer(2, -102, &[])).await.unwrap();
    heard(&mut server).await;
    server.write_all(&stat(3, 1)).await.unwrap();
    drop(server);
    let (refused, lost) = asking.await.unwrap();
    assert_eq!(refused.unwrap_err(), ServerCode::NoAuth.into());
    assert_eq!(lost.unwrap_err(), OpFailure::Request(RequestFailure::Lost));
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_end_fails_alone_and_takes_no_memory() {
    let (client, mut server, _) = session(Duration::from_secs(40));
    let asking = Arc::clone(&client);
    let both = tokio::spawn(async move { tokio::join!(asking.children("/a"), asking.get("/b")) });
    for _ in 0..2 {
        heard(&mut server).await;
    }
    let too_long = MAX_ANSWER + 1;
    let head = answer(1, 0, &[]);
    server.write_all(&u32::try_from(too_long).unwrap().to_be_bytes()).await.unwrap();
    server.write_all(&head[4..]).await.unwrap();
    let chunk = vec![0; 1 << 16];
    let mut left = too_long - 16;
    while left > 0 {
        let now = left.min(chunk.len());
        server.write_all(&chunk[..now]).await.unwrap();
        left -= now;
    }
    server.write_all(&answer(2, -102, &[])).await.unwrap();
    let (first, second) = both.await.unwrap();
    assert_eq!(first, Err(OpFailure::Request(RequestFailure::TooLong(too_long))));
    assert_eq!(second, Err(ServerCode::NoAuth.into()));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_holds_is_closed_and_one_that_broke_is_not() {
    let (client, mut server, ticket) = session(Duration::from_secs(40));
    drop(client);
    assert_eq!(heard(&mut server).await, [0, 0, 0, 1, 255, 255, 255, 245]);
    assert!(ticket.is_over());

    let (client, server, ticket) = session(Duration::from_secs(40));
    drop(server);
    client.ended().await;
    assert_eq!(client.end().unwrap(), "the server closed the connection");
    assert!(!ticket.is_over());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_answer_panics(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let words: Vec<_> = frames.iter().map(Vec::as_slice).collect();
            let _ = opened(&words).await;
            // Behind a good welcome, and with heads that are expected.
            let (client, mut server, _) = session(Duration::from_secs(1));
            let asking = Arc::clone(&client);
            let asked = tokio::spawn(async move {
                let path = "/a".into();
                let watching = asking.watching(&path);
                watching.enter_children(["b"].into_iter());
                let _ = tokio::join!(
                    watching.children(), watching.get(), watching.get_child("b"), asking.get("/b"), asking.children("/c")
                );
            });
            for (xid, frame) in (1..).zip(&frames) {
                server.write_all(&answer(xid, 0, frame)).await.unwrap();
                let _ = server.write_all(&answer(-1, 0, frame)).await;
            }
            let _ = server.write_all(&frames[0]).await;
            drop(server);
            asked.await.unwrap();
        });
    }
}
