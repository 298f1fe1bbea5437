//! `memory://name`: a registry inside this process, for tests and programs that are one process.
//!
//! It is an embedded registry reached through pipes instead of sockets, so it behaves as one,
//! leases included, and runs on paused time. All users of a name meet in it; it ends with the last
//! of them. The table of names is the one process-wide value of this crate: a name must mean the
//! same registry wherever a configuration has it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use rpc_core::{BuildContext, Error, Extension, Instance, ServiceKey};
use tokio::sync::watch;

use crate::backend::{Backend, Demand, Listing, Session, Updates};
use crate::config_center::{ConfigSession, ConfigUpdates};
use crate::embedded::{Client, Identity, RegistryHost, RegistryServerConfig, serve};
use crate::lock::locked;
use crate::{Diagnosis, Pace, Registry, RegistryParams, RegistryUrl, supervise};

/// Bytes that fit into a pipe before its writer waits.
const PIPE: usize = 64 * 1024;

/// Most texts of its config centre.
const MAX_TEXTS: usize = 10_000;

static HOSTS: Mutex<BTreeMap<String, Weak<MemoryHost>>> = Mutex::new(BTreeMap::new());

/// What the users of a name share.
#[derive(Debug)]
struct MemoryHost {
    registry: Arc<RegistryHost>,
    texts: MemoryTexts,
}

/// A registry inside this process, shared by everything that uses the same name.
///
/// It behaves like an embedded registry, leases included, and runs on paused time.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), rpc_core::Error> {
/// use rpc_core::{Instance, ServiceKey};
///
/// let stock = ServiceKey::new("shop.Stock");
/// let (provider, consumer) = (
///     dubhe_registry::connect("memory://tests")?,
///     dubhe_registry::connect("memory://tests")?,
/// );
/// let instance = Instance::new(stock.clone(), "10.0.0.1:20880", "start-1");
/// let _listed = provider.register(instance).await?;
/// assert_eq!(consumer.list(&stock).await?.len(), 1);
/// // Another name is another registry.
/// assert!(dubhe_registry::connect("memory://other")?.list(&stock).await?.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Memory {
    url: RegistryUrl,
    /// Keeps the registry alive from the first use to the end.
    host: Mutex<Option<Arc<MemoryHost>>>,
    identity: Arc<Identity>,
}

impl Extension<dyn Registry> for Memory {
    const NAME: &'static str = "memory";
    type Config = RegistryParams;

    fn build(config: RegistryParams, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
        let url = RegistryUrl::parse(&config.url)?;
        url.expect_only(false, &[])?;
        if url.hosts.len() > 1 || url.hosts.iter().any(|host| host.port.is_some()) {
            return Err(url.wrong("it takes one name and no port, as in memory://tests"));
        }
        let host = Mutex::new(None);
        Ok(supervise(Arc::new(Self { url, host, identity: Identity::random() }), &config))
    }
}

impl Memory {
    /// The registry of this name, made if it is the first use. Must run in a runtime.
    fn host(&self) -> Arc<MemoryHost> {
        let mut mine = locked(&self.host);
        let make = || {
            let mut hosts = locked(&HOSTS);
            hosts.retain(|_, host| host.strong_count() > 0);
            let name = self.url.to_string();
            if let Some(host) = hosts.get(&name).and_then(Weak::upgrade) {
                return host;
            }
            let registry = RegistryHost::start(RegistryServerConfig {
                push_gap: std::time::Duration::from_millis(5),
                withhold: std::time::Duration::ZERO,
                ..RegistryServerConfig::default()
            });
            let host = Arc::new(MemoryHost { registry, texts: MemoryTexts::default() });
            hosts.insert(name, Arc::downgrade(&host));
            host
        };
        let host = mine.get_or_insert_with(make);
        host.registry.keep_sweeping();
        Arc::clone(host)
    }
}

#[async_trait]
impl Backend for Memory {
    fn address(&self) -> String {
        self.url.to_string()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        // Ends when our end of the pipe is dropped with the session.
        let host = self.host();
        tokio::spawn(serve(Arc::clone(&host.registry), theirs));
        let client = Client::open(ours, (&self.address(), ""), &self.identity).await?;
        Ok(Arc::new(MemorySession { client, host }))
    }

    fn has_settings(&self) -> bool {
        true
    }

    fn pace(&self) -> Pace {
        Pace { reader_spread: std::time::Duration::ZERO, ..Pace::default() }
    }

    fn is_local(&self) -> bool {
        true
    }

    fn is_cached(&self) -> bool {
        false
    }

    fn close(&self) {
        locked(&self.host).take();
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({})", self.url)
    }
}

// === impl MemorySession ===

/// A session through a pipe, and beside it the texts of the config centre.
#[derive(Debug)]
struct MemorySession {
    client: Arc<Client>,
    host: Arc<MemoryHost>,
}

#[async_trait]
impl Session for MemorySession {
    async fn register(&self, instance: &Instance) -> Result<(), Error> {
        self.client.register(instance).await
    }

    async fn unregister(&self, instance: &Instance) -> Result<(), Error> {
        self.client.unregister(instance).await
    }

    async fn watch(&self, service: &ServiceKey, updates: &Updates) -> Result<(), Error> {
        self.client.watch(service, updates).await
    }

    async fn fetch(&self, service: &ServiceKey) -> Result<Listing, Error> {
        self.client.fetch(service).await
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        self.client.services().await
    }

    async fn survey(&self) -> Result<Vec<Diagnosis>, Error> {
        let remedy = "use a registry that processes share, such as dev:// on one machine";
        let seen = "it is inside this process, and no other sees it";
        Ok(vec![Diagnosis::warn("layout", "memory://", seen, remedy)])
    }

    async fn closed(&self) {
        self.client.closed().await;
    }

    fn reason(&self) -> Option<Error> {
        self.client.reason()
    }

    fn peers(&self) -> Option<usize> {
        self.client.peers()
    }

    fn settings(&self) -> Option<&dyn ConfigSession> {
        Some(&self.host.texts)
    }
}

// === impl MemoryTexts ===

/// The texts of a config centre inside this process, by group and key.
#[derive(Debug, Default)]
struct MemoryTexts(watch::Sender<BTreeMap<(String, String), Bytes>>);

#[async_trait]
impl ConfigSession for MemoryTexts {
    async fn get(&self, key: &str, group: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.0.borrow().get(&(group.to_owned(), key.to_owned())).cloned())
    }

    async fn watch(&self, key: &str, group: &str, updates: &ConfigUpdates) -> Result<(), Error> {
        let (place, mut texts) = ((group.to_owned(), key.to_owned()), self.0.subscribe());
        loop {
            updates.put(texts.borrow_and_update().get(&place).cloned());
            let gone = |_| Error::closed("the registry of this name has ended");
            texts.changed().await.map_err(gone)?;
        }
    }

    async fn publish(&self, key: &str, group: &str, value: Option<Bytes>) -> Result<(), Error> {
        let place = (group.to_owned(), key.to_owned());
        let mut is_full = false;
        self.0.send_if_modified(|texts| match value {
            None => texts.remove(&place).is_some(),
            Some(_) if texts.len() >= MAX_TEXTS && !texts.contains_key(&place) => {
                is_full = true;
                false
            }
            Some(value) => texts.insert(place, value.clone()) != Some(value),
        });
        match is_full {
            true => Err(Error::invalid_config(format!(
                "memory:// keeps at most {MAX_TEXTS} texts, take some away"
            ))),
            false => Ok(()),
        }
    }
}
