//! How streams end: by either side, by errors, and what is counted then.

use std::future::pending;
use std::time::Duration;

use dubhe::{CallOptions, Code, Delivery, Status, Streaming};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::wire::{StreamError, Streams, Wire, all, code, endless};

pub(crate) async fn a_stream_that_is_dropped_ends_its_handler(wire: Wire) {
    let ends = wire.connect().await;
    let mut numbers = ends.client.count(u64::MAX, 10).await.unwrap();
    assert_eq!(numbers.message().await.unwrap(), Some(1));
    drop(numbers);
    ends.seen.dropped.notified().await;
}

pub(crate) async fn a_call_that_is_dropped_before_its_first_message_ends_its_handler(wire: Wire) {
    let ends = wire.connect().await;
    let call = timeout(Duration::from_millis(100), ends.client.never());
    assert!(call.await.is_err(), "it never begins");
    ends.seen.dropped.notified().await;
    let call = timeout(Duration::from_millis(100), ends.client.count(1, 60_000));
    assert!(call.await.is_err(), "it begins after a minute");
    ends.seen.dropped.notified().await;
}

pub(crate) async fn a_handler_that_hears_no_more_tells_who_speaks(wire: Wire) {
    let ends = wire.connect().await;
    let (said, numbers) = Streaming::channel(1);
    let call = ends.client.first(numbers);
    let speaking = async {
        said.send(5).await.unwrap();
        said.closed().await;
        said.send(6).await.unwrap_err()
    };
    let (first, refused) = tokio::join!(call, speaking);
    assert_eq!((first.unwrap(), refused.code()), (5, Code::Cancelled));
}

pub(crate) async fn a_handler_that_answers_early_ends_what_is_said(wire: Wire) {
    let ends = wire.connect().await;
    let (numbers, _) = endless(3);
    assert_eq!(ends.client.first(numbers).await.unwrap(), 3);
}

pub(crate) async fn an_error_comes_behind_the_messages_before_it(wire: Wire) {
    let ends = wire.connect().await;
    let mut numbers = ends.client.fail_after(20).await.unwrap();
    for number in 1..=20 {
        assert_eq!(numbers.message().await.unwrap(), Some(number));
    }
    let status = numbers.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "call 0 broke"));
    assert_eq!(status.delivery(), Delivery::Answered);
    assert!(status.address().is_some() && status.call().is_some(), "{status}");
    assert_eq!(numbers.message().await.unwrap(), None, "an error is told once");
}

pub(crate) async fn an_error_of_the_caller_reaches_the_handler(wire: Wire) {
    let ends = wire.connect().await;
    let broken = futures_util::stream::iter([Ok(1), Err(Status::aborted("changed my mind"))]);
    let status = ends.client.sum(Streaming::new(broken)).await.unwrap_err();
    let heard = ends.seen.error.lock().unwrap().take().unwrap();
    assert!(heard.message().contains("changed my mind"), "{heard}");
    assert_eq!((heard.code(), status.code()), (Code::Aborted, Code::Aborted));
}

pub(crate) async fn a_typed_error_instead_of_a_stream_arrives_as_the_same_value(wire: Wire) {
    let ends = wire.connect().await;
    let error = ends.client.checked(4).await.unwrap_err();
    assert_eq!(error, StreamError::TooMany { most: 3 });
    assert_eq!(all(ends.client.checked(2).await.unwrap()).await.0, [1, 2]);
}

pub(crate) async fn a_handler_that_panics_in_mid_stream_fails_the_stream_alone(wire: Wire) {
    let ends = wire.connect().await;
    let (numbers, end) = all(ends.client.panic_after(3).await.unwrap()).await;
    assert_eq!((numbers, code(end)), (vec![1, 2, 3], Code::Internal));
    assert_eq!(all(ends.client.count(2, 0).await.unwrap()).await.0, [1, 2]);
}

pub(crate) async fn a_call_counts_until_its_stream_ends(wire: Wire) {
    let ends = wire.connect().await;
    let log = dubhe::AttemptLog::new();
    let client = ends.client.with(CallOptions::new().attempts(&log));
    let counted = |code: &str| {
        let line = |side: &str| {
            format!(
                "dubhe_{side}_calls_total{{service=\"Streams\",method=\"count\",code=\"{code}\"}} 1"
            )
        };
        let (consumer, provider) = (ends.consumer.metrics(), ends.provider.metrics());
        (
            consumer.render().contains(&line("consumer")),
            provider.render().contains(&line("provider")),
        )
    };
    let mut numbers = client.count(2, 0).await.unwrap();
    assert_eq!(numbers.message().await.unwrap(), Some(1));
    assert!(log.records().is_empty() && !counted("ok").0, "it runs");
    assert_eq!(all(numbers).await.0, [2]);
    assert_eq!((log.records().len(), counted("ok")), (1, (true, true)));
    drop(client.count(u64::MAX, 10).await.unwrap());
    ends.seen.dropped.notified().await;
    ends.seen.dropped.notified().await;
    assert_eq!((log.records().len(), counted("cancelled").0), (2, true));
    // A stream of requests is dropped with its call, too.
    let waiting = Streaming::new(futures_util::stream::once(pending()).boxed());
    let call = timeout(Duration::from_millis(1), ends.client.sum(waiting));
    assert!(call.await.is_err());
}
