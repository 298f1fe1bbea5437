//! The codec is a setting: of the program, of a service, of a call; and what an instance publishes
//! is stronger than all of them.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use dubhe::config::Sources;
use dubhe::prelude::*;
use dubhe::{BoxInvoker, Delivery, Invocation, RunningProvider};
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use tower_service::Service;

/// A layer that notes the codec of every request a provider gets and of every answer it gives.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl tower_layer::Layer<BoxInvoker> for Seen {
    type Service = Noting;

    fn layer(&self, inner: BoxInvoker) -> Noting {
        Noting { inner, seen: self.clone() }
    }
}

#[derive(Clone)]
struct Noting {
    inner: BoxInvoker,
    seen: Seen,
}

impl Service<Invocation> for Noting {
    type Response = dubhe::Reply;
    type Error = Status;
    type Future = <BoxInvoker as Service<Invocation>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, invocation: Invocation) -> Self::Future {
        let codec = invocation.body.codec().map_or("none", |codec| codec.name());
        self.seen.0.lock().unwrap().push(codec.to_owned());
        self.inner.call(invocation)
    }
}

/// A provider, its address as a registry that says it speaks `codecs` (empty: says nothing), and
/// what it gets.
async fn provider(codecs: &str) -> (RunningProvider, String, Seen) {
    let seen = Seen::default();
    let provider = support::provider(&support::memory(), "").layer(seen.clone());
    let provider = provider.serve(ShopServer::new(Clerk::new("a"))).start().await.unwrap();
    let said = if codecs.is_empty() { String::new() } else { format!("?codecs={codecs}") };
    let url = format!("static://{}{said}", provider.address());
    (provider, url, seen)
}

async fn client(sources: Sources) -> ShopClient {
    Consumer::builder().sources(sources).build().unwrap().client().await.unwrap()
}

#[tokio::test]
async fn one_key_in_the_file_or_the_environment_chooses_the_codec() {
    let (_provider, url, seen) = provider("").await;
    for codec in ["protobuf", "msgpack", "json"] {
        let shop = client(support::sources(&url, &format!("consumer.codec = \"{codec}\""))).await;
        shop.look(1).await.unwrap();
        let mut sources = support::sources(&url, "consumer.codec = \"protobuf\"");
        sources.environment = vec![("DUBHE_CONSUMER__CODEC".into(), codec.into())];
        client(sources).await.look(2).await.unwrap();
        assert_eq!(seen.take(), [codec, codec]);
    }
}

#[tokio::test]
async fn a_service_a_method_and_a_call_choose_for_themselves() {
    let (_provider, url, seen) = provider("").await;
    let toml = "consumer.codec = \"protobuf\"\n\
                [consumer.services.\"test.Shop\"]\ncodec = \"msgpack\"\n\
                [consumer.services.\"test.Shop\".methods.buy]\ncodec = \"json\"\n";
    let shop = client(support::sources(&url, toml)).await;
    shop.look(1).await.unwrap();
    shop.buy(1).await.unwrap();
    shop.with(CallOptions::new().codec("protobuf")).buy(2).await.unwrap();
    assert_eq!(seen.take(), ["msgpack", "json", "protobuf"]);
}

#[tokio::test]
async fn an_instance_is_called_in_a_codec_that_it_publishes() {
    let (_provider, url, seen) = provider("json").await;
    let shop = client(support::sources(&url, "consumer.codec = \"msgpack\"")).await;
    assert_eq!(shop.look(1).await.unwrap().id, 1);
    assert_eq!(seen.take(), ["json"]);
}

#[tokio::test]
async fn a_fleet_of_mixed_codecs_is_called_by_one_consumer() {
    let ((one, _, saw_one), (two, _, saw_two)) = (provider("").await, provider("").await);
    let registry = format!("static://{},{}", one.address(), two.address());
    let toml = "consumer.codec = \"msgpack\"\nconsumer.loadbalance = \"roundrobin\"";
    let shop = client(support::sources(&registry, toml)).await;
    for id in 0..10 {
        shop.echo(id.to_string()).await.unwrap();
    }
    let (one, two) = (saw_one.take().len(), saw_two.take().len());
    assert_eq!(one + two, 10);
    // Half each, but for the call that opened the second connection.
    assert!(one.abs_diff(two) <= 2, "{one} and {two}");
}

#[tokio::test]
async fn no_codec_in_common_is_said_before_anything_is_sent() {
    let (_provider, url, seen) = provider("hessian2").await;
    let shop = client(support::sources(&url, "")).await;
    let status = shop.look(1).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::FailedPrecondition, Delivery::NotSent));
    let text = status.message();
    assert!(text.starts_with("no common codec: the caller offers protobuf, "), "{text}");
    let end = ", the provider speaks hessian2; enable one of them on the other side";
    assert!(text.ends_with(end), "{text}");
    assert!(seen.take().is_empty());
}

#[tokio::test]
async fn the_answer_comes_in_the_codec_of_the_request() {
    let (provider, ..) = provider("").await;
    for (content_type, is_json) in [("json", true), ("msgpack", false), ("proto", false)] {
        let content_type = format!("application/{content_type}");
        // No arguments are all defaults in each of them.
        let body: &[u8] = match &*content_type {
            "application/json" => b"[]",
            "application/msgpack" => b"\x80",
            _ => b"",
        };
        let headers = [("content-type", &*content_type)];
        let path = "/test.Shop/look";
        let response =
            support::http::send(provider.local_addr(), "POST", path, &headers, body).await;
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.header("content-type"), Some(&*content_type));
        assert_eq!(response.body.starts_with(b"{"), is_json, "{response:?}");
    }
}
