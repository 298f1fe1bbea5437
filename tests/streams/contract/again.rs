//! What is sent again, and what layers see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dubhe::{BoxInvoker, Code, Invocation, Reply, Result, Status, Streaming};
use tokio::time::Instant;
use tower::util::MapRequestLayer;

use crate::support;
use crate::wire::{Streams, Wire, all};

pub(crate) async fn a_stream_that_fails_before_its_first_message_is_called_again(wire: Wire) {
    let ends = wire.connect().await;
    let status = ends.client.fail_after(0).await.unwrap_err();
    assert_eq!((status.code(), ends.seen.calls()), (Code::Unavailable, 3), "{status}");
    assert_eq!(status.attempts().len(), 3, "{status}");
}

pub(crate) async fn a_stream_that_fails_behind_its_first_message_is_not_called_again(wire: Wire) {
    let ends = wire.connect().await;
    let (numbers, end) = all(ends.client.fail_after(1).await.unwrap()).await;
    assert_eq!((numbers, ends.seen.calls()), (vec![1], 1));
    assert_eq!(end.unwrap().code(), Code::Unavailable);
}

pub(crate) async fn a_call_whose_stream_was_read_is_not_sent_again(wire: Wire) {
    let ends = wire.connect().await;
    let status = ends.client.first(Streaming::of([0])).await.unwrap_err();
    assert_eq!((status.code(), ends.seen.calls()), (Code::Unavailable, 1), "{status}");
    assert!(status.to_string().contains("the stream of its arguments was read"), "{status}");
}

pub(crate) async fn a_call_whose_stream_nobody_read_is_sent_again(wire: Wire) {
    let tries = Arc::new(AtomicU64::new(0));
    let counted = tries.clone();
    let refusing = tower::layer::layer_fn(move |inner: BoxInvoker| {
        let tries = counted.clone();
        tower::service_fn(move |call: Invocation| {
            let (inner, nth) = (inner.clone(), tries.fetch_add(1, Ordering::SeqCst));
            async move {
                match nth {
                    0 | 1 => Err(Status::unavailable("not now")),
                    _ => inner.invoke(call).await,
                }
            }
        })
    });
    let ends = wire.connect_with("", |provider| provider.layer_for("Streams", refusing)).await;
    assert_eq!(ends.client.first(Streaming::of([9])).await.unwrap(), 9);
    assert_eq!(tries.load(Ordering::SeqCst), 3);
}

pub(crate) async fn a_stream_that_does_not_begin_is_asked_for_elsewhere_halfway(wire: Wire) {
    let registry = support::memory();
    let hanging = tower::layer::layer_fn(|_: BoxInvoker| {
        tower::service_fn(|_: Invocation| std::future::pending::<Result<Reply>>())
    });
    let hangs = wire.connect_at(&registry, "", |provider| provider.layer(hanging)).await;
    let well = wire.connect_at(&registry, "", |provider| provider).await;
    let (mut slow, began) = (0, Instant::now());
    for _ in 0..20 {
        let called = Instant::now();
        assert_eq!(all(well.client.count(2, 0).await.unwrap()).await.0, [1, 2]);
        slow += u64::from(called.elapsed() >= Duration::from_millis(2500));
    }
    assert!(slow > 0, "some have met the one that hangs");
    assert!(began.elapsed() < Duration::from_secs(5) * 20);
    drop(hangs);
}

pub(crate) async fn layers_see_a_streaming_call_as_any_other(wire: Wire) {
    let seen = Arc::new(AtomicU64::new(0));
    let counted = seen.clone();
    let layer = MapRequestLayer::new(move |call: Invocation| {
        let kind = call.method().kind();
        assert!(kind.is_streaming() && call.peer.is_some(), "{kind}");
        counted.fetch_add(1, Ordering::SeqCst);
        call
    });
    let ends = wire.connect_with("", |provider| provider.layer_for("Streams", layer)).await;
    assert_eq!(ends.client.sum(Streaming::of([1, 2])).await.unwrap(), 3);
    assert_eq!(all(ends.client.count(2, 0).await.unwrap()).await.0, [1, 2]);
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}
