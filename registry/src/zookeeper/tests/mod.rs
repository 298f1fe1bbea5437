//! Sessions with real servers, and with peers that are none.

mod faults;
mod orders;
mod peers;
mod sessions;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use servers::ZooKeeperServer;

use super::dial::Servers;
use super::message::NodeAccess;
use super::open::SessionWish;
use super::tree::ZooKeeperTree;

/// More than anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Sessions with `server`; a second one from the same servers goes on with the session of the first.
fn servers(server: &ZooKeeperServer, credentials: Option<&str>) -> Servers {
    let credentials = credentials.map(Into::into);
    let wish = SessionWish { timeout: Duration::from_secs(4), credentials };
    Servers::new(vec![server.address().to_string()], Duration::from_secs(5), wish, None)
}

async fn session(servers: &Servers, chroot: &str) -> Arc<ZooKeeperTree> {
    let client = servers.open("zookeeper://test").await.unwrap();
    client.hand_out();
    let access = match servers.has_credentials() {
        true => NodeAccess::Creator,
        false => NodeAccess::Open,
    };
    let chroot = if chroot.is_empty() { "".into() } else { format!("/{chroot}").into() };
    Arc::new(ZooKeeperTree::new(client, (&"zookeeper://test".into(), &chroot), access))
}

/// A new session.
async fn tree(server: &ZooKeeperServer, chroot: &str) -> Arc<ZooKeeperTree> {
    session(&servers(server, None), chroot).await
}
