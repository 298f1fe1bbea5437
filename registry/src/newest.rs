//! What a watch has put last: the channel behind [`Updates`](crate::Updates) and
//! [`ConfigUpdates`](crate::ConfigUpdates).

use rpc_core::Error;

use crate::latest::Latest;

/// The newest that a watch has put, and why it is not confirmed any more.
#[derive(Debug)]
pub(crate) struct Newest<T> {
    pub(crate) values: Latest<Option<T>>,
    pub(crate) doubt: Latest<Option<Error>>,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self { values: Latest::new(None), doubt: Latest::new(None) }
    }
}
