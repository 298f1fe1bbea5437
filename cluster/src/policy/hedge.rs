//! The attempts of a call that run beside each other, for `failover`.
//!
//! A provider that hangs answers neither yes nor no. A call that may run twice does not wait for
//! it to the end: when half of its time has passed, a copy goes to another provider, at half of
//! what is left then the next, and the first success is the answer. This is hedging (gRPC's A6) at
//! a delay that grows with the deadline, so that it needs no setting; copies draw on the retry
//! budget.
//!
//! There is no timer for each call: channels wake their callers at half of their time, see
//! [`Channel`](rpc_core::Channel). Over one that does not, a call waits for its first attempt to
//! its end. Only what happens after that has a timer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rpc_core::{Reply, Status};
use tokio::time::{Instant, timeout_at};

use crate::attempt::AttemptFuture;

/// Half of the time that is left at `now`.
pub(super) fn halfway(now: Instant, deadline: Instant) -> Instant {
    now + deadline.saturating_duration_since(now) / 2
}

/// The outcome of `first`; `None` if there is none when half of the time it was sent with has
/// passed, and `deadline` is given.
pub(super) async fn outcome_by(
    first: &mut AttemptFuture,
    deadline: Option<Instant>,
) -> Option<Result<Reply, Status>> {
    let mut polls = 0_u32;
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = Pin::new(&mut *first).poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        polls = polls.saturating_add(1);
        // The clock is read only by calls that were woken in vain.
        match (deadline, first.sent_at()) {
            (Some(deadline), Some(sent))
                if polls > 1 && Instant::now() >= halfway(sent, deadline) =>
            {
                Poll::Ready(None)
            }
            _ => Poll::Pending,
        }
    })
    .await
}

/// The attempts under way, the earliest first; dropping them cancels them.
#[derive(Default)]
pub(super) struct RunningAttempts(Vec<Started>);

/// One running attempt.
struct Started {
    attempt: AttemptFuture,
    /// When it was sent.
    at: Instant,
    /// Whether a copy was sent because there was no answer from it.
    is_late: bool,
}

/// How one of them ended, and how many of those that run were started before it.
pub(super) struct Ended {
    pub(super) outcome: Result<Reply, Status>,
    pub(super) took: Duration,
    pub(super) before: usize,
}

impl RunningAttempts {
    /// Adds one that was begun at this time; it may have been sent later.
    pub(super) fn push(&mut self, attempt: AttemptFuture, begun: Instant) {
        let at = attempt.sent_at().unwrap_or(begun);
        self.0.push(Started { attempt, at, is_late: false });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The addresses at which they run.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().filter_map(|started| Some(started.attempt.endpoint()?.address()))
    }

    /// Notes that a copy is sent because those have not answered that have had half of their time.
    pub(super) fn are_late(&mut self, now: Instant, deadline: Instant) {
        for started in &mut self.0 {
            started.is_late |= halfway(started.at, deadline) <= now;
        }
    }

    /// Waits for the next to end; `None` if none has by `due`.
    pub(super) async fn next_by(&mut self, due: Option<Instant>) -> Option<Ended> {
        let next = poll_fn(|cx| self.poll_next(cx));
        match due {
            Some(due) => timeout_at(due, next).await.ok(),
            None => Some(next.await),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        for before in 0..self.0.len() {
            if let Poll::Ready(outcome) = Pin::new(&mut self.0[before].attempt).poll(cx) {
                let took = self.0.remove(before).at.elapsed();
                return Poll::Ready(Ended { outcome, took, before });
            }
        }
        Poll::Pending
    }

    /// Gives up the first `before`, because one that was started later has answered: the late ones
    /// among them are judged as by a timeout.
    pub(super) fn overtake(&mut self, before: usize) {
        let overtaken = self.0.drain(..before);
        overtaken.filter(|started| started.is_late).for_each(|late| late.attempt.overdue());
    }
}
