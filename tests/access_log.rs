//! A failed call leaves one line on each side, whose ids are the same; others leave one where that is
//! set.
//!
//! All tests share one subscriber: which lines are wanted is cached for the whole process. Each has a
//! version of the service of its own, by which it finds its lines.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use dubhe::config::Layer as Settings;
use dubhe::prelude::*;
use dubhe::{Consumer, Provider, RunningProvider, ServiceKey};
use futures_util::StreamExt;
use support::http::send;
use support::{memory, until_is};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

#[dubhe::service(name = "test.Counter")]
trait Counter {
    #[rpc(idempotent)]
    async fn count(&self) -> Result<u32>;
    #[rpc(idempotent)]
    async fn fail(&self, code: u32, text: String) -> Result<()>;
    #[rpc(idempotent)]
    async fn wait(&self) -> Result<()>;
    async fn ticks(&self, fails: bool) -> Result<Streaming<u32>>;
}

struct Counts;

impl Counter for Counts {
    async fn count(&self) -> Result<u32> {
        Ok(1)
    }

    async fn fail(&self, code: u32, text: String) -> Result<()> {
        Err(Status::new(Code::from_number(code as u8), text))
    }

    async fn wait(&self) -> Result<()> {
        std::future::pending().await
    }

    async fn ticks(&self, fails: bool) -> Result<Streaming<u32>> {
        let end = if fails { Err(Status::data_loss("torn")) } else { Ok(2) };
        Ok(Streaming::new(futures_util::stream::iter([Ok(1), end])))
    }
}

type Line = BTreeMap<String, String>;

struct Lines;

static LINES: LazyLock<Mutex<Vec<Line>>> = LazyLock::new(|| {
    tracing::subscriber::set_global_default(Registry::default().with(Lines)).unwrap();
    Mutex::default()
});

struct Fields<'a>(&'a mut Line);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "dubhe::access" {
            assert_eq!(*event.metadata().level(), Level::INFO);
            let mut line = Line::new();
            event.record(&mut Fields(&mut line));
            LINES.lock().unwrap().push(line);
        }
    }
}

/// A provider and a consumer of one version of the service, and their lines.
struct Pair {
    service: ServiceKey,
    registry: String,
    provider: RunningProvider,
    consumer: Consumer,
    client: CounterClient,
}

impl Pair {
    async fn start(version: &str, toml: &str) -> Self {
        LazyLock::force(&LINES);
        let (registry, service) = (memory(), ServiceKey::with_parts("test.Counter", "", version));
        let provider: Provider = support::provider(&registry, toml);
        let provider = provider.serve_as(service.clone(), CounterServer::new(Counts));
        let provider = provider.start().await.unwrap();
        let consumer = support::consumer(&registry, toml);
        let client = consumer.client_of(service.clone()).await.unwrap();
        Self { service, registry, provider, consumer, client }
    }

    /// The lines of one side so far.
    fn lines(&self, side: &str) -> Vec<Line> {
        let service = self.service.as_str();
        let is_of = |line: &&Line| {
            line["side"] == side && line.get("service").is_some_and(|of| of == service)
        };
        LINES.lock().unwrap().iter().filter(is_of).cloned().collect()
    }

    /// The one line of each side.
    fn both(&self) -> [Line; 2] {
        ["consumer", "provider"].map(|side| {
            let mut lines = self.lines(side);
            assert_eq!(lines.len(), 1, "{side}: {lines:?}");
            lines.remove(0)
        })
    }

    async fn fail(&self, code: Code, text: &str) -> Status {
        self.client.fail(code.number().into(), text.to_owned()).await.unwrap_err()
    }
}

const LOCAL: &str = "[consumer.services.\"test.Counter\"]\nscope = \"local\"\n";

#[tokio::test]
async fn a_failed_call_leaves_one_line_on_each_side() {
    for (version, toml) in [("1", ""), ("2", LOCAL)] {
        let pair = Pair::start(version, toml).await;
        pair.client.count().await.unwrap();
        let failed = pair.fail(Code::NotFound, "no such\nthing").await;
        let [consumer, provider] = pair.both();
        for line in [&consumer, &provider] {
            assert_eq!(line["method"], "fail", "{line:?}");
            assert_eq!(line["code"], "not_found", "{line:?}");
            assert_eq!(line["message"], "no such\\nthing", "{line:?}");
            assert!(line["elapsed"].ends_with('s'), "{line:?}");
            assert_eq!(line["id"], failed.id().unwrap().to_string(), "{line:?}");
            assert_eq!(line["id"].len(), 16, "{line:?}");
        }
        assert_eq!(consumer["peer"], failed.address().unwrap());
        assert_eq!(consumer["attempts"], "1");
        assert!(!provider.contains_key("attempts"), "{provider:?}");
        let from = if toml == LOCAL { "this process" } else { "127.0.0.1:" };
        assert!(provider["peer"].starts_with(from), "{provider:?}");
    }
}

#[tokio::test]
async fn each_attempt_leaves_its_line_at_the_provider_and_the_call_one_of_its_own() {
    let pair = Pair::start("3", "consumer.retries = 2").await;
    pair.fail(Code::Unavailable, "gone").await;
    let (consumer, provider) = (pair.lines("consumer"), pair.lines("provider"));
    assert_eq!((consumer.len(), provider.len()), (1, 3));
    assert_eq!(consumer[0]["attempts"], "3");
    assert_eq!(consumer[0]["id"], provider[2]["id"]);
}

