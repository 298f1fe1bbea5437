//! `failsafe`: one attempt; a failure is logged, and the caller gets the empty value.
//!
//! Choose it for what a caller can do without: audit logs, counters, hints. A typed business error
//! is an outcome of the method and passes, as in Dubbo. The answer in place of a failure is the
//! method's `fallback`, else `()`, `None` or an empty collection; a method with neither is refused.
//! Costs nothing over the attempt.

use std::sync::Arc;

use rpc_core::{
    AttemptLog, BoxInvoker, BuildContext, Error, Extension, Invocation, Invoke, Method, NoConfig,
    Reply, ReplyFuture, Status,
};
use tokio::time::Instant;
use tower_layer::Layer;

use super::log_throttle::LogThrottle;
use super::{ClusterPolicy, History, needs_fallback};
use crate::attempt::Attempt;
use crate::picker::Picker;

/// Makes one attempt, and answers in place of its failure.
#[derive(Debug, Clone, Copy, Default)]
pub struct Failsafe;

impl Extension<dyn ClusterPolicy> for Failsafe {
    const NAME: &'static str = "failsafe";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Layer<Picker> for Failsafe {
    type Service = BoxInvoker;

    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(FailsafeInvoker { picker, logged: Arc::default() })
    }
}

impl ClusterPolicy for Failsafe {
    fn check(&self, method: &Method) -> Result<(), Error> {
        needs_fallback(Self::NAME, method)
    }
}

/// Sends calls once, and answers in place of a failure.
struct FailsafeInvoker {
    picker: Picker,
    logged: Arc<LogThrottle>,
}

impl Invoke for FailsafeInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let started = Instant::now();
        let (method, logged) = (invocation.method().clone(), self.logged.clone());
        let log = invocation.extensions.get::<AttemptLog>().cloned();
        let attempt = self.picker.attempt(Attempt::first(invocation, started));
        Box::pin(async move {
            attempt.await.or_else(|status| {
                let mut history = History::new();
                history.add(&status, started.elapsed());
                let status = history.into_status(status, &method, None);
                answer(&method, status, log.as_ref(), &logged)
            })
        })
    }
}

fn answer(
    method: &Method,
    status: Status,
    log: Option<&AttemptLog>,
    logged: &LogThrottle,
) -> Result<Reply, Status> {
    let Some(fallback) = method.fallback().filter(|_| status.details().is_none()) else {
        return Err(status);
    };
    log.inspect(|log| log.note_fallback(&status));
    if let Some(left_out) = logged.pass() {
        tracing::warn!(
            target: "dubhe::policy",
            service = %method.service(),
            method = method.name(),
            code = %status.code(),
            left_out,
            "a failed call is answered in its place (cluster = failsafe): {status}",
        );
    }
    Ok(fallback.clone())
}
