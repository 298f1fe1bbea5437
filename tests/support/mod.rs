//! What the end-to-end tests share: a small shop to call, settings that no environment can
//! disturb, processes of their own, and waiting that is bounded.
//!
//! Tests compile it each for itself and use the part they need.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses a part of it")]
#![allow(missing_docs, missing_debug_implementations, reason = "no interface of the crate")]

pub mod http;
pub mod load;
pub mod process;
pub mod rules;
pub mod shop;
pub mod till;

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dubhe::config::{ConfigFile, Layer, Sources};
use dubhe::embedded::{EmbeddedServer, RegistryServerConfig};
use dubhe::{Consumer, Provider, RunningProvider};
use tokio::time::Instant;

/// How long anything may take that is to happen soon; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A registry in this process that no other test knows.
pub fn memory() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("memory://test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The settings in `toml` over those of every test: no cache on disk, any free port, short ends.
pub fn sources(registry: &str, toml: &str) -> Sources {
    let builder = Layer::new()
        .set("registry.address", registry)
        .set("registry.cache", false)
        .set("provider.port", 0)
        .set("provider.notice", "100ms")
        .set("provider.drain_timeout", "5s")
        .set("consumer.timeout", "5s");
    let file = ConfigFile { path: "dubhe.toml".to_owned(), text: toml.to_owned() };
    Sources { builder, file: Some(file), ..Sources::default() }
}

/// A provider of nothing yet, with these settings.
pub fn provider(registry: &str, toml: &str) -> Provider {
    Provider::builder().sources(sources(registry, toml))
}

/// A consumer with these settings.
pub fn consumer(registry: &str, toml: &str) -> Consumer {
    Consumer::builder().sources(sources(registry, toml)).build().unwrap()
}

/// A `static://` address of one provider.
pub fn fixed(provider: &RunningProvider) -> String {
    format!("static://{}", provider.address())
}

/// A registry server that is quick to notice and to tell, on `port` (0: any).
pub async fn registry(port: u16) -> (EmbeddedServer, String) {
    let server = EmbeddedServer::bind(("127.0.0.1", port), quick()).await.unwrap();
    let url = format!("dubhe://{}", server.local_addr());
    (server, url)
}

/// The settings of a registry server that is quick to notice and to tell.
pub fn quick() -> RegistryServerConfig {
    RegistryServerConfig {
        closed_lease: Duration::from_millis(500),
        withhold: Duration::from_secs(3),
        push_gap: Duration::from_millis(20),
        ..RegistryServerConfig::default()
    }
}

/// Asks again and again until there is something; fails loudly when [`PATIENCE`] is over.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until `is` says so.
pub async fn until_is(what: &str, mut is: impl FnMut() -> bool) {
    until(what, async || is().then_some(())).await;
}

/// Whatever `future` gives, within [`PATIENCE`].
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("nothing came of it within {PATIENCE:?}"))
}

/// Numbers that look random and are the same in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit` (splitmix64).
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
