//! A span for each call, for each attempt and for each that is served, with the fields that logs are
//! searched by; what both sides name a call by is the same.
//!
//! One test in a file of its own: which spans are wanted is cached for the whole process.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use dubhe::prelude::*;
use support::memory;
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// Notes every span: its name, its fields, the name of the span around it.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

/// Where a span is in the list.
struct At(usize);

#[derive(Debug, Clone, PartialEq)]
struct Span {
    name: &'static str,
    inside: Option<&'static str>,
    fields: BTreeMap<String, String>,
}

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut fields = BTreeMap::new();
        attributes.record(&mut Fields(&mut fields));
        let inside = span.parent().map(|parent| parent.name());
        let mut all = self.0.lock().unwrap();
        span.extensions_mut().insert(At(all.len()));
        all.push(Span { name: span.name(), inside, fields });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let extensions = span.extensions();
        let At(at) = extensions.get().unwrap();
        values.record(&mut Fields(&mut self.0.lock().unwrap()[*at].fields));
    }
}

impl Spans {
    /// Those of this name for a method of the shop, and what they say.
    fn of(&self, name: &str, method: &str) -> Vec<Span> {
        let all = self.0.lock().unwrap();
        let is = |span: &&Span| {
            span.name == name && span.fields.get("method").is_some_and(|own| own == method)
        };
        all.iter().filter(is).cloned().collect()
    }
}

/// The values of a field, of one span after the other.
fn all<'a>(spans: &'a [Span], field: &str) -> Vec<&'a str> {
    spans.iter().map(|span| &*span.fields[field]).collect()
}

#[tokio::test]
async fn every_call_and_every_attempt_has_a_span() {
    let spans = Spans::default();
    let _noting = tracing::subscriber::set_default(Registry::default().with(spans.clone()));
    let provider = support::provider(&memory(), "").serve(ShopServer::new(Clerk::new("a")));
    let provider = provider.start().await.unwrap();
    let consumer = support::consumer(&support::fixed(&provider), "consumer.retries = 1");
    let shop: ShopClient = consumer.client().await.unwrap();
    for id in 0..3 {
        shop.look(id).await.unwrap();
    }
    shop.fail(u32::from(Code::Unavailable.number())).await.unwrap_err();

    for (method, calls, outcome) in [("look", 3, "ok"), ("fail", 1, "unavailable")] {
        let [call, attempt, serve] =
            ["call", "attempt", "serve"].map(|name| spans.of(name, method));
        let attempts = if method == "fail" { 2 } else { calls };
        assert_eq!([call.len(), attempt.len(), serve.len()], [calls, attempts, attempts]);
        for span in call.iter().chain(&attempt).chain(&serve) {
            assert_eq!(span.fields["service"], "test.Shop", "{span:?}");
            assert_eq!(span.fields["outcome"], outcome, "{span:?}");
        }
        for span in &attempt {
            assert_eq!(span.inside, Some("call"), "{span:?}");
        }
        for span in call.iter().chain(&attempt) {
            assert_eq!(span.fields["peer"], provider.address(), "{span:?}");
        }
        assert!(serve.iter().all(|span| span.fields["peer"].starts_with("127.0.0.1:")));
        let ids = all(&attempt, "id");
        assert_eq!(ids, all(&serve, "id"), "both sides say the same");
        assert!(ids.iter().all(|id| id.len() == 16 && u64::from_str_radix(id, 16).is_ok()));
        assert_eq!(BTreeSet::from_iter(&ids).len(), attempts, "{ids:?}");
        let of_calls = if method == "fail" { &ids[1..] } else { &ids };
        assert_eq!(all(&call, "id"), of_calls, "a call has that of its last attempt");
    }
    assert_eq!(all(&spans.of("attempt", "fail"), "attempt"), ["1", "2"]);

    // The trace is what both name it by, where there is one.
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let options = CallOptions::new().metadata("traceparent", parent);
    let options = options.timeout(std::time::Duration::from_millis(50));
    shop.with(options).ponder(1, 60_000).await.unwrap_err();
    // The provider hears of it a moment later.
    support::until_is("the handler is stopped", || {
        spans.of("serve", "ponder")[0].fields.contains_key("outcome")
    })
    .await;
    for (name, outcomes) in [
        ("call", ["deadline_exceeded"].as_slice()),
        ("attempt", &["deadline_exceeded"]),
        ("serve", &["deadline_exceeded", "cancelled"]),
    ] {
        let span = &spans.of(name, "ponder")[0];
        assert_eq!(span.fields["id"], trace, "{span:?}");
        assert!(outcomes.contains(&&*span.fields["outcome"]), "{span:?}");
    }
}
