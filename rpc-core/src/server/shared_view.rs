//! What the views of one call share: what is to go beside its answer, and that it was given up.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::metadata::Metadata;

/// What a view of a call and its clones share.
#[derive(Debug)]
pub(super) struct SharedView {
    /// What is to go beside the answer; `None` once that is on its way.
    reply: Mutex<Option<Metadata>>,
    pub(super) is_cancelled: watch::Sender<bool>,
}

impl SharedView {
    /// Nothing is set, and the call goes on.
    pub(super) fn new() -> Self {
        let reply = Mutex::new(Some(Metadata::new()));
        Self { reply, is_cancelled: watch::Sender::new(false) }
    }

    pub(super) fn reply(&self) -> MutexGuard<'_, Option<Metadata>> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
