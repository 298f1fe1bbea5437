//! A handler that passes on the failure of a call of its own: who is told to have failed, and that its
//! provider goes on to be called.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dubhe::prelude::*;
use dubhe::{Delivery, RunningProvider, ServiceKey};
use support::memory;

#[dubhe::service(name = "test.Front")]
trait Front {
    /// Passes on what becomes of its call.
    #[rpc(idempotent)]
    async fn order(&self, id: u64) -> Result<()>;

    /// Says in its own words what became of its call.
    async fn apologise(&self, id: u64) -> Result<()>;

    /// Calls nobody.
    #[rpc(idempotent)]
    async fn greet(&self) -> Result<()>;
}

#[dubhe::service(name = "test.Middle")]
trait Middle {
    async fn reserve(&self, id: u64) -> Result<()>;
}

#[dubhe::service(name = "test.Back")]
trait Back {
    async fn fetch(&self, id: u64) -> Result<()>;
}

struct Counter {
    middle: MiddleClient,
    orders: Arc<AtomicU64>,
}

impl Front for Counter {
    async fn order(&self, id: u64) -> Result<()> {
        self.orders.fetch_add(1, Ordering::AcqRel);
        self.middle.reserve(id).await
    }

    async fn apologise(&self, id: u64) -> Result<()> {
        let sorry = |_| Status::unavailable("come back tomorrow");
        self.middle.reserve(id).await.map_err(sorry)
    }

    async fn greet(&self) -> Result<()> {
        Ok(())
    }
}

struct Shelf(BackClient);

impl Middle for Shelf {
    async fn reserve(&self, id: u64) -> Result<()> {
        self.0.fetch(id).await
    }
}

/// Two providers of the front over one of the middle; nobody provides what that needs.
struct Shop {
    providers: Vec<RunningProvider>,
    consumer: Consumer,
    orders: Arc<AtomicU64>,
}

async fn open() -> Shop {
    let registry = memory();
    let start = |provider: Provider| async { provider.start().await.unwrap() };
    let inner = support::consumer(&registry, "");
    let shelf = Shelf(inner.client().await.unwrap());
    let middle = support::provider(&registry, "").serve(MiddleServer::new(shelf));
    let mut providers = vec![start(middle).await];
    let orders = Arc::new(AtomicU64::new(0));
    for _ in 0..2 {
        let counter = Counter { middle: inner.client().await.unwrap(), orders: orders.clone() };
        let front = support::provider(&registry, "").serve(FrontServer::new(counter));
        providers.push(start(front).await);
    }
    Shop { providers, consumer: support::consumer(&registry, ""), orders }
}

#[tokio::test]
async fn a_failure_that_is_passed_on_over_two_hops_names_the_innermost_call_and_is_sent_once() {
    let shop = open().await;
    let front: FrontClient = shop.consumer.client().await.unwrap();
    let status = front.order(1).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Unavailable, Delivery::Answered));
    assert_eq!(status.call(), Some("test.Front/order"), "{status}");
    assert_eq!(status.origin(), Some("test.Back/fetch"), "{status}");
    let text = "its call test.Back/fetch failed: no instance of test.Back";
    assert!(status.message().starts_with(text), "{status}");
    let at = status.address().unwrap();
    assert!(shop.providers[1..].iter().any(|provider| provider.address() == at), "{status}");
    assert_eq!(shop.orders.load(Ordering::Acquire), 1, "another provider would do no better");
}

#[tokio::test]
async fn a_failing_dependency_takes_no_provider_out_for_its_other_methods() {
    let shop = open().await;
    let front: FrontClient = shop.consumer.client().await.unwrap();
    for id in 0..40 {
        front.order(id).await.unwrap_err();
        front.greet().await.unwrap();
    }
    let state = shop.consumer.directory_state(&ServiceKey::new("test.Front")).unwrap();
    assert_eq!((state.endpoints, state.candidates, state.ejections), (2, 2, 0));
}

#[tokio::test]
async fn an_error_that_the_handler_made_itself_is_its_own() {
    let shop = open().await;
    let front: FrontClient = shop.consumer.client().await.unwrap();
    let status = front.apologise(1).await.unwrap_err();
    assert_eq!((status.origin(), status.message()), (None, "come back tomorrow"), "{status}");
}

#[tokio::test]
async fn over_http_a_header_and_the_message_name_the_call() {
    let shop = open().await;
    let at = shop.providers[1].local_addr();
    let answer = support::http::post(at, "/test.Front/order", "[1]").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("failed-call"), Some("test.Back/fetch"));
    assert!(answer.error().1.starts_with("its call test.Back/fetch failed: "));
}
