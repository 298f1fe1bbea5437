//! Timing: how often each method was called and how long that took, at whatever position.
//!
//! Written as any tower middleware: it would fit around other services as well.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use dubhe::extend::ReplyFuture;
use dubhe::prelude::*;
use dubhe::{Invocation, Reply};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// Notes how long calls take; its clones note in the same place.
#[derive(Clone, Default)]
pub struct Timing(Arc<Mutex<BTreeMap<String, (u32, Duration)>>>);

impl Timing {
    /// How often `method` was called.
    pub fn count(&self, method: &str) -> u32 {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get(method).map_or(0, |(count, _)| *count)
    }

    fn note(&self, method: String, took: Duration) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, sum) = noted.entry(method).or_default();
        (*count, *sum) = (*count + 1, *sum + took);
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (method, (count, sum)) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            writeln!(f, "  {method:<10} {count} calls in {} us", sum.as_micros())?;
        }
        Ok(())
    }
}

impl<S> Layer<S> for Timing {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed { inner, timing: self.clone() }
    }
}

/// A service that is timed.
#[derive(Clone)]
pub struct Timed<S> {
    inner: S,
    timing: Timing,
}

impl<S> Service<Invocation> for Timed<S>
where
    S: Service<Invocation, Response = Reply, Error = Status, Future: Send + 'static>,
{
    type Response = Reply;
    type Error = Status;
    type Future = ReplyFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, invocation: Invocation) -> ReplyFuture {
        let (began, method) = (Instant::now(), invocation.method().name().to_owned());
        let (call, timing) = (self.inner.call(invocation), self.timing.clone());
        Box::pin(async move {
            let outcome = call.await;
            timing.note(method, began.elapsed());
            outcome
        })
    }
}
