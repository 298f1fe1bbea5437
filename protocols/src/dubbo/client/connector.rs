//! The channels of a consumer, by address: shared by all its directories.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rpc_core::transport::Dial;
use rpc_core::{Channel, Connector, Instance};

use super::channel::DubboChannel;
use super::config::ClientConfig;
use crate::transport::Tcp;

/// Opens dubbo channels; instances with the same address share one.
#[derive(Debug)]
pub struct DubboConnector {
    config: Arc<ClientConfig>,
    dial: Arc<dyn Dial>,
    channels: Mutex<HashMap<Arc<str>, Weak<DubboChannel>>>,
}

impl DubboConnector {
    /// A connector over TCP.
    #[must_use]
    pub fn new(config: ClientConfig) -> Self {
        Self::with_dial(config, Arc::new(Tcp))
    }

    /// A connector over another transport.
    #[must_use]
    pub fn with_dial(config: ClientConfig, dial: Arc<dyn Dial>) -> Self {
        Self { config: Arc::new(config), dial, channels: Mutex::default() }
    }
}

impl Connector for DubboConnector {
    fn channel(&self, instance: &Instance) -> Arc<dyn Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&instance.address).and_then(Weak::upgrade) {
            // Somebody lists the address anew: a backoff has waited long enough.
            channel.hurry();
            return channel;
        }
        // Only when it would grow: then a list of thousands is not walked for each of them.
        if channels.len() == channels.capacity() {
            channels.retain(|_, channel| channel.strong_count() > 0);
        }
        let (address, config, dial) =
            (instance.address.clone(), self.config.clone(), self.dial.clone());
        let channel = Arc::new(DubboChannel::new(address.clone(), config, dial));
        channels.insert(address, Arc::downgrade(&channel));
        channel
    }

    fn protocol(&self) -> Option<&'static str> {
        Some("dubbo")
    }
}
