//! What peers may hold of a provider over the dubbo protocol, and that they leave room for others.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dubhe_protocols::Connections;
use rpc_core::client::ClientConfig;
use rpc_core::descriptor::ServiceDescriptor;
use rpc_core::server::{Dispatcher, Handler, ServerConfig};
use rpc_core::{
    Channel, Code, Delivery, Invocation, Metrics, Reply, ReplyFuture, ServiceKey, Status,
};
use support::{ECHO, HANG, LARGE, LATE_LARGE, Provider, Text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

const LONG: Duration = Duration::from_secs(20);
const NAMED: &str = "raise `provider.limits.buffered`";
/// More than a buffer may hold before it counts.
const MUCH: usize = 90_000;

fn config() -> ServerConfig {
    ServerConfig { payload: 1 << 20, buffered: 1 << 20, ..ServerConfig::default() }
}

/// A peer with a connection of its own.
fn peer(provider: &Provider) -> (Connections, Arc<dyn Channel>) {
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    (connector, channel)
}

fn begin(
    channel: &Arc<dyn Channel>,
    index: usize,
    text: &str,
) -> JoinHandle<Result<String, Status>> {
    let (channel, text) = (channel.clone(), text.to_owned());
    tokio::spawn(async move { support::call(&channel, index, &text, LONG).await })
}

/// A peer whose system takes little that it does not read; some take 30 MB.
async fn raw(provider: &Provider) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(provider.address).await.unwrap()
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(LONG, future).await else { panic!("{what}: not in time") };
    done
}

/// Waits until a handler has begun.
async fn begun(provider: &mut Provider) {
    assert_eq!(in_time("a handler begins", provider.events.recv()).await.unwrap(), "started");
}

/// How many of 20 large answers, ready at once on one connection, find room.
async fn fitting(channel: &Arc<dyn Channel>) -> usize {
    let calls: Vec<_> = (0..20).map(|_| begin(channel, LATE_LARGE, &MUCH.to_string())).collect();
    let mut fitting = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(answer) => fitting += usize::from(answer.len() == MUCH),
            Err(status) => {
                let told = (status.code(), status.delivery());
                assert_eq!(told, (Code::ResourceExhausted, Delivery::Answered), "{status}");
                assert!(status.message().contains(NAMED), "{status}");
            }
        }
    }
    fitting
}

#[tokio::test]
async fn peers_that_take_no_answers_leave_room_for_others_and_give_theirs_back() {
    let server = ServerConfig { write_timeout: Duration::from_secs(1), ..config() };
    let provider = support::provider(server).await;
    let (_connector, channel) = peer(&provider);
    support::call(&channel, ECHO, "warm", LONG).await.unwrap();
    let alone = fitting(&channel).await;
    assert!((4..=8).contains(&alone), "{alone} of 20");
    let mut hogs = [raw(&provider).await, raw(&provider).await];
    let less = async {
        loop {
            for hog in &mut hogs {
                // Asked for and never read, as much at a time as there is room for: sooner or later
                // the sockets take no more.
                let asked = (0..5).flat_map(|id| support::frame(id, false, LARGE, "90000"));
                if hog.write_all(&asked.collect::<Vec<u8>>()).await.is_err() {
                    *hog = raw(&provider).await;
                }
            }
            let left = fitting(&channel).await;
            assert!(left > 0, "nothing is left");
            if left < alone {
                break;
            }
        }
    };
    in_time("what others hold counts", less).await;
    // Their connections end, because nothing is taken.
    in_time("they give it back", async { while fitting(&channel).await < alone {} }).await;
    drop(hogs);
}

#[tokio::test]
async fn bodies_of_calls_that_run_count_and_small_calls_pass_all_the_same() {
    let mut provider = support::provider(config()).await;
    let (_connector, hog) = peer(&provider);
    let text = "x".repeat(MUCH);
    let mut running = Vec::new();
    for _ in 0..6 {
        running.push(begin(&hog, HANG, &text));
        begun(&mut provider).await;
    }
    let status = support::call(&hog, HANG, &text, LONG).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::ResourceExhausted, Delivery::Refused));
    assert!(status.message().contains(NAMED), "{status}");
    assert_eq!(support::call(&hog, ECHO, "small", LONG).await.unwrap(), "small");
    let (_other_connector, other) = peer(&provider);
    assert_eq!(support::call(&other, ECHO, &text, LONG).await.unwrap(), text);
    for call in running {
        provider.release.notify_one();
        assert_eq!(call.await.unwrap().unwrap(), text);
    }
    assert_eq!(support::call(&hog, ECHO, &text, LONG).await.unwrap(), text);
}

#[tokio::test]
async fn a_frame_that_finds_no_room_is_refused_while_it_arrives_and_the_connection_lives() {
    let provider = support::provider(config()).await;
    let mut peer = raw(&provider).await;
    let frame = support::frame(7, false, ECHO, &"x".repeat(1_000_000));
    let (first, rest) = frame.split_at(900_000);
    peer.write_all(first).await.unwrap();
    let (status, id, body) = in_time("it is refused", support::answer(&mut peer)).await;
    assert_eq!((status, id), (100, 7));
    assert!(String::from_utf8_lossy(&body).contains(NAMED), "{body:?}");
    peer.write_all(rest).await.unwrap();
    peer.write_all(&support::frame(8, false, ECHO, "next")).await.unwrap();
    let (status, id, body) = in_time("the next is answered", support::answer(&mut peer)).await;
    assert_eq!((status, id), (20, 8));
    assert!(body.ends_with(b"next"));
}

