//! Extensions of one's own that go wrong: they fail the call they are asked about, nothing else.

use std::sync::Arc;

use dubhe::extend::{
    Candidates, ClusterPolicy, Endpoint, Extension, Invoke, LoadBalance, NoConfig, Picker,
    ReplyFuture, Router,
};
use dubhe::prelude::*;
use dubhe::{BoxInvoker, Delivery, Error, Extensions, Invocation};
use tokio::time::Instant;
use tower::util::MapRequestLayer;

use crate::shop::{self, Shop, Stock, StockClient, StockServer};

/// Panics if the call asks for it by this name.
fn panic_if(invocation: &Invocation, who: &str) {
    assert!(invocation.metadata.value("panics") != Some(who), "the {who} was asked to");
}

/// A balancer that panics when it is asked to, and else is wrong about the length.
#[derive(Debug)]
struct Wild;

impl Extension<dyn LoadBalance> for Wild {
    const NAME: &'static str = "wild";
    type Config = NoConfig;

    fn build(_: NoConfig) -> std::result::Result<Arc<dyn LoadBalance>, Error> {
        Ok(Arc::new(Self))
    }
}

impl LoadBalance for Wild {
    fn select(&self, candidates: &Candidates, invocation: &Invocation, _: Instant) -> usize {
        panic_if(invocation, "balancer");
        candidates.len() + 1
    }
}

impl Extension<dyn Router> for Wild {
    const NAME: &'static str = "wild";
    type Config = NoConfig;

    fn build(_: NoConfig) -> std::result::Result<Arc<dyn Router>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Router for Wild {
    fn narrow(&self, _: &mut Vec<&Arc<Endpoint>>, invocation: &Invocation) {
        panic_if(invocation, "router");
    }
}

impl Extension<dyn ClusterPolicy> for Wild {
    const NAME: &'static str = "wild";
    type Config = NoConfig;

    fn build(_: NoConfig) -> std::result::Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self))
    }
}

impl ClusterPolicy for Wild {
    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(WildInvoker(picker))
    }
}

struct WildInvoker(Picker);

impl Invoke for WildInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let picker = self.0.clone();
        Box::pin(async move {
            panic_if(&invocation, "policy");
            picker.attempt(dubhe::extend::Attempt::first(invocation, Instant::now())).await
        })
    }
}

/// A layer that panics before it has a future.
fn wild_layer(who: &'static str) -> MapRequestLayer<impl Fn(Invocation) -> Invocation + Clone> {
    MapRequestLayer::new(move |invocation: Invocation| {
        panic_if(&invocation, who);
        invocation
    })
}

#[tokio::test]
async fn an_own_extension_that_panics_fails_one_call_as_internal() {
    let url = "memory://own-panics";
    let mut running = Vec::new();
    for name in ["a", "b", "c"] {
        let server = StockServer::from_arc(Shop::new(name));
        let provider = shop::provider(url).layer(wild_layer("provider's layer")).serve(server);
        running.push(provider.start().await.unwrap());
    }
    let extensions = Extensions::default()
        .with_load_balance::<Wild>()
        .with_router::<Wild>()
        .with_cluster::<Wild>();
    let consumer = shop::consumer(url)
        .extensions(extensions)
        .set("consumer.loadbalance", "wild")
        .set("consumer.routers", "wild")
        .set("consumer.cluster", "wild")
        .call_layer(wild_layer("call's layer"))
        .attempt_layer(wild_layer("attempt's layer"))
        .build()
        .unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    for who in ["balancer", "router", "policy", "call's layer", "attempt's layer"] {
        let asked = stock.with(CallOptions::new().metadata("panics", who));
        let status = asked.take(1).await.unwrap_err();
        assert_eq!((status.code(), status.delivery()), (Code::Internal, Delivery::MaybeSent));
        assert!(
            status.message().ends_with(&format!("panicked: the {who} was asked to")),
            "{status}"
        );
        assert!(status.to_string().contains("shop.Stock/take"), "{status}");
        stock.take(2).await.unwrap();
    }
    let asked = stock.with(CallOptions::new().metadata("panics", "provider's layer"));
    let status = asked.take(1).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Internal, Delivery::Answered));
    stock.take(2).await.unwrap();
}
