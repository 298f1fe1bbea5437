//! Deadlines, and the end of a provider.

use std::time::Duration;

use dubhe::{CallOptions, Code, Delivery};
use tokio::time::{Instant, sleep};

use crate::wire::{Streams, Wire, all};

pub(crate) async fn the_default_timeout_is_for_the_first_message_alone(wire: Wire) {
    let ends = wire.connect_with("timeout = \"1s\"\n", |provider| provider).await;
    let began = Instant::now();
    let status = ends.client.count(1, 1001).await.unwrap_err();
    assert_eq!((status.code(), began.elapsed().as_millis()), (Code::DeadlineExceeded, 1000));
    assert!(status.to_string().contains("timeout = 1s"), "{status}");
    let (numbers, end) = all(ends.client.count(20, 900).await.unwrap()).await;
    assert_eq!((numbers.len(), end), (20, None), "it took 18 s");
    let status = ends.client.never().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

pub(crate) async fn a_timeout_of_the_call_ends_it_in_mid_stream(wire: Wire) {
    let ends = wire.connect().await;
    let client = ends.client.with(CallOptions::new().timeout(Duration::from_secs(2)));
    let began = Instant::now();
    let (numbers, end) = all(client.count(u64::MAX, 300).await.unwrap()).await;
    let end = end.unwrap();
    assert_eq!((numbers.len(), end.code()), (6, Code::DeadlineExceeded), "{end}");
    assert!(began.elapsed() < Duration::from_millis(2010));
    ends.seen.dropped.notified().await;
}

pub(crate) async fn a_call_inside_a_handler_ends_with_the_handlers_deadline(wire: Wire) {
    let ends = wire.connect().await;
    let client = ends.client.with(CallOptions::new().timeout(Duration::from_secs(1)));
    let status = client.nested().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    ends.seen.dropped.notified().await;
}

pub(crate) async fn a_drain_waits_for_streams_and_ends_the_others_as_unavailable(wire: Wire) {
    let ends = wire.connect().await;
    let mut short = ends.client.count(20, 100).await.unwrap();
    let mut long = ends.client.count(u64::MAX, 100).await.unwrap();
    let reading = async {
        let mut read = 0;
        loop {
            match long.message().await {
                Ok(Some(_)) => read += 1,
                Ok(None) => unreachable!("it has no end"),
                Err(status) => return (read, status),
            }
        }
    };
    let shorter = async {
        let mut read = 0;
        while short.message().await.unwrap().is_some() {
            read += 1;
        }
        read
    };
    let down = async {
        sleep(Duration::from_millis(300)).await;
        ends.provider.shutdown().await
    };
    let ((_, status), shorter, report) = tokio::join!(reading, shorter, down);
    assert_eq!((status.code(), status.delivery()), (Code::Unavailable, Delivery::Answered));
    assert!(status.message().contains("shutting down"), "{status}");
    assert_eq!((shorter, report.cut_calls), (20, 1), "a stream that ends in time is whole");
    let status = ends.client.count(1, 0).await.unwrap_err();
    assert_eq!(
        (status.code(), status.delivery()),
        (Code::Unavailable, Delivery::NotSent),
        "{status}"
    );
}

pub(crate) async fn a_provider_that_is_dropped_ends_its_streams(wire: Wire) {
    let ends = wire.connect().await;
    let mut numbers = ends.client.count(u64::MAX, 100).await.unwrap();
    assert_eq!(numbers.message().await.unwrap(), Some(1));
    drop(ends.provider);
    let (_, end) = all(numbers).await;
    assert_eq!(end.unwrap().code(), Code::Unavailable);
}