#[tokio::test]
async fn a_frame_that_came_in_large_part_and_then_dribbles_ends_its_connection() {
    let server = ServerConfig { header_timeout: Duration::from_millis(300), ..config() };
    let provider = support::provider(server).await;
    let mut peer = raw(&provider).await;
    let frame = support::frame(7, false, ECHO, &"x".repeat(500_000));
    peer.write_all(&frame[..400_000]).await.unwrap();
    let (mut read, mut write) = peer.split();
    let dribble = async {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let closed = async { while read.read(&mut [0; 9]).await.is_ok_and(|n| n > 0) {} };
    let ended = async {
        tokio::select! { () = dribble => {}, () = closed => {} }
    };
    tokio::time::timeout(Duration::from_secs(5), ended).await.expect("it is borne");
}

#[tokio::test]
async fn two_connections_of_one_peer_leave_calls_for_a_third() {
    let server = ServerConfig { in_flight: 9, ..ServerConfig::default() };
    let mut provider = support::provider(server).await;
    let (one, two, third) = (peer(&provider), peer(&provider), peer(&provider));
    for (_, channel) in [&one, &two, &third] {
        support::call(channel, ECHO, "open", LONG).await.unwrap();
    }
    let mut running = Vec::new();
    for (_, channel) in [&one, &two] {
        for _ in 0..9 {
            let call = begin(channel, HANG, "");
            tokio::select! {
                event = provider.events.recv() => assert_eq!(event.unwrap(), "started"),
                // Looked at again below.
                () = async { while !call.is_finished() { tokio::task::yield_now().await } } => {}
            }
            running.push(call);
        }
    }
    let refused = running.iter().filter(|call| call.is_finished()).count();
    assert!(refused > 9, "only {refused} of 18 were refused");
    let its_own = begin(&third.1, HANG, "");
    begun(&mut provider).await;
    its_own.abort();
    for call in running.into_iter().filter(JoinHandle::is_finished) {
        let status = call.await.unwrap().unwrap_err();
        assert_eq!(
            (status.code(), status.delivery()),
            (Code::ResourceExhausted, Delivery::Refused)
        );
        assert!(status.message().contains("raise `provider.limits.in_flight`"), "{status}");
    }
}

#[tokio::test]
async fn one_way_calls_of_a_peer_that_comes_again_and_again_leave_half_to_others() {
    let server = ServerConfig { in_flight: 8, ..ServerConfig::default() };
    let mut provider = support::provider(server).await;
    for _ in 0..8 {
        let mut hog = raw(&provider).await;
        for _ in 0..8 {
            hog.write_all(&support::frame(u64::MAX, true, HANG, "")).await.unwrap();
        }
        // The answer tells that what came before was looked at.
        hog.write_all(&support::frame(1, false, ECHO, "")).await.unwrap();
        assert_eq!(in_time("it is answered", support::answer(&mut hog)).await.1, 1);
    }
    let (_connector, other) = peer(&provider);
    let its_own = begin(&other, HANG, "");
    let mut running = 0;
    // Its own begins last.
    while !its_own.is_finished() && running < 5 {
        begun(&mut provider).await;
        running += 1;
    }
    assert_eq!(running, 5, "{its_own:?}");
    its_own.abort();
    assert_eq!(in_time("it is dropped", provider.events.recv()).await.unwrap(), "dropped");
    // They run to their ends, although nobody is there any more.
    provider.release.notify_waiters();
    assert_eq!(support::call(&other, ECHO, "still here", LONG).await.unwrap(), "still here");
    assert!(provider.events.try_recv().is_err(), "one was cancelled");
}

/// Notes the texts of its calls in the order in which they run.
struct Noting(Arc<Mutex<Vec<String>>>);

impl Handler for Noting {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        support::descriptor()
    }

    fn call(&self, _: usize, invocation: Invocation) -> ReplyFuture {
        let noted = self.0.clone();
        Box::pin(async move {
            noted.lock().unwrap().push(invocation.decode::<Text>()?.0);
            Ok(Reply::new(Text::default()))
        })
    }
}

#[tokio::test]
async fn whoever_sends_much_at_once_lets_others_have_their_turn() {
    const MANY: u64 = 1500;
    let noted = Arc::<Mutex<Vec<String>>>::default();
    let mut dispatcher = Dispatcher::new(support::codecs(), Metrics::new("provider"));
    let handler = Arc::new(Noting(noted.clone()));
    dispatcher.add(ServiceKey::new("Test"), handler, |_, invoker| invoker).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let (_server, address) = support::serve(address, dispatcher, ServerConfig::default());
    let connect = TcpStream::connect;
    let (mut hog, mut other) = (connect(address).await.unwrap(), connect(address).await.unwrap());
    for peer in [&mut hog, &mut other] {
        peer.write_all(&support::frame(0, false, ECHO, "open")).await.unwrap();
        in_time("it is open", support::answer(peer)).await;
    }
    // One thread, which the provider has after both are written: it finds them at the same time.
    let many = (1..=MANY).flat_map(|id| support::frame(id, false, ECHO, "many"));
    hog.write_all(&many.collect::<Vec<u8>>()).await.unwrap();
    other.write_all(&support::frame(1, false, ECHO, "one")).await.unwrap();
    in_time("it is answered", support::answer(&mut other)).await;
    for _ in 0..MANY {
        in_time("they are answered", support::answer(&mut hog)).await;
    }
    let noted = noted.lock().unwrap();
    let before = noted.iter().position(|text| text == "one").unwrap() - 2;
    assert!(before <= 1024, "{before} of {MANY} ran before");
}
