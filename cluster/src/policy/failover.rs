//! `failover`, the default: a failed attempt is followed by one at another provider.
//!
//! Only where [`may_resend`] allows it, and never past the deadline. A call that cannot have run is
//! sent again freely, at most once to each instance and `retries` times beyond; one that found its
//! provider full, only to one that is not known to be full: where all are, one is asked, and its
//! answer is final. One that may have run is sent again at most `retries` times and draws on the
//! consumer's [`RetryBudget`](crate::RetryBudget). Providers not tried yet come first; where none
//! is left, a short pause comes before each further attempt. One that does not have the method is
//! not asked twice.
//!
//! A call that may run twice and still waits when half of its time has passed gets a copy at
//! another provider, on the same budget, and the next at half of what is left then; the first
//! success is the answer ([`hedge`]). An attempt that fails is followed by another while the others
//! run on.
//!
//! Costs one clone of the invocation and one allocation while nothing fails.

use std::sync::Arc;
use std::time::Duration;

use rpc_core::status::{Repeat, Resend, may_resend};
use rpc_core::{
    BoxInvoker, BuildContext, Code, Deadline, Delivery, Error, Extension, Invocation, Invoke,
    Reply, ReplyFuture, Status,
};
use serde::Deserialize;
use tokio::time::Instant;
use tower_layer::Layer;

use super::hedge::{self, RunningAttempts, halfway};
use super::{ClusterPolicy, History, MAX_TRIED};
use crate::attempt::{Attempt, AttemptFuture};
use crate::endpoint::Endpoint;
use crate::picker::{Left, Picker};

/// The pause before the first attempt at a provider that failed this call already; doubles.
const PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// The parameters of [`Failover`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FailoverConfig {
    /// How often a call that may have run is sent again at most; default 2.
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

    fn build(config: FailoverConfig, _: &BuildContext) -> Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self { config }))
    }
}

impl Layer<Picker> for Failover {
    type Service = BoxInvoker;

    fn layer(&self, picker: Picker) -> BoxInvoker {
        BoxInvoker::from_invoke(FailoverInvoker { picker, retries: self.config.retries })
    }
}

impl ClusterPolicy for Failover {
    fn with_retries(&self, retries: u32) -> Option<Arc<dyn ClusterPolicy>> {
        Some(Arc::new(Self::new(retries)))
    }
}

/// Sends calls, and again where that is allowed.
struct FailoverInvoker {
    picker: Picker,
    retries: u32,
}

impl Invoke for FailoverInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let started = Instant::now();
        let (picker, retries) = (self.picker.clone(), self.retries);
        let mut first = picker.attempt(Attempt::first(invocation.clone(), started));
        let may_run_twice = retries > 0 && may_be_copied(&invocation);
        let deadline = may_run_twice.then(|| invocation.deadline.instant());
        // There first, so that what the future holds is written into it and not moved there.
        let place = Box::new_uninit();
        let call = Box::write(place, async move {
            let failure = match hedge::outcome_by(&mut first, deadline).await {
                Some(Ok(reply)) => return Ok(reply),
                Some(Err(status)) => Some(status),
                None => None,
            };
            // Boxed, so that the future of a call that succeeds stays small.
            let resending = Resending::new(picker, retries, invocation);
            Box::pin(resending.run(first, started, failure)).await
        });
        Box::into_pin(call)
    }
}

/// Whether it may run at two providers at once; what its arguments stream goes to one.
fn may_be_copied(invocation: &Invocation) -> bool {
    invocation.method().is_idempotent() && !invocation.body.is_stream()
}

/// Whether a provider has answered, though with a failure; no other is asked then. Where only a
/// call of its own has failed, those that were asked already may do better.
fn is_answer(status: &Status) -> bool {
    let is_nested = status.code() == Code::Unavailable && status.origin().is_some();
    status.delivery() == Delivery::Answered
        && may_resend(status, true) == Resend::No
        && status.code() != Code::DeadlineExceeded
        && (!is_nested || status.details().is_some())
}

// === impl Resending ===

/// A call whose first attempt failed or is late.
struct Resending {
    picker: Picker,
    retries: u32,
    invocation: Invocation,
    running: RunningAttempts,
    /// The next attempt and its time, unless the call ends before.
    next: Option<(Instant, Next)>,
    history: History,
    free: usize,
    budgeted: u32,
    pauses: u32,
}

/// Why another attempt is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A copy, as those that run may hang.
    Copy,
    /// The call again, as one has failed; this is paid for.
    Resend,
}

