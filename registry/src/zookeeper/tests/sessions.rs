//! To whom a session belongs: to those who registered with it, whatever others open, give up or are refused.

use servers::ZooKeeperServer;

use super::faults::{ADDRESS, instance, owners, registry};
use super::tree;
use crate::check::CheckResult;

#[tokio::test]
async fn a_look_at_a_registry_in_use_leaves_its_session_and_what_it_registered() {
    let Some(server) = ZooKeeperServer::start() else { return };
    let looker = tree(&server, "").await;
    let registry = registry(server.address());
    let registration = registry.register(instance(ADDRESS)).await.unwrap();
    let before = owners(&looker).await;
    let found = registry.diagnose().await;
    let opened = found.iter().find(|seen| seen.check == "session");
    assert!(opened.is_some_and(|seen| seen.result == CheckResult::Ok), "{found:#?}");
    assert_eq!((before.len(), owners(&looker).await), (1, before));
    assert!(registration.is_registered());
}
