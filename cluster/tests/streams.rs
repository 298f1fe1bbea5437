//! A reply that streams, as its endpoint counts and measures it.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::policy::Failover;
use dubhe_cluster::{AttemptLayers, DirectoryOptions};
use futures_util::StreamExt;
use rpc_core::message::Returned;
use rpc_core::{
    Body, BoxInvoker, Deadline, Invocation, Invoke, Method, MethodKind, Reply, ReplyFuture, Status,
};
use support::{Fleet, service, snapshot};
use tokio::time::{Instant, sleep};

/// Answers by a stream: the first message is there after a second, the second after a minute.
struct Slowly(BoxInvoker);

impl Invoke for Slowly {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let call = self.0.invoke(invocation);
        Box::pin(async move {
            let messages = futures_util::stream::iter([1, 60]).then(|seconds| async move {
                sleep(Duration::from_secs(seconds)).await;
                Ok::<Body, Status>(Body::typed(Returned(seconds)))
            });
            Ok(Reply { body: Body::stream(messages.boxed()), ..call.await? })
        })
    }
}

fn fleet() -> Fleet {
    let layers = AttemptLayers::new().wrap(|_, inner| BoxInvoker::from_invoke(Slowly(inner)));
    Fleet::from(snapshot(&["a:1"]), DirectoryOptions { layers, ..DirectoryOptions::default() })
}

fn call() -> Invocation {
    let method = Method::new(service(), "watch", MethodKind::ServerStream, true);
    Invocation::new(
        Arc::new(method),
        Body::typed(Returned(())),
        Deadline::after(Duration::from_secs(9)),
    )
}

#[tokio::test(start_paused = true)]
async fn a_call_is_in_flight_until_its_stream_ends_or_is_dropped() {
    let fleet = fleet();
    let cluster = fleet.cluster(Failover::default());
    let began = Instant::now();
    let reply = cluster.invoke(call()).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 1, "it is here with its first message");
    let mut messages = reply.body.messages().unwrap();
    assert!(messages.next().await.unwrap().is_ok());
    assert_eq!(fleet.in_flight(), 1);
    assert!(messages.next().await.unwrap().is_ok() && messages.next().await.is_none());
    assert_eq!((fleet.in_flight(), began.elapsed().as_secs()), (0, 61));
    let reply = cluster.invoke(call()).await.unwrap();
    assert_eq!(fleet.in_flight(), 1);
    drop(reply);
    assert_eq!(fleet.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_measured_by_its_first_message() {
    let fleet = fleet();
    let reply = fleet.cluster(Failover::default()).invoke(call()).await.unwrap();
    let mut messages = reply.body.messages().unwrap();
    while messages.next().await.is_some() {}
    let load = fleet.directory.endpoints()[0].load().latency(Instant::now());
    assert!(load.is_none_or(|latency| latency < Duration::from_secs(2)), "{load:?}");
}
