//! A span for each call and for each attempt, with the fields that logs are searched by.
//!
//! One test in a file of its own: which spans are wanted is cached for the whole process.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dubhe::prelude::*;
use support::memory;
use support::shop::{Clerk, Shop, ShopClient, ShopServer};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// Notes every span: its name, its fields, the name of the span around it.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

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
        self.0.lock().unwrap().push(Span { name: span.name(), inside, fields });
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

    for (method, calls, attempts) in [("look", 3, 3), ("fail", 1, 2)] {
        let (call, attempt) = (spans.of("call", method), spans.of("attempt", method));
        assert_eq!((call.len(), attempt.len()), (calls, attempts), "{method}");
        for span in call.iter().chain(&attempt) {
            assert_eq!(span.fields["service"], "test.Shop", "{span:?}");
        }
        for span in &attempt {
            assert_eq!(span.inside, Some("call"), "{span:?}");
            assert_eq!(span.fields["endpoint"], provider.address(), "{span:?}");
        }
        assert_eq!(spans.of("serve", method).len(), attempts);
    }
    let numbers = spans.of("attempt", "fail");
    let numbers: Vec<&str> = numbers.iter().map(|span| &*span.fields["attempt"]).collect();
    assert_eq!(numbers, ["1", "2"]);
}
