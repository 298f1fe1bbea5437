//! What a provider's connection shares with the tasks of its calls: who runs, and their answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use futures_util::task::AtomicWaker;
use tokio::task::AbortHandle;

use super::respond::put_answer;
use crate::codec::Codec;
use crate::reply::Reply;
use crate::server::{Caller, ServerState};
use crate::status::Status;
use crate::transport::write_queue::WriteQueue;

/// What the connection's task shares with the tasks of its calls.
pub(super) struct Shared {
    pub(super) state: Arc<ServerState>,
    pub(super) caller: Arc<Caller>,
    pub(super) inner: Mutex<Inner>,
    pub(super) driver: Arc<AtomicWaker>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) out: WriteQueue,
    pub(super) running: HashMap<u64, AbortHandle, RandomState>,
    pub(super) flush: bool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends the answer of a call that had its own task.
    pub(super) fn answer(&self, id: u64, codec: &dyn Codec, result: Result<Reply, Status>) {
        let mut inner = self.lock();
        if inner.running.remove(&id).is_none() {
            return;
        }
        put_answer(&mut inner.out, id, codec, result, self.state.config.max_payload);
        let wake = !std::mem::replace(&mut inner.flush, true);
        drop(inner);
        if wake {
            self.driver.wake();
        }
    }
}

/// Ends the calls of a connection with it.
pub(super) struct AbortCalls(pub(super) Arc<Shared>);

impl Drop for AbortCalls {
    fn drop(&mut self) {
        let running = std::mem::take(&mut self.0.lock().running);
        running.into_values().for_each(|task| task.abort());
    }
}
