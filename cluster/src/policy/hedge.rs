//! A second try while the first still waits, for `failover`.
//!
//! A provider that hangs answers neither yes nor no. A call that may run twice does not wait for
//! it to the end: when half of its time has passed, a copy goes to another provider, and the first
//! success is the answer. This is hedging (gRPC's A6) at a delay that grows with the deadline, so
//! that it needs no setting; copies draw on the retry budget.
//!
//! There is no timer for each call: channels wake their callers at that time, see
//! [`Channel`](rpc_core::Channel). Over one that does not, a call waits to its end.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use rpc_core::{Reply, Status};
use tokio::time::Instant;

use crate::picker::AttemptFuture;

/// The outcome of `first`; `None` if there is none by `patience`.
pub(super) async fn outcome_by(
    first: &mut AttemptFuture,
    patience: Option<Instant>,
) -> Option<Result<Reply, Status>> {
    let mut polls = 0_u32;
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = Pin::new(&mut *first).poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        polls = polls.saturating_add(1);
        // The clock is read only by calls that were woken in vain.
        match patience {
            Some(patience) if polls > 1 && Instant::now() >= patience => Poll::Ready(None),
            _ => Poll::Pending,
        }
    })
    .await
}

/// How a call and its copy ended.
pub(super) enum Race {
    /// One succeeded; the other was cancelled.
    Won(Reply),
    /// The first of the two to fail, and what is left of the other.
    Lost { status: Status, other: AttemptFuture, is_copy: bool },
}

/// Waits for the first of the two to end. If the copy succeeds, the first was overdue.
pub(super) async fn race(first: AttemptFuture, copy: AttemptFuture) -> Race {
    let (mut first, mut copy) = (first, copy);
    let (outcome, is_copy) = poll_fn(|cx| match Pin::new(&mut first).poll(cx) {
        Poll::Ready(outcome) => Poll::Ready((outcome, false)),
        Poll::Pending => Pin::new(&mut copy).poll(cx).map(|outcome| (outcome, true)),
    })
    .await;
    match (outcome, is_copy) {
        (Ok(reply), true) => {
            first.overdue();
            Race::Won(reply)
        }
        (Ok(reply), false) => Race::Won(reply),
        (Err(status), true) => Race::Lost { status, other: first, is_copy },
        (Err(status), false) => Race::Lost { status, other: copy, is_copy },
    }
}
