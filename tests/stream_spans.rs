//! The spans of a call whose reply streams stay open until the stream ends, and what happens in it
//! happens inside them.
//!
//! One test in a file of its own: which spans are wanted is cached for the whole process.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::sync::{Arc, Mutex};

use dubhe::prelude::*;
use futures_util::StreamExt;
use tracing::field::{Field, Visit};
use tracing::span::{Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

#[dubhe::service]
trait Ticks {
    async fn ticks(&self, to: u64) -> Result<Streaming<u64>>;
}

struct Clock;

impl Ticks for Clock {
    async fn ticks(&self, to: u64) -> Result<Streaming<u64>> {
        let ticks = futures_util::stream::iter(1..=to).map(|tick| {
            tracing::info!(target: "ticking", tick);
            Ok(tick)
        });
        Ok(Streaming::new(ticks))
    }
}

/// Notes the spans that were closed, those around each tick, and what was recorded at the end.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    closed: Vec<&'static str>,
    around: Vec<Vec<&'static str>>,
    outcomes: Vec<(&'static str, String)>,
}

/// The outcome among what is recorded.
struct Outcome<'a>(&'static str, &'a mut Vec<(&'static str, String)>);

impl Visit for Outcome<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "outcome" {
            self.1.push((self.0, format!("{value:?}")));
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Noted {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == "ticking" {
            let around = context.event_scope(event).into_iter().flatten();
            self.0.lock().unwrap().around.push(around.map(|span| span.name()).collect());
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let name = context.span(id).unwrap().name();
        values.record(&mut Outcome(name, &mut self.0.lock().unwrap().outcomes));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.0.lock().unwrap().closed.push(context.span(&id).unwrap().name());
    }
}

#[tokio::test(start_paused = true)]
async fn the_spans_of_a_stream_are_open_until_its_end() {
    let noted = Noted::default();
    let _noting = tracing::subscriber::set_default(Registry::default().with(noted.clone()));
    let registry = support::memory();
    let toml = "[consumer.services.Ticks]\nscope = \"local\"\n";
    let provider = support::provider(&registry, toml).serve(TicksServer::new(Clock));
    let _provider = provider.start().await.unwrap();
    let client: TicksClient = support::consumer(&registry, toml).client().await.unwrap();
    let closed = |name: &str| noted.0.lock().unwrap().closed.contains(&name);
    let mut ticks = client.ticks(20).await.unwrap();
    assert_eq!(ticks.message().await.unwrap(), Some(1));
    assert!(!closed("call") && !closed("attempt") && !closed("serve"), "it runs");
    while ticks.message().await.unwrap().is_some() {}
    assert!(closed("call") && closed("attempt") && closed("serve"), "it has ended");
    let mut outcomes = std::mem::take(&mut noted.0.lock().unwrap().outcomes);
    outcomes.sort();
    let ok = |name| (name, "\"ok\"".to_owned());
    assert_eq!(outcomes, ["attempt", "call", "serve"].map(ok));
    let around = std::mem::take(&mut noted.0.lock().unwrap().around);
    assert_eq!(around.len(), 20);
    assert!(around.iter().all(|spans| spans.first() == Some(&"serve")), "{around:?}");
}
