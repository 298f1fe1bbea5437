//! `failback`: a failed call is answered in its place and sent again in the background.
//!
//! Choose it for calls that must happen eventually and whose answer is not needed: notifications,
//! cache updates. After 5 s, then after twice that and so on (at most a minute, plus up to a tenth
//! by lot), at another provider than the last, `retries` times. The answer in place of a failure is
//! that of `failsafe`.
//!
//! It is a promise to try again, so it is given only where that may be: a call that cannot be
//! repaired so (a business error, a call that may have run of a method that is not idempotent) and
//! one for which there is no room fail at once. The waiting calls are the consumer's
//! [`Backlog`](crate::Backlog), in memory: they end with the consumer.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rpc_core::status::{Resend, may_resend_later};
use rpc_core::{
    AttemptLog, BoxInvoker, BuildContext, Deadline, Delivery, Error, Extension, Invocation, Invoke,
    Method, Reply, ReplyFuture, Status,
};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use tower_layer::Layer;

use super::log_throttle::LogThrottle;
use super::{ClusterPolicy, History, needs_fallback, needs_one_message};
use crate::attempt::Attempt;
use crate::backlog::{Backlog, BacklogFull, Waiting};
use crate::picker::Picker;

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The parameters of [`Failback`].
///
/// ```
/// use std::time::Duration;
///
/// use dubhe_cluster::policy::{Failback, FailbackConfig};
///
/// let patient = FailbackConfig { interval: Duration::from_secs(30), ..FailbackConfig::default() };
/// assert!(Failback::new(patient).is_ok());
/// assert!(Failback::new(FailbackConfig { tasks: 0, ..patient }).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FailbackConfig {
    /// How often a failed call is sent again in the background; default 3.
    pub retries: u32,
    /// Most failed calls of a method that wait at a time, at least 1; default 100.
    pub tasks: usize,
    /// The pause before the first attempt in the background, which doubles up to a minute; default
    /// 5 s.
    #[serde(deserialize_with = "rpc_core::amount::positive_duration")]
    pub interval: Duration,
}

impl Default for FailbackConfig {
    fn default() -> Self {
        Self { retries: 3, tasks: 100, interval: Duration::from_secs(5) }
    }
}

/// Answers now, tries again later.
#[derive(Debug, Clone, Copy, Default)]
pub struct Failback {
    config: FailbackConfig,
}

impl Failback {
    /// A policy with these parameters.
    ///
    /// # Errors
    /// Room for no call; an interval of zero.
    pub fn new(config: FailbackConfig) -> Result<Self, Error> {
        if config.tasks == 0 {
            let text = "0 leaves no room for any call: write 1 or more, or choose failsafe";
            return Err(Error::invalid_config(text).in_parameter("tasks"));
        }
        if config.interval.is_zero() {
            let text = "calls are not sent again at once: write more than 0s";
            return Err(Error::invalid_config(text).in_parameter("interval"));
        }
        Ok(Self { config })
    }
}

impl Extension<dyn ClusterPolicy> for Failback {
    const NAME: &'static str = "failback";
    type Config = FailbackConfig;

    fn build(config: FailbackConfig, _: &BuildContext) -> Result<Arc<dyn ClusterPolicy>, Error> {
        Ok(Arc::new(Self::new(config)?))
    }
}

impl Layer<Picker> for Failback {
    type Service = BoxInvoker;

    fn layer(&self, picker: Picker) -> BoxInvoker {
        let (config, logged) = (self.config, Arc::default());
        BoxInvoker::from_invoke(FailbackInvoker { picker, config, logged })
    }
}

impl ClusterPolicy for Failback {
    fn check(&self, method: &Method) -> Result<(), Error> {
        needs_one_message(Self::NAME, method)?;
        needs_fallback(Self::NAME, method)
    }

    fn with_retries(&self, retries: u32) -> Option<Arc<dyn ClusterPolicy>> {
        Some(Arc::new(Self { config: FailbackConfig { retries, ..self.config } }))
    }
}

/// Sends calls once, and hands the failed ones to the backlog.
#[derive(Clone)]
struct FailbackInvoker {
    picker: Picker,
    config: FailbackConfig,
    logged: Arc<LogThrottle>,
}

impl Invoke for FailbackInvoker {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let started = Instant::now();
        let first = self.picker.attempt(Attempt::first(invocation.clone(), started));
        let this = self.clone();
        Box::pin(async move {
            match first.await {
                Ok(reply) => Ok(reply),
                Err(status) => this.put_off(invocation, status, started),
            }
        })
    }
}

impl FailbackInvoker {
    /// The answer in place of the failure, if the call is taken for later; else the failure.
    fn put_off(
        self,
        invocation: Invocation,
        status: Status,
        started: Instant,
    ) -> Result<Reply, Status> {
        let (method, log) =
            (invocation.method().clone(), invocation.extensions.get::<AttemptLog>().cloned());
        let taken = match method.fallback() {
            Some(fallback) => self.take(invocation, &status, started).map(|()| fallback.clone()),
            None => Err(None),
        };
        let mut history = History::new();
        history.add(&status, started.elapsed());
        match taken {
            Err(hint) => Err(history.into_status(status, &method, hint)),
            Ok(fallback) => {
                let noted = |log: &AttemptLog| {
                    log.note_fallback(&history.into_status(status, &method, None));
                };
                log.as_ref().map(noted);
                Ok(fallback)
            }
        }
    }