impl Resending {
    fn new(picker: Picker, retries: u32, invocation: Invocation) -> Self {
        Self {
            picker,
            retries,
            invocation,
            running: RunningAttempts::default(),
            next: None,
            history: History::new(),
            free: 0,
            budgeted: 0,
            pauses: 0,
        }
    }

    /// Goes on after `first`, which has failed so or is late, until an attempt succeeds, or none
    /// runs and none may follow.
    async fn run(
        mut self,
        first: AttemptFuture,
        started: Instant,
        failure: Option<Status>,
    ) -> Result<Reply, Status> {
        match failure {
            Some(status) => self.failed(status, started.elapsed())?,
            None => {
                self.running.push(first, started);
                self.send(Next::Copy)?;
            }
        }
        loop {
            let Some(ended) = self.running.next_by(self.next.map(|(due, _)| due)).await else {
                if let Some((_, next)) = self.next {
                    self.send(next)?;
                }
                continue;
            };
            if ended.outcome.as_ref().map_or_else(is_answer, |_| true) {
                self.running.overtake(ended.before);
            }
            match ended.outcome {
                Ok(reply) => return Ok(reply),
                Err(status) => self.failed(status, ended.took)?,
            }
        }
    }

    /// Follows a failed attempt by another, if there may be one.
    ///
    /// # Errors
    /// The status that the call ends with: it is an answer, or nothing runs and nothing may follow.
    fn failed(&mut self, status: Status, took: Duration) -> Result<(), Status> {
        self.history.add(&status, took);
        let is_answer = is_answer(&status);
        if !is_answer && matches!(self.next, Some((_, Next::Resend))) {
            return Ok(());
        }
        match self.permit(&status) {
            Ok(Duration::ZERO) => self.send(Next::Resend),
            Ok(pause) => {
                self.next = Some((Instant::now() + pause, Next::Resend));
                Ok(())
            }
            Err(why) if is_answer || self.running.is_empty() => Err(self.give_up(status, why)),
            Err(_) => Ok(()),
        }
    }

    /// Sends the call to another provider. Is there none, or no budget for a copy, it looks again
    /// at half of what is left.
    ///
    /// # Errors
    /// The status that the call ends with: nothing runs, and there is no provider.
    fn send(&mut self, next: Next) -> Result<(), Status> {
        let now = Instant::now();
        self.next = self.later(now, next);
        let (endpoint, attempt) = match self.elsewhere(now) {
            Ok(Some(found)) => found,
            Ok(None) if self.running.is_empty() => {
                let status = Status::unimplemented("those left do not have the method");
                return Err(self.give_up(status.with_delivery(Delivery::Refused), None));
            }
            Err(status) if self.running.is_empty() => return Err(self.give_up(status, None)),
            Ok(None) | Err(_) => return Ok(()),
        };
        if next == Next::Copy {
            // It is not late that makes a call worth more than those a full provider has already.
            if endpoint.is_full(now) {
                return Ok(());
            }
            if self.permit_budgeted(now).is_err() {
                return Ok(());
            }
            self.running.are_late(now, self.invocation.deadline.instant());
        }
        tracing::debug!(
            target: "dubhe::policy",
            method = %self.invocation.method().path(),
            tried = ?attempt.excluded,
            "sending a call again",
        );
        self.running.push(self.picker.attempt_at(&endpoint, attempt), now);
        self.next = self.later(now, Next::Copy);
        Ok(())
    }

    /// `next` at half of the time that is left, if there may be such.
    fn later(&self, now: Instant, next: Next) -> Option<(Instant, Next)> {
        let deadline = self.invocation.deadline.instant();
        let may_copy = may_be_copied(&self.invocation) && self.budgeted < self.retries;
        let is_past = deadline.saturating_duration_since(now).is_zero();
        let may = !is_past && (next == Next::Resend || may_copy);
        may.then(|| (halfway(now, deadline), next))
    }

    /// The attempt at a provider that was not tried, or else at one that has failed; `None` if all
    /// that may be called have the call, or lack the method.
    fn elsewhere(&self, now: Instant) -> Result<Option<(Arc<Endpoint>, Attempt)>, Status> {
        let excluded = self.tried();
        let number = u32::try_from(excluded.len() + 1).unwrap_or(u32::MAX);
        let mut attempt = Attempt { invocation: self.invocation.clone(), number, excluded, now };
        let mut barred = self.history.lacking();
        barred.extend(self.running.addresses().cloned());
        if barred.is_empty() {
            return Ok(Some((self.picker.choose(&attempt)?, attempt)));
        }
        let mut endpoint = self.picker.choose_other(&attempt);
        if endpoint.is_none() {
            attempt.excluded = barred;
            endpoint = self.picker.choose_other(&attempt);
        }
        if endpoint.is_none() {
            // There is no instance, or routers leave none: the message says which.
            self.picker.choose(&attempt)?;
        }
        Ok(endpoint.map(|endpoint| (endpoint, attempt)))
    }

