//! Extensions of one's own that go wrong: they fail the call they are asked about, nothing else.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use dubhe::extend::{
    Attempt, BuildContext, Candidates, ClusterPolicy, Codec, CodecError, Endpoint, Extension,
    Invoke, Limits, LoadBalance, Message, NoConfig, Picker, ReplyFuture, Router, read_with_serde,
    write_with_serde,
};
use dubhe::prelude::*;
use dubhe::{BoxInvoker, Delivery, Error, Extensions, Invocation};
use tokio::time::Instant;
use tower::util::MapRequestLayer;
use tower_layer::Layer;

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

    fn build(_: NoConfig, _: &BuildContext) -> std::result::Result<Arc<dyn LoadBalance>, Error> {
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

    fn build(_: NoConfig, _: &BuildContext) -> std::result::Result<Arc<dyn Router>, Error> {
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

    fn build(_: NoConfig, _: &BuildContext) -> std::result::Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Layer<Picker> for Wild {
    type Service = BoxInvoker;

    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(WildInvoker(picker))
    }
}

impl ClusterPolicy for Wild {}

struct WildInvoker(Picker);

impl Invoke for WildInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let picker = self.0.clone();
        Box::pin(async move {
            panic_if(&invocation, "policy");
            picker.attempt(Attempt::first(invocation, Instant::now())).await
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

/// JSON, but it panics halfway through what has a 13 in it.
#[derive(Debug)]
struct Superstitious;

impl Extension<dyn Codec> for Superstitious {
    const NAME: &'static str = "superstitious";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> std::result::Result<Arc<dyn Codec>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Codec for Superstitious {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn content_subtype(&self) -> &'static str {
        Self::NAME
    }

    fn dubbo_id(&self) -> u8 {
        31
    }

    fn encode(
        &self,
        message: &dyn Message,
        buf: &mut BytesMut,
    ) -> std::result::Result<(), CodecError> {
        let mut text = Vec::new();
        write_with_serde(message, &mut serde_json::Serializer::new(&mut text))
            .map_err(|error| CodecError::new(Self::NAME, error))?;
        let text = String::from_utf8(text).map_err(|error| CodecError::new(Self::NAME, error))?;
        let (half, rest) = text.split_at(text.len() / 2);
        buf.put_slice(half.as_bytes());
        assert!(!text.contains("13"), "there is a 13 in it");
        buf.put_slice(rest.as_bytes());
        Ok(())
    }

    fn decode(
        &self,
        bytes: Bytes,
        message: &mut dyn Message,
        limits: &mut Limits,
    ) -> std::result::Result<(), CodecError> {
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        read_with_serde(&mut json, message, limits)
            .map_err(|error| CodecError::new(Self::NAME, error))
    }
}

#[tokio::test]
async fn an_own_codec_that_panics_halfway_leaves_nothing_to_other_calls_of_its_connection() {
    let url = "memory://own-codec-panics";
    let extensions = || Extensions::default().with_codec::<Superstitious>();
    let server = StockServer::from_arc(Shop::new("a"));
    let provider = shop::provider(url).extensions(extensions()).serve(server);
    let provider = provider.start().await.unwrap();
    let consumer = shop::consumer(url)
        .extensions(extensions())
        .set("consumer.codec", "superstitious")
        .set("consumer.retries", 0)
        .build()
        .unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    for article in 1..5 {
        assert_eq!(stock.take(article).await.unwrap(), format!("a took {article}"));
        let status = stock.take(13).await.unwrap_err();
        assert!(status.message().contains("there is a 13 in it"), "{status}");
        assert_eq!(status.delivery(), Delivery::NotSent, "{status}");
    }
    assert_eq!(stock.take(5).await.unwrap(), "a took 5");
    provider.shutdown().await;
}
