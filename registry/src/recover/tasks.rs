//! The owner of every task of a registry: they end with it.

use std::sync::{Arc, Mutex};

use rpc_core::{Error, runtime};
use tokio::task::JoinSet;

use super::link::Link;
use crate::lock::locked;

/// Owner of every task of one registry; held by all its guards.
#[derive(Debug)]
pub(super) struct Tasks {
    pub(super) link: Arc<Link>,
    pub(super) loops: Mutex<JoinSet<()>>,
}

impl Tasks {
    /// The owner of what keeps up `link`; nothing runs yet.
    pub(super) fn new(link: Link) -> Self {
        Self { link: Arc::new(link), loops: Mutex::new(JoinSet::new()) }
    }

    /// Has sessions opened if that is not done.
    pub(super) fn open(&self) -> Result<&Arc<Link>, Error> {
        if *self.link.closing.borrow() {
            return Err(self.closed());
        }
        runtime::with_timers()?;
        self.link.begin()?;
        Ok(&self.link)
    }

    pub(super) fn closed(&self) -> Error {
        let address = self.link.backend.address();
        Error::closed(format!("registry {address} was shut down, connect to it again"))
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut loops = locked(&self.loops);
        while loops.try_join_next().is_some() {}
        loops.spawn(task);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.link.end();
        self.link.backend.close();
    }
}