    /// The addresses at which attempts have failed or run.
    fn tried(&self) -> Vec<Arc<str>> {
        let mut tried = self.history.addresses();
        tried.extend(self.running.addresses().cloned());
        tried
    }

    /// After which pause the call may be sent again; if not, what decided that, if it was a
    /// setting.
    fn permit(&mut self, status: &Status) -> Result<Duration, Option<String>> {
        let (now, deadline) = (Instant::now(), self.invocation.deadline.instant());
        let idempotent = self.invocation.method().is_idempotent();
        let late = || Some(Deadline::HINT.to_owned());
        let resend = may_resend(status, &self.invocation);
        // No endpoint was reached, and another attempt would not reach one either.
        if resend == Resend::No || status.address().is_none() {
            let if_idempotent = Repeat::from(&self.invocation).if_idempotent();
            let would_do = !idempotent && may_resend(status, if_idempotent) != Resend::No;
            let was_answered = status.delivery() == Delivery::Answered;
            return Err(match status.code() {
                Code::DeadlineExceeded if !was_answered && !would_do => late(),
                _ if deadline <= now => late(),
                _ if !self.invocation.is_replayable() => {
                    Some("the stream of its arguments was read".to_owned())
                }
                _ if resend == Resend::No && would_do => {
                    Some("the method is not idempotent".to_owned())
                }
                _ => None,
            });
        }
        let lacking = self.history.lacking();
        if !lacking.is_empty() && !self.picker.left(&self.invocation, &lacking).untried {
            return Err(None);
        }
        let left = self.picker.left(&self.invocation, &self.tried());
        if resend == Resend::Elsewhere && !left.has_room {
            return Err(Some("every provider being full".to_owned()));
        }
        let pause = self.pause(left);
        if deadline <= now + pause {
            return Err(late());
        }
        match resend {
            Resend::Free | Resend::Elsewhere => self.permit_free(left)?,
            Resend::Budgeted | Resend::No => self.permit_budgeted(now)?,
        }
        Ok(pause)
    }

    fn permit_free(&mut self, left: Left) -> Result<(), Option<String>> {
        let instances = left.endpoints.min(MAX_TRIED);
        let retries = self.retries;
        // Providers that turned it away may no longer be among those that are left.
        let is_next = left.untried && self.free < MAX_TRIED;
        if !is_next && self.free >= instances + retries as usize {
            let plural = if instances == 1 { "" } else { "s" };
            return Err(Some(format!("{instances} instance{plural} and retries = {retries}")));
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
    fn pause(&mut self, left: Left) -> Duration {
        if left.untried {
            return Duration::ZERO;
        }
        let longest = (PAUSE * 2_u32.saturating_pow(self.pauses)).min(MAX_PAUSE);
        self.pauses = (self.pauses + 1).min(8);
        // Calls that failed together must not come back together.
        self.picker.jitter(longest)
    }

    fn give_up(&mut self, status: Status, why: Option<String>) -> Status {
        std::mem::take(&mut self.history).into_status(status, self.invocation.method(), why)
    }
}

#[cfg(test)]
mod tests {
    use rpc_core::Body;
    use rpc_core::message::Returned;
    use rpc_core::status::Details;

    use super::*;

    #[test]
    fn an_answer_is_what_no_other_provider_would_say_otherwise() {
        let with_origin = |status: Status| status.with_origin("bank.Account/charge".into());
        let details = Details { type_name: "shop.SoldOut".into(), body: Body::typed(Returned(())) };
        for (status, expected) in [
            (Status::not_found("no such item"), true),
            (Status::unavailable("no database"), false),
            (Status::deadline_exceeded("its own limit"), false),
            (with_origin(Status::unavailable("its call failed")), false),
            (with_origin(Status::not_found("its call failed")), true),
            (with_origin(Status::unavailable("typed")).with_details(details.clone()), true),
            (Status::unavailable("typed").with_details(details), true),
            (Status::internal("lost").with_delivery(Delivery::MaybeSent), false),
            (Status::not_found("unknown").with_delivery(Delivery::Refused), false),
            (Status::internal("too large").with_delivery(Delivery::NotSent), false),
        ] {
            assert_eq!(is_answer(&status), expected, "{status}");
        }
    }
}
