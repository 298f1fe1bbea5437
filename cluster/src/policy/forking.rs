//! `forking`: a call goes to several providers at once, and the first success is the answer.
//!
//! Choose it for reads whose slowest answers matter more than what they cost. The losers are
//! cancelled, down to their handlers; if calls to a provider were only given up for a second and it
//! has not answered meanwhile, one of them runs to its end, so that a provider that hangs is
//! noticed. Copies beyond the first draw on the consumer's [`RetryBudget`](crate::RetryBudget):
//! when that is used up, fewer are sent. A copy that fails where failover would send again is
//! followed by one at a provider that was not asked yet, so one healthy provider is enough. Only
//! for idempotent methods; others are refused.
//!
//! Costs `forks` calls for each.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use rpc_core::status::{Resend, may_resend};
use rpc_core::{
    BoxInvoker, BuildContext, Delivery, Error, Extension, Invocation, Invoke, Method, Reply,
    ReplyFuture, Status,
};
use serde::Deserialize;
use tokio::time::Instant;
use tower_layer::Layer;

use super::{ClusterPolicy, History, MAX_TRIED, needs_one_message};
use crate::attempt::{Attempt, AttemptFuture};
use crate::budget::RetryBudget;
use crate::picker::Picker;

/// The parameters of [`Forking`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForkingConfig {
    /// Number of providers asked at once, 1 to 64; default 2.
    pub forks: usize,
}

impl Default for ForkingConfig {
    fn default() -> Self {
        Self { forks: 2 }
    }
}

/// Asks several providers at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forking {
    config: ForkingConfig,
}

impl Forking {
    /// A policy with these parameters.
    ///
    /// # Errors
    /// No fork, or more than 64.
    pub fn new(config: ForkingConfig) -> Result<Self, Error> {
        let why = match config.forks {
            0 => "0 asks no provider".to_owned(),
            forks if forks > MAX_TRIED => format!("{forks} are more than one call may ask"),
            _ => return Ok(Self { config }),
        };
        let error = Error::invalid_config(format!("{why}: write 1 to {MAX_TRIED}"));
        Err(error.in_parameter("forks"))
    }
}

impl Extension<dyn ClusterPolicy> for Forking {
    const NAME: &'static str = "forking";
    type Config = ForkingConfig;

    fn build(config: ForkingConfig, _: &BuildContext) -> Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self::new(config)?))
    }
}

impl Layer<Picker> for Forking {
    type Service = BoxInvoker;

    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(ForkingInvoker { picker, forks: self.config.forks })
    }
}

impl ClusterPolicy for Forking {
    fn check(&self, method: &Method) -> Result<(), Error> {
        needs_one_message(Self::NAME, method)?;
        if method.is_idempotent() {
            return Ok(());
        }
        Err(Error::invalid_config(format!(
            "`forking` runs a call at several providers, and {} is not idempotent: mark it \
             `#[rpc(idempotent)]` if running it twice does no harm, or choose another policy for \
             this method",
            method.path()
        )))
    }
}

/// Sends calls to several providers at once.
struct ForkingInvoker {
    picker: Picker,
    forks: usize,
}

impl Invoke for ForkingInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let forks = if invocation.method().is_idempotent() { self.forks } else { 1 };
        let race = Race {
            picker: self.picker.clone(),
            invocation,
            asked: Vec::new(),
            running: FuturesUnordered::new(),
            history: History::new(),
        };
        Box::pin(race.run(forks))
    }
}

// === impl Race ===

/// The copies of one call; dropping it cancels those under way.
struct Race {
    picker: Picker,
    invocation: Invocation,
    /// Providers that have or had a copy.
    asked: Vec<Arc<str>>,
    running: FuturesUnordered<Copy>,
    history: History,
}

/// One of them, and when it was sent.
struct Copy {
    attempt: AttemptFuture,
    sent: Instant,
}

impl Future for Copy {
    /// How it ended, and after what time.
    type Output = (Result<Reply, Status>, Duration);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = Pin::new(&mut self.attempt).poll(cx);
        outcome.map(|outcome| (outcome, self.sent.elapsed()))
    }
}

impl Race {
    async fn run(mut self, forks: usize) -> Result<Reply, Status> {
        let invocation = &self.invocation;
        if let Err(status) = self.picker.ready(invocation).await {
            return Err(status.with_call(invocation.method().path().clone()));
        }
        let started = self.start(|_, _| true, true);
        started.map_err(|status| status.with_call(self.invocation.method().path().clone()))?;
        // Whatever keeps a further copy from being sent, the first is under way.
        let mut further = 1..forks;
        while further.next().is_some() && self.start(RetryBudget::draw_copy, false).unwrap_or(false)
        {
        }
        let mut told: Option<Status> = None;
        while let Some((outcome, elapsed)) = self.running.next().await {
            let status = match outcome {
                Ok(reply) => {
                    self.give_up_losers();
                    return Ok(reply);
                }
                Err(status) => status,
            };
            self.history.add(&status, elapsed);
            self.replace(&status);
            // A handler's answer says more than the reason why another was not reached.
            let is_answer = |status: &Status| status.delivery() == Delivery::Answered;
            told = told.filter(is_answer).or(Some(status));
        }
        let status = told.unwrap_or_else(|| Status::internal("no copy of the call was sent"));
        let hint = (self.asked.len() > 1 || forks > 1).then(|| format!("forks = {forks}"));
        Err(self.history.into_status(status, self.invocation.method(), hint))
    }

    /// Sends a copy to a provider that has none; `false` if there is none left, or the budget does
    /// not pay for it, or if it is full and that does not do.
    fn start(
        &mut self,
        pay: fn(&RetryBudget, Instant) -> bool,
        full_does: bool,
    ) -> Result<bool, Status> {
        let now = Instant::now();
        let attempt = Attempt {
            invocation: self.invocation.clone(),
            excluded: self.asked.clone(),
            number: u32::try_from(self.asked.len() + 1).unwrap_or(u32::MAX),
            now,
        };
        let endpoint = match self.running.is_empty() {
            true => self.picker.choose(&attempt)?,
            false => match self.picker.choose_other(&attempt) {
                Some(endpoint) => endpoint,
                None => return Ok(false),
            },
        };
        if self.asked.len() >= MAX_TRIED || self.asked.contains(endpoint.address()) {
            return Ok(false);
        }
        if endpoint.is_full(now) && !full_does {
            return Ok(false);
        }
        if !pay(self.picker.budget(), now) {
            return Ok(false);
        }
        self.asked.push(endpoint.address().clone());
        let attempt = self.picker.attempt_at(&endpoint, attempt);
        self.running.push(Copy { attempt, sent: now });
        Ok(true)
    }

    fn give_up_losers(self) {
        let deadline = self.invocation.deadline;
        for loser in self.running {
            loser.attempt.give_up(deadline);
        }
    }

    /// Sends another copy where failover would send the call again. If no provider is left, the
    /// failures so far are the result.
    fn replace(&mut self, failed: &Status) {
        if self.invocation.deadline.is_past() {
            return;
        }
        let free = |budget: &RetryBudget, _| {
            budget.note_resend();
            true
        };
        // Beside others that run, a full one need not be asked.
        let full_does = self.running.is_empty();
        let _ = match may_resend(failed, &self.invocation) {
            Resend::No => Ok(false),
            Resend::Budgeted => self.start(RetryBudget::draw, full_does),
            Resend::Free => self.start(free, full_does),
            Resend::Elsewhere => self.start(free, false),
        };
    }
}
