//! `failover`, the default: a failed attempt is followed by one at another provider.
//!
//! Only where [`may_resend`] allows it, and never past the deadline. A call that cannot have run
//! is sent again freely, at most once to each instance and `retries` times beyond. One that may
//! have run is sent again at most `retries` times and draws on the consumer's
//! [`RetryBudget`](crate::RetryBudget). Providers not tried yet come first; where none is left, a
//! short pause comes before each further attempt.
//!
//! A call that may run twice and still waits when half of its time has passed gets a copy at another
//! provider, on the same budget; the first success is the answer ([`hedge`]).
//!
//! Costs one clone of the invocation and one allocation while nothing fails.

use std::sync::Arc;
use std::time::Duration;

use rpc_core::status::{Resend, may_resend};
use rpc_core::{
    BoxInvoker, Code, Deadline, Error, Extension, Invocation, Invoke, Reply, ReplyFuture, Status,
};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::hedge::{self, Race};
use super::{ClusterPolicy, History, MAX_TRIED};
use crate::endpoint::Endpoint;
use crate::picker::{Attempt, AttemptFuture, Picker};

/// The pause before the first attempt at a provider that failed this call already; doubles.
const PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// The parameters of [`Failover`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FailoverConfig {
    /// How often a call that may have run is sent again; 2.
    pub retries: u32,
}

impl Default for FailoverConfig {
    fn default() -> Self {
        Self { retries: 2 }
    }
}

/// Tries another provider.
#[derive(Debug, Clone, Copy, Default)]
pub struct Failover {
    config: FailoverConfig,
}

impl Failover {
    /// A policy that sends calls that may have run again at most `retries` times.
    #[must_use]
    pub const fn new(retries: u32) -> Self {
        Self { config: FailoverConfig { retries } }
    }
}

impl Extension<dyn ClusterPolicy> for Failover {
    const NAME: &'static str = "failover";
    type Config = FailoverConfig;

    fn build(config: FailoverConfig) -> Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self { config }))
    }
}

impl ClusterPolicy for Failover {
    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(FailoverInvoker { picker, retries: self.config.retries })
    }

    fn with_retries(&self, retries: u32) -> Option<Arc<dyn ClusterPolicy>> {
        Some(Arc::new(Self::new(retries)))
    }
}

struct FailoverInvoker {
    picker: Picker,
    retries: u32,
}

impl Invoke for FailoverInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let started = Instant::now();
        let (picker, retries) = (self.picker.clone(), self.retries);
        let mut first = picker.attempt(Attempt::first(invocation.clone(), started));
        let may_run_twice = retries > 0 && invocation.method().is_idempotent();
        let patience = may_run_twice.then(|| {
            let left = invocation.deadline.remaining_from(started);
            started + left / 2
        });
        Box::pin(async move {
            let outcome = hedge::outcome_by(&mut first, patience).await;
            // Boxed, so that the future of a call that succeeds stays small.
            match outcome {
                Some(Ok(reply)) => Ok(reply),
                Some(Err(status)) => {
                    let resending = Resending::new(picker, retries, invocation);
                    Box::pin(resending.run(status, started)).await
                }
                None => {
                    let resending = Resending::new(picker, retries, invocation);
                    Box::pin(resending.hedge(first, started)).await
                }
            }
        })
    }
}

// === impl Resending ===

/// A call whose first attempt failed.
struct Resending {
    picker: Picker,
    retries: u32,
    invocation: Invocation,
    history: History,
    free: usize,
    budgeted: u32,
    pauses: u32,
}

impl Resending {
    const fn new(picker: Picker, retries: u32, invocation: Invocation) -> Self {
        Self {
            picker,
            retries,
            invocation,
            history: History::new(),
            free: 0,
            budgeted: 0,
            pauses: 0,
        }
    }

    /// Sends a copy elsewhere while `first` still waits; without budget or another provider, waits
    /// on.
    async fn hedge(mut self, first: AttemptFuture, started: Instant) -> Result<Reply, Status> {
        let now = Instant::now();
        let Some((endpoint, attempt)) = self.copy_of(&first, now) else {
            return match first.await {
                Ok(reply) => Ok(reply),
                Err(status) => self.run(status, started).await,
            };
        };
        self.budgeted += 1;
        let copy = self.picker.attempt_at(&endpoint, attempt);
        let (status, other, is_copy) = match hedge::race(first, copy).await {
            Race::Won(reply) => return Ok(reply),
            Race::Lost { status, other, is_copy } => (status, other, is_copy),
        };
        let (begun, others) = if is_copy { (now, started) } else { (started, now) };
        if may_resend(&status, true) == Resend::No && status.code() != Code::DeadlineExceeded {
            // An answer, if not the one hoped for.
            return self.run(status, begun).await;
        }
        self.history.add(&status, begun.elapsed());
        match other.await {
            Ok(reply) => Ok(reply),
            Err(status) => self.run(status, others).await,
        }
    }

