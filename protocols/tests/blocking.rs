//! Handlers that hold their thread: the other calls of their connection go on.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use dubhe_protocols::Server;
use rpc_core::descriptor::ServiceDescriptor;
use rpc_core::server::{Dispatcher, Handler, ServerConfig};
use rpc_core::{Invocation, Metrics, Reply, ReplyFuture, ServiceKey};
use support::{ECHO, Text};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// Echoes; but `block` holds its thread until it is released, and a number for so many milliseconds.
#[derive(Clone, Default)]
struct Blocker {
    released: Arc<(Mutex<bool>, Condvar)>,
    began: Option<mpsc::Sender<()>>,
    ran: Arc<Mutex<HashMap<String, u32>>>,
    /// The task that polled the last handler.
    polls: Arc<Mutex<Option<tokio::task::Id>>>,
}

/// Lets the handler end that holds its thread, also where a test fails.
struct Held(Blocker);

impl Held {
    fn release(&self) {
        *self.0.released.0.lock().unwrap() = true;
        self.0.released.1.notify_all();
    }

    fn ran(&self, text: &str) -> u32 {
        self.0.ran.lock().unwrap().get(text).copied().unwrap_or_default()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

impl Handler for Blocker {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        support::descriptor()
    }

    fn call(&self, _: usize, invocation: Invocation) -> ReplyFuture {
        let this = self.clone();
        Box::pin(async move {
            let Text(text) = invocation.decode()?;
            *this.polls.lock().unwrap() = tokio::task::try_id();
            *this.ran.lock().unwrap().entry(text.clone()).or_default() += 1;
            if text == "block" {
                this.began.unwrap().try_send(()).unwrap();
                let released = this.released.0.lock().unwrap();
                drop(this.released.1.wait_while(released, |released| !*released).unwrap());
            } else if let Some((_, millis)) = text.split_once(" holds ") {
                std::thread::sleep(Duration::from_millis(millis.parse().unwrap()));
            }
            Ok(Reply::new(Text(text)))
        })
    }
}

const SOON: Duration = Duration::from_secs(10);

/// Fails in time also where a runtime has no thread left that looks at its timers.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (ends, ended) = std::sync::mpsc::channel();
    let running = std::thread::spawn(move || {
        test();
        let _ = ends.send(());
    });
    if ended.recv_timeout(SOON * 12) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        panic!("everything is held up");
    }
    running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

struct Blocked {
    runtime: Runtime,
    server: Server,
    held: Held,
    peer: TcpStream,
}

fn serve(blocker: &Blocker) -> (Server, SocketAddr) {
    let mut dispatcher = Dispatcher::new(support::codecs(), Metrics::new("provider"));
    let handler = Arc::new(blocker.clone());
    dispatcher.add(ServiceKey::new("Test"), handler, |_, invoker| invoker).unwrap();
    support::serve("127.0.0.1:0".parse().unwrap(), dispatcher, ServerConfig::default())
}

/// Has `ids` echoed; `true` once each was answered.
async fn echo(peer: &mut TcpStream, ids: std::ops::Range<u64>) -> bool {
    let frames: Vec<u8> = ids.clone().flat_map(|id| support::frame(id, false, ECHO, "x")).collect();
    peer.write_all(&frames).await.unwrap();
    let mut missing: HashSet<u64> = ids.collect();
    let all = async {
        while !missing.is_empty() {
            assert!(missing.remove(&support::answer(peer).await.1));
        }
    };
    timeout(SOON, all).await.is_ok()
}

/// Where the handler is polled that holds its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Polled {
    /// Where its connection is driven.
    Inline,
    /// In a task of its own, as the method is known to hold its thread.
    Apart,
}

const POLLED: [Polled; 2] = [Polled::Inline, Polled::Apart];

/// A connection of which one handler holds its thread, which is that of the connection if it is polled
/// there.
fn blocked(workers: usize, where_polled: Polled) -> Blocked {
    // On a machine that is busy, calls may not look quick; then it goes with what there is.
    for _ in 0..5 {
        let (blocked, polled) = try_blocked(workers, where_polled);
        if polled == where_polled {
            return blocked;
        }
        blocked.held.release();
    }
    try_blocked(workers, where_polled).0
}

fn try_blocked(workers: usize, where_polled: Polled) -> (Blocked, Polled) {
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
    let (began, mut begins) = mpsc::channel(1);
    let blocker = Blocker { began: Some(began), ..Blocker::default() };
    let (server, peer, polled) = runtime.block_on(async {
        let (server, address) = serve(&blocker);
        let mut peer = TcpStream::connect(address).await.unwrap();
        // Quick, so that its calls are polled where the connection is driven.
        assert!(echo(&mut peer, 0..300).await);
        let last = || *blocker.polls.lock().unwrap();
        for _ in 0..40 {
            assert!(echo(&mut peer, 0..50).await);
            let before = last();
            assert!(echo(&mut peer, 0..50).await);
            if before == last() {
                break;
            }
        }
        if where_polled == Polled::Apart {
            peer.write_all(&support::frame(999, false, ECHO, "it holds 2")).await.unwrap();
            assert_eq!(support::answer(&mut peer).await.1, 999);
        }
        let before = last();
        // So long that nobody watches any more: whoever does has to be woken.
        tokio::time::sleep(Duration::from_millis(100)).await;
        peer.write_all(&support::frame(1000, false, ECHO, "block")).await.unwrap();
        begins.recv().await.unwrap();
        let is_same = before.is_some() && before == last();
        (server, peer, if is_same { Polled::Inline } else { Polled::Apart })
    });
    (Blocked { runtime, server, held: Held(blocker), peer }, polled)
}