    /// # Errors
    /// The setting that decided that the call is not sent again, if it was one.
    fn take(
        &self,
        mut invocation: Invocation,
        status: &Status,
        started: Instant,
    ) -> Result<(), Option<String>> {
        let (config, method) = (self.config, invocation.method().clone());
        if may_resend_later(status, method.is_idempotent()) == Resend::No {
            let would_do = may_resend_later(status, true) != Resend::No;
            return Err(would_do.then(|| "the method is not idempotent".to_owned()));
        }
        if config.retries == 0 {
            return Err(Some("cluster = failback, retries = 0".to_owned()));
        }
        let Some(backlog) = self.picker.backlog() else {
            return Err(Some("the consumer has ended".to_owned()));
        };
        // The caller may have no time left; an attempt gets as much as the call had.
        let time = invocation.deadline.instant().saturating_duration_since(started);
        // The call has ended for the caller that asked for its attempts.
        invocation.extensions.remove::<AttemptLog>();
        let pending = Pending {
            picker: self.picker.clone(),
            backlog: Arc::downgrade(&backlog),
            invocation,
            config,
            time: time.max(Deadline::DEFAULT_TIMEOUT),
            last: status.clone(),
            round: 0,
        };
        let size = pending.invocation.body.size_hint();
        backlog.push_waiting(&method, config.tasks, size, pending).map_err(|full| {
            backlog.note_dropped();
            let full = match full {
                BacklogFull::Calls(tasks) => {
                    format!("cluster = failback, tasks = {tasks}: so many calls wait")
                }
                BacklogFull::Bytes | BacklogFull::NoRuntime => {
                    format!("cluster = failback: {full}")
                }
            };
            self.tell_full(&method, &full);
            Some(full)
        })
    }

    fn tell_full(&self, method: &Method, why: &str) {
        if let Some(left_out) = self.logged.pass() {
            tracing::error!(
                target: "dubhe::policy",
                service = %method.service(),
                method = method.name(),
                left_out,
                "a failed call is dropped instead of sent again ({why})",
            );
        }
    }
}

// === impl Pending ===

/// A failed call that waits to be sent again.
struct Pending {
    picker: Picker,
    backlog: Weak<Backlog>,
    invocation: Invocation,
    config: FailbackConfig,
    /// How long an attempt may take.
    time: Duration,
    last: Status,
    /// How many rounds have begun.
    round: u32,
}

impl Waiting for Pending {
    /// Ends with a success, after the last retry, or when the call may not be sent again.
    async fn run(&mut self) {
        while self.round < self.config.retries {
            let round = self.round;
            sleep(self.pause(round)).await;
            self.round += 1;
            match self.permit() {
                Resend::No => break,
                // A round without budget is lost: what failed calls may cost is bounded.
                Resend::Budgeted if !self.picker.budget().draw(Instant::now()) => continue,
                Resend::Budgeted => {}
                Resend::Free | Resend::Elsewhere => self.picker.budget().note_resend(),
            }
            let attempt = self.picker.attempt(self.attempt(round));
            // So it stays if the runtime ends meanwhile: it may have run.
            self.last = Status::unavailable("its runtime ended").with_delivery(Delivery::MaybeSent);
            match attempt.await {
                Ok(_) => return self.tell_success(round),
                Err(status) => self.last = status,
            }
        }
        self.drop_call();
    }

    fn backlog(&self) -> Option<Arc<Backlog>> {
        self.backlog.upgrade()
    }
}

impl Pending {
    fn permit(&self) -> Resend {
        may_resend_later(&self.last, self.invocation.method().is_idempotent())
    }

    fn pause(&self, round: u32) -> Duration {
        let doubled = self.config.interval.saturating_mul(2_u32.saturating_pow(round));
        let pause = doubled.min(MAX_PAUSE.max(self.config.interval));
        // Calls that failed together must not come back together.
        pause + self.picker.jitter(pause / 5).saturating_sub(pause / 10)
    }

    fn attempt(&self, round: u32) -> Attempt {
        let now = Instant::now();
        let mut invocation = self.invocation.clone();
        invocation.deadline = Deadline::after_from(now, self.time);
        let excluded = self.last.address().map(Arc::from).into_iter().collect();
        Attempt { invocation, excluded, number: round.saturating_add(2), now }
    }

    fn tell_success(&self, round: u32) {
        let method = self.invocation.method();
        tracing::info!(
            target: "dubhe::policy",
            service = %method.service(),
            method = method.name(),
            attempt = round.saturating_add(2),
            "a call that had failed is done (cluster = failback)",
        );
    }

    fn drop_call(&self) {
        if let Some(backlog) = self.backlog.upgrade() {
            backlog.note_dropped();
        }
        let (method, last) = (self.invocation.method(), &self.last);
        tracing::error!(
            target: "dubhe::policy",
            service = %method.service(),
            method = method.name(),
            code = %last.code(),
            "a failed call is dropped after its retries (cluster = failback, retries = {}): {last}",
            self.config.retries,
        );
    }
}
