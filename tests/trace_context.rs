//! The trace of a call goes on with the calls that its handler makes: over dubbo, HTTP and inside a
//! process, unchanged where nothing here traces.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use dubhe::prelude::*;
use dubhe::{Consumer, RunningProvider};
use support::http::send;
use support::memory;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn parent() -> String {
    format!("00-{TRACE}-b7ad6b7169203331-01")
}

/// The end of a chain: tells what it sees of the trace.
#[dubhe::service(name = "test.End")]
trait End {
    #[rpc(idempotent)]
    async fn told(&self) -> Result<String>;
}

struct Tells;

impl End for Tells {
    async fn told(&self) -> Result<String> {
        Ok(seen())
    }
}

/// The metadata of the call that is being handled.
fn seen() -> String {
    let call = CallContext::current().unwrap();
    let entries = call.metadata().iter().filter(|(key, _)| !["host", "x"].contains(key));
    entries.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// Its middle: calls the end.
#[dubhe::service(name = "test.Middle")]
trait Middle {
    #[rpc(idempotent)]
    async fn pass(&self) -> Result<String>;
    /// The same of a call that says its own.
    #[rpc(idempotent)]
    async fn own(&self, key: String, value: String) -> Result<String>;
}

struct Passes(EndClient);

impl Middle for Passes {
    async fn pass(&self) -> Result<String> {
        self.0.told().await
    }

    async fn own(&self, key: String, value: String) -> Result<String> {
        self.0.with(CallOptions::new().metadata(key, value)).told().await
    }
}

struct Chain {
    _end: RunningProvider,
    middle: RunningProvider,
    client: MiddleClient,
}

impl Chain {
    /// A chain whose middle has these settings for its calls.
    async fn start(toml: &str) -> Self {
        let registry = memory();
        let end = support::provider(&registry, "").serve(EndServer::new(Tells));
        let end = end.start().await.unwrap();
        let onward: Consumer = support::consumer(&registry, toml);
        let passes = Passes(onward.client().await.unwrap());
        let middle = support::provider(&registry, "").serve(MiddleServer::new(passes));
        let middle = middle.start().await.unwrap();
        let consumer = support::consumer(&registry, toml);
        Self { client: consumer.client().await.unwrap(), _end: end, middle }
    }

    async fn pass(&self, metadata: &[(&str, &str)]) -> String {
        let options = metadata
            .iter()
            .fold(CallOptions::new(), |options, (key, value)| options.metadata(*key, *value));
        self.client.with(options).pass().await.unwrap()
    }
}

#[tokio::test]
async fn a_trace_goes_on_unchanged_where_nothing_traces() {
    let scope = "[consumer.services.\"test.End\"]\nscope = \"local\"\n";
    let both = format!("{scope}[consumer.services.\"test.Middle\"]\nscope = \"local\"\n");
    for toml in ["", scope, &both] {
        let chain = Chain::start(toml).await;
        let parent = parent();
        let all = [
            ("traceparent", &*parent),
            ("tracestate", "a=1,b=2"),
            ("baggage", "user=7"),
            ("x", "private"),
        ];
        let whole = format!("traceparent={parent} tracestate=a=1,b=2 baggage=user=7");
        assert_eq!(chain.pass(&all).await, whole, "{toml}");
        assert_eq!(chain.pass(&all[..1]).await, format!("traceparent={parent}"), "{toml}");
        assert_eq!(chain.pass(&all[3..]).await, "", "{toml}");
    }
}

#[tokio::test]
async fn a_trace_comes_in_by_headers_of_http() {
    let chain = Chain::start("").await;
    let address = chain.middle.local_addr();
    let parent = parent();
    let headers = [
        ("content-type", "application/json"),
        ("Traceparent", &*parent),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
        ("baggage", "user=7"),
    ];
    let answer = send(address, "POST", "/test.Middle/pass", &headers, b"[]").await;
    let expected = format!("traceparent={parent} tracestate=a=1,b=2 baggage=user=7");
    assert_eq!(answer.json()["value"], expected);
}

#[tokio::test]
async fn ids_that_cannot_be_read_go_no_further_nor_does_their_state() {
    let chain = Chain::start("").await;
    for parent in ["00-1-2-01", "", &parent().to_uppercase(), &format!("{}-more", parent())] {
        let all = [("traceparent", parent), ("tracestate", "a=1"), ("baggage", "user=7")];
        assert_eq!(chain.pass(&all).await, "baggage=user=7", "{parent}");
    }
    let later = format!("01-{TRACE}-b7ad6b7169203331-01-more");
    assert_eq!(chain.pass(&[("traceparent", &later)]).await, format!("traceparent={later}"));
}

#[tokio::test]
async fn lists_too_long_for_the_standard_do_not_make_calls_fail() {
    let chain = Chain::start("").await;
    // With the rest of it this is under the limit of metadata; twice it would not be.
    let huge = format!("a=1,b={}", "x".repeat(15_000));
    assert_eq!(chain.pass(&[("baggage", &huge)]).await, "baggage=a=1");
}

#[tokio::test]
async fn settings_say_what_a_call_takes_along() {
    let parent = parent();
    let all = [("traceparent", &*parent), ("baggage", "user=7")];
    let ids = "[consumer]\ntrace_context = \"ids\"\n";
    assert_eq!(Chain::start(ids).await.pass(&all).await, format!("traceparent={parent}"));
    let off = "[consumer.services.\"test.End\"]\ntrace_context = \"off\"\n";
    assert_eq!(Chain::start(off).await.pass(&all).await, "");
    let method = "[consumer]\ntrace_context = \"off\"\n\
                  [consumer.services.\"test.End\".methods.told]\ntrace_context = \"all\"\n";
    let whole = format!("traceparent={parent} baggage=user=7");
    assert_eq!(Chain::start(method).await.pass(&all).await, whole);
}

#[tokio::test]
async fn what_a_call_says_itself_is_stronger_than_what_it_inherits() {
    let chain = Chain::start("").await;
    let parent = parent();
    let inherits = CallOptions::new().metadata("traceparent", &parent).metadata("baggage", "a=1");
    let client = chain.client.with(inherits);
    let told = client.own("baggage".into(), "mine=1".into()).await.unwrap();
    assert_eq!(told, format!("baggage=mine=1 traceparent={parent}"));
    let own = parent.replace("8448", "9449");
    let told = client.own("traceparent".into(), own.clone()).await.unwrap();
    assert_eq!(told, format!("traceparent={own} baggage=a=1"));
}
