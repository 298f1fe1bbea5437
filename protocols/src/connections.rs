//! The channels of a consumer: shared by all its directories, opened by the protocol that fits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rpc_core::client::ClientConfig;
use rpc_core::protocol::{ProtocolClient, Target};
use rpc_core::server::LocalServers;
use rpc_core::transport::Dial;
use rpc_core::{Channel, Connector, Error, Instance, MethodKind, Protocols};

use crate::transport::Tcp;

/// Opens channels over a table of protocols; owned by a consumer.
///
/// Instances with the same address and protocol share a channel, and so a connection, whatever
/// their service. A channel is opened on first use and closed with its last handle. The protocol is
/// the first of the table that the instance publishes, or the first of all if it publishes none; an
/// instance may serve it at an address of its own.
///
/// ```
/// use std::sync::Arc;
///
/// use dubhe_protocols::Connections;
/// use rpc_core::{Connector, Instance, ServiceKey};
///
/// # fn main() -> Result<(), rpc_core::Error> {
/// let connections = Connections::new(&dubhe_protocols::table()?, Default::default())?;
/// let instance = |service| Instance::new(ServiceKey::new(service), "10.0.0.1:20880", "start-1");
/// let stock = connections.channel(&instance("shop.Stock"));
/// assert!(Arc::ptr_eq(&stock, &connections.channel(&instance("shop.Orders"))));
///
/// let grpc_only = Instance { protocols: ["tri".to_owned()].into(), ..instance("shop.Stock") };
/// assert!(!connections.reaches(&grpc_only));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Connections {
    /// Never empty; in the order in which they are preferred.
    clients: Vec<(&'static str, Arc<dyn ProtocolClient>)>,
    /// Names in the table that connections speak, whether or not they can be called.
    wire: Vec<&'static str>,
    config: Arc<ClientConfig>,
    dial: Arc<dyn Dial>,
    local: LocalServers,
    channels: Mutex<HashMap<Key, Weak<dyn Channel>>>,
}

/// The key by which channels are shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    address: Arc<str>,
    protocol: &'static str,
}

impl Connections {
    /// Channels over [`Tcp`], with the limits and times of `config`.
    ///
    /// # Errors
    /// None of the protocols has a consumer's end.
    pub fn new(protocols: &Protocols, config: ClientConfig) -> Result<Self, Error> {
        Self::with_dial(protocols, config, Arc::new(Tcp))
    }

    /// Channels over another transport, such as TLS or a simulated network.
    ///
    /// # Errors
    /// None of the protocols has a consumer's end.
    pub fn with_dial(
        protocols: &Protocols,
        config: ClientConfig,
        dial: Arc<dyn Dial>,
    ) -> Result<Self, Error> {
        let clients = protocols.iter().filter_map(|protocol| Some((protocol, protocol.client()?)));
        let clients: Vec<_> = clients
            .flat_map(|(protocol, client)| {
                protocol.names().iter().map(move |name| (*name, client.clone()))
            })
            .collect();
        if clients.is_empty() {
            let known = protocols.names().collect::<Vec<_>>().join(", ");
            return Err(Error::invalid_config(format!(
                "none of the protocols {known} can be called: add one that has a consumer's end"
            )));
        }
        let (config, local) = (Arc::new(config), LocalServers::new());
        let wire = protocols.names().collect();
        Ok(Self { clients, wire, config, dial, local, channels: Mutex::default() })
    }

    /// Sets the table of the servers in this process, for [`Injvm`](crate::Injvm); without it there
    /// are none.
    #[must_use]
    pub fn with_local(mut self, local: LocalServers) -> Self {
        self.local = local;
        self
    }

    /// The protocol in which `instance` is called.
    fn common(&self, instance: &Instance) -> Option<&(&'static str, Arc<dyn ProtocolClient>)> {
        self.clients.iter().find(|(name, _)| instance.speaks(name))
    }
}

impl Connector for Connections {
    fn channel(&self, instance: &Instance) -> Arc<dyn Channel> {
        let (protocol, client) = self.common(instance).unwrap_or(&self.clients[0]);
        let key = Key { address: instance.address_of(protocol).clone(), protocol };
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&key).and_then(Weak::upgrade) {
            // The address is listed again, so the backoff has waited long enough.
            channel.hurry();
            return channel;
        }
        // Only when it would grow: then a list of thousands is not walked for each of them.
        if channels.len() == channels.capacity() {
            channels.retain(|_, channel| channel.strong_count() > 0);
        }
        let channel = client.channel(Target {
            address: key.address.clone(),
            dial: self.dial.clone(),
            config: self.config.clone(),
            local: self.local.clone(),
        });
        channels.insert(key, Arc::downgrade(&channel));
        channel
    }

    fn reaches(&self, instance: &Instance) -> bool {
        self.common(instance).is_some()
    }

    fn protocols(&self) -> Vec<&'static str> {
        self.clients.iter().map(|(name, _)| *name).filter(|name| self.wire.contains(name)).collect()
    }

    fn carries(&self, instance: &Instance, kind: MethodKind) -> bool {
        self.common(instance).is_some_and(|(_, client)| client.carries(kind))
    }
}
