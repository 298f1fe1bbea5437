//! The seam to a tracing system: its ids of our spans, and the caller's as their parents.

use std::fmt;
use std::sync::Arc;

use tracing::Span;

use super::TraceContext;
use crate::invocation::Invocation;
use crate::invoker::{BoxInvoker, Invoke, ReplyFuture};
use crate::metadata::Metadata;
use crate::trail::{CallId, SentAs};

/// Joins the spans of calls to a tracing system, such as OpenTelemetry.
///
/// Dubhe knows no such system. The spans of its calls are `tracing`'s, a subscriber's layer records
/// them, and this says which ids they have there. With `tracing-opentelemetry` both methods are a few
/// lines over `OpenTelemetrySpanExt`: `span.context()` and `span.set_parent(…)`.
pub trait TraceBridge: fmt::Debug + Send + Sync + 'static {
    /// The ids of `span`, which is that of an attempt; the provider continues the trace from there.
    /// `None` if nothing records the span: what the call has inherited goes on unchanged.
    fn context(&self, span: &Span) -> Option<TraceContext>;

    /// Makes `parent`, a span of the caller's process, the parent of `span`, in which a call is about
    /// to be served. The span is new and was never entered.
    fn adopt(&self, span: &Span, parent: &TraceContext);
}

/// Wraps `inner` so that attempts send the ids of their span to the provider. It goes around each
/// endpoint, where the span of the attempt is the current one.
#[must_use]
pub fn sending(bridge: &Arc<dyn TraceBridge>, inner: BoxInvoker) -> BoxInvoker {
    BoxInvoker::from_invoke(Sending { bridge: bridge.clone(), inner })
}

/// Marks a call whose ids no bridge replaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Untraced;

struct Sending {
    bridge: Arc<dyn TraceBridge>,
    inner: BoxInvoker,
}

impl Invoke for Sending {
    fn invoke(&self, mut invocation: Invocation) -> ReplyFuture {
        if invocation.extensions.get::<Untraced>().is_none()
            && let Some(context) = self.bridge.context(&Span::current())
        {
            context.write(&mut invocation.metadata);
            let id = CallId::Trace(context.trace_id());
            SentAs::note(&invocation, id);
            let sent = self.inner.invoke(invocation);
            return Box::pin(async move { sent.await.map_err(|status| status.with_id(id)) });
        }
        self.inner.invoke(invocation)
    }
}

/// Lets `span` continue the trace that the `metadata` of its call names.
pub(crate) fn adopt(bridge: Option<&Arc<dyn TraceBridge>>, span: &Span, metadata: &Metadata) {
    if let Some(bridge) = bridge.filter(|_| !span.is_disabled())
        && let Some(parent) = TraceContext::of(metadata)
    {
        bridge.adopt(span, &parent);
    }
}
