//! The task that follows the registry: it ends with its runtime, and the next call begins it again.
//!
//! What it knows goes home with its end, whatever ends it, and back to work with the next one.

use std::sync::{Arc, Mutex, PoisonError};

use rpc_core::runtime;
use tokio::task::AbortHandle;

use super::follower::Follower;
use super::shared::DirectoryShared;

/// The owner's side; dropping it ends the task.
#[derive(Debug)]
pub(super) struct Following {
    shared: Arc<DirectoryShared>,
    home: Arc<Mutex<Option<Follower>>>,
    task: Mutex<Option<AbortHandle>>,
}

impl Following {
    /// Has `follower` follow, in the runtime here or in that of the first call.
    pub(super) fn new(shared: Arc<DirectoryShared>, follower: Follower) -> Self {
        let home = Arc::new(Mutex::new(Some(follower)));
        let following = Self { shared, home, task: Mutex::default() };
        following.resume();
        following
    }

    /// Starts again in the present runtime, if there is one and no task follows.
    #[cold]
    pub(super) fn resume(&self) {
        let Ok(runtime) = runtime::with_timers() else { return };
        let Some(mut follower) = self.home.lock().unwrap_or_else(PoisonError::into_inner).take()
        else {
            return;
        };
        let is_anew = follower.resume();
        self.shared.life.begin(is_anew);
        if is_anew {
            self.shared.heard.send_replace(false);
        }
        let at_work = AtWork { follower: Some(follower), home: self.home.clone() };
        let task = runtime.spawn(at_work.run());
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        task.take().inspect(AbortHandle::abort);
    }
}

/// A follower at work.
struct AtWork {
    follower: Option<Follower>,
    home: Arc<Mutex<Option<Follower>>>,
}

impl AtWork {
    async fn run(mut self) {
        if let Some(follower) = &mut self.follower {
            follower.run().await;
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let Some(follower) = self.follower.take() else { return };
        let shared = follower.shared().clone();
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(follower);
        shared.life.end();
    }
}
