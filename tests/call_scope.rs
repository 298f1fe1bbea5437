//! What the tasks of a handler have of its call: its deadline and its end, and what goes back beside
//! its answer.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{BoxInvoker, Invocation, Reply, ReplyMetadata, RunningProvider};
use futures_util::StreamExt;
use support::http::post;
use support::{memory, soon};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tower::layer::util::Identity;
use tower_layer::layer_fn;

#[dubhe::service(name = "test.Parts")]
trait Parts {
    /// The milliseconds left at the next provider, which a task calls.
    #[rpc(idempotent)]
    async fn next(&self) -> Result<u64>;

    #[rpc(idempotent)]
    async fn left(&self) -> Result<u64>;

    /// Begins a task that does not end by itself, and ends itself if it is to.
    #[rpc(idempotent)]
    async fn begin(&self, ends: bool) -> Result<()>;

    /// The second of two values, beside which the first page is named; a task adds to it.
    #[rpc(idempotent)]
    async fn page(&self, fails: bool) -> Result<u32>;

    /// Has a seal behind its last message.
    #[rpc(idempotent)]
    async fn pages(&self) -> Result<Streaming<u32>>;
}

/// What became of a task: how long after the call began it ended, and by what.
type Ended = (Duration, Status);

#[derive(Clone)]
struct Clerk {
    next: Option<PartsClient>,
    begun: mpsc::Sender<()>,
    ended: mpsc::Sender<Ended>,
}

impl Parts for Clerk {
    async fn next(&self) -> Result<u64> {
        let next = self.next.clone().unwrap();
        let part = async move {
            assert_eq!(CallContext::current().unwrap().method().name(), "next");
            next.left().await
        };
        tokio::spawn(CallContext::scope(part)).await.unwrap()?
    }

    async fn left(&self) -> Result<u64> {
        Ok(CallContext::current().unwrap().deadline().remaining().as_millis() as u64)
    }

    async fn begin(&self, ends: bool) -> Result<()> {
        let (begun, ended, began) = (self.begun.clone(), self.ended.clone(), Instant::now());
        let part = CallContext::scope(async move {
            // A part of a part is one, too.
            tokio::spawn(CallContext::scope(async move {
                begun.send(()).await.unwrap();
                std::future::pending::<()>().await;
            }))
            .await
            .unwrap()
        });
        tokio::spawn(async move {
            let status = part.await.and_then(|inner| inner).unwrap_err();
            ended.send((began.elapsed(), status)).await.unwrap();
        });
        match ends {
            true => Ok(()),
            false => std::future::pending().await,
        }
    }

    async fn page(&self, fails: bool) -> Result<u32> {
        assert!(CallContext::set_reply_metadata("Next-Page", "1"));
        assert!(CallContext::set_reply_metadata("next-page", "2"));
        let part = CallContext::scope(async {
            CallContext::append_reply_metadata("tag", "a");
            CallContext::append_reply_metadata("tag", "b");
        });
        tokio::spawn(part).await.unwrap()?;
        match fails {
            true => Err(Status::aborted("no page")),
            false => Ok(2),
        }
    }

    async fn pages(&self) -> Result<Streaming<u32>> {
        CallContext::set_reply_metadata("pages", "2");
        let numbers = futures_util::stream::iter([1, 2]).map(|number| {
            CallContext::set_reply_metadata("seal", number.to_string());
            Ok(number)
        });
        Ok(Streaming::new(numbers))
    }
}

const LOCAL: &str = "[consumer.services.\"test.Parts\"]\nscope = \"local\"\n";

struct Desk {
    provider: RunningProvider,
    client: PartsClient,
    begun: mpsc::Receiver<()>,
    ended: mpsc::Receiver<Ended>,
}

/// A provider with this layer, and a client that calls it by these settings.
async fn desk<L>(toml: &str, layer: L) -> Desk
where
    L: tower_layer::Layer<BoxInvoker, Service: dubhe::Invoker> + Send + Sync + 'static,
{
    let registry = memory();
    let (begun_in, begun) = mpsc::channel(8);
    let (ended_in, ended) = mpsc::channel(8);
    let behind = Clerk { next: None, begun: begun_in, ended: ended_in };
    let next = support::provider(&memory(), "").serve(PartsServer::new(behind.clone()));
    let next = Box::leak(Box::new(next.start().await.unwrap()));
    let next: PartsClient = support::consumer(&support::fixed(next), "").client().await.unwrap();
    let clerk = Clerk { next: Some(next), ..behind };
    let provider = support::provider(&registry, toml).layer(layer).serve(PartsServer::new(clerk));
    let provider = provider.start().await.unwrap();
    let client = support::consumer(&registry, toml).client().await.unwrap();
    Desk { provider, client, begun, ended }
}

fn patient(timeout: Duration) -> CallOptions {
    CallOptions::new().timeout(timeout)
}

#[tokio::test]
async fn what_a_task_calls_inherits_the_deadline_of_its_call() {
    let desk = desk("", Identity::new()).await;
    let left = desk.client.with(patient(Duration::from_millis(700))).next().await.unwrap();
    assert!((1..=700).contains(&left), "{left}");
    let left = desk.client.with(patient(Duration::from_secs(60))).next().await.unwrap();
    assert!((1..=5_000).contains(&left), "its own timeout is 5 s: {left}");
}

