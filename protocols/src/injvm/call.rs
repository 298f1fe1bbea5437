//! One call: from the consumer's invocation to the provider's, and its answer back.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Poll, ready};

use rpc_core::message::Returned;
use rpc_core::server::{Answer, CallGuard, ConnectionShare, Phase, ServerState, shutting_down};
use rpc_core::{
    Body, CallId, Deadline, Delivery, Invocation, MethodKind, Peer, Reply, ReplyFuture, RequestId,
    Status,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::{limited, pump};

/// A call at its server, begun and counted.
pub(super) struct RunningCall {
    pub(super) server: Arc<ServerState>,
    pub(super) answer: Answer,
    pub(super) deadline: Deadline,
    pub(super) started: Instant,
    pub(super) counted: CallGuard,
    /// Bytes a message may have, on either side.
    pub(super) limit: usize,
    /// The name of the call on both sides.
    pub(super) id: u64,
}

/// The number of one more call in this process; they begin anywhere, as those of a connection do.
pub(super) fn next_id() -> u64 {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| RandomState::new().hash_one(0).into());
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Starts the call `id` that counts as one of `share`; what is sent and comes back has at most
/// `limit` bytes a message for the consumer.
pub(super) fn start(
    share: &Arc<ConnectionShare>,
    id: u64,
    invocation: Invocation,
    peer: Arc<Peer>,
    limit: usize,
    permit: OwnedSemaphorePermit,
) -> Result<ReplyFuture, Status> {
    let server = share.state();
    let (method, started) = (invocation.method().clone(), Instant::now());
    let (kind, deadline, end) = (method.kind(), invocation.deadline, invocation.end_deadline());
    let largest = server.config().payload.min(limit);
    let arguments = limited::request(invocation.body, largest)?;
    let _reading = server.begin_reading().ok_or_else(shutting_down)?;
    let route = server.dispatcher().route(method.path())?.clone();
    let counted = match kind {
        MethodKind::OneWay => share.begin_one_way()?,
        _ => share.begin_call()?,
    };
    let mut served = Invocation::new(route.method().clone(), arguments, deadline);
    (served.metadata, served.peer) = (invocation.metadata, Some(peer));
    served.request = RequestId::new(id).filter(|_| kind != MethodKind::OneWay);
    if kind.streams_reply() {
        end.inspect(|end| served.set_end_deadline(*end));
    }
    let answer = Answer::new(route, served, started);
    let server = server.clone();
    let running = RunningCall { server, answer, deadline, started, counted, limit: largest, id };
    Ok(match kind {
        MethodKind::OneWay => one_way(running),
        kind if kind.streams_reply() => pump::reply(running, permit),
        _ => Box::pin(async move {
            let _permit = permit;
            let reply = running.reply().await?.0;
            limited::check("reply", &reply.body, largest)?;
            Ok(reply)
        }),
    })
}

/// Runs without a waiting caller; it ends with its deadline or with the server.
fn one_way(running: RunningCall) -> ReplyFuture {
    let RunningCall { server, answer, counted, .. } = running;
    server.spawn_own(async move {
        let _counted = counted;
        // The outcome is in the provider's metrics.
        let _ = answer.past_gate().until_deadline().await;
    });
    Box::pin(std::future::ready(Ok(Reply::from_body(Body::typed(Returned(()))))))
}

impl RunningCall {
    /// The handler's reply, and what counts the call as running.
    pub(super) async fn reply(self) -> Result<(Reply, CallGuard), Status> {
        let Self { server, mut answer, deadline, started, counted, id, .. } = self;
        let named = |status: Status| status.with_id(CallId::Request(id));
        answer.begin().map_err(named)?;
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut answer).poll(cx))).await;
        let result = match first {
            Poll::Ready(result) => result,
            Poll::Pending => wait(&mut answer, &server, started, deadline).await,
        };
        answer.record(&result, Instant::now());
        Ok((result.map_err(named)?, counted))
    }
}

/// Waits for an answer at most until the deadline, and until the server closes. Wakes the caller at
/// half of its time, as a channel does.
async fn wait(
    answer: &mut Answer,
    server: &ServerState,
    started: Instant,
    deadline: Deadline,
) -> Result<Reply, Status> {
    let halfway = started + deadline.remaining_from(started) / 2;
    let mut timer = pin!(sleep_until(halfway));
    let mut is_half = false;
    let mut phase = server.watch_phase();
    let mut closing = pin!(phase.wait_for(|phase| *phase >= Phase::Closing));
    poll_fn(|cx| {
        // First, so that a handler which keeps to its deadline does not answer for its caller.
        while timer.as_mut().poll(cx).is_ready() {
            if std::mem::replace(&mut is_half, true) {
                let late = Status::deadline_exceeded("no answer came before the deadline");
                let late = late.with_delivery(Delivery::MaybeSent).with_hint(Deadline::HINT);
                return Poll::Ready(Err(late));
            }
            timer.as_mut().reset(deadline.instant());
        }
        if closing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(shutting_down().with_delivery(Delivery::MaybeSent)));
        }
        Poll::Ready(ready!(Pin::new(&mut *answer).poll(cx)))
    })
    .await
}
