//! A tracing system of one's own, joined to the spans of calls as OpenTelemetry's would be: a layer
//! that gives each span its ids, and a bridge that tells them and takes the caller's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dubhe::Extensions;
use dubhe::extend::{TraceBridge, TraceContext};
use dubhe::prelude::*;
use tracing::Span;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::shop::{self, Stock, StockClient, StockServer};

/// What the system knows of a span.
#[derive(Debug, Clone)]
struct Recorded {
    name: &'static str,
    context: TraceContext,
    parent: Option<[u8; 8]>,
}

/// Every span that there was, by its id in `tracing`.
#[derive(Debug, Clone, Default)]
struct Tracer(Arc<Mutex<BTreeMap<u64, Recorded>>>);

/// An id of this number.
fn id(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Tracer {
    fn on_new_span(&self, _: &Attributes<'_>, new: &Id, context: Context<'_, S>) {
        let span = context.span(new).unwrap();
        let mut all = self.0.lock().unwrap();
        let number = all.len() as u64 + 1;
        let outer = span.parent().and_then(|outer| all.get(&outer.id().into_u64()).cloned());
        // A root begins a trace of its own.
        let trace = outer.as_ref().map_or([number as u8; 16], |outer| outer.context.trace_id());
        let context = TraceContext::new(trace, id(number), 1).unwrap();
        let parent = outer.map(|outer| outer.context.span_id());
        all.insert(new.into_u64(), Recorded { name: span.name(), context, parent });
    }
}

impl TraceBridge for Tracer {
    fn context(&self, span: &Span) -> Option<TraceContext> {
        let all = self.0.lock().unwrap();
        all.get(&span.id()?.into_u64()).map(|recorded| recorded.context.clone())
    }

    fn adopt(&self, span: &Span, parent: &TraceContext) {
        let mut all = self.0.lock().unwrap();
        let Some(own) = span.id().and_then(|id| all.get_mut(&id.into_u64())) else { return };
        own.parent = Some(parent.span_id());
        let state = parent.state().unwrap_or_default();
        own.context = TraceContext::new(parent.trace_id(), own.context.span_id(), parent.flags())
            .unwrap()
            .with_state(state);
    }
}

/// Counts what another shop has.
struct Branch(StockClient);

impl Stock for Branch {
    async fn count(&self, article: u64) -> Result<String> {
        let counted = self.0.count(article).await?;
        let call = CallContext::current().unwrap();
        Ok(format!("{counted}, state {:?}", call.metadata().value("tracestate")))
    }

    async fn take(&self, article: u64) -> Result<String> {
        self.0.take(article).await
    }
}

#[tokio::test]
async fn the_spans_of_a_chain_of_calls_are_one_trace() {
    let tracer = Tracer::default();
    let _tracing = tracing::subscriber::set_default(Registry::default().with(tracer.clone()));
    let extensions = || Extensions::default().with_trace_bridge(tracer.clone());
    let end = shop::provider("memory://traced-end").extensions(extensions());
    let end = end.serve(StockServer::new(shop::Shop::new("end"))).start().await.unwrap();
    let onward = shop::consumer("memory://traced-end").extensions(extensions()).build().unwrap();
    let middle = shop::provider("memory://traced-middle").extensions(extensions());
    let middle = middle.serve(StockServer::new(Branch(onward.client().await.unwrap())));
    let middle = middle.start().await.unwrap();
    let consumer = shop::consumer("memory://traced-middle").extensions(extensions());
    let consumer = consumer.build().unwrap();
    let client: StockClient = consumer.client().await.unwrap();
    // A call site that another test is the first to pass at this moment may have been noted as one that
    // nobody looks at; once all have been passed, they are asked about again.
    client.count(7).await.unwrap();
    tracing::callsite::rebuild_interest_cache();
    tracer.0.lock().unwrap().clear();
    let stateful = client.with(CallOptions::new().metadata("tracestate", "a=1"));
    // The state belongs to no ids that would have come with it.
    assert_eq!(stateful.count(7).await.unwrap(), "end 7, state None");

    let all = tracer.0.lock().unwrap().clone();
    let by_id: BTreeMap<[u8; 8], &Recorded> =
        all.values().map(|recorded| (recorded.context.span_id(), recorded)).collect();
    let last = all.values().filter(|recorded| recorded.name == "serve").max_by_key(|recorded| {
        let parents = std::iter::successors(Some(*recorded), |of| by_id.get(&of.parent?).copied());
        parents.count()
    });
    let chain: Vec<&Recorded> =
        std::iter::successors(last, |of| by_id.get(&of.parent?).copied()).collect();
    let names: Vec<&str> = chain.iter().map(|recorded| recorded.name).collect();
    assert_eq!(names, ["serve", "attempt", "call", "serve", "attempt", "call"]);
    let trace = chain[0].context.trace_id();
    assert!(chain.iter().all(|recorded| recorded.context.trace_id() == trace), "{chain:?}");
    drop((end, middle));
}
