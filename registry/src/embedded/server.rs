//! An embedded registry that listens on TCP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Error, ServiceKey};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::connection;
use super::host::{Host, ServerStatus};
use super::settings::ServerConfig;

/// After a failed accept (too many open files, say) the server waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running registry server. Dropping it stops it and closes all connections.
///
/// What it knows is in memory; its clients tell it again after a restart. It is not replicated.
#[derive(Debug)]
pub struct EmbeddedServer {
    host: Arc<Host>,
    address: SocketAddr,
    accepting: AbortHandle,
}

impl EmbeddedServer {
    /// Listens on `address`, such as `127.0.0.1:20890`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(
        address: impl ToSocketAddrs + std::fmt::Debug,
        config: ServerConfig,
    ) -> Result<Self, Error> {
        let wrong = |error: std::io::Error| {
            let what = format!(
                "the registry cannot listen on {address:?}: {error}, choose another address"
            );
            Error::bind(what).with_source(error)
        };
        let listener = TcpListener::bind(&address).await.map_err(wrong)?;
        let local = listener.local_addr().map_err(wrong)?;
        let host = Host::start(config);
        let accepting = tokio::spawn(accept(listener, Arc::clone(&host))).abort_handle();
        Ok(Self { host, address: local, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What it holds at the moment.
    #[must_use]
    pub fn status(&self) -> ServerStatus {
        self.host.status()
    }

    /// Takes everything at `address` off the list of `service` by hand; returns whether there was
    /// something. A provider that lives registers itself again.
    pub fn remove(&self, service: &ServiceKey, address: &str) -> bool {
        self.host.remove_at(service, address)
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts until aborted by the server's drop, and owns the tasks of all connections.
async fn accept(listener: TcpListener, host: Arc<Host>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Without it answers are late, no more.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection::serve(Arc::clone(&host), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "registry cannot accept a connection, waiting");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
