//! An embedded registry that listens on TCP.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Acceptor, Error, Instance, Port, ServiceKey, runtime};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::connection;
use super::dubhe::DEFAULT_PORT;
use super::host::{RegistryHost, ServerStatus};
use super::settings::RegistryServerConfig;
use super::store::Opened;
use crate::off_thread::off_thread;

/// After a failed accept (too many open files, say) the server waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a shutdown waits for connections, and again for the store.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(3);

/// A running registry server. Dropping it frees its port at once and closes its connections when
/// the runtime polls their tasks; [`shutdown`](Self::shutdown) closes them in order and waits.
///
/// With a data folder (feature `store`) it keeps registrations through a crash; without one its
/// clients register again after a restart. It is not replicated.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), rpc_core::Error> {
/// use dubhe_registry::embedded::EmbeddedServer;
/// use rpc_core::{Instance, ServiceKey};
///
/// let server = EmbeddedServer::builder().listen("127.0.0.1:0").token("s3cret").start().await?;
/// let url = format!("dubhe://:s3cret@{}", server.local_addr());
///
/// let registry = dubhe_registry::connect(&url)?;
/// let stock = ServiceKey::new("shop.Stock");
/// let _listed =
///     registry.register(Instance::new(stock.clone(), "10.0.0.1:20880", "start-1")).await?;
/// assert_eq!(server.status().instances, 1);
/// assert_eq!(server.services(), [stock]);
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EmbeddedServer {
    host: Arc<RegistryHost>,
    address: SocketAddr,
    port: Port,
    accepting: JoinHandle<()>,
    stopping: watch::Sender<bool>,
    /// Saves what changes; ends after the host.
    keeping: Option<JoinHandle<()>>,
}

/// Sets up an [`EmbeddedServer`]; nothing happens before [`start`](Self::start).
#[must_use = "a server runs after `start`"]
pub struct ServerBuilder {
    address: String,
    config: RegistryServerConfig,
    store: Option<OpenStore>,
}

type OpenStore = Box<dyn FnOnce() -> Result<Opened, Error> + Send>;

impl EmbeddedServer {
    /// Sets up a server on `127.0.0.1:20890`, without a token, that keeps nothing on disk.
    pub fn builder() -> ServerBuilder {
        let address = format!("127.0.0.1:{DEFAULT_PORT}");
        ServerBuilder { address, config: RegistryServerConfig::default(), store: None }
    }

    /// Listens on `address`, such as `127.0.0.1:20890`; port 0 takes a free one. Keeps nothing on
    /// disk; see [`builder`](Self::builder).
    ///
    /// # Errors
    /// The address cannot be bound.
    ///
    /// # Cancel safety
    /// Dropping the future frees the port again.
    pub async fn bind(
        address: impl ToSocketAddrs + fmt::Debug,
        config: RegistryServerConfig,
    ) -> Result<Self, Error> {
        let (listener, local) = listen(address).await?;
        Ok(Self::run(listener, local, RegistryHost::start(config), None))
    }

    fn run(
        listener: TcpListener,
        address: SocketAddr,
        host: Arc<RegistryHost>,
        keeping: Option<JoinHandle<()>>,
    ) -> Self {
        let (stopping, (port, acceptor)) = (watch::Sender::new(false), Port::of(listener));
        let accepting = tokio::spawn(accept(acceptor, Arc::clone(&host), stopping.subscribe()));
        Self { host, address, port, accepting, stopping, keeping }
    }

    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Its present contents.
    #[must_use]
    pub fn status(&self) -> ServerStatus {
        self.host.status()
    }

    /// Every service that has an instance now, sorted.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceKey> {
        let mut services = self.host.services();
        services.sort();
        services
    }

    /// The instances of `service` now.
    #[must_use]
    pub fn instances(&self, service: &ServiceKey) -> Vec<Instance> {
        let list = self.host.list(service);
        list.version.instances.iter().map(|instance| Instance::clone(instance)).collect()
    }

    /// Takes everything at `address` off the list of `service` by hand; returns whether there was
    /// something. A provider that lives registers itself again.
    pub fn remove(&self, service: &ServiceKey, address: &str) -> bool {
        self.host.remove_at(service, address)
    }

    /// Closes all connections, saves what is not saved yet and lets go of address and data folder;
    /// takes at most 7 s. What is registered stays in the data folder.
    ///
    /// # Cancel safety
    /// Dropping the future drops the server.
    pub async fn shutdown(mut self) {
        self.port.close();
        self.stopping.send_replace(true);
        // Connections that do not end in time are aborted with the server below.
        let _ = timeout(SHUTDOWN_LIMIT, &mut self.accepting).await;
        self.host.all_settled().await;
        let keeping = self.keeping.take();
        drop(self);
        if let Some(keeping) = keeping {
            let _ = timeout(SHUTDOWN_LIMIT, keeping).await;
        }
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        self.port.close();
        self.accepting.abort();
    }
}

// === impl ServerBuilder ===

impl ServerBuilder {
    /// Listens here; port 0 takes a free one.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// Sets the token that clients must have in `registry.token`; the default is none.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.config.token = token.into();
        self
    }

    /// Limits, times and token, instead of the defaults and what was set before.
    pub fn config(mut self, config: RegistryServerConfig) -> Self {
        self.config = config;
        self
    }

    #[cfg_attr(not(feature = "store"), allow(dead_code, reason = "the folder comes with it"))]
    pub(super) fn store(
        mut self,
        open: impl FnOnce() -> Result<Opened, Error> + Send + 'static,
    ) -> Self {
        self.store = Some(Box::new(open));
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// The address cannot be bound; the data folder cannot be used, or another server uses it.
    ///
    /// # Cancel safety
    /// Dropping the future frees the port and the folder again.
    pub async fn start(self) -> Result<EmbeddedServer, Error> {
        // Bound first, so that a second server on the same address does not touch the first one's
        // folder.
        let (listener, local) = listen(self.address).await?;
        let (host, keeping) = match self.store {
            None => (RegistryHost::start(self.config), None),
            Some(open) => {
                let (host, keeping) = RegistryHost::restore(self.config, off_thread(open).await?);
                (host, Some(keeping))
            }
        };
        Ok(EmbeddedServer::run(listener, local, host, keeping))
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("address", &self.address)
            .field("config", &self.config)
            .field("keeps", &self.store.is_some())
            .finish()
    }
}

async fn listen(
    address: impl ToSocketAddrs + fmt::Debug,
) -> Result<(TcpListener, SocketAddr), Error> {
    runtime::whole()?;
    let wrong = |error: std::io::Error| {
        let what =
            format!("the registry cannot listen on {address:?}: {error}, choose another address");
        Error::bind(what).with_source(error)
    };
    let listener = TcpListener::bind(&address).await.map_err(wrong)?;
    let local = listener.local_addr().map_err(wrong)?;
    Ok((listener, local))
}

/// Accepts until told to stop or aborted by the server's drop, and owns the tasks of all
/// connections.
async fn accept(mut port: Acceptor, host: Arc<RegistryHost>, mut stopping: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = port.accept() => match accepted {
                Ok((stream, _)) => {
                    // Without it answers are late, no more.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection::serve(Arc::clone(&host), stream));
                }
                Err(error) => {
                    tracing::warn!(
                        target: "dubhe::registry::server",
                        %error, "registry cannot accept a connection, waiting"
                    );
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = stopping.changed() => break,
        }
    }
    connections.shutdown().await;
}
