//! Order, back-pressure, half-close, numbers and sizes.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use dubhe::extend::{MessageSource, Messages};
use dubhe::{Body, CallContext, Code, Metadata, Reply, Result, Streaming};
use futures_util::StreamExt;
use tokio::time::{sleep, timeout};
use tower::util::MapResponseLayer;

use crate::wire::{Streams, Wire, all, code, endless};

/// How many messages may be on their way between a reader and a writer, in memory of ours.
const IN_FLIGHT: u64 = 64;

pub(crate) async fn messages_arrive_in_order_in_both_directions(wire: Wire) {
    let ends = wire.connect().await;
    assert_eq!(ends.client.sum(Streaming::of(1..=1000)).await.unwrap(), 500_500);
    let (numbers, end) = all(ends.client.count(1000, 0).await.unwrap()).await;
    assert_eq!((numbers, code(end)), ((1..=1000).collect(), Code::Ok));
    let (numbers, end) = all(ends.client.double(Streaming::of(1..=1000)).await.unwrap()).await;
    let expected: Vec<u64> = (1..=1000).map(|number| number * 2).chain([7]).collect();
    assert_eq!((numbers, code(end)), (expected, Code::Ok));
}

pub(crate) async fn a_slow_reader_holds_the_handler_back(wire: Wire) {
    let ends = wire.connect().await;
    let mut numbers = ends.client.count(u64::MAX, 0).await.unwrap();
    for read in 1..=100 {
        assert_eq!(numbers.message().await.unwrap(), Some(read));
        sleep(Duration::from_millis(100)).await;
        assert!(ends.seen.made() <= read + IN_FLIGHT, "{} made, {read} read", ends.seen.made());
    }
}

pub(crate) async fn a_slow_handler_holds_the_caller_back(wire: Wire) {
    let ends = wire.connect().await;
    let (numbers, read) = endless(1);
    let call = timeout(Duration::from_secs(4), ends.client.sleepy(numbers)).await;
    assert!(call.is_err(), "the handler sleeps");
    assert!(read.load(Ordering::SeqCst) <= 1 + IN_FLIGHT);
}

pub(crate) async fn a_caller_that_has_said_all_still_hears_the_rest(wire: Wire) {
    let ends = wire.connect().await;
    let (said, numbers) = Streaming::channel(4);
    let mut doubled = ends.client.double(numbers).await.unwrap();
    said.send(1).await.unwrap();
    assert_eq!(doubled.message().await.unwrap(), Some(2));
    drop(said);
    assert_eq!(doubled.message().await.unwrap(), Some(7), "said at the end of what was said");
    assert_eq!(doubled.message().await.unwrap(), None);
}

pub(crate) async fn what_is_answered_may_depend_on_what_is_said_next(wire: Wire) {
    let ends = wire.connect().await;
    let (said, numbers) = Streaming::channel(1);
    let mut doubled = ends.client.double(numbers).await.unwrap();
    let mut next = 1;
    for _ in 0..10 {
        said.send(next).await.unwrap();
        next = doubled.message().await.unwrap().unwrap();
    }
    assert_eq!(next, 1024);
}

pub(crate) async fn a_stream_may_be_empty_and_its_end_stays_its_end(wire: Wire) {
    let ends = wire.connect().await;
    assert_eq!(ends.client.sum(Streaming::of([])).await.unwrap(), 0);
    let mut numbers = ends.client.count(0, 0).await.unwrap();
    for _ in 0..3 {
        assert_eq!(numbers.message().await.unwrap(), None);
    }
}

pub(crate) async fn ten_thousand_streams_run_at_once(wire: Wire) {
    const STREAMS: u64 = 10_000;
    let ends = wire.connect().await;
    let mut streams = Vec::new();
    for number in 1..=STREAMS {
        let (said, numbers) = Streaming::channel(1);
        let doubled = ends.client.double(numbers).await.unwrap();
        said.send(number).await.unwrap();
        streams.push((number, said, doubled));
    }
    for (number, said, doubled) in &mut streams {
        assert_eq!(doubled.message().await.unwrap(), Some(*number * 2));
        said.send(*number + 1).await.unwrap();
    }
    for (number, said, mut doubled) in streams {
        assert_eq!(doubled.message().await.unwrap(), Some(number * 2 + 2));
        drop(said);
        assert_eq!(all(doubled).await.0, [7]);
    }
}

pub(crate) async fn a_message_past_the_limit_ends_its_stream(wire: Wire) {
    let limit = "[provider.limits]\npayload = \"1KiB\"\n";
    let ends = wire.connect_with(limit, |provider| provider).await;
    let (texts, end) = all(ends.client.texts(100).await.unwrap()).await;
    assert_eq!((texts.len(), code(end)), (2, Code::Ok));
    let (texts, end) = all(ends.client.texts(2000).await.unwrap()).await;
    let end = end.unwrap();
    assert_eq!((texts.len(), end.code()), (1, Code::ResourceExhausted), "{end}");
    assert!(end.message().contains("limit of 1024"), "{end}");
}

/// The messages of a handler, and a key/value behind them.
struct Sealed(Messages);

impl MessageSource for Sealed {
    fn poll_message(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Body>>> {
        self.get_mut().0.poll_next(cx)
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        let mut trailers = Metadata::new();
        trailers.insert("seal", "broken");
        trailers
    }
}

pub(crate) async fn trailers_come_behind_the_last_message(wire: Wire) {
    let sealing = MapResponseLayer::new(|reply: Reply| {
        let body = Body::stream(Sealed(reply.body.messages().unwrap()));
        Reply { body, ..reply }
    });
    let ends = wire.connect_with("", |provider| provider.layer_for("Streams", sealing)).await;
    let mut numbers = ends.client.count(1, 0).await.unwrap();
    assert_eq!(numbers.message().await.unwrap(), Some(1));
    assert!(numbers.trailers().is_empty());
    assert_eq!(numbers.message().await.unwrap(), None);
    assert_eq!(numbers.trailers().value("seal"), Some("broken"));
}

pub(crate) async fn what_a_caller_streams_is_made_as_the_caller_would_make_it(wire: Wire) {
    let ends = wire.connect().await;
    let numbers = futures_util::stream::iter([1]).map(|number| {
        assert!(CallContext::current().is_none(), "this is no handler");
        Ok(number)
    });
    assert_eq!(ends.client.sum(Streaming::new(numbers)).await.unwrap(), 1);
    let broken = futures_util::stream::iter([1]).map(|_| panic!("as it does"));
    let status = ends.client.sum(Streaming::new(broken)).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("the stream of the call's arguments panicked"), "{status}");
}
