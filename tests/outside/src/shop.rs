//! The service that the extensions are tried on, and a way to start and call it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dubhe::config::{Layer, Sources};
use dubhe::prelude::*;
use dubhe::{Consumer, ConsumerBuilder, RunningProvider};

/// A shop.
#[dubhe::service(name = "shop.Stock")]
pub(crate) trait Stock {
    /// Who answers, and which article.
    #[rpc(idempotent)]
    async fn count(&self, article: u64) -> Result<String>;

    /// Changes something.
    async fn take(&self, article: u64) -> Result<String>;
}

/// An address where nobody listens: the port of a protocol that no system speaks any more.
pub(crate) const NOBODY: &str = "127.0.0.1:1";

/// A shop of this name that counts what it executes.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) name: &'static str,
    pub(crate) executed: AtomicU64,
}

impl Shop {
    pub(crate) fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, executed: AtomicU64::new(0) })
    }

    pub(crate) fn executed(&self) -> u64 {
        self.executed.load(Ordering::Acquire)
    }
}

impl Stock for Shop {
    async fn count(&self, article: u64) -> Result<String> {
        self.executed.fetch_add(1, Ordering::AcqRel);
        Ok(format!("{} {article}", self.name))
    }

    async fn take(&self, article: u64) -> Result<String> {
        self.executed.fetch_add(1, Ordering::AcqRel);
        Ok(format!("{} took {article}", self.name))
    }
}

/// Settings that no environment disturbs.
fn sources(registry: &str) -> Sources {
    let builder = Layer::new()
        .set("registry.address", registry)
        .set("registry.cache", false)
        .set("provider.port", 0)
        .set("provider.warmup", "0s")
        .set("provider.notice", "0s")
        .set("consumer.timeout", "5s");
    Sources { builder, ..Sources::default() }
}

/// A provider of nothing yet.
pub(crate) fn provider(registry: &str) -> Provider {
    Provider::builder().sources(sources(registry))
}

/// Starts a provider of `shop`.
pub(crate) async fn serve(registry: &str, shop: &Arc<Shop>) -> RunningProvider {
    provider(registry).serve(StockServer::from_arc(shop.clone())).start().await.unwrap()
}

/// A consumer that is not built yet.
pub(crate) fn consumer(registry: &str) -> ConsumerBuilder {
    Consumer::builder().sources(sources(registry))
}
