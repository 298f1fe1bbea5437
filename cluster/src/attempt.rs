//! One try of a call: its description, and the try while it runs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rpc_core::{Deadline, Invocation, Reply, Status};
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::endpoint::EndpointFuture;
use crate::endpoint::give_up;

/// One try of a call, as a policy describes it to the [`Picker`](crate::Picker).
///
/// A policy makes the first by [`Attempt::first`], and each further one by changing a clone: it
/// adds the address that failed to `excluded`, counts `number` up and reads the clock.
///
/// ```
/// use dubhe_cluster::Attempt;
/// use rpc_core::{Invocation, Status};
/// use tokio::time::Instant;
///
/// fn after(attempt: &Attempt, failed: &Status) -> Attempt {
///     let mut next = attempt.clone();
///     next.excluded.extend(failed.address().map(Into::into));
///     next.number += 1;
///     next.now = Instant::now();
///     next
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The call to send.
    pub invocation: Invocation,
    /// Addresses to avoid while there are others: those tried before.
    pub excluded: Vec<Arc<str>>,
    /// Which try it is, from 1.
    pub number: u32,
    /// The present time, as the maker of the attempt read it.
    pub now: Instant,
}

impl Attempt {
    /// The first try of a call. Does not allocate.
    #[must_use]
    pub const fn first(invocation: Invocation, now: Instant) -> Self {
        Self { invocation, excluded: Vec::new(), number: 1, now }
    }
}

/// An attempt under way; resolves to the reply or the failure of one endpoint.
///
/// Not boxed: it lives inside the future of its policy.
///
/// # Cancel safety
/// Dropping it cancels the call at its endpoint, and says nothing about the endpoint's health. A
/// policy that drops it for a reason says which: [`overdue`](Self::overdue) or
/// [`give_up`](Self::give_up).
#[must_use = "futures do nothing unless polled"]
pub struct AttemptFuture(State);

/// An attempt once the registry has said something.
type Later = Pin<Box<dyn Future<Output = Result<AttemptFuture, Status>> + Send>>;

/// How far an attempt is.
enum State {
    /// At its endpoint.
    Running(EndpointFuture),
    /// Waits for the registry's first list; sent after that.
    Waiting(Later),
    /// Failed before it was sent; `None` once the failure was returned.
    Failed(Option<Status>),
}

impl AttemptFuture {
    /// The endpoint of the running attempt; `None` before and after.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        match &self.0 {
            State::Running(running) => running.endpoint(),
            State::Waiting(_) | State::Failed(_) => None,
        }
    }

    /// When it was sent to its endpoint; `None` before and after.
    pub(crate) fn sent_at(&self) -> Option<Instant> {
        match &self.0 {
            State::Running(running) => running.started(),
            State::Waiting(_) | State::Failed(_) => None,
        }
    }

    /// Cancels it because its answer is overdue: the endpoint is judged as by a timeout, rather
    /// than not at all, as when the future is dropped.
    pub fn overdue(self) {
        if let State::Running(running) = self.0 {
            running.overdue();
        }
    }

    /// Cancels it because another attempt was quicker. If calls to its endpoint are only given up
    /// and it has not answered for a second, this call runs on in the background, at most until
    /// `deadline`, to judge the endpoint.
    pub fn give_up(self, deadline: Deadline) {
        if let State::Running(running) = self.0 {
            give_up(running, deadline.instant());
        }
    }

    pub(crate) const fn running(at_endpoint: EndpointFuture) -> Self {
        Self(State::Running(at_endpoint))
    }

    pub(crate) const fn waiting(later: Later) -> Self {
        Self(State::Waiting(later))
    }

    pub(crate) const fn failed(status: Status) -> Self {
        Self(State::Failed(Some(status)))
    }
}

impl Future for AttemptFuture {
    type Output = Result<Reply, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.0 {
                State::Running(running) => return Pin::new(running).poll(cx),
                // Waiting => (Running | Failed)
                State::Waiting(waiting) => match waiting.as_mut().poll(cx) {
                    Poll::Ready(sent) => *this = sent.unwrap_or_else(Self::failed),
                    Poll::Pending => return Poll::Pending,
                },
                State::Failed(status) => {
                    return status.take().map_or(Poll::Pending, |status| Poll::Ready(Err(status)));
                }
            }
        }
    }
}

impl fmt::Debug for AttemptFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Running(_) => "AttemptFuture(running)",
            State::Waiting(_) => "AttemptFuture(waiting)",
            State::Failed(_) => "AttemptFuture(failed)",
        })
    }
}
