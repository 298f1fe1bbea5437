//! State that a provider's connection shares with the tasks of its calls: the running calls, and
//! their answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use futures_util::task::AtomicWaker;
use rpc_core::Reply;
use rpc_core::codec::Codec;
use rpc_core::server::Answer;
use rpc_core::server::{CallGuard, ConnectionShare, HeldBytes, ServerState};
use rpc_core::status::{Delivery, Status};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::outgoing::Outgoing;
use crate::dubbo::wire::header::status;

/// Why a call is turned away, and the number of that in the header.
type Refused = (Status, u8);

/// State that the connection's task shares with the tasks of its calls.
pub(super) struct CallsShared {
    pub(super) state: Arc<ServerState>,
    pub(super) caller: Arc<ConnectionShare>,
    pub(super) driver: Arc<AtomicWaker>,
    inner: Mutex<Inner>,
}

/// State behind the lock of a connection, which its task and those of its calls take for a moment
/// each.
pub(super) struct Inner {
    /// Answers on their way out.
    pub(super) out: Outgoing,
    /// Calls with a task of their own, by request id, so that a cancel finds them.
    pub(super) running: HashMap<u64, AbortHandle, RandomState>,
    /// Whether `out` has something that the connection has to write.
    pub(super) flush: bool,
}

impl CallsShared {
    pub(super) fn new(state: Arc<ServerState>, driver: Arc<AtomicWaker>) -> Arc<Self> {
        let caller = ConnectionShare::new(state.clone());
        let out = Outgoing::new(caller.clone());
        let inner = Mutex::new(Inner { out, running: HashMap::default(), flush: false });
        Arc::new(Self { state, caller, driver, inner })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a call a task of its own, which ends at the latest with its deadline.
    pub(super) fn spawn(
        self: &Arc<Self>,
        id: u64,
        mut call: Answer,
        codec: Arc<dyn Codec>,
        held: Option<HeldBytes>,
    ) -> Result<(), Refused> {
        if self.lock().running.contains_key(&id) {
            let text = format!("request id {id} is in use by a call that runs");
            let refused = Status::invalid_argument(text).with_delivery(Delivery::Answered);
            return Err((refused, status::BAD_REQUEST));
        }
        let guard =
            admit(&mut call, || self.caller.begin_call(), || self.caller.count_call(false))?;
        let shared = self.clone();
        let call = async move {
            let _guard = guard;
            let result = call.until_deadline().await;
            // The arguments are gone, which makes room for the answer.
            drop(held);
            shared.answer(id, &*codec, result);
        };
        // Held over the spawn: the call's end takes the lock too and finds itself in the table.
        let mut inner = self.lock();
        let task = tokio::spawn(call);
        inner.running.insert(id, task.abort_handle());
        Ok(())
    }

    /// Runs a one-way call: its caller may be gone already, and still wants it done.
    pub(super) fn spawn_one_way(
        &self,
        call: Answer,
        held: Option<HeldBytes>,
    ) -> Result<(), Refused> {
        let mut call = call.past_gate();
        let (begin, count) = (|| self.caller.begin_one_way(), || self.caller.count_call(true));
        let guard = admit(&mut call, begin, count)?;
        self.state.spawn_own(async move {
            let _counted = (guard, held);
            let _ = call.until_deadline().await;
        });
        Ok(())
    }

    /// Appends the answer of a call that had its own task.
    fn answer(&self, id: u64, codec: &dyn Codec, result: Result<Reply, Status>) {
        let mut inner = self.lock();
        if inner.running.remove(&id).is_none() {
            return;
        }
        inner.out.put_answer(id, codec, result, self.state.config().payload);
        let wake = !std::mem::replace(&mut inner.flush, true);
        drop(inner);
        if wake {
            self.driver.wake();
        }
    }
}

/// Counts a call. One that has begun is never turned away: how much of it was done is unknown.
fn admit(
    call: &mut Answer,
    begin: impl FnOnce() -> Result<CallGuard, Status>,
    count: impl FnOnce() -> CallGuard,
) -> Result<CallGuard, Refused> {
    let refused = |status| (status, status::OVERLOADED);
    let guard = if call.was_polled() {
        count()
    } else {
        begin().map_err(|full| {
            call.record(&Err(full.clone()), Instant::now());
            refused(full)
        })?
    };
    call.begin().map_err(refused)?;
    Ok(guard)
}

/// Ends the calls of a connection with it.
pub(super) struct AbortCalls(pub(super) Arc<CallsShared>);

impl Drop for AbortCalls {
    fn drop(&mut self) {
        let running = std::mem::take(&mut self.0.lock().running);
        running.into_values().for_each(|task| task.abort());
    }
}
