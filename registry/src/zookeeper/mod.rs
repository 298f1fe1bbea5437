//! `zookeeper://[user:password@]host[:port],…[/chroot]`: ZooKeeper, in Dubbo's layout.
//!
//! For fleets that run ZooKeeper, and for those in which Java or Go processes register there. Costs one
//! connection a process, and one more node at the server for each service and address.
//!
//! ZooKeeper's protocol is spoken here: a client that opens its connections again by itself does so
//! with pauses that double without end, while ours are bounded and end with their owner. A lost
//! connection ends the [`Session`] here, and the next one goes on with the session at the servers, so
//! that a server which restarts, or a fleet of them of which one does, costs no node.

mod address;
mod client;
mod connection;
mod dial;
mod examine;
mod jute;
mod message;
mod name_set;
mod open;
#[cfg(test)]
mod tests;
mod ticket;
mod tree;
mod watched_list;
mod watches;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rpc_core::{BuildContext, Error, Extension, Instance};
use tokio::time::Instant;

use self::address::ZooKeeperAddress;
use self::dial::Servers;
use self::message::NodeAccess;
use self::tree::ZooKeeperTree;
use crate::backend::{Backend, Demand, Session};
use crate::dubbo::{NodeTree, TreeSession};
use crate::recover::Pace;
use crate::{Diagnosis, Registry, RegistryParams, supervise};

/// How long an ensemble may be away before that is a warning: one of its servers that restarts is none.
const GRACE: Duration = Duration::from_secs(3);

/// The registry `zookeeper://[user:password@]host[:port][,host[:port]…][/chroot]`: providers and
/// consumers in Dubbo's layout on ZooKeeper 3.5 or later, where Java and Go find them too.
///
/// The port is 2181 unless the address has one; all nodes are under `chroot`. With user and password
/// (or `user:password` as [`RegistryParams::token`]) the nodes that this process makes can be touched
/// only with these; without, by everybody.
///
/// | parameter | meaning | default |
/// | --- | --- | --- |
/// | `session` | after how long without this process the servers drop what it registered, from 1 s to 1 h; they bound it, by default to 4 to 40 s | `40s` |
/// | `tls`, `ca`, `cert`, `key`, `server-name` | TLS, as for all registries: the server is checked against `ca` or what the system trusts; `cert` and `key` are our own | `false` |
/// | `timeout` | how long one server may take to open a session, from 50 ms to 1 min | `1s`, with TLS `2s` |
/// | `backup` | further servers, `host:port,…`, as Dubbo writes them | none |
/// | `group` | root of the interface level, without `/` | `dubbo` |
/// | `register-mode` | `interface`, `instance` or `all`: the levels at which providers are registered | `all` |
/// | `register-consumer` | whether a consumer lists itself under the services that it uses | `true` |
///
/// A time is written with its unit, or in milliseconds as Dubbo does. A node may have 1 MiB, which is
/// what servers take, and a list 32 MiB, which are about 50,000 providers of one service.
pub struct ZooKeeper(ZooKeeperAddress);

impl Extension<dyn Registry> for ZooKeeper {
    const NAME: &'static str = "zookeeper";
    type Config = RegistryParams;

    fn build(config: RegistryParams, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
        let address = ZooKeeperAddress::read(&config)?;
        Ok(supervise(Arc::new(Self(address)), &config))
    }
}

impl ZooKeeper {
    /// The nodes of a session with one of these servers.
    async fn open(&self, servers: &Servers) -> Result<ZooKeeperTree, Error> {
        let client = servers.open(&self.0.text).await?;
        let access = match servers.has_credentials() {
            true => NodeAccess::Creator,
            false => NodeAccess::Open,
        };
        let tree = ZooKeeperTree::new(client, (&self.0.text, &self.0.chroot), access);
        // The servers take any credentials; whether they are the right ones shows at the first node.
        tree.value(&self.root()).await?;
        tree.client().hand_out();
        Ok(tree)
    }

    /// The root of the layout, of which everybody may at least read the value.
    fn root(&self) -> String {
        format!("/{}", self.0.layout.root)
    }
}

#[async_trait]
impl Backend for ZooKeeper {
    fn address(&self) -> String {
        self.0.text.to_string()
    }

    fn check(&self, instance: &Instance) -> Result<(), Error> {
        self.0.layout.check(instance)
    }

    async fn connect(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error> {
        let tree = self.open(&self.0.servers).await?;
        Ok(Arc::new(TreeSession::new(Arc::new(tree), Arc::clone(&self.0.layout), demand)))
    }

    async fn connect_apart(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error> {
        // With the ticket the servers would move the session there, and its end would take all that it holds along.
        let tree = self.open(&self.0.servers.apart()).await?;
        Ok(Arc::new(TreeSession::new(Arc::new(tree), Arc::clone(&self.0.layout), demand)))
    }

    fn pace(&self) -> Pace {
        let grace = if self.0.servers.count() > 1 { GRACE } else { Duration::ZERO };
        Pace { connect_timeout: self.0.servers.limit(), grace, ..Pace::default() }
    }

    fn has_settings(&self) -> bool {
        true
    }

    fn servers(&self) -> Vec<String> {
        self.0.servers.addresses().to_vec()
    }

    async fn examine(&self, server: &str) -> Result<Vec<Diagnosis>, Error> {
        let begun = Instant::now();
        let alone = self.0.servers.alone(server);
        let tree = self.open(&alone).await?;
        Ok(examine::examine(&tree, server, &alone, begun.elapsed()).await)
    }

    async fn recognize(&self, server: &str) -> Option<Diagnosis> {
        examine::recognize(server, &self.0.servers).await
    }
}

impl fmt::Debug for ZooKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZooKeeper({})", self.0.text)
    }
}
