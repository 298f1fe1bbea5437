//! What a watch has put last: the channel behind [`Updates`](crate::Updates) and
//! [`ConfigUpdates`](crate::ConfigUpdates).

use rpc_core::Error;
use tokio::sync::watch;

/// The newest that a watch has put, and why it is not confirmed any more.
#[derive(Debug)]
pub(crate) struct Newest<T> {
    pub(crate) values: watch::Sender<Option<T>>,
    pub(crate) doubt: watch::Sender<Option<Error>>,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self { values: watch::Sender::new(None), doubt: watch::Sender::new(None) }
    }
}
