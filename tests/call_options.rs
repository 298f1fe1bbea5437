//! What one call may set for itself, what its handler sees of it, and what nested calls inherit.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{Delivery, RunningProvider};
use support::{memory, until_is};

#[dubhe::service(name = "test.Chain")]
trait Chain {
    /// What the handler sees of its call.
    #[rpc(idempotent)]
    async fn view(&self) -> Result<View>;

    /// The time left at this hop and at all behind it, in microseconds.
    #[rpc(idempotent)]
    async fn left(&self, hops: u32) -> Result<Vec<u64>>;

    /// Never ends by itself, so many hops away.
    #[rpc(idempotent)]
    async fn wait(&self, hops: u32) -> Result<()>;
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
struct View {
    method: String,
    peer: String,
    tenant: String,
    entries: u32,
    left_ms: u64,
}

struct Hop {
    next: Option<ChainClient>,
    dropped: Arc<AtomicBool>,
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Chain for Hop {
    async fn view(&self) -> Result<View> {
        let call = CallContext::current().unwrap();
        Ok(View {
            method: call.method().path().to_string(),
            peer: call.peer().unwrap().address().socket().unwrap().ip().to_string(),
            tenant: call.metadata().value("tenant").unwrap_or_default().to_owned(),
            entries: u32::try_from(call.metadata().len()).unwrap(),
            left_ms: call.deadline().remaining().as_millis() as u64,
        })
    }

    async fn left(&self, hops: u32) -> Result<Vec<u64>> {
        let own = CallContext::current().unwrap().deadline().remaining();
        let mut all = vec![own.as_micros() as u64];
        if hops > 0 {
            all.extend(self.next.as_ref().unwrap().left(hops - 1).await?);
        }
        Ok(all)
    }

    async fn wait(&self, hops: u32) -> Result<()> {
        if hops > 0 {
            return self.next.as_ref().unwrap().wait(hops - 1).await;
        }
        let _tells = OnDrop(self.dropped.clone());
        std::future::pending().await
    }
}

/// A chain of providers, the first in front, and a client of that.
async fn chain(length: usize) -> (Vec<RunningProvider>, ChainClient, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    let (mut running, mut next) = (Vec::new(), None);
    for _ in 0..length {
        let hop = Hop { next: next.take(), dropped: dropped.clone() };
        let provider = support::provider(&memory(), "").serve(ChainServer::new(hop));
        let provider = provider.start().await.unwrap();
        let consumer = support::consumer(&support::fixed(&provider), "");
        next = Some(consumer.client().await.unwrap());
        running.push(provider);
    }
    (running, next.unwrap(), dropped)
}

#[tokio::test]
async fn the_handler_sees_method_peer_metadata_and_the_time_left() {
    let (_running, client, _) = chain(1).await;
    let options = CallOptions::new()
        .timeout(Duration::from_millis(700))
        .metadata("Tenant", "blue")
        .metadata("trace", "1");
    let view = client.with(options).view().await.unwrap();
    assert_eq!(view.method, "test.Chain/view");
    assert_eq!(view.peer, "127.0.0.1");
    assert_eq!((&*view.tenant, view.entries), ("blue", 2));
    assert!((1..=700).contains(&view.left_ms), "{view:?}");
}

#[tokio::test]
async fn options_hold_for_the_calls_through_that_client_only() {
    let (_running, client, _) = chain(1).await;
    let tagged = client.with(CallOptions::new().metadata("tenant", "blue"));
    assert_eq!(tagged.view().await.unwrap().tenant, "blue");
    let plain = client.view().await.unwrap();
    assert_eq!((&*plain.tenant, plain.entries), ("", 0));
    assert!(plain.left_ms > 700, "{plain:?}");
    assert!(CallContext::current().is_none());
}

#[tokio::test]
async fn the_codec_of_one_call_is_chosen_and_an_unknown_one_lists_the_known() {
    let (_running, client, _) = chain(1).await;
    for codec in ["protobuf", "msgpack", "json"] {
        let options = CallOptions::new().codec(codec).metadata("tenant", codec);
        assert_eq!(client.with(options).view().await.unwrap().tenant, codec);
    }
    let status = client.with(CallOptions::new().codec("jsn")).view().await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::InvalidArgument, Delivery::NotSent));
    let text = status.to_string();
    let start = "invalid_argument in test.Chain/view: unknown codec `jsn` (did you mean `json`?), \
                 available: ";
    assert!(text.starts_with(start), "{text}");
    for known in ["protobuf", "msgpack", "json"] {
        assert!(text.contains(known), "{text}");
    }
}

#[tokio::test]
async fn a_nested_call_inherits_what_is_left_and_less_at_each_hop() {
    let (_running, client, _) = chain(4).await;
    let client = client.with(CallOptions::new().timeout(Duration::from_secs(2)));
    for hops in [1, 2, 3] {
        let left = client.left(hops).await.unwrap();
        assert_eq!(left.len(), hops as usize + 1);
        assert!(left[0] < 2_000_000, "{left:?}");
        assert!(left.windows(2).all(|pair| pair[1] < pair[0]), "{left:?}");
        // Configured are five seconds for each hop: nobody started anew.
        assert!(left[hops as usize] > 500_000, "{left:?}");
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends_at_its_deadline_and_so_does_its_handler() {
    let (_running, client, dropped) = chain(1).await;
    // Connected before, so that the deadline passes while the call is at the provider.
    client.view().await.unwrap();
    let begun = tokio::time::Instant::now();
    let client = client.with(CallOptions::new().timeout(Duration::from_millis(100)));
    let status = client.wait(0).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    until_is("the handler is dropped", || dropped.load(Ordering::Acquire)).await;
}

#[tokio::test]
async fn a_deadline_ends_the_last_of_three_hops_with_the_first() {
    let (_running, client, dropped) = chain(3).await;
    // Connected before, all of them.
    client.left(2).await.unwrap();
    let begun = tokio::time::Instant::now();
    let client = client.with(CallOptions::new().timeout(Duration::from_millis(300)));
    let status = client.wait(2).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    until_is("the last handler is dropped", || dropped.load(Ordering::Acquire)).await;
    let took = begun.elapsed();
    assert!((290..600).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn a_dropped_call_cancels_its_handler() {
    let (_running, client, dropped) = chain(1).await;
    client.view().await.unwrap();
    let cut = tokio::time::timeout(Duration::from_millis(100), client.wait(0)).await;
    assert!(cut.is_err());
    until_is("the handler is dropped", || dropped.load(Ordering::Acquire)).await;
}

#[tokio::test]
async fn no_time_at_all_is_an_error_before_anything_is_sent() {
    let (running, client, _) = chain(1).await;
    let status = client.with(CallOptions::new().timeout(Duration::ZERO)).view().await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::DeadlineExceeded, Delivery::NotSent));
    assert!(!running[0].metrics().render().contains("method=\"view\",code"));
}
