//! A service whose list a server pushes, for as long as this is held.

use std::mem;
use std::sync::Arc;

use rpc_core::{Error, LatestReader};

use super::naming::Naming;
use super::pushes::NewestList;
use super::unread_list::UnreadList;

/// A service that is followed.
#[derive(Debug)]
pub(super) struct FollowedService {
    naming: Arc<Naming>,
    service: String,
    list: LatestReader<NewestList>,
}

impl FollowedService {
    /// Follows a service: the server pushes its list until the last that follows it is dropped.
    pub(super) async fn begin(naming: &Arc<Naming>, service: &str) -> Result<Self, Error> {
        let list = naming.pushes().follow_service(service);
        let followed = Self { naming: Arc::clone(naming), service: service.to_owned(), list };
        naming.begin_pushes(service).await?;
        Ok(followed)
    }

    /// The newest list, unless it was taken already.
    pub(super) fn take(&mut self) -> Option<UnreadList> {
        self.list.mark_unchanged();
        self.naming.pushes().take_service(&self.service)
    }

    /// Waits for a list that was not taken; says whether one may still come.
    pub(super) async fn changed(&mut self) -> bool {
        self.list.changed().await.is_ok()
    }
}

impl Drop for FollowedService {
    fn drop(&mut self) {
        if self.naming.pushes().leave_service(&self.service) {
            self.naming.end_pushes(mem::take(&mut self.service));
        }
    }
}
