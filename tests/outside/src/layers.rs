//! Tower layers of one's own at the three positions: authentication and timing.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use dubhe::extend::ReplyFuture;
use dubhe::prelude::*;
use dubhe::{Delivery, Invocation, Reply, ServiceKey};
use tokio::time::Instant;
use tower::util::MapRequestLayer;
use tower_layer::Layer;
use tower_service::Service;

use crate::shop::{self, Shop, Stock, StockClient, StockServer};

/// Lets nobody in who does not show the token.
#[derive(Clone)]
struct Guard(&'static str);

#[derive(Clone)]
struct Guarded<S> {
    inner: S,
    token: &'static str,
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, token: self.0 }
    }
}

impl<S> Service<Invocation> for Guarded<S>
where
    S: Service<Invocation, Response = Reply, Error = Status, Future: Send + 'static>,
{
    type Response = Reply;
    type Error = Status;
    type Future = ReplyFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, invocation: Invocation) -> ReplyFuture {
        match invocation.metadata.value("token") {
            Some(token) if token == self.token => Box::pin(self.inner.call(invocation)),
            _ => Box::pin(async { Err(Status::unauthenticated("show the token")) }),
        }
    }
}

/// Shows a token with every call.
fn show(token: &'static str) -> impl Layer<dubhe::BoxInvoker, Service: dubhe::Invoker> + Clone {
    MapRequestLayer::new(move |mut invocation: Invocation| {
        invocation.metadata.insert("token", token);
        invocation
    })
}

/// Notes which method took how long.
#[derive(Clone, Default)]
struct Timing(Arc<Mutex<Vec<(String, Duration)>>>);

#[derive(Clone)]
struct Timed<S> {
    inner: S,
    timing: Timing,
}

impl<S> Layer<S> for Timing {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed { inner, timing: self.clone() }
    }
}

impl<S> Service<Invocation> for Timed<S>
where
    S: Service<Invocation, Response = Reply, Error = Status, Future: Send + 'static>,
{
    type Response = Reply;
    type Error = Status;
    type Future = ReplyFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, invocation: Invocation) -> ReplyFuture {
        let (began, name) = (Instant::now(), invocation.method().name().to_owned());
        let (timing, call) = (self.timing.clone(), self.inner.call(invocation));
        Box::pin(async move {
            let result = call.await;
            timing.0.lock().unwrap().push((name, began.elapsed()));
            result
        })
    }
}

impl Timing {
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
    }

    fn sum(&self) -> Duration {
        self.0.lock().unwrap().iter().map(|(_, took)| *took).sum()
    }
}

#[tokio::test]
async fn a_guard_around_a_provider_turns_callers_without_token_away_before_the_handler() {
    let (url, desk) = ("memory://guard-all", Shop::new("a"));
    let server = StockServer::from_arc(desk.clone());
    let running = shop::provider(url).layer(Guard("sesame")).serve(server).start().await.unwrap();

    let stranger: StockClient = shop::consumer(url).build().unwrap().client().await.unwrap();
    let status = stranger.count(1).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "show the token"));
    assert_eq!(status.delivery(), Delivery::Answered);
    let impostor = stranger.with(CallOptions::new().metadata("token", "simsim"));
    assert_eq!(impostor.take(1).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(desk.executed(), 0);

    for consumer in [
        shop::consumer(url).call_layer(show("sesame")),
        shop::consumer(url).attempt_layer(show("sesame")),
    ] {
        let stock: StockClient = consumer.build().unwrap().client().await.unwrap();
        assert_eq!(stock.count(1).await.unwrap(), "a 1");
    }
    assert_eq!(desk.executed(), 2);
    running.shutdown().await;
}