    /// The attempt at another provider than that of `first`, if there is one and the budget allows
    /// it.
    fn copy_of(&self, first: &AttemptFuture, now: Instant) -> Option<(Arc<Endpoint>, Attempt)> {
        let address = first.endpoint()?.address().clone();
        let attempt = Attempt {
            invocation: self.invocation.clone(),
            number: 2,
            excluded: vec![address.clone()],
            now,
        };
        let endpoint = self.picker.choose(&attempt).ok()?;
        let is_elsewhere = *endpoint.address() != address;
        (is_elsewhere && self.picker.budget().draw(now)).then_some((endpoint, attempt))
    }

    async fn run(mut self, first: Status, started: Instant) -> Result<Reply, Status> {
        let (mut status, mut started) = (first, started);
        loop {
            self.history.add(&status, started.elapsed());
            match self.permit(&status) {
                Ok(Duration::ZERO) => {}
                Ok(pause) => sleep(pause).await,
                Err(why) => return Err(self.give_up(status, why)),
            }
            started = Instant::now();
            match self.picker.attempt(self.next_attempt(started)).await {
                Ok(reply) => return Ok(reply),
                Err(failed) => status = failed,
            }
        }
    }

    fn next_attempt(&self, now: Instant) -> Attempt {
        let excluded = self.history.addresses();
        tracing::debug!(
            method = %self.invocation.method().path(),
            tried = ?excluded,
            "sending a failed call again",
        );
        Attempt {
            invocation: self.invocation.clone(),
            number: u32::try_from(excluded.len() + 1).unwrap_or(u32::MAX),
            excluded,
            now,
        }
    }

    /// After which pause the call may be sent again; if not, what decided that, if it was a
    /// setting.
    fn permit(&mut self, status: &Status) -> Result<Duration, Option<String>> {
        let (now, deadline) = (Instant::now(), self.invocation.deadline.instant());
        let idempotent = self.invocation.method().is_idempotent();
        let late = || Some(Deadline::HINT.to_owned());
        let resend = may_resend(status, idempotent);
        // Where no endpoint was reached, another attempt would not reach one either.
        if resend == Resend::No || status.address().is_none() {
            let would_do = !idempotent && may_resend(status, true) != Resend::No;
            return Err(match status.code() {
                Code::DeadlineExceeded => late(),
                _ if deadline <= now => late(),
                _ if resend == Resend::No && would_do => {
                    Some("the method is not idempotent".to_owned())
                }
                _ => None,
            });
        }
        let pause = self.pause();
        if deadline <= now + pause {
            return Err(late());
        }
        match resend {
            Resend::Free => self.permit_free()?,
            Resend::Budgeted | Resend::No => self.permit_budgeted(now)?,
        }
        Ok(pause)
    }

    fn permit_free(&mut self) -> Result<(), Option<String>> {
        let instances = self.picker.endpoints(&self.invocation).len().min(MAX_TRIED);
        let retries = self.retries;
        if self.free >= instances + retries as usize {
            return Err(Some(format!("{instances} instances and retries = {retries}")));
        }
        self.free += 1;
        self.picker.budget().note_resend();
        Ok(())
    }

    fn permit_budgeted(&mut self, now: Instant) -> Result<(), Option<String>> {
        if self.budgeted >= self.retries {
            return Err(Some(format!("retries = {}", self.retries)));
        }
        if !self.picker.budget().draw(now) {
            return Err(Some("the retry budget is used up".to_owned()));
        }
        self.budgeted += 1;
        Ok(())
    }

    /// None while there are providers not tried yet.
    fn pause(&mut self) -> Duration {
        let tried = self.history.addresses();
        let endpoints = self.picker.endpoints(&self.invocation);
        if endpoints.iter().any(|e| !tried.contains(e.address())) {
            return Duration::ZERO;
        }
        let longest = (PAUSE * 2_u32.saturating_pow(self.pauses)).min(MAX_PAUSE);
        self.pauses = (self.pauses + 1).min(8);
        // Calls that failed together must not come back together.
        self.picker.jitter(longest)
    }

    fn give_up(self, status: Status, why: Option<String>) -> Status {
        self.history.into_status(status, self.invocation.method(), why)
    }
}
