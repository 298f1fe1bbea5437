//! Sending an attempt, once there is an endpoint for it and while the call has time.

use std::sync::Arc;

use rpc_core::{Deadline, Delivery, Invocation, Status, runtime};
use tokio::time::Instant;

use super::Picker;
use crate::attempt::{Attempt, AttemptFuture};
use crate::candidates::Candidates;
use crate::endpoint::Endpoint;

impl Picker {
    /// Waits until there is an endpoint, while the registry has not said anything and at most
    /// until the call's deadline; for policies that choose endpoints themselves.
    ///
    /// # Errors
    /// `unavailable`, not sent: there is none.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn ready(&self, invocation: &Invocation) -> Result<(), Status> {
        let directory = &self.0.directory;
        // Asked before the list is read: the first snapshot may come between.
        if directory.is_pending() || directory.is_left() {
            let candidates = directory.candidates().clone();
            if candidates.is_empty() || directory.is_confirming() {
                runtime::with_timers()?;
                directory.wait_ready(patience(&candidates, invocation)).await;
            }
        }
        if directory.candidates().is_empty() { Err(directory.no_instance()) } else { Ok(()) }
    }

    /// Starts an attempt.
    ///
    /// Before the registry's first list, it waits for that list until the call's deadline.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the attempt.
    ///
    /// # Errors
    /// The endpoint's failures, with its address. Without an address: `unavailable`, not sent, if
    /// there is no endpoint; `deadline_exceeded`, not sent, if no time is left.
    pub fn attempt(&self, attempt: Attempt) -> AttemptFuture {
        if let Err(late) = self.admit(&attempt) {
            return AttemptFuture::failed(late);
        }
        if self.0.directory.is_left() {
            self.resume();
        }
        let candidates = self.0.directory.candidates();
        if candidates.is_empty() || self.0.directory.is_confirming() {
            return self.without_candidates(attempt);
        }
        self.send(&candidates, attempt)
    }

    /// Starts an attempt at this endpoint. Dropping the future cancels it.
    ///
    /// # Errors
    /// The endpoint's failures, and `deadline_exceeded`, not sent, if no time is left; both name
    /// its address.
    pub fn attempt_at(&self, endpoint: &Arc<Endpoint>, attempt: Attempt) -> AttemptFuture {
        match self.admit(&attempt) {
            Ok(()) => start(endpoint.clone(), attempt),
            Err(late) => AttemptFuture::failed(late.with_address(endpoint.address().clone())),
        }
    }

    /// Resumes calls that wait: they have probably lost the same runtime as the directory, which
    /// resumes by itself.
    #[cold]
    fn resume(&self) {
        self.backlog().inspect(|backlog| backlog.resume());
    }

    /// Counts the first attempt of a call.
    ///
    /// # Errors
    /// No time is left for it.
    fn admit(&self, attempt: &Attempt) -> Result<(), Status> {
        if attempt.number == 1 {
            self.0.budget.deposit(attempt.now);
        }
        in_time(attempt)
    }

    /// Inlined, as the attempt is large: it is not moved then.
    #[inline]
    fn send(&self, candidates: &Arc<Candidates>, attempt: Attempt) -> AttemptFuture {
        if let Some(endpoint) = self.probe_of(candidates, &attempt)
            && let Some(probe) = endpoint.probe(attempt.invocation.clone(), attempt.now)
        {
            return AttemptFuture::running(probe);
        }
        match self.choose_of(candidates, &attempt) {
            Ok(endpoint) => start(endpoint, attempt),
            Err(status) => AttemptFuture::failed(status),
        }
    }

    #[cold]
    fn without_candidates(&self, attempt: Attempt) -> AttemptFuture {
        let directory = self.0.directory.clone();
        // Asked before the list is read again: the first snapshot may come between.
        let is_pending = directory.is_pending();
        let candidates = directory.candidates();
        if !candidates.is_empty() && !directory.is_confirming() {
            return self.send(&candidates, attempt);
        }
        if !is_pending {
            return match candidates.is_empty() {
                true => AttemptFuture::failed(directory.no_instance()),
                false => self.send(&candidates, attempt),
            };
        }
        if let Err(missing) = runtime::with_timers() {
            return AttemptFuture::failed(missing.into());
        }
        let (this, deadline) = (self.clone(), patience(&candidates, &attempt.invocation));
        let waiting = async move {
            directory.wait_ready(deadline).await;
            let candidates = directory.candidates().clone();
            if candidates.is_empty() {
                return Err(directory.no_instance());
            }
            let attempt = Attempt { now: Instant::now(), ..attempt };
            in_time(&attempt)?;
            Ok(this.send(&candidates, attempt))
        };
        AttemptFuture::waiting(Box::pin(waiting))
    }
}

/// How long a call waits for a registry's first list; only half of its time if there is a list that
/// merely has to be confirmed.
fn patience(candidates: &Candidates, invocation: &Invocation) -> Deadline {
    match candidates.is_empty() {
        true => invocation.deadline,
        false => Deadline::after(invocation.deadline.remaining() / 2),
    }
}

fn in_time(attempt: &Attempt) -> Result<(), Status> {
    if attempt.invocation.deadline.instant() <= attempt.now {
        let late = Status::deadline_exceeded("no time was left to send the call");
        return Err(late.with_delivery(Delivery::NotSent));
    }
    Ok(())
}

#[inline]
fn start(endpoint: Arc<Endpoint>, attempt: Attempt) -> AttemptFuture {
    match endpoint.called(attempt.invocation, attempt.now, attempt.number) {
        Ok(running) => AttemptFuture::running(running),
        Err(status) => AttemptFuture::failed(status),
    }
}