#[tokio::test]
async fn a_call_of_a_trace_is_named_by_it_on_both_sides() {
    let pair = Pair::start("4", "").await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let options =
        CallOptions::new().metadata("traceparent", format!("00-{trace}-b7ad6b7169203331-01"));
    let client = pair.client.with(options);
    client.fail(Code::Aborted.number().into(), String::new()).await.unwrap_err();
    assert_eq!(pair.both().map(|line| line["id"].clone()), [trace; 2]);
}

#[tokio::test]
async fn a_call_that_ends_with_its_deadline_leaves_one_line_on_each_side() {
    let pair = Pair::start("5", "consumer.timeout = \"50ms\"").await;
    pair.client.wait().await.unwrap_err();
    until_is("the provider has noticed", || !pair.lines("provider").is_empty()).await;
    let [consumer, provider] = pair.both();
    assert_eq!(consumer["code"], "deadline_exceeded");
    let codes = ["deadline_exceeded", "cancelled"];
    assert!(codes.contains(&&*provider["code"]), "{provider:?}");
    assert_eq!(consumer["id"], provider["id"]);
}

#[tokio::test]
async fn a_stream_that_fails_leaves_one_line_on_each_side_at_its_end() {
    let pair = Pair::start("6", LOCAL).await;
    let ticks = |fails| {
        let client = pair.client.clone();
        async move { client.ticks(fails).await.unwrap().collect::<Vec<_>>().await }
    };
    assert_eq!(ticks(false).await.len(), 2);
    assert!(ticks(true).await.pop().unwrap().is_err());
    let [consumer, provider] = pair.both();
    assert_eq!((&*consumer["code"], &*provider["code"]), ("data_loss", "data_loss"));
    assert_eq!(consumer["id"], provider["id"]);
    // Who has read enough ends a stream by dropping it.
    drop(pair.client.ticks(false).await.unwrap());
    assert_eq!(pair.lines("consumer").len(), 1);
}

#[tokio::test]
async fn calls_that_succeed_leave_a_line_where_all_are_to() {
    let all = "[consumer]\naccess_log = \"all\"\n[provider]\naccess_log = \"all\"\n";
    for (version, toml) in [("7", all.to_owned()), ("8", format!("{all}{LOCAL}"))] {
        let pair = Pair::start(version, &toml).await;
        pair.client.count().await.unwrap();
        let [consumer, provider] = pair.both();
        for line in [&consumer, &provider] {
            assert_eq!((&*line["code"], &*line["message"]), ("ok", "ok"), "{line:?}");
        }
        assert_eq!(consumer["attempts"], "1");
        assert_eq!(consumer["id"], provider["id"]);
        if version == "7" {
            assert_eq!(consumer["peer"], pair.provider.address());
        }
    }
}

#[tokio::test]
async fn settings_of_methods_count_and_change_while_calls_run() {
    let toml = "[consumer]\naccess_log = \"off\"\n\
                [consumer.services.\"test.Counter\".methods.fail]\naccess_log = \"failures\"\n\
                [provider.services.\"test.Counter\"]\naccess_log = \"off\"\n\
                [provider.services.\"test.Counter\".methods.fail]\naccess_log = \"failures\"\n";
    let pair = Pair::start("9", toml).await;
    let hasty = pair.client.with(CallOptions::new().timeout(std::time::Duration::from_millis(30)));
    hasty.wait().await.unwrap_err();
    pair.fail(Code::Aborted, "").await;
    assert_eq!(pair.both().map(|line| line["method"].clone()), ["fail"; 2]);

    let method = "services.\"test.Counter\".methods.fail.access_log";
    let rules = |side: &str| Settings::new().rule("r1", &format!("{side}.{method}"), "off");
    pair.consumer.apply_rules(rules("consumer")).unwrap();
    pair.provider.apply_rules(rules("provider")).unwrap();
    pair.fail(Code::Aborted, "").await;
    pair.both();
}

#[tokio::test]
async fn what_is_turned_away_leaves_its_line_too() {
    let pair = Pair::start("10", "").await;
    // A service that this provider does not have, called over dubbo.
    let other = ServiceKey::with_parts("test.Counter", "", "10.1");
    let consumer = support::consumer(&support::fixed(&pair.provider), "consumer.retries = 0");
    let lost: CounterClient = consumer.client_of(other.clone()).await.unwrap();
    let failed = lost.count().await.unwrap_err();
    let Pair { registry, provider, consumer, client, .. } = pair;
    let pair = Pair { service: other, registry, provider, consumer, client };
    let [consumer, provider] = pair.both();
    for line in [&consumer, &provider] {
        assert_eq!((&*line["method"], &*line["code"]), ("count", "unimplemented"), "{line:?}");
        assert_eq!(line["id"], failed.id().unwrap().to_string(), "{line:?}");
    }
    // And over HTTP, where a trace alone names a call.
    let address = pair.provider.local_addr();
    let json = ("content-type", "application/json");
    let path = "/test.Counter:10.2/count";
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    send(address, "POST", path, &[json, ("traceparent", &parent)], b"[]").await;
    let pair = Pair { service: ServiceKey::with_parts("test.Counter", "", "10.2"), ..pair };
    let lines = pair.lines("provider");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&*lines[0]["method"], &*lines[0]["id"]), ("count", trace));
    assert_eq!(lines[0]["code"], "unimplemented");
}
