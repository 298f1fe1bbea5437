//! Pages of a provider for people, probes and scrapers.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use dubhe::config::{Layer, Sources};
use dubhe::prelude::*;
use support::http;

#[dubhe::service]
trait Greeter {
    async fn hello(&self, name: String) -> Result<String>;
    async fn leave(&self) -> Result<()>;
}

struct Me;

impl Greeter for Me {
    async fn hello(&self, name: String) -> Result<String> {
        Ok(format!("hi {name}"))
    }

    async fn leave(&self) -> Result<()> {
        Ok(())
    }
}

fn quick() -> Layer {
    Layer::new().set("provider.notice", "0s")
}

async fn start(registry: &str, settings: Layer) -> dubhe::RunningProvider {
    let builder = settings.set("registry.address", registry).set("provider.port", 0);
    let sources = Sources { builder, ..Sources::default() };
    Provider::builder().sources(sources).serve(GreeterServer::new(Me)).start().await.unwrap()
}

#[tokio::test]
async fn the_first_page_says_what_is_served() {
    let running = start("memory://pages", quick()).await;
    let page = http::send(running.local_addr(), "GET", "/", &[], b"").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("application/json")));
    let served = page.json();
    assert_eq!(served["services"][0]["service"], "Greeter");
    assert_eq!(served["services"][0]["methods"], serde_json::json!(["hello", "leave"]));
    assert_eq!(served["protocols"], serde_json::json!(["dubbo", "json"]));
    assert!(served["codecs"].as_array().unwrap().contains(&"msgpack".into()));
    let missing = http::send(running.local_addr(), "GET", "/nothing", &[], b"").await;
    assert_eq!(missing.status, 405);
    running.shutdown().await;
}

#[tokio::test]
async fn probes_are_answered_while_the_provider_drains() {
    // It serves on for as long as anybody is connected, at most this long.
    let running = start("memory://probes", Layer::new().set("provider.notice", "20s")).await;
    let at = running.local_addr();
    for (path, text) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let page = http::send(at, "GET", path, &[], b"").await;
        assert_eq!((page.status, page.text()), (200, text));
    }
    let held = tokio::net::TcpStream::connect(at).await.unwrap();
    let shutdown = tokio::spawn(running.shutdown());
    let draining = async {
        loop {
            let page = http::send(at, "GET", "/readyz", &[], b"").await;
            if page.status == 503 {
                return page;
            }
            assert_eq!(page.text(), "ready");
        }
    };
    let page = tokio::time::timeout(Duration::from_secs(10), draining).await.unwrap();
    assert_eq!(page.text(), "draining");
    let page = http::send(at, "GET", "/healthz", &[], b"").await;
    assert_eq!((page.status, page.text()), (200, "ok"));
    drop(held);
    shutdown.await.unwrap();
}

#[tokio::test]
async fn metrics_are_told_on_loopback_and_elsewhere_by_a_setting() {
    let running = start("memory://metrics-page", quick()).await;
    assert_eq!(http::post(running.local_addr(), "/Greeter/hello", "[\"bob\"]").await.status, 200);
    let page = http::send(running.local_addr(), "GET", "/metrics", &[], b"").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("method=\"hello\""), "{}", page.text());
    running.shutdown().await;

    let elsewhere =
        Layer::new().set("provider.bind", "0.0.0.0").set("provider.advertise", "localhost");
    for (settings, status) in
        [(elsewhere.clone(), 403), (elsewhere.set("provider.metrics", true), 200)]
    {
        let running = start("memory://metrics-elsewhere", settings).await;
        let at = (std::net::Ipv4Addr::LOCALHOST, running.local_addr().port()).into();
        let page = http::send(at, "GET", "/metrics", &[], b"").await;
        assert_eq!(page.status, status, "{}", page.text());
        running.shutdown().await;
    }
}