#[tokio::test]
async fn layers_of_one_method_leave_the_others_alone_at_every_position() {
    let (url, desk) = ("memory://guard-method", Shop::new("a"));
    let scope = ("shop.Stock", "take");
    let server = StockServer::from_arc(desk.clone());
    let provider = shop::provider(url).layer_for(scope, Guard("sesame")).serve(server);
    let running = provider.start().await.unwrap();
    let client = async |consumer: dubhe::ConsumerBuilder| -> StockClient {
        consumer.build().unwrap().client().await.unwrap()
    };

    let stranger = client(shop::consumer(url)).await;
    assert_eq!(stranger.count(1).await.unwrap(), "a 1");
    assert_eq!(stranger.take(1).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(desk.executed(), 1);

    let (calls, attempts) = (Timing::default(), Timing::default());
    let known = shop::consumer(url)
        .call_layer_for(scope, show("sesame"))
        .call_layer_for(("shop.Stock", "count"), calls.clone())
        .attempt_layer_for(scope, attempts.clone());
    let known = client(known).await;
    assert_eq!(known.count(2).await.unwrap(), "a 2");
    assert_eq!(known.take(2).await.unwrap(), "a took 2");
    assert_eq!((calls.names(), attempts.names()), (vec!["count".into()], vec!["take".into()]));
    let wrong = client(shop::consumer(url).attempt_layer_for(scope, show("simsim"))).await;
    assert_eq!(wrong.count(3).await.unwrap(), "a 3");
    assert_eq!(wrong.take(3).await.unwrap_err().code(), Code::Unauthenticated);
    running.shutdown().await;
}

#[tokio::test]
async fn layers_of_one_service_leave_the_others_alone() {
    let url = "memory://guard-service";
    let (front, back) = (Shop::new("front"), Shop::new("back"));
    let inner = ServiceKey::with_parts("shop.Stock", "inner", "");
    let provider = shop::provider(url)
        .layer_for("inner/shop.Stock", Guard("sesame"))
        .serve(StockServer::from_arc(front))
        .serve_as(inner.clone(), StockServer::from_arc(back));
    let running = provider.start().await.unwrap();
    let consumer = shop::consumer(url).build().unwrap();
    let open: StockClient = consumer.client().await.unwrap();
    let closed: StockClient = consumer.client_of(inner.clone()).await.unwrap();
    assert_eq!(open.count(1).await.unwrap(), "front 1");
    assert_eq!(closed.count(1).await.unwrap_err().code(), Code::Unauthenticated);

    // By its interface alone, it is every group of it.
    let consumer =
        shop::consumer(url).call_layer_for("shop.Stock", show("sesame")).build().unwrap();
    let closed: StockClient = consumer.client_of(inner).await.unwrap();
    assert_eq!(closed.count(1).await.unwrap(), "back 1");
    running.shutdown().await;
}

#[tokio::test]
async fn timing_at_the_three_positions_sees_calls_attempts_and_handlers() {
    // Once the other has answered nobody is not called, so it takes a first call that is drawn so.
    for _ in 0..100 {
        if timed().await > 0 {
            return;
        }
    }
    panic!("no first call was drawn for the address where nobody listens");
}

/// Ten calls, timed; how often one was sent again.
async fn timed() -> usize {
    let (calls, attempts, handlers) = (Timing::default(), Timing::default(), Timing::default());
    let server = StockServer::from_arc(Shop::new("a"));
    let provider = shop::provider("memory://timing").layer(handlers.clone()).serve(server);
    let running = provider.start().await.unwrap();
    let nobody = shop::NOBODY;
    let consumer = shop::consumer(&format!("static://{nobody},{}", running.address()))
        .set("consumer.loadbalance", "random")
        .call_layer(calls.clone())
        .attempt_layer(attempts.clone())
        .build()
        .unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    for article in 0..10 {
        stock.count(article).await.unwrap();
    }
    let resent = usize::try_from(consumer.resends()).unwrap();
    assert_eq!(calls.names(), ["count"; 10]);
    assert_eq!(attempts.names(), vec!["count"; 10 + resent]);
    assert_eq!(handlers.names(), ["count"; 10]);
    assert!(calls.sum() > attempts.sum() && attempts.sum() > handlers.sum());
    running.shutdown().await;
    resent
}

#[tokio::test]
async fn a_scope_that_nothing_matches_is_an_error() {
    let url = "memory://guard-nothing";
    let start = |scope: (&'static str, &'static str)| {
        let server = StockServer::from_arc(Shop::new("a"));
        shop::provider(url).layer_for(scope, Guard("sesame")).serve(server).start()
    };
    let message = start(("shop.Stok", "take")).await.unwrap_err().to_string();
    assert_eq!(
        message,
        "unknown service in the scope of a layer `shop.Stok` (did you mean `shop.Stock`?), \
         available: shop.Stock, dubhe.Describe"
    );
    let expected = "unknown method of shop.Stock in the scope of a layer `tak` \
                    (did you mean `take`?), available: count, take";
    let message = start(("shop.Stock", "tak")).await.unwrap_err().to_string();
    assert_eq!(message, expected);
    for consumer in [
        shop::consumer(url).call_layer_for(("shop.Stock", "tak"), show("sesame")),
        shop::consumer(url).attempt_layer_for(("shop.Stock", "tak"), show("sesame")),
    ] {
        let client = consumer.build().unwrap().client::<StockClient>().await;
        assert_eq!(client.map(drop).unwrap_err().to_string(), expected);
    }
}
