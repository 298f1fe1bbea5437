//! Tower's own layers at the three positions: what their failures say, and what comes of it.

mod limits;
mod timeout;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{BoxInvoker, ConsumerBuilder, Delivery, Invocation, Invoker, RunningProvider};
use tokio::sync::Semaphore;
use tower::util::MapRequestLayer;
use tower_layer::Layer;

use crate::shop::{self, Stock, StockClient, StockServer};

/// Long enough for a call on this machine, short enough to wait for.
const SHORT: Duration = Duration::from_millis(100);

/// A shop whose calls end when they are let go.
#[derive(Debug)]
struct Desk {
    begun: AtomicU32,
    running: AtomicU32,
    most: AtomicU32,
    open: Semaphore,
}

impl Desk {
    /// Lets so many calls through.
    fn open_for(calls: usize) -> Arc<Self> {
        Arc::new(Self {
            begun: AtomicU32::new(0),
            running: AtomicU32::new(0),
            most: AtomicU32::new(0),
            open: Semaphore::new(calls),
        })
    }

    fn hanging() -> Arc<Self> {
        Self::open_for(0)
    }

    fn begun(&self) -> u32 {
        self.begun.load(SeqCst)
    }

    async fn until_begun(&self, calls: u32) {
        let begun = async {
            while self.begun() < calls {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), begun).await.unwrap();
    }

    async fn serve(&self) -> Result<String> {
        struct Leave<'a>(&'a AtomicU32);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        self.begun.fetch_add(1, SeqCst);
        self.most.fetch_max(self.running.fetch_add(1, SeqCst) + 1, SeqCst);
        let _leave = Leave(&self.running);
        // Others that may come in do so meanwhile.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.open.acquire().await.unwrap().forget();
        Ok("done".to_owned())
    }
}

impl Stock for Desk {
    async fn count(&self, _: u64) -> Result<String> {
        self.serve().await
    }

    async fn take(&self, _: u64) -> Result<String> {
        self.serve().await
    }
}

async fn serve(url: &str, desk: &Arc<Desk>) -> RunningProvider {
    shop::provider(url).serve(StockServer::from_arc(desk.clone())).start().await.unwrap()
}

async fn serve_layered<L>(url: &str, desk: &Arc<Desk>, layer: L) -> RunningProvider
where
    L: Layer<BoxInvoker, Service: Invoker> + Send + Sync + 'static,
{
    let provider = shop::provider(url).layer(layer);
    provider.serve(StockServer::from_arc(desk.clone())).start().await.unwrap()
}

async fn client(consumer: ConsumerBuilder) -> StockClient {
    consumer.build().unwrap().client().await.unwrap()
}

fn told(status: &Status) -> (Code, Delivery) {
    (status.code(), status.delivery())
}

const LATE: (Code, Delivery) = (Code::DeadlineExceeded, Delivery::MaybeSent);
const SHED: (Code, Delivery) = (Code::ResourceExhausted, Delivery::Refused);

/// Fails every call with an error of its own.
#[derive(Debug, Clone, Copy)]
struct Odd;

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the moon is full")
    }
}

impl std::error::Error for Odd {}

fn odd() -> impl Layer<BoxInvoker, Service: Invoker> + Clone {
    tower_layer::layer_fn(|_: BoxInvoker| {
        tower::service_fn(async |_: Invocation| Err::<dubhe::Reply, _>(Odd))
    })
}

#[tokio::test]
async fn an_error_of_which_nothing_is_known_may_have_been_sent_and_is_internal_at_a_provider() {
    let (url, desk) = ("memory://odd", Desk::open_for(10));
    let _running = (serve(url, &desk).await, serve(url, &desk).await);
    let unknown = (Code::Unknown, Delivery::MaybeSent);
    let at_call = client(shop::consumer(url).call_layer(odd())).await;
    let failed = at_call.count(1).await.unwrap_err();
    assert_eq!((told(&failed), failed.message()), (unknown, "the moon is full"));

    let at_attempt = client(shop::consumer(url).attempt_layer(odd())).await;
    let (read, write) = (at_attempt.count(1).await, at_attempt.take(1).await);
    let (read, write) = (read.unwrap_err(), write.unwrap_err());
    assert_eq!((told(&read), read.attempts().len()), (unknown, 3), "{read}");
    assert_eq!((told(&write), write.attempts().len()), (unknown, 1), "{write}");

    let other = "memory://odd-provider";
    let _running = serve_layered(other, &desk, odd()).await;
    let failed = client(shop::consumer(other)).await.count(1).await.unwrap_err();
    assert_eq!(told(&failed), (Code::Internal, Delivery::Answered));
    assert_eq!((failed.message(), desk.begun()), ("the moon is full", 0));
}

#[tokio::test]
async fn a_request_is_mapped_at_every_position() {
    let (url, desk) = ("memory://mapped", Desk::open_for(10));
    let seen: Arc<std::sync::Mutex<String>> = Arc::default();
    let note = |position: &'static str| {
        let seen = seen.clone();
        MapRequestLayer::new(move |invocation: Invocation| {
            seen.lock().unwrap().push_str(position);
            invocation
        })
    };
    let _running = serve_layered(url, &desk, note("provider")).await;
    let consumer = shop::consumer(url).call_layer(note("call, ")).attempt_layer(note("attempt, "));
    assert_eq!(client(consumer).await.count(1).await.unwrap(), "done");
    assert_eq!(*seen.lock().unwrap(), "call, attempt, provider");
}