#[tokio::test]
async fn a_task_ends_when_the_caller_gives_the_call_up() {
    // With a layer that changes nothing, and without one.
    for layers in [false, true] {
        let mut desk = match layers {
            true => desk("", layer_fn(|inner: BoxInvoker| inner)).await,
            false => desk("", Identity::new()).await,
        };
        let client = desk.client.with(patient(Duration::from_secs(600)));
        let call = tokio::spawn(async move { client.begin(false).await });
        soon(desk.begun.recv()).await.unwrap();
        call.abort();
        let (_, status) = soon(desk.ended.recv()).await.unwrap();
        assert_eq!(status.code(), Code::Cancelled, "{status}");
        desk.provider.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_ends_at_the_deadline_of_its_call_whatever_the_call_has_answered() {
    for ends in [true, false] {
        let mut desk = desk(LOCAL, Identity::new()).await;
        let timeout = Duration::from_secs(7);
        let began = Instant::now();
        let result = desk.client.with(patient(timeout)).begin(ends).await;
        match ends {
            true => assert_eq!(began.elapsed(), Duration::ZERO, "{result:?}"),
            false => assert_eq!(result.unwrap_err().code(), Code::DeadlineExceeded),
        }
        let (after, status) = desk.ended.recv().await.unwrap();
        // One that was given up because its time was over may say so.
        let codes = [Code::DeadlineExceeded, Code::Cancelled];
        assert!(status.code() == Code::DeadlineExceeded || !ends, "{status}");
        assert!(codes.contains(&status.code()), "{status}");
        assert_eq!(after, timeout);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_ends_when_a_layer_gives_the_handler_up() {
    let layer = layer_fn(|inner: BoxInvoker| {
        tower::service_fn(move |invocation: Invocation| {
            let call = inner.invoke(invocation);
            async move {
                let late = Duration::from_secs(2);
                let late = tokio::time::timeout(late, call).await;
                late.unwrap_or_else(|_| Err(Status::unavailable("the layer has had enough")))
            }
        })
    });
    let mut desk = desk(LOCAL, layer).await;
    let status = desk.client.with(patient(Duration::from_secs(60))).begin(false).await.unwrap_err();
    assert_eq!(status.message(), "the layer has had enough");
    let (after, status) = desk.ended.recv().await.unwrap();
    assert_eq!((after, status.code()), (Duration::from_secs(2), Code::Cancelled));
}

#[tokio::test]
async fn a_handler_that_is_tried_without_a_call_has_no_limits() {
    assert_eq!(CallContext::scope(async { 7 }).await.unwrap(), 7);
    assert!(!CallContext::set_reply_metadata("a", "b"));
}

fn shown(seen: &ReplyMetadata) -> Vec<String> {
    seen.last().iter().map(|(key, value)| format!("{key}={value}")).collect()
}

#[tokio::test]
async fn what_a_handler_sets_comes_beside_its_answer_however_it_is_called() {
    for toml in ["", LOCAL] {
        let desk = desk(toml, layer_fn(|inner: BoxInvoker| inner)).await;
        let seen = ReplyMetadata::new();
        let client = desk.client.with(CallOptions::new().reply_metadata(&seen));
        assert_eq!(client.page(false).await.unwrap(), 2);
        assert_eq!(shown(&seen), ["next-page=2", "tag=a", "tag=b"], "{toml}");
        // What fails has none, and leaves what was seen.
        assert_eq!(client.page(true).await.unwrap_err().code(), Code::Aborted);
        assert_eq!(shown(&seen).len(), 3);
        client.left().await.unwrap();
        assert!(shown(&seen).is_empty());
        let http = post(desk.provider.local_addr(), "/test.Parts/page", "[false]").await;
        assert_eq!((http.status, http.header("next-page")), (200, Some("2")), "{http:?}");
        let tags = http.head.lines().filter(|line| line.to_lowercase().starts_with("tag:")).count();
        assert_eq!(tags, 2, "{http:?}");
    }
}

#[tokio::test]
async fn layers_see_what_the_handler_set_and_may_change_it() {
    let layer = layer_fn(|inner: BoxInvoker| {
        tower::service_fn(move |invocation: Invocation| {
            CallContext::set_reply_metadata("layer", "before");
            let call = inner.invoke(invocation);
            async move {
                let mut reply: Reply = call.await?;
                assert_eq!(reply.metadata.value("next-page"), Some("2"));
                reply.metadata.remove("tag");
                CallContext::append_reply_metadata("layer", "after");
                Ok::<_, Status>(reply)
            }
        })
    });
    let desk = desk("", layer).await;
    let seen = ReplyMetadata::new();
    desk.client.with(CallOptions::new().reply_metadata(&seen)).page(false).await.unwrap();
    assert_eq!(shown(&seen), ["next-page=2", "layer=before", "layer=after"]);
}

#[tokio::test]
async fn what_is_set_while_a_reply_streams_comes_behind_it() {
    let desk = desk(LOCAL, layer_fn(|inner: BoxInvoker| inner)).await;
    let seen = ReplyMetadata::new();
    let client = desk.client.with(CallOptions::new().reply_metadata(&seen));
    let mut pages = client.pages().await.unwrap();
    assert_eq!(shown(&seen), ["pages=2"]);
    while pages.message().await.unwrap().is_some() {}
    assert_eq!(pages.trailers().value("seal"), Some("2"));
}