#[test]
fn the_other_calls_and_heartbeats_of_a_connection_go_on_while_a_handler_holds_its_thread() {
    in_time(|| {
        for (workers, polled) in [2, 4].into_iter().flat_map(|n| POLLED.map(|polled| (n, polled))) {
            let Blocked { runtime, server, held, mut peer } = blocked(workers, polled);
            runtime.block_on(async {
                // An event that wants an answer.
                let heartbeat =
                    [&[0xda, 0xbb, 0xed, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1][..], b"N"];
                peer.write_all(&heartbeat.concat()).await.unwrap();
                let pong = timeout(SOON, support::answer(&mut peer)).await.unwrap();
                assert_eq!(pong.1, 7);
                assert!(echo(&mut peer, 301..400).await, "other threads are free");
                held.release();
                let (_, id, body) = support::answer(&mut peer).await;
                assert_eq!((id, body.ends_with(b"block")), (1000, true));
                assert!(echo(&mut peer, 401..500).await, "it goes on afterwards");
                assert_eq!(held.ran("block"), 1);
                drop(peer);
                assert_eq!(server.state().no_connections(Instant::now() + SOON).await, 0);
            });
        }
    });
}

#[test]
fn a_connection_whose_peer_goes_while_a_handler_holds_its_thread_ends_with_the_handler() {
    in_time(|| {
        for polled in POLLED {
            let Blocked { runtime, server, held, mut peer } = blocked(2, polled);
            runtime.block_on(async {
                // Whoever drives it now has seen this peer.
                assert!(echo(&mut peer, 301..302).await);
                drop(peer);
                held.release();
                assert_eq!(server.state().no_connections(Instant::now() + SOON).await, 0);
            });
        }
    });
}

#[test]
fn a_drain_answers_a_handler_that_holds_its_thread() {
    in_time(|| {
        for polled in POLLED {
            let Blocked { runtime, server, held, mut peer } = blocked(2, polled);
            runtime.block_on(async {
                assert!(echo(&mut peer, 301..302).await);
                let state = server.state().clone();
                let drain = tokio::spawn(server.drain(Duration::ZERO, SOON));
                let mut phase = state.watch_phase();
                phase.wait_for(|phase| *phase >= rpc_core::server::Phase::Refusing).await.unwrap();
                // The connection says that it drains, and refuses what comes.
                assert_eq!(support::answer(&mut peer).await.2, b"R");
                peer.write_all(&support::frame(2, false, ECHO, "late")).await.unwrap();
                assert_eq!(support::answer(&mut peer).await.1, 2);
                held.release();
                let (_, id, body) = support::answer(&mut peer).await;
                assert_eq!((id, body.ends_with(b"block")), (1000, true));
                let report = drain.await.unwrap();
                assert_eq!((report.cut_calls, report.cut_connections), (0, 0));
                assert_eq!(held.ran("late"), 0);
            });
        }
    });
}

/// Calls of which some hold their thread, on three connections at once; each must be answered once.
async fn mixed_load(blocker: &Blocker, round: u64) {
    let (server, address) = serve(blocker);
    let connections = (0..3_u64).map(|connection| async move {
        let mut peer = TcpStream::connect(address).await.unwrap();
        assert!(echo(&mut peer, 0..100).await);
        let text = |id: u64| match (id + connection) % 13 {
            5 => format!("{round}/{connection}/{id} holds {}", 2 + id % 7),
            _ => format!("{round}/{connection}/{id}"),
        };
        let frames = (0..CALLS).flat_map(|id| support::frame(id, false, ECHO, &text(id)));
        peer.write_all(&frames.collect::<Vec<u8>>()).await.unwrap();
        let mut missing: HashSet<u64> = (0..CALLS).collect();
        while !missing.is_empty() {
            let answer = support::answer(&mut peer);
            let (_, id, body) = timeout(SOON, answer).await.unwrap();
            assert!(missing.remove(&id), "{id} is answered twice");
            assert!(body.ends_with(text(id).as_bytes()), "{id}: {body:?}");
        }
    });
    futures_util::future::join_all(connections).await;
    assert_eq!(server.state().no_connections(Instant::now() + SOON).await, 0);
}

const CALLS: u64 = 40;

#[test]
fn every_call_runs_once_and_is_answered_once_however_often_connections_are_handed_on() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let blocker = Blocker::default();
    // A provider is new in each round: it has not learned yet that its method holds threads.
    let rounds = 30;
    for round in 0..rounds {
        runtime.block_on(mixed_load(&blocker, round));
    }
    let ran = blocker.ran.lock().unwrap();
    assert!(ran.iter().all(|(text, times)| text == "x" || *times == 1));
    assert_eq!(ran.len() as u64, rounds * 3 * CALLS + 1);
}
